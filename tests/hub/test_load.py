"""Load: where from, what is refused, and pickles only of those who are trusted."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import scvi
import torch
from hub_kit import SAVED, assert_maps_a_query, tiny_data
from scvi.model.base import BaseModelClass

import distaff as ds
from distaff.hub._extra import needed
from distaff.hub._names import is_repository

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def foreign(folder, module, name):
    metadata = {
        "scvi_version": scvi.__version__,
        "anndata_version": "0.12.0",
        "model_cls_name": name,
        "training_data_url": None,
        "model_parent_module": module,
    }
    (folder / "_scvi_required_metadata.json").write_text(json.dumps(metadata))
    return folder


@pytest.fixture(scope="module")
def of_scvi(tmp_path_factory):
    """Folder of a model of scvi-tools, and its latent."""
    adata = tiny_data()
    scvi.model.SCVI.setup_anndata(adata, batch_key="batch")
    model = scvi.model.SCVI(adata, n_latent=2, n_hidden=4)
    model.train(1, batch_size=12, accelerator="cpu", enable_progress_bar=False)
    folder = tmp_path_factory.mktemp("scvi") / "model"
    model.save(str(folder), save_anndata=True)
    return foreign(folder, "scvi.model", "SCVI"), model.get_latent_representation()


def test_pickles_are_read_for_those_who_are_trusted(of_scvi):
    folder, latent = of_scvi
    with pytest.raises(ValueError, match=r"a model that distaff saved, got a pickle.*trust_pickle=True"):
        ds.hub.load(folder)
    loaded = ds.hub.load(folder, trust_pickle=True)
    assert type(loaded) is scvi.model.SCVI
    np.testing.assert_allclose(loaded.get_latent_representation(), latent, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:`var_names` for the loaded `model`")
def test_a_pickle_of_our_own_class(saved, tmp_path):
    model = saved("LinearVAE")
    BaseModelClass.save(model, str(tmp_path / "model"))
    foreign(tmp_path / "model", "distaff.model", "LinearVAE")
    with pytest.raises(ValueError, match="got a pickle"):
        ds.hub.load(tmp_path / "model", adata=model.adata)
    loaded = ds.hub.load(tmp_path / "model", adata=model.adata, trust_pickle=True)
    np.testing.assert_allclose(
        loaded.get_latent_representation(), model.get_latent_representation(), rtol=1e-5, atol=1e-6
    )


class Payload:
    """A pickle that would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_no_code_of_the_files_is_run(saved, tmp_path):
    mark = tmp_path / "was here"
    folder = tmp_path / "shared"
    ds.hub.save(saved("LinearVAE"), folder)
    torch.save(Payload(mark), folder / "model.pt")  # beside our own files
    (tmp_path / "evil.py").write_text(f"open({str(mark)!r}, 'w')")
    foreign(folder, "evil", "LinearVAE")  # metadata name a module that is not ours
    assert type(ds.hub.load(folder)) is ds.model.LinearVAE
    for name in ("model.json", "model.safetensors"):  # and alone
        (folder / name).unlink()
    with pytest.raises(ValueError, match="got a pickle"):
        ds.hub.load(folder)
    (folder / "model.pt").write_bytes(pickle.dumps(Payload(mark)))
    with pytest.raises(ValueError, match="got a pickle"):
        ds.hub.load(folder)
    assert not mark.exists()


