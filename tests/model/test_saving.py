"""Every class saves and loads; what is in the folder; what scvi-tools makes of it."""

from __future__ import annotations

import json
import pickle
import random
import sys
import warnings
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from scvi.model.base import BaseModelClass

import distaff as ds
from distaff.model import AnnotatedVAE, BetaVAE, LinearVAE

sys.path.insert(0, str(Path(__file__).parent))
from make_saved_models import MODELS, SMALL, cells_of, class_of, fitted, tiny_data

sys.path.pop(0)
FILES = ["model.json", "model.pt", "model.safetensors"]


@pytest.fixture(scope="module")
def model():
    return fitted(BetaVAE, n_latent=2, **SMALL)


@pytest.fixture
def no_pickle(monkeypatch):
    """Context in which reading a pickle in any way fails."""

    def refuse(*_, **__):
        raise AssertionError("a pickle was read")

    readers = [
        (pickle, "load"),
        (pickle, "loads"),
        (pickle, "Unpickler"),
        (torch, "load"),
        (pd, "read_pickle"),
    ]

    @contextmanager
    def context():
        with monkeypatch.context() as patch:
            for module, name in readers:
                patch.setattr(module, name, refuse)
            yield

    return context


@cache
def build(name):
    return MODELS[name]()


def assert_same(one, two):
    """Both models are the same in all that is saved."""
    states = one.module.state_dict(), two.module.state_dict()
    assert list(states[0]) == list(states[1])
    assert all(torch.equal(a, b) for a, b in zip(*(state.values() for state in states), strict=True))
    for name in ("seed_", "is_trained_", "run_name_", "init_params_", "from_reference_"):
        assert getattr(one, name, None) == getattr(two, name, None)
    for name in ("train_indices_", "validation_indices_", "test_indices_"):
        assert np.array_equal(getattr(one, name), getattr(two, name))
    for name, curve in one.history.items():
        pd.testing.assert_frame_equal(two.history[name], curve, check_column_type=False, check_names=False)
    assert list(one.history) == list(two.history)


@pytest.mark.parametrize("name", MODELS)
def test_every_class_comes_back_as_it_was(name, tmp_path, no_pickle):
    model, cls, cells = build(name), class_of(name), cells_of(name)
    columns = list(cells.obs)
    model.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    with no_pickle():
        alone, with_cells = (cls.load(tmp_path, adata, accelerator="cpu") for adata in (False, cells))
        for file in ("model.json", "model.safetensors"):  # what the hub brings is model.pt alone
            (tmp_path / file).unlink()
        from_copy = cls.load(tmp_path, adata=False, accelerator="cpu")
    latent = model.get_latent_representation()
    for loaded in (alone, with_cells, from_copy):
        assert_same(model, loaded)
        assert np.array_equal(loaded.get_latent_representation(cells), latent)
    assert [column for column in cells.obs if not column.startswith("_scvi")] == columns


@pytest.mark.parametrize("name", MODELS)
def test_scvi_tools_reads_model_pt_as_plain_data(name, tmp_path):
    model = build(name)
    model.save(tmp_path)
    payload = torch.load(tmp_path / "model.pt", weights_only=True)
    assert sorted(payload) == ["attr_dict", "model_state_dict", "var_names"]
    assert payload["var_names"] == list(model.get_var_names())
    state = model.module.state_dict()
    assert all(torch.equal(payload["model_state_dict"][key], value) for key, value in state.items())
    registry = payload["attr_dict"]["registry_"]
    assert registry["model_name"] == type(model).__name__
    assert BaseModelClass.load_registry(tmp_path)["scvi_version"] == registry["scvi_version"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", ["BetaVAE", "AnnotatedVAE", "FSCLVM"])
def test_scvi_hub_loads_it(name, tmp_path):
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    from huggingface_hub import ModelCard
    from scvi.hub import HubMetadata, HubModel

    model = build(name)
    model.save(tmp_path, save_anndata=True)
    metadata = HubMetadata.from_dir(tmp_path, anndata.__version__, model_parent_module="distaff.model")
    assert metadata.model_cls_name == name
    metadata.save(tmp_path / "_scvi_required_metadata.json")
    ModelCard("A model.").save(tmp_path / "README.md")
    expected = model.get_latent_representation()
    for file in ("nothing", "model.json", "model.safetensors"):
        (tmp_path / file).unlink(missing_ok=True)
        hub = HubModel(str(tmp_path))
        hub.load_model(accelerator="cpu")
        assert np.array_equal(hub.model.get_latent_representation(), expected)


def test_document_and_tensors_are_open_formats(model, tmp_path):
    model.save(tmp_path)
    document = json.loads((tmp_path / "model.json").read_text())
    assert document["format"] == "distaff model"
    assert document["schema"] == 1
    assert document["class"] == "BetaVAE"
    assert document["versions"]["distaff"] == ds.__version__
    assert document["attributes"]["seed_"] == 0
    assert document["attributes"]["init_params_"]["non_kwargs"]["n_latent"] == 2
    state = model.module.state_dict()
    tensors = load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(tensors[name], value) for name, value in state.items())


