"""Saved folders are plain models of scvi-tools' hub, for every class."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import scvi
from hub_kit import NAMES, files_of

import distaff as ds
from distaff._keys import MINIFIED
from distaff.model._annotation import Annotation

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),  # of huggingface_hub
]
KEYS = ["scvi_version", "anndata_version", "model_cls_name", "training_data_url", "model_parent_module"]
FILES = ["README.md", "_scvi_required_metadata.json", "model.json", "model.pt", "model.safetensors"]


def kind_of(name):
    return "full" if name in ("Autoencoder", "FSCLVM") else "minified"


@pytest.mark.parametrize("name", NAMES)
def test_every_class_is_a_plain_model_of_the_hub(name, saved, tmp_path, no_pickle):
    from scvi.hub import HubMetadata, HubModel

    model = saved(name)
    before = model.adata.X.copy(), list(model.adata.obsm), list(model.adata.uns), dict(model.registry_)
    latent = model.get_latent_representation()
    ds.hub.save(model, tmp_path / "shared", save_anndata=kind_of(name), license="CC-BY-4.0")

    assert sorted(files_of(tmp_path / "shared")) == sorted([*FILES, "adata.h5ad"])
    metadata = json.loads((tmp_path / "shared" / "_scvi_required_metadata.json").read_text())
    assert list(metadata) == KEYS  # HubMetadata takes no other
    ds.hub.load(tmp_path / "shared")  # numba keeps compiled loops as pickles of its own: they are loaded now
    with no_pickle():
        hub = HubModel(str(tmp_path / "shared"))
        hub.load_model(accelerator="cpu")
        own = ds.hub.load(tmp_path / "shared")
    assert hub.metadata == HubMetadata(**metadata)
    assert hub.metadata.model_parent_module == "distaff.model"  # else scvi-tools looks among its own classes
    assert hub.model_card.data.license == "cc-by-4.0"
    assert f"model_cls_name:{type(model).__name__}" in hub.model_card.data.tags
    for loaded in (hub.model, own):
        assert type(loaded) is type(model)
        np.testing.assert_allclose(loaded.get_latent_representation(), latent, rtol=1e-5, atol=1e-6)
    assert hub.adata.obs_names.equals(model.adata.obs_names)
    if kind_of(name) == "minified":
        assert hub.adata.X.nnz == 0
        assert MINIFIED.mean in hub.adata.obsm
        assert own.minified_data_type is not None

    assert (before[0] != model.adata.X).nnz == 0
    assert (list(model.adata.obsm), list(model.adata.uns), dict(model.registry_)) == before[1:]
    assert getattr(model, "minified_data_type", None) is None
    assert not hasattr(model.module, "minified_data_type") or model.module.minified_data_type is None


def test_metadata_that_scvi_tools_reads_itself_are_the_same(saved, tmp_path):
    from scvi.hub import HubMetadata

    ds.hub.save(saved("LinearVAE"), tmp_path / "shared")
    written = json.loads((tmp_path / "shared" / "_scvi_required_metadata.json").read_text())
    read = HubMetadata.from_dir(
        str(tmp_path / "shared"), written["anndata_version"], model_parent_module="distaff.model"
    )
    assert HubMetadata(**written) == read


def test_names_of_classes_are_not_those_of_scvi_tools():
    for name in ds.model.__all__:
        assert not any(part in name for part in ("SCVI", "SCANVI", "TOTALVI", "CondSCVI", "Stereoscope"))
        assert not hasattr(scvi.model, name)
        assert not hasattr(scvi.external, name)


def test_without_data_nothing_asks_for_dvc(saved, tmp_path, monkeypatch):
    from scvi.hub import HubModel

    model = saved("LinearVAE")
    ds.hub.save(model, tmp_path / "shared", save_anndata=False)
    assert sorted(files_of(tmp_path / "shared")) == sorted(FILES)
    monkeypatch.setitem(sys.modules, "dvc", None)
    monkeypatch.setitem(sys.modules, "dvc.api", None)
    assert ds.hub.load(tmp_path / "shared").adata is None
    card = (tmp_path / "shared" / "README.md").read_text()
    assert "hub.load_model(adata=False)" in card
    hub = HubModel(str(tmp_path / "shared"))
    hub.load_model(adata=False, accelerator="cpu")
    for loaded in (hub.model, ds.hub.load(tmp_path / "shared", adata=model.adata)):
        found = loaded.get_latent_representation(model.adata)
        np.testing.assert_allclose(found, model.get_latent_representation(), rtol=1e-5, atol=1e-6)
    with pytest.raises(ImportError):  # what the card spares its reader
        HubModel(str(tmp_path / "shared")).load_model()


def test_counts_go_along_if_asked_for(saved, tmp_path):
    model = saved("SparseVAE")
    ds.hub.save(model, tmp_path / "shared", save_anndata="full")
    loaded = ds.hub.load(tmp_path / "shared")
    assert (loaded.adata.X != model.adata.X).nnz == 0
    assert np.isfinite(float(loaded.get_elbo()))  # what minified data cannot give


def test_minified_data_are_shared_as_they_are(saved, tmp_path):
    model = saved("BetaVAE")
    model.minify_adata()
    with pytest.raises(ValueError, match="must have counts to be saved in full"):
        ds.hub.save(model, tmp_path / "shared", save_anndata="full")
    ds.hub.save(model, tmp_path / "shared")
    assert ds.hub.load(tmp_path / "shared").minified_data_type == model.minified_data_type
    with_counts = saved("BetaVAE")
    with_counts.minify_adata("latent_posterior_parameters_with_counts")
    with pytest.raises(ValueError, match="Minified data must have no counts"):
        ds.hub.save(with_counts, tmp_path / "counts")
    ds.hub.save(with_counts, tmp_path / "counts", save_anndata="full")
    assert ds.hub.load(tmp_path / "counts").adata.X.nnz > 0


def test_masks_and_where_they_are_from_survive_without_data(annotated, tmp_path):
    ds.hub.save(annotated, tmp_path / "shared", save_anndata=False)
    alone = ds.hub.load(tmp_path / "shared")
    stored = alone.registry_["distaff_gene_sets"]
    source = annotated.adata.uns["gene_sets"]
    assert stored["provenance"] == {"source": "programs.gmt", "sha256": source["sha256"]}  # no folder of mine
    assert stored["names"] == ["low", "middle"]
    assert stored == annotated.registry_["distaff_gene_sets"]
    assert Annotation.read(stored).mask.tolist() == annotated.adata.varm["gene_sets"].to_numpy().tolist()
    assert alone.training_["batch_size"] == 12


@pytest.mark.parametrize("name", ["Autoencoder", "FSCLVM"])
def test_minified_of_a_model_that_cannot(name, saved, tmp_path):
    with pytest.raises(ValueError, match=f"must be 'full' or False for this {name}, got 'minified': "):
        ds.hub.save(saved(name), tmp_path / "shared")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_taken(saved, tmp_path):
    model = saved("LinearVAE")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"must be a new or empty folder, got one with 'notes.txt'"):
        ds.hub.save(model, tmp_path / "taken")
    with pytest.raises(ValueError, match="must be a new folder, got a file"):
        ds.hub.save(model, tmp_path / "taken" / "notes.txt")
    (tmp_path / "empty").mkdir()
    ds.hub.save(model, tmp_path / "empty", save_anndata=False)
    assert sorted(files_of(tmp_path / "empty")) == sorted(FILES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "taken"]


def test_a_save_that_fails_leaves_nothing(saved, tmp_path, monkeypatch):
    model = saved("LinearVAE")
    model.note_ = object()  # cannot be saved
    with pytest.raises(TypeError, match="note_ must be plain data"):
        ds.hub.save(model, tmp_path / "new" / "shared")
    assert list((tmp_path / "new").iterdir()) == []


def test_bad_arguments(saved, tmp_path):
    model = saved("LinearVAE")
    cases = [
        ({"save_anndata": True}, ValueError, "save_anndata must be 'minified', 'full' or False, got True"),
        ({"save_anndata": "yes"}, ValueError, "save_anndata must be"),
        ({"license": "bsd-3"}, ValueError, r"that Hugging Face knows, got 'bsd-3'. Close to it are 'bsd"),
        ({"license": "my own words"}, ValueError, "Pass 'other', and describe it"),
        ({"license": 3}, TypeError, "license must be a text"),
        ({"description": 3}, TypeError, "description must be a text"),
        ({"key": "a/b"}, ValueError, "key must be a text"),
    ]
    for options, kind, message in cases:
        with pytest.raises(kind, match=message):
            ds.hub.save(model, tmp_path / "shared", **options)
    with pytest.raises(TypeError, match="path must be that of a folder"):
        ds.hub.save(model, 3)
    with pytest.raises(TypeError, match="model must be one of distaff.model, got str"):
        ds.hub.save("model", tmp_path / "shared")
    alone = type(model).load(_saved_to(model, tmp_path / "alone"), adata=False)
    with pytest.raises(ValueError, match="must have data to save them"):
        ds.hub.save(alone, tmp_path / "shared")
    untrained = ds.model.LinearVAE(model.adata)
    with pytest.raises(ValueError, match="must be trained to be shared"):
        ds.hub.save(untrained, tmp_path / "shared")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone"]


def _saved_to(model, folder):
    model.save(folder)
    return folder


def test_a_shared_model_still_reads_other_data(saved, tmp_path):
    """Minified data are set up by other fields than full ones, and these by their own as before."""
    model = saved("LinearVAE")
    other = model.adata.copy()
    latent = model.get_latent_representation(other)
    ds.hub.save(model, tmp_path / "shared")
    np.testing.assert_array_equal(model.get_latent_representation(model.adata.copy()), latent)
    found = ds.tl.latent(other, model, copy=True)
    np.testing.assert_array_equal(found.obsm["X_distaff"], latent)


KILLED = """
import os, signal, sys
import distaff as ds
from distaff.hub import _folder
model = ds.model.LinearVAE.load(sys.argv[1])
_folder.write_synced = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
ds.hub.save(model, sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_what_a_killed_save_left_is_deleted_by_the_next(saved, tmp_path):
    model = saved("LinearVAE")
    model.save(tmp_path / "model", save_anndata=True)
    shared = tmp_path / "shared"
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path / "model"), str(shared)]
    for _ in range(2):
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        assert len(list(tmp_path.iterdir())) == 2  # the next killed one has deleted what the first left
        assert not shared.exists()
    ds.hub.save(model, shared)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "shared"]
