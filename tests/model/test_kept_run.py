"""Runs that are kept in a folder: what goes on, what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import anndata
import numpy as np
import pandas as pd
import pytest
import scvi
import torch
from lightning.pytorch.callbacks import Callback
from scvi.train import SaveCheckpoint

from distaff.model import AnnotatedVAE, BetaVAE, LinearVAE
from distaff.pp import gene_sets
from distaff.train import DivergenceError, keeper

FAST = {"accelerator": "cpu", "enable_progress_bar": False, "batch_size": 32}


class Stop(Callback):
    """Fails at the beginning of an epoch's first minibatch, or does nothing."""

    def __init__(self, epoch=None):
        self.epoch = epoch

    def on_train_batch_start(self, trainer, *args):
        if trainer.current_epoch == self.epoch:
            raise InterruptedError


@pytest.fixture(autouse=True)
def _every_epoch(monkeypatch):
    monkeypatch.setattr(keeper, "SHARE_OF_TIME", 1e9)


@pytest.fixture
def adata(make_adata):
    adata = make_adata(100, 20, covariates=True)
    BetaVAE.setup_anndata(adata, batch_key="batch")
    return adata


def small(adata, **options):
    return BetaVAE(adata, **{"n_latent": 3, "n_hidden": 8, **options})


def interrupted(model, folder, n_epochs=6, at=3, **options):
    with pytest.raises(InterruptedError):
        model.train(n_epochs, checkpoint_dir=folder, callbacks=[Stop(at)], **{**FAST, **options})
    return model


def go_on(model, folder, n_epochs=6, **options):
    model.train(n_epochs, checkpoint_dir=folder, callbacks=[Stop()], **{**FAST, **options})
    return model


def assert_same(model, other):
    state = other.module.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in model.module.state_dict().items())
    assert model.history.keys() == other.history.keys()
    for name, curve in model.history.items():
        pd.testing.assert_frame_equal(curve, other.history[name])
    assert model.seed_ == other.seed_
    assert np.array_equal(model.train_indices, other.train_indices)


@pytest.fixture
def without_seed(monkeypatch):
    """Return a function that takes the seed of all settings away, or sets it."""
    return lambda seed=None: monkeypatch.setattr(scvi.settings, "_seed", seed)


def test_a_run_without_a_seed_goes_on_with_its_own(adata, tmp_path, without_seed):
    models = [small(adata, kl_warmup_epochs=4) for _ in range(3)]
    without_seed()
    interrupted(models[0], tmp_path)
    go_on(models[1], tmp_path)
    assert models[0].seed_ == models[1].seed_
    without_seed(models[0].seed_)
    models[2].train(6, **FAST)
    assert_same(models[2], models[1])


def test_the_model_that_was_interrupted_goes_on_too(adata, tmp_path, without_seed):
    model, whole = (small(adata, kl_warmup_epochs=4) for _ in range(2))
    without_seed()
    go_on(interrupted(model, tmp_path), tmp_path)
    without_seed(model.seed_)
    whole.train(6, **FAST)
    assert_same(whole, model)


def test_the_second_run_of_a_model_goes_on_within_a_process(adata, tmp_path):
    model, whole = small(adata), small(adata)
    for one in (model, whole):
        one.train(2, seed=1, **FAST)
    whole.train(6, seed=2, **FAST)
    interrupted(model, tmp_path, seed=2)
    assert len(model.history["train_loss"]) == 2 + 3
    go_on(model, tmp_path, seed=2)
    assert list(model.history["train_loss"].index) == list(range(8))
    assert_same(whole, model)


def test_a_start_is_not_taken_again(adata, tmp_path, monkeypatch):
    LinearVAE.setup_anndata(adata)
    models = [LinearVAE(adata, n_latent=3) for _ in range(2)]
    monkeypatch.setattr(
        LinearVAE, "_take_start", lambda self, split: self.module.decoder.weights.raw.data.add_(1)
    )
    models[0].train(5, seed=0, **FAST)
    interrupted(models[1], tmp_path, 5, seed=0)
    monkeypatch.setattr(LinearVAE, "_take_start", None)
    assert_same(models[0], go_on(LinearVAE(adata, n_latent=3), tmp_path, 5, seed=0))


