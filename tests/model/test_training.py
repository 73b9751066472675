import random

import anndata
import numpy as np
import pandas as pd
import pytest
import scvi
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger
from scvi.train import SaveCheckpoint

from distaff.model import BetaVAE
from distaff.module import FactorModule
from distaff.train import DivergenceError

FAST = {"accelerator": "cpu", "enable_progress_bar": False, "batch_size": 32}


@pytest.fixture
def adata(make_adata):
    adata = make_adata(100, 20, covariates=True)
    BetaVAE.setup_anndata(adata, batch_key="batch")
    return adata


def small(adata, **options):
    return BetaVAE(adata, **{"n_latent": 3, "n_hidden": 8, **options})


def test_training_lowers_the_loss_and_fills_the_history(adata):
    model = small(adata, beta=2.0)
    model.train(5, seed=0, check_val_every_n_epoch=1, lr=5e-3, **FAST)
    history = model.history
    assert history["train_loss"].iloc[-1, 0] < history["train_loss"].iloc[0, 0]
    for name in (
        "train_loss",
        "elbo_train",
        "reconstruction_loss_train",
        "kl_local_train",
        "active_units_train",
        "loss_reconstruction_train",
        "loss_kl_train",
        "loss_library_train",
        "schedule_kl",
        "validation_loss",
        "elbo_validation",
        "active_units_validation",
        "kl_per_dimension_train",
        "kl_per_dimension_validation",
    ):
        assert list(history[name].index) == [0, 1, 2, 3, 4], name
        assert np.isfinite(history[name].to_numpy(dtype=float)).all(), name
    assert history["kl_per_dimension_train"].shape == (5, 3)


def test_curves_fit_together(adata):
    model = small(adata, beta=3.0, kl_warmup_epochs=0)
    model.train(3, seed=0, **FAST)
    h = {name: curve.iloc[:, 0].to_numpy() for name, curve in model.history.items() if curve.shape[1] == 1}
    terms = h["loss_reconstruction_train"] + h["loss_kl_train"] + h["loss_library_train"]
    np.testing.assert_allclose(terms, h["train_loss"], rtol=1e-5)
    np.testing.assert_allclose(h["loss_kl_train"], 3.0 * h["kl_local_train"], rtol=1e-5)
    np.testing.assert_allclose(
        h["elbo_train"], h["reconstruction_loss_train"] + h["kl_local_train"], rtol=1e-5
    )
    total = model.history["kl_per_dimension_train"].sum(axis=1)
    np.testing.assert_allclose(total, h["kl_local_train"], rtol=1e-5)


def test_a_second_run_goes_on(adata):
    model = small(adata, capacity=5.0, capacity_steps=9)
    model.train(3, seed=0, **FAST)
    assert model.module.objective.step == 9
    model.train(2, seed=1, **FAST)
    assert model.module.objective.step == 15
    assert list(model.history["train_loss"].index) == [0, 1, 2, 3, 4]
    assert list(model.history["kl_per_dimension_train"].index) == [0, 1, 2, 3, 4]
    # a line from 0.1 to 5 over 9 steps, at the end of each epoch of three
    expected = 0.1 + 4.9 * np.array([3, 6, 9, 9, 9]) / 9
    np.testing.assert_allclose(model.history["schedule_capacity"].iloc[:, 0], expected, rtol=1e-5)


def test_a_second_run_is_in_training_mode(adata):
    model = small(adata)
    model.train(1, seed=0, **FAST)
    model.get_latent_representation()  # leaves the module in evaluation mode
    before = model.module.encoder.body.norms[0].running_mean.clone()
    model.train(1, seed=0, **FAST)
    assert not torch.equal(model.module.encoder.body.norms[0].running_mean, before)
    assert not model.module.training


def test_the_step_counter_survives_saving(adata, tmp_path):
    model = small(adata, kl_warmup_epochs=4)
    model.train(6, seed=0, **FAST)
    model.save(tmp_path / "model")
    loaded = BetaVAE.load(tmp_path / "model", adata)
    assert loaded.module.objective.step == model.module.objective.step == 18
    assert loaded.module.objective.terms == model.module.objective.terms
    loaded.train(1, seed=0, **FAST)
    assert loaded.module.objective.step == 21


def test_the_same_seed_gives_the_same_bits(adata):
    latents = []
    for seed in (0, 0, 1):
        model = small(adata)
        model.train(2, seed=seed, **FAST)
        latents.append(model.get_latent_representation())
    assert np.array_equal(latents[0], latents[1])
    assert not np.array_equal(latents[0], latents[2])


def test_the_seed_of_scvi_settings_is_enough(adata, monkeypatch):
    monkeypatch.setattr(scvi.settings, "_seed", 7)
    latents = []
    for _ in range(2):
        model = small(adata)
        model.train(1, **FAST)
        latents.append(model.get_latent_representation())
    assert model.seed_ == 7
    assert np.array_equal(*latents)


