from __future__ import annotations

import json

import pytest

from distaff.model._saved_document import dump_document, parse_document, sha256

FILE = {"sha256": sha256(b"tensors"), "bytes": 7}
CONTENT = {
    "class": "BetaVAE",
    "versions": {},
    "var_names": ["gène", "\ud800"],
    "attributes": {"x_": [0.1, 1e-300, 2**70]},
    "tensors": FILE,
    "anndata": None,
}


def test_what_is_dumped_is_parsed():
    document = parse_document(dump_document(CONTENT), "model.json")
    assert document == {"format": "distaff model", "schema": 1, **CONTENT}


def test_checksum_is_that_of_the_content():
    document = json.loads(dump_document(CONTENT))
    checksum = document.pop("sha256")
    assert checksum == sha256(json.dumps(document, separators=(",", ":")).encode())


def test_layout_is_free_and_content_is_not():
    document = json.loads(dump_document(CONTENT))
    loose = json.dumps(document, indent=4).encode()
    assert parse_document(loose, "model.json")["attributes"] == CONTENT["attributes"]
    document["attributes"]["x_"][0] = 0.2
    with pytest.raises(
        ValueError, match=r"^model.json must be as it was saved, got a corrupt file \(its content"
    ):
        parse_document(json.dumps(document).encode(), "model.json")


@pytest.mark.parametrize("key", ["class", "versions", "var_names", "attributes", "tensors"])
def test_missing_parts(key):
    content = {name: value for name, value in CONTENT.items() if name != key}
    with pytest.raises(ValueError, match="a part is missing"):
        parse_document(dump_document(content), "model.json")


@pytest.mark.parametrize(
    "file", [{}, {"sha256": "x" * 64, "bytes": 7}, {**FILE, "bytes": True}, {**FILE, "sha256": 3}, [1]]
)
@pytest.mark.parametrize("key", ["tensors", "anndata"])
def test_checksums_of_another_kind(key, file):
    with pytest.raises(ValueError, match="must be as it was saved"):
        parse_document(dump_document({**CONTENT, key: file}), "model.json")


def test_what_json_does_not_know_is_not_written():
    with pytest.raises(ValueError, match="not JSON compliant"):
        dump_document({**CONTENT, "attributes": {"x_": float("nan")}})
