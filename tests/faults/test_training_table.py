"""Data and arguments that other models crash or go wrong on in training: they train here, or say what is wrong."""

import numpy as np
import pandas as pd
import pytest
from lightning.pytorch.callbacks import Callback
from scipy import sparse

from distaff.train import DivergenceError


def run(build, name, adata, fast, *, arguments=None, **changed):
    model = build(name, adata, **(arguments or {}))
    model.train(1, **{**fast, **changed})
    return model


def check_sound(model, n_cells=60):
    latent = model.get_latent_representation()
    assert latent.shape[0] == n_cells
    assert np.isfinite(latent).all()
    assert np.isfinite(model.history["train_loss"].to_numpy(dtype=float)).all()
    assert np.abs(model.history["train_loss"].to_numpy(dtype=float)).max() < 1e6


@pytest.mark.parametrize("learned", [True, False])
def test_identical_library_sizes(build, cells, fast, learned):
    """The prior of a learned library size keeps a variance: without one the ELBO runs away without a word."""
    adata = cells()
    adata.X = sparse.csr_matrix(np.random.default_rng(0).permuted(np.tile(np.arange(20), (60, 1)), axis=1))
    model = run(build, "BetaVAE", adata, fast, arguments={"use_observed_lib_size": not learned})
    check_sound(model)
    assert np.abs(float(model.get_elbo())) < 1e6


@pytest.mark.filterwarnings("ignore:Category . in adata.obs:UserWarning")
@pytest.mark.parametrize("learned", [True, False])
def test_a_batch_of_one_cell(build, cells, fast, learned):
    adata = cells()
    adata.obs["batch"] = pd.Categorical(["many"] * 59 + ["one"])
    model = run(build, "BetaVAE", adata, fast, arguments={"use_observed_lib_size": not learned})
    check_sound(model)
    assert np.abs(float(model.get_elbo())) < 1e4


@pytest.mark.filterwarnings("ignore:adata.X holds counts up to", "ignore:Category . in adata.obs:UserWarning")
def test_all_at_once(build, cells, fast, model_name):
    """A gene without counts, a count of 1e12, numbers for batches, of which one has a single cell."""
    adata = cells()
    X = adata.X.toarray()
    X[:, 3], X[9, 9] = 0, 1e12
    adata.X = sparse.csr_matrix(X)
    adata.obs["batch"] = np.r_[np.arange(59) % 3, 7]
    latent = run(build, model_name, adata, fast).get_latent_representation()
    assert latent.shape[0] == 60
    assert np.isfinite(latent).all()


def test_a_last_minibatch_of_one_cell(build, cells, fast, model_name):
    """60 training cells in minibatches of 59: batch norm cannot take the one that is left."""
    model = run(build, model_name, cells(), fast, batch_size=59, train_size=1.0)
    assert np.isfinite(model.get_latent_representation()).all()


@pytest.mark.filterwarnings("ignore:Category . in adata.obs:UserWarning")
@pytest.mark.parametrize("n_cells", [2, 3])
def test_few_cells(build, cells, fast, n_cells):
    model = run(build, "BetaVAE", cells()[:n_cells].copy(), fast, train_size=1.0)
    assert np.isfinite(model.get_latent_representation()).all()


@pytest.mark.filterwarnings("ignore:Category . in adata.obs:UserWarning")
def test_too_few_training_cells(build, cells, fast):
    with pytest.raises(ValueError, match="Training needs at least 2 cells, got 1 of 2. Raise train_size"):
        run(build, "BetaVAE", cells()[:2].copy(), fast, train_size=0.5)


