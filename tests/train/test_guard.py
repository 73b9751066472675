"""Training that leaves the finite numbers: where it is found, and what is left."""

from __future__ import annotations

import anndata
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from scipy import sparse

import distaff as ds
from distaff.train import DivergenceError, guard

FAST = {"accelerator": "cpu", "enable_progress_bar": False, "batch_size": 32, "seed": 0}
STEPS = 3  # minibatches of an epoch: 90 cells train
SMALL = {"n_latent": 3, "n_hidden": 8}
MODELS = {
    "linear": ("LinearVAE", {"n_latent": 3}),
    "logistic": ("LinearVAE", {"n_latent": 3, "latent": "logistic_normal"}),
    "beta": ("BetaVAE", SMALL),
    "capacity": ("BetaVAE", {**SMALL, "capacity": 3.0}),
    "sparse": ("SparseVAE", SMALL),
    "soft mask": ("AnnotatedVAE", {"lambda_group": 0.5, "n_dense": 1}),
    "hard mask": ("AnnotatedVAE", {"mask": "hard"}),
    "deterministic": ("AnnotatedVAE", {"latent": "deterministic"}),
    "program": ("ProgramVAE", {"n_latent": 3}),
    "terms across cells": ("FactorVAE", {**SMALL, "total_correlation": 1.0, "hsic": 5.0}),
    "autoencoder": ("Autoencoder", {"layers": (16, 8), "n_latent": 3}),
    "slalom": ("FSCLVM", {"n_dense": 1}),
}


def data(largest=1.0):
    rng = np.random.default_rng(0)
    counts = np.floor(rng.poisson(2.0, (100, 20)) * largest).astype(np.float32)
    counts[:, 0] += 1
    adata = anndata.AnnData(sparse.csr_matrix(counts))
    adata.obs_names = [f"cell{i}" for i in range(100)]
    adata.var_names = [f"gene{i}" for i in range(20)]
    ds.pp.gene_sets(adata, {"A": adata.var_names[:8], "B": adata.var_names[5:15]}, min_genes=1)
    return adata


def built(name, largest=1.0):
    cls = getattr(ds.model, MODELS[name][0])
    adata = data(largest)
    cls.setup_anndata(adata)
    return cls(adata, **MODELS[name][1])


def numbers(model):
    """All numbers that training changes."""
    (optimiser,) = model.trainer.optimizers
    moments = [v for state in optimiser.state.values() for v in state.values()]
    return [*model.module.state_dict().values(), *moments]


def are_finite(module):
    return all(bool(t.isfinite().all()) for t in module.state_dict().values() if t.is_floating_point())


@pytest.mark.parametrize("options", [{}, {"max_steps": -1}], ids=["chunks", "steps"])
@pytest.mark.parametrize("name", MODELS)
def test_a_huge_learning_rate_is_found_and_the_weights_before_are_left(name, options):
    model = built(name)
    with pytest.raises(DivergenceError, match="at step .*epoch 0, minibatch .* Lower the learning") as found:
        model.train(5, lr=1e3, **FAST, **options)
    place = found.value.place
    assert place.epoch == 0
    assert 1 < place.step == place.minibatch <= STEPS
    assert are_finite(model.module)
    if name != "slalom":  # its data module does not tell which cells there are
        assert set(place.terms) <= {*model.history_, "reconstruction", "kl", *place.terms}
        assert place.terms[:1] in ([], ["reconstruction"])  # none where the loss is finite, but absurd
        assert set(place.cells) <= set(model.adata.obs_names)
        assert model.module.objective.step == place.step - 1


@pytest.mark.filterwarnings("ignore:adata.X holds counts up to")
@pytest.mark.parametrize("name", MODELS)
def test_huge_counts_train_or_say_why_not(name):
    model = built(name, 1e12)
    model.train(3, **FAST)
    assert are_finite(model.module)
    assert np.isfinite(model.history["train_loss"].to_numpy()).all()


@pytest.mark.parametrize("options", [{}, {"max_steps": -1}], ids=["chunks", "steps"])
def test_a_loss_that_soars_stops_training(options):
    model = built("autoencoder")
    with pytest.raises(DivergenceError, match="The loss of a cell is .* nats, after .* at the start at step"):
        model.train(3, lr=1e3, **FAST, **options)
    assert not model.is_trained_
    assert are_finite(model.module)