def test_a_run_that_has_ended_is_taken_from_its_folder(adata, tmp_path):
    first = go_on(small(adata), tmp_path, 3, seed=0)
    kept = {path: path.read_bytes() for path in tmp_path.iterdir()}
    second = go_on(small(adata), tmp_path, 3, seed=0)
    assert_same(first, second)
    assert second.is_trained
    assert second.trainer.global_step == first.trainer.global_step
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == kept
    second.train(1, **FAST)
    assert list(second.history["train_loss"].index) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"n_epochs": 7},
            r"the same max_epochs, got one with max_epochs=6 \(now 7\).*pass its arguments.*anew",
        ),
        ({"seed": 1}, r"the same seed, got one with seed=0 \(now 1\)"),
        ({"lr": 0.1}, r"the same lr, got one with lr=0.001 \(now 0.1\)"),
        ({"batch_size": 16}, r"batch_size=32 \(now 16\)"),
        ({"gradient_clip_val": 1.0}, r"gradient_clip_val=None \(now 1.0\)"),
    ],
)
def test_other_arguments_are_refused(adata, tmp_path, change, message):
    interrupted(small(adata), tmp_path, at=1, seed=0)
    with pytest.raises(ValueError, match=message):
        go_on(small(adata), tmp_path, **{"seed": 0, **change})


def test_another_model_is_refused(adata, tmp_path):
    interrupted(small(adata), tmp_path, at=1, seed=0)
    with pytest.raises(ValueError, match=r"n_latent=3 \(now 4\)\. .*build the model"):
        go_on(small(adata, n_latent=4), tmp_path, seed=0)
    LinearVAE.setup_anndata(adata)
    with pytest.raises(ValueError, match=r"class='BetaVAE' \(now 'LinearVAE'\)"):
        go_on(LinearVAE(adata), tmp_path, seed=0)


def changed_count(adata):
    adata.X[5, 3] += 1


def swapped_counts(adata):
    adata.X = adata.X[[*range(90), 91, 90, *range(92, 100)]]


def changed_name(adata):
    adata.obs_names = [*adata.obs_names[:-1], "another"]


def changed_batch(adata):
    adata.obs["batch"] = adata.obs["batch"].to_numpy()[::-1]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (changed_count, "counts"),
        (swapped_counts, "counts"),
        (changed_name, "names of cells"),
        (changed_batch, "batch of cells"),
    ],
)
def test_other_data_are_refused(make_adata, adata, tmp_path, change, what):
    interrupted(small(adata), tmp_path, at=1, seed=0)
    other = make_adata(100, 20, covariates=True)
    change(other)
    BetaVAE.setup_anndata(other, batch_key="batch")
    with pytest.raises(ValueError, match=f"got other {what}. To go on with it, load its data"):
        go_on(small(other), tmp_path, seed=0)


def test_any_other_count_in_a_file_is_refused(make_adata, tmp_path):
    """Also one of a single cell among hundreds; and counts in memory, whose cells are shuffled otherwise."""
    adata = make_adata(300, 20)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    changed_count(adata)
    adata.write_h5ad(tmp_path / "other.h5ad")

    def model(name, backed="r"):
        cells = anndata.read_h5ad(tmp_path / f"{name}.h5ad", backed=backed)
        BetaVAE.setup_anndata(cells)
        return small(cells)

    interrupted(model("cells"), tmp_path / "run", seed=0)
    with pytest.raises(ValueError, match="must have the same counts on disk"):
        go_on(model("cells", backed=None), tmp_path / "run", seed=0)
    with pytest.raises(ValueError, match="got other counts"):
        go_on(model("other"), tmp_path / "run", seed=0)
    assert len(go_on(model("cells"), tmp_path / "run", seed=0).history["train_loss"]) == 6