NUMBERS = {
    "no epoch": ({"max_epochs": 0}, ValueError, "max_epochs must be >= 1, got 0"),
    "minus one epoch": ({"max_epochs": -1}, ValueError, "max_epochs must be >= 1, got -1"),
    "half an epoch": ({"max_epochs": 1.5}, TypeError, "max_epochs must be an integer, got 1.5"),
    "true epochs": ({"max_epochs": True}, TypeError, "max_epochs must be an integer, got True"),
    "epochs as text": ({"max_epochs": "abc"}, (TypeError, ValueError), "max_epochs must be .*, got 'abc'"),
    "no rate": ({"lr": 0}, ValueError, "lr must be > 0, got 0.0"),
    "negative rate": ({"lr": -1.0}, ValueError, "lr must be > 0, got -1.0"),
    "NaN for a rate": ({"lr": np.nan}, ValueError, "lr must be finite, got nan"),
    "infinite rate": ({"lr": np.inf}, ValueError, "lr must be finite, got inf"),
    "rate as text": ({"lr": "1e-3"}, TypeError, "lr must be a number, got '1e-3'"),
    "no cells to train": ({"train_size": 0}, ValueError, "train_size must be > 0, got 0.0"),
    "more than all cells": ({"train_size": 1.5}, ValueError, "train_size must be <= 1, got 1.5"),
    "NaN for a share": ({"train_size": np.nan}, ValueError, "train_size must be finite, got nan"),
    "share as text": ({"train_size": "0.9"}, TypeError, "train_size must be a number, got '0.9'"),
    "one cell to train": ({"train_size": 0.01}, ValueError, "Training needs at least 2 cells, got 1 of 60. Raise train_size"),
    "all cells to validate": ({"validation_size": 1.0}, ValueError, "validation_size must be < 1, got 1.0"),
    "negative share": ({"validation_size": -0.1}, ValueError, "validation_size must be >= 0, got -0.1"),
    "shares above one": ({"validation_size": 0.5}, ValueError, r"train_size \+ validation_size must be <= 1, got 1.4"),
    "minibatch of one": ({"batch_size": 1}, ValueError, "batch_size must be >= 2, got 1. Batch norm needs more"),
    "minibatch of none": ({"batch_size": 0}, ValueError, "batch_size must be >= 1, got 0"),
    "minibatch as float": ({"batch_size": 128.0}, TypeError, "batch_size must be an integer, got 128.0"),
    "true minibatch": ({"batch_size": True}, TypeError, "batch_size must be an integer, got True"),
    "text for a flag": ({"shuffle_set_split": "no"}, TypeError, "shuffle_set_split must be True or False, got 'no'"),
    "negative seed": ({"seed": -1}, ValueError, "seed must be >= 0, got -1"),
    "seed as float": ({"seed": 1.5}, TypeError, "seed must be an integer, got 1.5"),
    "seed too large": ({"seed": 2**40}, ValueError, "seed must be <= 4294967295, got 1099511627776"),
    "nothing to stop on": ({"early_stopping": True, "train_size": 1.0}, ValueError, "(?i)early stopping .*validation"),
    "no such curve to stop on": ({"early_stopping": True, "early_stopping_monitor": "loss"}, ValueError, "early_stopping_monitor must be one of 'validation_loss', 'elbo_validation', .*, got 'loss'"),
    "a number for a curve": ({"early_stopping": True, "early_stopping_monitor": 3}, ValueError, "early_stopping_monitor must be one of 'validation_loss', .*, got 3"),
    "no such curve to save by": ({"enable_checkpointing": True, "checkpointing_monitor": "elbo"}, ValueError, "checkpointing_monitor must be one of 'validation_loss', .*, got 'elbo'"),
    "no such accelerator": ({"accelerator": "abacus"}, ValueError, r"accelerator must be one of this machine, got 'abacus' \(.*Available names are: .*cpu"),
    "a list of accelerators": ({"accelerator": ["cpu"]}, ValueError, r"accelerator must be one of this machine, got \['cpu'\] .*Write \"cpu\""),
    "no such device": ({"devices": "x"}, ValueError, "devices must fit accelerator='cpu', got 'x' .*Write how many"),
    "no device": ({"devices": 0}, ValueError, "devices must fit accelerator='cpu', got 0 "),
    "a number for a logger": ({"logger": 3}, TypeError, "logger must be a list of Lightning's loggers, got int"),
    "a text for a callback": ({"callbacks": ["x"]}, TypeError, "callbacks must be a list of Lightning's callbacks, got str"),
    "no such precision": ({"precision": "x"}, ValueError, "precision must be what Lightning's trainer takes, got 'x' .*Allowed precision values"),
    "no such strategy": ({"strategy": "x"}, ValueError, "strategy must be what Lightning's trainer takes, got 'x' .*invalid strategy"),
    "no such time": ({"max_time": "x"}, ValueError, "max_time must be what Lightning's trainer takes, got 'x' .*DD:HH:MM:SS"),
    "no time": ({"max_time": {}}, ValueError, "Training must end an epoch, got none. Something stopped it before: max_time"),
    "a number for a profiler": ({"profiler": 3}, TypeError, "profiler must be a list of Lightning's profilers, got int"),
    "checks as text": ({"num_sanity_val_steps": "a"}, TypeError, "num_sanity_val_steps must be an integer, got 'a'"),
    "a typo": ({"max_epoch": 3}, TypeError, "of its own or of Lightning's trainer, got 'max_epoch'. Did you mean max_epochs?"),
    "epochs": ({"epochs": 3}, TypeError, "got 'epochs'. Did you mean max_epochs?"),
    "epochs of others": ({"n_epochs": 3}, TypeError, "got 'n_epochs'. Did you mean max_epochs?"),
    "learning rate of others": ({"learning_rate": 0.1}, TypeError, "got 'learning_rate'. Did you mean lr?"),
    "plan of others": ({"plan_kwargs": {"lr": 0.1}}, TypeError, "got 'plan_kwargs'. Did you mean lr?"),
    "a typo of Lightning's": ({"gradient_clip": 1.0}, TypeError, "got 'gradient_clip'. Did you mean gradient_clip_val?"),
    "like nothing": ({"xyz": 1}, TypeError, "of its own or of Lightning's trainer, got 'xyz'.$"),
}  # fmt: skip