def test_a_class_that_is_not_there(of_scvi, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.pt").write_bytes((of_scvi[0] / "model.pt").read_bytes())
    with pytest.raises(ValueError, match="must have metadata of scvi-tools"):
        ds.hub.load(folder, trust_pickle=True)
    for module, name in (("no_such_module", "A"), ("scvi.model", "NoSuchModel")):
        foreign(folder, module, name)
        with pytest.raises(ValueError, match="The class of the model in .* must be installed"):
            ds.hub.load(folder, trust_pickle=True)


def test_a_class_of_a_later_version(saved, tmp_path, monkeypatch):
    ds.hub.save(saved("LinearVAE"), tmp_path / "shared", save_anndata=False)
    monkeypatch.setattr(ds.model, "__all__", ["BetaVAE"])
    with pytest.raises(ValueError, match="this version of distaff knows, got 'LinearVAE'"):
        ds.hub.load(tmp_path / "shared")


def test_other_cells_take_the_place_of_those_saved(saved, query, tmp_path):
    ds.hub.save(saved("ProgramVAE"), tmp_path / "shared")
    cells = tiny_data()
    assert ds.hub.load(tmp_path / "shared", adata=cells).adata is cells
    assert ds.hub.load(tmp_path / "shared", adata=False).adata is None
    reference = ds.hub.load(str(tmp_path / "shared"))
    assert len(assert_maps_a_query(reference, query)) == 2


def test_where_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab" / "kang").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="lab/kang must hold a model, got none"):
        ds.hub.load("lab/kang")  # a folder comes before a repository
    (tmp_path / "notes.txt").write_text("mine")
    cases = [("nowhere", "none of these"), ("a/b/c", "none of these"), ("notes.txt", "a file")]
    for name, got in cases:
        with pytest.raises(FileNotFoundError, match=f"path_or_repo must be a folder, .* got '{name}', {got}"):
            ds.hub.load(name)
    with pytest.raises(FileNotFoundError, match="none of these"):
        ds.hub.load(Path("lab/other"))  # a path is never a repository
    with pytest.raises(ValueError, match="revision must be None"):
        ds.hub.load("lab/kang", revision="main")
    for value in (3, None, ""):
        with pytest.raises(TypeError, match="path_or_repo must be a folder or an address"):
            ds.hub.load(value)
    with pytest.raises(TypeError, match="trust_pickle must be True or False"):
        ds.hub.load("lab/kang", trust_pickle="no")
    with pytest.raises(TypeError, match="revision must be a text"):
        ds.hub.load("lab/kang", revision=3)


def test_names_of_repositories():
    good = ["lab/kang", "lab/kang.pbmc-2_b", "_a/b", "a/" + "b" * 94]
    bad = [
        "kang",
        "/kang",
        "lab/",
        "a/b/c",
        "./kang",
        "../kang",
        "a--b/c",
        "a/b..c",
        "a/b.git",
        "a/b.",
        "a/é",
    ]
    bad += ["-a/b", "a/b-", "a b/c", "a/" + "b" * 95, "C:\\a/b", "s3://a/b", "~/a"]
    assert [name for name in good if not is_repository(name)] == []
    assert [name for name in bad if is_repository(name)] == []
    validate = pytest.importorskip("huggingface_hub.utils").validate_repo_id
    for name in good:
        validate(name)


def test_push_asks_for_a_place_and_a_whole_model(saved, tmp_path):
    model = saved("LinearVAE")
    for name in ("kang", "a/b/c", "https://huggingface.co/lab/kang", ""):
        with pytest.raises(ValueError, match="repo must be name/name on Hugging Face"):
            ds.hub.push(model, name)
    model.save(tmp_path / "plain")
    with pytest.raises(ValueError, match=r"that distaff.hub.save wrote, got none, or one without README.md"):
        ds.hub.push(tmp_path / "plain", "lab/kang")
    with pytest.raises(TypeError, match="private must be True or False"):
        ds.hub.push(model, "lab/kang", private="no")
    with pytest.raises(TypeError, match="repo must be a text"):
        ds.hub.push(model, Path("lab/kang"))
    with pytest.raises(TypeError, match="model must be one of distaff.model, got int"):
        ds.hub.push(3, "lab/kang")


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    with pytest.raises(ImportError, match=r'boto3 must be installed .*pip install "distaff\[hub\]"'):
        needed("boto3")
    with pytest.raises(ImportError, match=r'pip install "distaff\[hub\]"'):
        ds.hub.load("s3://models/kang")


def test_a_plain_saved_model_is_loaded_too():
    folder = SAVED / ds.__version__ / "BetaVAE"
    assert type(ds.hub.load(folder)) is ds.model.BetaVAE
    hub_only = SAVED / ds.__version__ / "BetaVAE_hub"  # model.pt alone
    assert type(ds.hub.load(hub_only)) is ds.model.BetaVAE