def test_other_gene_sets_are_refused(adata, tmp_path):
    for last in (9, 10):
        gene_sets(adata, {"A": adata.var_names[:last], "B": adata.var_names[8:]}, min_genes=1)
        AnnotatedVAE.setup_anndata(adata)
        if last == 9:
            interrupted(AnnotatedVAE(adata), tmp_path, at=1, seed=0)
    with pytest.raises(ValueError, match="other gene sets"):
        go_on(AnnotatedVAE(adata), tmp_path, seed=0)


def test_a_run_that_began_otherwise_is_refused(adata, tmp_path):
    model = go_on(small(adata), tmp_path, 3, seed=0)
    with pytest.raises(ValueError, match=r"epochs before=0 \(now 3\).*from where it began"):
        go_on(model, tmp_path, 3, seed=0)
    assert_same(model, go_on(small(adata), tmp_path, 3, seed=0))


def test_what_cannot_be_kept_is_refused(adata, tmp_path):
    with pytest.raises(ValueError, match="datamodule must be None with checkpoint_dir"):
        small(adata).train(1, datamodule=SimpleNamespace(n_obs=100), checkpoint_dir=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="checkpoint_dir must be a folder, got a file"):
        small(adata).train(1, checkpoint_dir=tmp_path / "file", **FAST)


def test_a_damaged_folder_is_refused(adata, tmp_path):
    interrupted(small(adata), tmp_path, at=1, seed=0)
    (tensors,) = tmp_path.glob("*.safetensors")
    data = bytearray(tensors.read_bytes())
    data[-1] ^= 1
    tensors.write_bytes(data)
    with pytest.raises(ValueError, match="corrupt"):
        go_on(small(adata), tmp_path, seed=0)
    tensors.unlink()
    with pytest.raises(ValueError, match="no such file.*delete this one to begin anew"):
        go_on(small(adata), tmp_path, seed=0)
    (tmp_path / "run.json").unlink()
    (tmp_path / "run.json").mkdir()
    with pytest.raises(ValueError, match="run.json must be a file, got a folder"):
        go_on(small(adata), tmp_path, seed=0)


def test_a_folder_never_holds_weights_that_are_not_finite(adata, tmp_path):
    class Break(Callback):
        def on_train_batch_start(self, trainer, module, *args):
            if trainer.current_epoch == 2:
                module.module.posterior.mean.weight.data[0, 0] = torch.inf

    model = small(adata)
    with pytest.raises(DivergenceError):
        model.train(6, seed=0, callbacks=[Break()], checkpoint_dir=tmp_path, **FAST)
    kept = small(adata)
    with pytest.raises(InterruptedError):
        kept.train(6, seed=0, callbacks=[Stop(2)], checkpoint_dir=tmp_path / "whole", **FAST)
    names = [{p.name for p in folder.glob("*.safetensors")} for folder in (tmp_path, tmp_path / "whole")]
    assert names[0] == names[1]  # of the start of epoch 2, to the last bit


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_the_best_model_at_the_end_is_the_one_that_is_kept(adata, tmp_path):
    def best():
        return SaveCheckpoint(dirpath=str(tmp_path / "best"), load_best_on_end=True)

    model = small(adata)
    model.train(4, seed=0, callbacks=[best()], checkpoint_dir=tmp_path / "run", lr=0.3, **FAST)
    again = small(adata)
    again.train(4, seed=0, callbacks=[best()], checkpoint_dir=tmp_path / "run", lr=0.3, **FAST)
    assert_same(model, again)


def test_writing_takes_a_small_share_of_the_time(adata, tmp_path, monkeypatch):
    monkeypatch.setattr(keeper, "SHARE_OF_TIME", 0.02)
    written = []
    write = keeper.RunKeeper._write
    monkeypatch.setattr(
        keeper.RunKeeper,
        "_write",
        lambda self, *a, **k: (written.append(k["finished"]), write(self, *a, **k)),
    )
    small(adata).train(20, seed=0, checkpoint_dir=tmp_path, **FAST)
    assert written[0] is False
    assert written[-1] is True
    assert len(written) < 6