@pytest.fixture(scope="module")
def untrained():
    """One untrained model of each class: refused arguments leave it as it is."""
    return {}


@pytest.mark.parametrize("fault", ["no epoch", "minibatch of one", "no rate"])
def test_every_model_checks_the_arguments_of_train(untrained, build, cells, fast, model_name, fault):
    test_arguments_of_train(untrained, build, cells, fast, model_name, fault)


@pytest.mark.parametrize("name", ["BetaVAE", "FSCLVM"])  # which have a ``train`` each
@pytest.mark.parametrize("fault", NUMBERS)
def test_arguments_of_train(untrained, build, cells, fast, name, fault):
    changed, error, message = NUMBERS[fault]
    if name not in untrained:
        untrained[name] = build(name, cells())
    model = untrained[name]
    with pytest.raises(error, match=message):
        model.train(**{"max_epochs": 1, **fast, **changed})
    assert not model.is_trained_


@pytest.mark.parametrize("name", ["BetaVAE", "FSCLVM"])
def test_unknown_arguments_are_refused_before_a_trainer_is_made(untrained, build, cells, name, caplog):
    model = untrained.setdefault(name, build(name, cells()))
    with caplog.at_level("INFO"), pytest.raises(TypeError, match="got 'epochs'"):
        model.train(epochs=3)
    assert not caplog.records


def test_the_curves_that_can_be_watched_are_those_of_the_history(build, cells, fast, model_name):
    model = run(build, model_name, cells(), fast, train_size=0.5, check_val_every_n_epoch=1)
    curves = [name for name in model.history if not name.startswith("kl_per_dimension")]
    assert sorted(model.trainer.lightning_module.curve_names) == sorted(curves)


class LogsMore(Callback):
    """Callback with a curve of its own."""

    def on_train_epoch_end(self, trainer, pl_module):
        pl_module.log("mine", 1.0)


@pytest.mark.parametrize("name", ["BetaVAE", "FSCLVM"])
def test_a_curve_of_a_callback_can_be_watched(build, cells, fast, name):
    watched = {"early_stopping": True, "early_stopping_monitor": "mine", "early_stopping_patience": 1}
    model = build(name, cells())
    model.train(5, callbacks=LogsMore(), **{**fast, **watched, "train_size": 0.5})
    assert len(model.history["train_loss"]) < 5


@pytest.mark.parametrize("name", ["BetaVAE", "FSCLVM"])
def test_a_seed_of_numpy_is_one_of_python(build, cells, fast, name):
    models = [build(name, cells()) for _ in range(2)]
    for model, seed in zip(models, (np.int64(3), 3), strict=True):
        model.train(1, **{**fast, "seed": seed})
    latents = [model.get_latent_representation() for model in models]
    np.testing.assert_array_equal(*latents)
    assert type(models[0].seed_) is int


def test_the_callbacks_of_the_user_stay_as_they_are(build, cells, fast):
    own = [Callback()]
    for given in (own, own[0], None):
        build("BetaVAE", cells()).train(1, callbacks=given, early_stopping=True, **fast)
    assert len(own) == 1


SCHEDULES = {
    "none": ((), "must be a sequence of pairs, got .*Give pairs"),
    "text": ("fast", "must be a sequence of pairs, got 'fast'"),
    "no epoch": (((0, 1e-3),), "Number of epochs in lr_schedule must be >= 1, got 0"),
    "negative rate": (((1, 1e-3), (1, -1.0)), "Learning rate in lr_schedule must be > 0, got -1.0"),
    "another number of epochs": (((2, 1e-3),), "max_epochs must be the 2 epochs of lr_schedule, got 1"),
}


@pytest.mark.parametrize("fault", SCHEDULES)
def test_phases(build, cells, fast, fault):
    phases, message = SCHEDULES[fault]
    with pytest.raises(ValueError, match=message):
        build("BetaVAE", cells()).train(1, lr_schedule=phases, **fast)


def test_divergence_is_named(build, cells, fast):
    with pytest.raises(DivergenceError, match=r"The loss is nan .*Lower the learning rate \(now 1000\)"):
        build("BetaVAE", cells()).train(1, lr=1e3, **fast)


@pytest.mark.parametrize("argument", ["weight_decay", "eps"])
@pytest.mark.parametrize("value", [-1.0, np.nan])
def test_adam(build, cells, fast, argument, value):
    with pytest.raises(ValueError, match=f"{argument} must be .*, got {value}"):
        build("BetaVAE", cells()).train(1, **{**fast, argument: value})