def test_global_generators_and_data_are_left_alone(make_adata):
    adata = make_adata(80, 15, covariates=True)
    before = adata.copy()
    torch.manual_seed(11)
    states = random.getstate(), np.random.get_state()[1].copy(), torch.random.get_rng_state()
    BetaVAE.setup_anndata(adata, batch_key="batch")
    model = small(adata)
    model.train(1, **FAST)
    model.get_latent_representation()
    model.get_elbo()
    model.get_normalized_expression()
    model.posterior_predictive_sample()
    assert random.getstate() == states[0]
    assert np.array_equal(np.random.get_state()[1], states[1])
    assert torch.equal(torch.random.get_rng_state(), states[2])
    assert (adata.X != before.X).nnz == 0
    assert set(adata.obs) - set(before.obs) == {"_scvi_batch", "_scvi_labels"}
    pd.testing.assert_frame_equal(adata.obs[before.obs.columns], before.obs)
    assert set(adata.uns) == {"_scvi_uuid", "_scvi_manager_uuid"}
    assert not adata.obsm
    assert not adata.layers
    assert not adata.varm


def test_learning_rate_phases(adata, monkeypatch):
    rates = []
    from distaff.train import FactorTrainingPlan

    after = FactorTrainingPlan._after_step

    def record(self, optimiser, *, penalised):
        rates.append(optimiser.param_groups[0]["lr"])
        return after(self, optimiser, penalised=penalised)

    monkeypatch.setattr(FactorTrainingPlan, "_after_step", record)
    small(adata).train(lr_schedule=((2, 1e-3), (3, 1e-4)), seed=0, **FAST)
    assert rates == pytest.approx([1e-3] * 6 + [1e-4] * 9)


def test_warmup_ends_within_the_run(adata):
    model = small(adata, beta=4.0, kl_warmup_epochs=2)
    model.train(4, seed=0, **FAST)
    weights = model.history["schedule_kl"].iloc[:, 0].to_numpy()
    np.testing.assert_allclose(weights, [2.0, 4.0, 4.0, 4.0], rtol=1e-6)


def test_by_default_beta_rises_over_half_of_the_first_run(adata):
    model = small(adata, beta=4.0)
    model.train(4, seed=0, **FAST)
    np.testing.assert_allclose(model.history["schedule_kl"].iloc[:, 0], [2.0, 4.0, 4.0, 4.0], rtol=1e-6)
    model.train(1, seed=0, **FAST)
    assert model.history["schedule_kl"].iloc[-1, 0] == 4.0


def test_a_warmup_longer_than_the_run_is_shortened_with_a_warning(adata):
    model = small(adata, beta=4.0, kl_warmup_epochs=400)
    with pytest.warns(UserWarning, match="KL warm-up takes 1200 steps and the run ends at step 12"):
        model._settle_schedules(steps_per_epoch=3, n_epochs=4)
    assert model.module.objective.terms[0].schedule.n_steps == 6


def test_a_capacity_that_is_not_reached_warns(adata):
    model = small(adata, capacity=10.0, capacity_steps=20_000)
    with pytest.warns(UserWarning, match=r"it gets to 0.103 of 10 nats"):
        model._settle_schedules(steps_per_epoch=3, n_epochs=2)


def test_capacity_holds_the_kl(adata):
    model = small(adata, beta=100.0, capacity=3.0)
    model.train(60, seed=0, lr=1e-2, **FAST)
    assert model.history["kl_local_train"].iloc[-5:, 0].mean() == pytest.approx(3.0, rel=0.15)


def test_early_stopping_watches_the_optimised_loss(adata):
    model = small(adata, kl_warmup_epochs=3)
    model.train(200, seed=0, early_stopping=True, early_stopping_patience=2, lr=2e-2, **FAST)
    assert model.trainer.early_stopping_callback.monitor == "validation_loss"
    assert model.trainer.early_stopping_callback.warmup_epochs == 3
    n = len(model.history["validation_loss"])
    assert 3 < n < 200


def test_divergence_is_an_error_that_says_where(adata):
    model = small(adata)
    with pytest.raises(
        DivergenceError, match=r"loss is (nan|inf).*epoch \d+.*Lower the learning rate \(now 1e\+06\)"
    ):
        model.train(20, seed=0, lr=1e6, **FAST)


def test_a_typo_in_an_argument_is_refused(adata):
    with pytest.raises(TypeError, match="n_epoch_kl_warmup"):
        small(adata).train(1, n_epoch_kl_warmup=3, **FAST)


