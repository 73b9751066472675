"""Push to and pull from a server that speaks as Hugging Face does, through huggingface_hub itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("huggingface_child.py")
FILES = ["README.md", "_scvi_required_metadata.json", "model.json", "model.pt", "model.safetensors"]


@pytest.fixture(scope="module")
def came_out(tmp_path_factory):
    """What the child tells, see there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    run = subprocess.run(
        [sys.executable, str(CHILD), str(tmp_path_factory.mktemp("hugging_face"))],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout.splitlines()[-1])


def test_a_push_is_one_commit_of_a_whole_model(came_out):
    assert came_out["files"] == sorted([*FILES, "adata.h5ad"])
    assert came_out["commits"] == 1
    assert came_out["address"] == "URL/lab/kang_pbmc/tree/COMMIT"
    assert came_out["asked"] == ["create", "validate", "preupload", "batch", "commit", "verify"]
    assert 'ds.hub.load("lab/kang_pbmc")' in came_out["card"]
    assert 'HubModel.pull_from_huggingface_hub("lab/kang_pbmc")' in came_out["card"]


def test_a_new_repository_is_private_unless_said_otherwise(came_out):
    assert came_out["private"]
    assert came_out["open"]


def test_pull_load_query_factor_table(came_out):
    assert came_out["class"] == "AnnotatedVAE"
    assert came_out["same"]
    assert came_out["table"] == ["low", "middle", "Sparse 1", "Dense 1"]


def test_scvi_tools_pulls_it(came_out):
    assert came_out["same in scvi"]
    assert came_out["cells in scvi"] == 24
    assert came_out["card in scvi"]


def test_a_folder_replaces_a_model_if_asked_to(came_out):
    kind, message = came_out["taken"]
    assert kind == "ValueError"
    assert "'lab/kang_pbmc' must hold no model, got one ('README.md'" in message
    assert "pass overwrite=True" in message
    assert came_out["edited"]
    assert came_out["files without data"] == FILES  # the data of the one before are gone
    assert not came_out["newest has data"]


def test_a_commit_brings_the_same_model_for_ever(came_out):
    assert came_out["pinned has data"]
    assert came_out["from the cache"] == 24  # without a server


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("nobody reads", "FileNotFoundError", "'lab/hidden' must be there and open to you, got no such repo"),
        (
            "nobody reads",
            "FileNotFoundError",
            "or a private one. Check the name. Log in with `hf auth login`",
        ),
        ("nobody writes", "PermissionError", "'lab/other' must be open to you, got no right to it (401)"),
        ("closed", "PermissionError", "'closed/model' must be open to you, got no right to it (403)"),
        ("no repository", "FileNotFoundError", "'lab/nothing' must be there and open to you"),
        ("no revision", "FileNotFoundError", "'lab/open' must have the revision, got no such branch"),
        ("no model", "FileNotFoundError", "lab/open must hold a model, got none"),
        ("unreachable", "ConnectionError", "'lab/never' must be within reach, or in the cache, got Conn"),
        ("unreachable push", "ConnectionError", "Check the connection, HF_ENDPOINT and HF_HUB_OFFLINE."),
        ("offline", "ConnectionError", "outgoing traffic has been disabled"),
        ("offline push", "ConnectionError", "offline mode is enabled"),
    ],
)
def test_what_goes_wrong_is_told(came_out, name, kind, text):
    assert came_out[name][0] == kind
    assert text in came_out[name][1]


def test_the_page_on_sharing_holds(came_out):
    assert came_out.get("page", ["/lab/kang_pbmc", 24]) == ["/lab/kang_pbmc", 24]


def test_the_token_is_written_nowhere(came_out):
    assert came_out["secret in files"] == []
    assert came_out["secret pushed"] == 0