def test_saving_twice_gives_the_same_files(model, tmp_path):
    for folder in ("a", "b"):
        model.save(tmp_path / folder)
    for file in FILES:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    BetaVAE.load(tmp_path / "a", adata=False).save(tmp_path / "c")
    for file in ("model.json", "model.safetensors"):
        assert (tmp_path / "c" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_json_wins_over_the_copy(model, tmp_path):
    other = fitted(BetaVAE, n_latent=3, **SMALL)
    model.save(tmp_path / "model")
    other.save(tmp_path / "other")
    (tmp_path / "other" / "model.pt").replace(tmp_path / "model" / "model.pt")
    assert_same(model, BetaVAE.load(tmp_path / "model", adata=False))
    (tmp_path / "model" / "model.pt").unlink()
    assert_same(model, BetaVAE.load(tmp_path / "model", adata=False))


def test_overwriting_must_be_asked_for(model, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    model.save(tmp_path)
    with pytest.raises(ValueError, match=r"must hold no model, got one \(model.json.*overwrite=True"):
        model.save(tmp_path)
    other = fitted(BetaVAE, n_latent=3, **SMALL)
    other.save(tmp_path, overwrite=True)
    assert_same(other, BetaVAE.load(tmp_path, adata=False))
    assert sorted(path.name for path in tmp_path.iterdir()) == [*FILES, "notes.txt"]


def test_two_models_in_one_folder(model, tmp_path):
    other = fitted(LinearVAE, n_latent=3, n_hidden=4)
    model.save(tmp_path, prefix="a.")
    other.save(tmp_path, prefix="model.", save_anndata=True)
    model.save(tmp_path, prefix="a.", overwrite=True)
    assert_same(model, BetaVAE.load(tmp_path, adata=False, prefix="a."))
    assert_same(other, LinearVAE.load(tmp_path, prefix="model."))
    with pytest.raises(FileNotFoundError, match=r"must hold a saved model \(model.json\), got no file"):
        BetaVAE.load(tmp_path, adata=False)
    for prefix in ("../x", "a/", "/tmp/x"):
        with pytest.raises(ValueError, match="prefix must be the start of a file's name"):
            model.save(tmp_path, prefix=prefix)


def test_what_a_killed_process_left_is_removed(model, tmp_path):
    model.save(tmp_path)
    left = [
        ".model.json.0123abcd.partial",
        f"model.{'0' * 16}.safetensors",
        f"adata.{'f' * 16}.h5ad",
        ".adata.h5ad.0123abcd.partial",
    ]
    kept = ["model.old.safetensors", ".other.0123abcd.partial", f"b_model.{'0' * 16}.safetensors"]
    for name in left + kept:
        (tmp_path / name).write_text("x")
    model.save(tmp_path, overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, *kept}


def test_data_are_saved_and_left_as_they_were(tmp_path):
    adata = tiny_data()
    adata.obs["note"] = pd.Series(["a", "b"] * 12, index=adata.obs_names, dtype=object)
    model = fitted(BetaVAE, adata, n_latent=2, **SMALL)
    before = adata.obs.copy()
    model.save(tmp_path, save_anndata=True)
    pd.testing.assert_frame_equal(adata.obs, before)
    loaded = BetaVAE.load(tmp_path)
    assert np.array_equal(loaded.adata.X.toarray(), adata.X.toarray())
    assert np.array_equal(loaded.get_latent_representation(), model.get_latent_representation())
    with (tmp_path / "adata.h5ad").open("r+b") as file:
        file.seek(5000)
        file.write(b"\xff")
    with pytest.raises(ValueError, match=r"adata.h5ad must be as it was saved, got a corrupt file"):
        BetaVAE.load(tmp_path)


@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option:DeprecationWarning")
def test_data_that_are_not_there(model, tmp_path):
    model.save(tmp_path)
    with pytest.warns(UserWarning, match=r"holds no data \(adata.h5ad\)"):
        assert BetaVAE.load(tmp_path).adata is None
    alone = BetaVAE.load(tmp_path, adata=False)
    with pytest.raises(ValueError, match=r"must have data to save them, got none. Pass save_anndata=False"):
        alone.save(tmp_path / "other", save_anndata=True)
    assert not (tmp_path / "other").exists()
    model.adata.write_h5ad(tmp_path / "adata.h5ad")
    with pytest.warns(UserWarning, match="was not saved with the model"):
        loaded = BetaVAE.load(tmp_path)
    assert np.array_equal(loaded.get_latent_representation(), model.get_latent_representation())
    (tmp_path / "adata.h5ad").write_bytes(b"no HDF5")
    with warnings.catch_warnings(), pytest.raises(ValueError, match="adata.h5ad must be as it was saved"):
        warnings.simplefilter("ignore")
        BetaVAE.load(tmp_path)


def test_data_on_disk_are_not_saved_again(tmp_path):
    tiny_data().write_h5ad(tmp_path / "cells.h5ad")
    adata = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    model = fitted(BetaVAE, adata, n_latent=2, **SMALL)
    with pytest.raises(ValueError, match="must be in memory to be saved with the model, got data on disk"):
        model.save(tmp_path / "model", save_anndata=True)
    model.save(tmp_path / "model")
    loaded = BetaVAE.load(tmp_path / "model", adata)
    assert np.array_equal(loaded.get_latent_representation(), model.get_latent_representation())
    adata.file.close()


def test_full_disk_leaves_the_old_model(model, tmp_path, monkeypatch):
    model.save(tmp_path)
    other = fitted(BetaVAE, n_latent=3, **SMALL)

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("distaff._atomic.os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            other.save(tmp_path, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    assert_same(model, BetaVAE.load(tmp_path, adata=False))


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
@pytest.mark.parametrize("order", ["reversed", "two swapped", "one more", "one twice"])
def test_genes_in_another_order_are_refused_by_name(model, tmp_path, order):
    model.save(tmp_path)
    columns = {
        "reversed": np.arange(12)[::-1],
        "two swapped": [0, 1, 3, 2, *range(4, 12)],
        "one more": [*range(12), 0],
        "one twice": [*range(12), 5],
    }[order]
    adata = tiny_data()[:, columns].copy()
    if order == "one more":
        adata.var_names = [*adata.var_names[:-1], "other"]
    before = list(adata.obs)
    message = {
        "reversed": "'gene11' at position 0, where the model has 'gene0'",
        "two swapped": "'gene3' at position 2, where the model has 'gene2'",
        "one more": "1 others: 'other'",
        "one twice": "1 genes more than once: 'gene5'",
    }[order]
    with pytest.raises(ValueError, match=f"must have the genes of the model in its order.*{message}"):
        BetaVAE.load(tmp_path, adata)
    assert list(adata.obs) == before
    if order in ("reversed", "two swapped"):
        right = adata[:, BetaVAE.load(tmp_path, adata=False).get_var_names()].copy()
        loaded = BetaVAE.load(tmp_path, right)
        assert np.array_equal(loaded.get_latent_representation(), model.get_latent_representation())


def test_class_must_be_that_of_the_model(model, tmp_path):
    model.save(tmp_path)
    with pytest.raises(
        ValueError, match=r"must be a LinearVAE, got another class, BetaVAE. Use BetaVAE.load"
    ):
        LinearVAE.load(tmp_path, adata=False)


def test_attributes_of_the_user_are_saved(tmp_path):
    model = fitted(BetaVAE, n_latent=2, **SMALL)
    times = pd.to_datetime(["2026-01-01"]).to_numpy()
    table = pd.DataFrame({"x": ["a"]}, index=times)
    others = [
        pd.Index(["g"]),
        Fraction(1, 2),
        np.float32(3),
        (times, table),
        torch.ones(2, requires_grad=True),
    ]
    model.note_ = {"scores": np.arange(3.0), 1: [float("nan")], (2, "b"): others}
    model.private = object()
    model.save(tmp_path / "a")
    assert torch.load(tmp_path / "a" / "model.pt", weights_only=True)["attr_dict"]["note_"][2, "b"][1] == 0.5
    note = BetaVAE.load(tmp_path / "a", adata=False).note_
    assert note[2, "b"][3][1].index[0] == times[0]
    assert np.array_equal(note["scores"], np.arange(3.0))
    assert np.isnan(note[1][0])
    model.note_ = object()
    with pytest.raises(TypeError, match=r"model.note_ must be plain data to be saved.*got object"):
        model.save(tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_registry_of_a_saved_model(model, tmp_path, capsys, no_pickle):
    model.save(tmp_path)
    with no_pickle():
        registry = BetaVAE.load_registry(tmp_path)
    assert registry["setup_args"] == model.registry["setup_args"]
    mapping = registry["field_registries"]["batch"]["state_registry"]["categorical_mapping"]
    assert mapping.tolist() == ["first", "second"]
    BetaVAE.view_setup_args(tmp_path)
    assert "batch_key" in capsys.readouterr().out
    with pytest.raises(NotImplementedError, match="No BetaVAE was ever saved"):
        BetaVAE.convert_legacy_save(tmp_path, tmp_path / "new")


@pytest.mark.parametrize("dtype", ["str", "int", "float", "bool", "datetime64[ns]"])
def test_categories_of_any_kind(tmp_path, dtype):
    values = {
        "str": ["a", "b"],
        "int": [2020, 2021],
        "float": [0.5, 1.5],
        "bool": [True, False],
        "datetime64[ns]": pd.to_datetime(["2026-01-01", "2026-02-01"]),
    }[dtype]
    adata = tiny_data()
    adata.obs["batch"] = pd.Categorical(list(values) * 12)
    model = fitted(BetaVAE, adata, n_latent=2, encode_covariates=True, **SMALL)
    model.save(tmp_path)
    loaded = BetaVAE.load(tmp_path, adata.copy())
    assert np.array_equal(loaded.get_latent_representation(), model.get_latent_representation())


def test_a_reference_on_disk_takes_a_query(tmp_path, no_pickle):
    fitted(AnnotatedVAE, **SMALL).save(tmp_path)
    query = tiny_data()
    query.obs["batch"] = pd.Categorical(["third"] * 24)
    with no_pickle():
        model = AnnotatedVAE.load_query_data(query, tmp_path, n_new_dense=1, accelerator="cpu")
    model.train(1, batch_size=12, seed=0, accelerator="cpu", enable_progress_bar=False)
    assert model.factor_names == ["low", "middle", "Dense 1"]


class Evil:
    """Unpickling it creates a file."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("zipped", [True, False])
def test_foreign_pickle_is_not_read_without_trust(model, tmp_path, zipped):
    mark = tmp_path / "was here"
    payload = {"model_state_dict": {}, "var_names": [], "attr_dict": Evil(mark)}
    folder = tmp_path / "model"
    folder.mkdir()
    torch.save(payload, folder / "model.pt", _use_new_zipfile_serialization=zipped)
    for read in (lambda: BetaVAE.load(folder, adata=False), lambda: BetaVAE.load_registry(folder)):
        with pytest.raises(
            ValueError, match=r"got a pickle, or a damaged file. A pickle runs any code.*trust_pickle=True"
        ):
            read()
    with pytest.raises(ValueError, match="got a pickle"):
        BetaVAE.load_query_data(tiny_data(), folder)
    assert not mark.exists()
    with pytest.raises(Exception):  # noqa: B017, PT011 - its content is none of a model
        BetaVAE.load(folder, adata=False, trust_pickle=True)
    assert mark.exists()


def test_tampered_copy_runs_nothing(model, tmp_path):
    mark = tmp_path / "was here"
    model.save(tmp_path / "model")
    evil = {"model_state_dict": {}, "var_names": [], "attr_dict": Evil(mark)}
    torch.save(evil, tmp_path / "model" / "model.pt")
    assert_same(model, BetaVAE.load(tmp_path / "model", adata=False, trust_pickle=True))
    assert not mark.exists()


@pytest.mark.filterwarnings("ignore:`var_names` for the loaded")
def test_pickle_of_scvi_tools_with_trust(model, tmp_path):
    BaseModelClass.save(model, tmp_path / "model")
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["model.pt"]
    for adata in (False, tiny_data()):
        loaded = BetaVAE.load(tmp_path / "model", adata, accelerator="cpu", trust_pickle=True)
        latent = loaded.get_latent_representation(tiny_data())
        assert np.array_equal(latent, model.get_latent_representation())


def test_random_generators_are_left_alone(model, tmp_path):
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    model.save(tmp_path)
    BetaVAE.load(tmp_path, tiny_data())
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert after == before


def test_what_is_no_file_is_no_model(model, tmp_path):
    model.save(tmp_path)
    for name in ("model.json", "model.pt"):
        (tmp_path / name).unlink()
        (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(FileNotFoundError, match="must hold a saved model"):
        BetaVAE.load(tmp_path, adata=False)