@pytest.mark.filterwarnings("ignore:adata.X holds counts up to")
def test_a_cell_of_huge_cost_does_not_stop_training():
    """One in a hundred, whose Poisson loss is far more than ten thousand times that of all others together."""
    adata = data()
    adata.X.data[adata.X.indptr[42]] = 1e12
    ds.model.BetaVAE.setup_anndata(adata)
    model = ds.model.BetaVAE(adata, likelihood="poisson", **SMALL)
    model.train(3, train_size=1.0, **{**FAST, "batch_size": 10})
    typical = np.median(model.get_elbo(return_mean=False))
    assert model.history["train_loss"].to_numpy().min() > 1e5 * -typical


class Break(Callback):
    """Puts a number into a weight before a chunk."""

    def __init__(self, name, value, epoch):
        self.name, self.value, self.epoch = name, value, epoch

    def on_train_batch_start(self, trainer, module, *args):
        if trainer.current_epoch == self.epoch and self.value is not None:
            module.module.get_parameter(self.name).data.view(-1)[0] = self.value


def poisoned(model, at):
    """Make the loss of cells with 1,000 counts of the first gene infinite once ``at`` steps are taken."""
    term = model.module._log_likelihood

    def bad(tensors, found, covariates):
        value = term(tensors, found, covariates)
        marked = tensors["X"].to_dense()[:, 0] > 900
        return torch.where(marked & (model.module.objective.step >= at), -torch.inf, value)

    model.module._log_likelihood = bad
    model.module.whole_step = lambda optimiser: None


@pytest.mark.parametrize("options", [{}, {"max_steps": -1}], ids=["chunks", "steps"])
@pytest.mark.parametrize("share", [1e-9, 1e9], ids=["one copy", "a copy each epoch"])
def test_the_first_step_that_fails_is_named_with_its_cells(monkeypatch, options, share):
    monkeypatch.setattr(guard, "SHARE_OF_TIME", share)
    at = 2 * STEPS
    adata = data()
    adata.X[17, 0] = adata.X[42, 0] = 1000
    ds.model.BetaVAE.setup_anndata(adata)
    models = [ds.model.BetaVAE(adata, **SMALL) for _ in range(2)]
    fit = {"train_size": 0.9, "check_val_every_n_epoch": 1, **{k: v for k, v in FAST.items() if k != "seed"}}
    poisoned(models[0], at)
    with pytest.raises(DivergenceError, match="The loss is inf .* in reconstruction") as found:
        models[0].train(6, **fit, **options)
    place = found.value.place
    assert place.epoch == 2
    assert place.step == at + place.minibatch
    assert place.terms == ["reconstruction"]
    assert place.cells
    assert set(place.cells) <= {"cell17", "cell42"}
    poisoned(models[1], 10**6)  # the same steps, none of which fails
    models[1].train(6, **fit, max_steps=place.step - 1)
    state = models[1].module.state_dict()
    for name, value in models[0].module.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_a_weight_that_is_not_finite_is_found_though_the_loss_is(monkeypatch):
    """The bias before a batch norm that is not used is a weight on which nothing depends."""
    model = built("linear")
    model.module.register_parameter("unused", torch.nn.Parameter(torch.zeros(2)))
    with pytest.raises(DivergenceError, match="unused is not finite in epoch 4"):
        model.train(5, callbacks=[Break("unused", torch.inf, 4)], **{**FAST, "seed": None})
    assert are_finite(model.module)


def test_a_gradient_that_is_not_finite_is_named():
    model = built("beta")
    weight = model.module.posterior.mean.weight
    model.module.whole_step = lambda optimiser: None
    weight.register_hook(lambda g: torch.full_like(g, torch.nan) if model.module.objective.step == 4 else g)
    with pytest.raises(
        DivergenceError, match="gradient of posterior.mean.weight is not finite at step 5"
    ) as found:
        model.train(4, **{**FAST, "seed": None})
    assert found.value.place.part == "posterior.mean.weight"
    assert found.value.place.epoch == 1
    assert found.value.place.minibatch == 2


def test_weights_that_are_not_finite_are_not_trained():
    model = built("linear")
    model.module.likelihood.dispersion.log_value.data[3] = torch.nan
    with pytest.raises(ValueError, match="Weights must be finite to be trained, got others in 'likelihood"):
        model.train(1, **{**FAST, "seed": None})


def test_watching_changes_nothing(monkeypatch):
    models = [built("soft mask") for _ in range(2)]
    for model, share in zip(models, (1e-9, 1e9), strict=True):
        monkeypatch.setattr(guard, "SHARE_OF_TIME", share)
        model.train(4, **FAST)
    assert all(torch.equal(a, b) for a, b in zip(*map(numbers, models), strict=True))