@pytest.mark.parametrize("n_cells", [2, 3, 33, 34, 65])
@pytest.mark.filterwarnings("ignore:Category 0 .* has fewer than 3 cells")
def test_any_number_of_cells_trains(make_adata, n_cells):
    adata = make_adata(n_cells, 10)
    BetaVAE.setup_anndata(adata)
    model = small(adata)
    model.train(2, train_size=1.0, seed=0, **FAST)
    assert np.isfinite(model.get_latent_representation()).all()


def test_one_gene_trains():
    adata = anndata.AnnData(np.arange(1, 41, dtype=np.float32).reshape(40, 1))
    BetaVAE.setup_anndata(adata)
    model = small(adata)
    model.train(1, seed=0, **FAST)
    assert np.isfinite(model.get_latent_representation()).all()


def test_training_needs_data(adata, tmp_path):
    model = small(adata)
    model.train(1, seed=0, **FAST)
    model.save(tmp_path / "model")
    loaded = BetaVAE.load(tmp_path / "model", adata=False)
    with pytest.raises(ValueError, match="no data to train on"):
        loaded.train(1, **FAST)


class Watch(Callback):
    """What a tuner reads after every validation."""

    def __init__(self):
        self.seen = []

    def on_validation_end(self, trainer, pl_module):
        self.seen.append({name: float(value) for name, value in trainer.callback_metrics.items()})


def test_what_a_tuner_passes_to_train(adata, tmp_path):
    watch = Watch()
    model = small(adata)
    model.train(
        max_epochs=2,
        accelerator="cpu",
        devices="auto",
        check_val_every_n_epoch=1,
        enable_progress_bar=False,
        enable_checkpointing=False,
        logger=CSVLogger(tmp_path),
        callbacks=[watch],
        batch_size=32,
        seed=0,
    )
    assert len([seen for seen in watch.seen if "validation_loss" in seen]) == 2
    assert {"elbo_validation", "reconstruction_loss_validation"} <= watch.seen[-1].keys()
    assert all(np.isfinite(value) for value in watch.seen[-1].values())
    assert model.is_trained_
    [written] = tmp_path.rglob("metrics.csv")
    written = pd.read_csv(written).groupby("epoch").first()
    for name in ("train_loss", "validation_loss", "active_units_train"):
        np.testing.assert_allclose(written[name], model.history[name].iloc[:, 0], rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("logger", [False, True])
def test_the_history_is_kept_whatever_logs(adata, tmp_path, logger):
    model = small(adata)
    model.train(2, seed=0, logger=logger, default_root_dir=str(tmp_path), **FAST)
    assert list(model.history["train_loss"].index) == [0, 1]


def test_what_a_callback_logs_becomes_a_curve(adata):
    class Log(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            pl_module.log("my_number", 3.0 + trainer.current_epoch)

    model = small(adata)
    model.train(2, seed=0, callbacks=[Log()], **FAST)
    assert list(model.history["my_number"].iloc[:, 0]) == [3.0, 4.0]


def test_curves_are_written_where_the_trainer_is_told(adata, tmp_path):
    model = small(adata)
    model.train(2, seed=0, log_save_dir=str(tmp_path), **FAST)
    [written] = tmp_path.rglob("history.pkl")
    assert written.stat().st_size


def test_chunks_of_minibatches_train_as_single_ones_do(adata, monkeypatch):
    """max_steps=-1 is the trainer's default and asks for a step of its own for each minibatch."""
    monkeypatch.setattr(FactorModule, "whole_step", lambda self, optimiser: None)  # all by autograd
    models = [small(adata), small(adata)]
    schedule = ((2, 1e-3), (2, 1e-4))
    for model, options in zip(models, ({}, {"max_steps": -1}), strict=True):
        model.train(lr_schedule=schedule, seed=0, check_val_every_n_epoch=1, **FAST, **options)
    chunked, single = models
    assert not chunked.trainer.lightning_module.automatic_optimization
    assert single.trainer.lightning_module.automatic_optimization
    assert chunked.trainer.global_step == single.trainer.global_step == 4 * 3
    for name, weight in single.module.state_dict().items():
        assert torch.equal(chunked.module.state_dict()[name], weight), name
    assert chunked.history.keys() == single.history.keys()
    for name, curve in single.history.items():
        assert chunked.history[name].equals(curve), name


def test_checkpoints_of_chunks(adata, tmp_path):
    model = small(adata)
    model.train(2, seed=0, callbacks=[SaveCheckpoint(dirpath=str(tmp_path))], **FAST)
    assert not model.trainer.lightning_module.automatic_optimization
    (best,) = tmp_path.iterdir()
    assert BetaVAE.load(best, adata).is_trained


def test_early_stopping_needs_cells_to_stop_by(adata):
    with pytest.raises(ValueError, match="Early stopping needs validation cells"):
        small(adata).train(1, train_size=1.0, early_stopping=True, **FAST)
