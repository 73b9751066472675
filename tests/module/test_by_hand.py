"""Steps written out by hand are what autograd and torch's Adam do."""

import numpy as np
import pytest
import torch
from scipy import sparse

import distaff as ds
from distaff.model import AnnotatedVAE, BetaVAE, FactorVAE, LinearVAE, ProgramVAE
from distaff.module import FactorModule
from distaff.module.by_hand import WholeStep

N_CELLS, N_GENES = 150, 60

CASES = [
    (LinearVAE, {}, {}),
    (LinearVAE, {}, {"batch_key": "batch", "continuous_covariate_keys": ["age"]}),
    (LinearVAE, {"batch_norm": False}, {"batch_key": "batch"}),
    (LinearVAE, {"use_observed_lib_size": False, "dropout_rate": 0.0}, {"batch_key": "batch"}),
    (LinearVAE, {"beta": 3.0, "kl_warmup_epochs": 2}, {}),
    (BetaVAE, {}, {"batch_key": "batch"}),
    (BetaVAE, {"likelihood": "zinb", "use_observed_lib_size": False}, {}),
    (AnnotatedVAE, {}, {}),
    (AnnotatedVAE, {"n_dense": 1, "n_sparse": 1}, {"batch_key": "batch"}),
    (AnnotatedVAE, {"mask": "hard", "lambda_group": 0.0}, {"batch_key": "batch"}),
    (AnnotatedVAE, {"mask": "hard", "use_observed_lib_size": False}, {}),
    (AnnotatedVAE, {"mask": "hard", "prox": "paper"}, {"batch_key": "batch"}),
    (AnnotatedVAE, {"prox": "paper"}, {}),
    (ProgramVAE, {}, {"batch_key": "batch", "continuous_covariate_keys": ["age"]}),
    (ProgramVAE, {"use_observed_lib_size": False, "init": None}, {}),
]

OTHERS = [
    (LinearVAE, {"n_layers": 2}),
    (LinearVAE, {"latent": "logistic_normal"}),
    (LinearVAE, {"likelihood": "zinb"}),
    (BetaVAE, {"likelihood": "poisson"}),
    (BetaVAE, {"dispersion": "gene-cell"}),
    (BetaVAE, {"n_layers": 2}),
    (BetaVAE, {"capacity": 5.0}),
    (AnnotatedVAE, {"latent": "deterministic"}),
    (ProgramVAE, {"gate": True}),
    (ProgramVAE, {"likelihood": "zinb"}),
]


@pytest.fixture
def adata(make_adata):
    adata = make_adata(N_CELLS, N_GENES, covariates=True)
    adata.X = sparse.csr_matrix(adata.X)
    names = list(adata.var_names)
    sets = {f"set {i}": [names[(i + j * (1 + 6 * (i >= 20))) % N_GENES] for j in range(5)] for i in range(40)}
    ds.pp.gene_sets(adata, sets, min_genes=2)
    return adata


def trained(model_class, adata, options, keys, *, epochs=2):
    model_class.setup_anndata(adata, **keys)
    model = model_class(adata, **options)
    model.train(epochs, seed=1, batch_size=32, accelerator="cpu", enable_progress_bar=False)
    return model


def by_autograd(monkeypatch):
    monkeypatch.setattr(FactorModule, "whole_step", lambda self, optimiser: None)


@pytest.mark.parametrize(("model_class", "options", "keys"), CASES)
def test_training_is_the_same(adata, monkeypatch, model_class, options, keys):
    taken = []
    step = WholeStep.__call__
    monkeypatch.setattr(WholeStep, "__call__", lambda self, t: taken.append(1) or step(self, t))
    hand = trained(model_class, adata, options, keys)
    assert len(taken) == 2 * 5
    by_autograd(monkeypatch)
    auto = trained(model_class, adata, options, keys)
    assert len(taken) == 2 * 5
    expected = auto.module.state_dict()
    for name, values in hand.module.state_dict().items():
        torch.testing.assert_close(values, expected[name], rtol=1e-3, atol=1e-4, msg=name)
    for name, curve in auto.history.items():
        np.testing.assert_allclose(hand.history[name], curve, rtol=1e-4, atol=1e-4, err_msg=name)


def optimiser_of(module):
    weights = [p for p in module.parameters() if p.requires_grad and p.numel()]
    return torch.optim.Adam(weights, lr=1e-3, eps=0.01, weight_decay=1e-6)


def moments_after_a_step(adata, options, model_class, *, hand):
    """Adam's first moments of each parameter, that is, gradients times 0.1, on the same draws."""
    model_class.setup_anndata(adata)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = model_class(adata, **options)
        module = model.module.train()
        (tensors,) = model._minibatches(None, None, N_CELLS)
        optimiser = optimiser_of(module)
        if hand:
            step = WholeStep.of(module, optimiser)
            step(tensors)
            step.store()
        else:
            module.minibatch_loss(tensors).loss.backward()
            optimiser.step()
    names = dict(module.named_parameters())
    return {name: optimiser.state[p]["exp_avg"] for name, p in names.items() if p in optimiser.state}


@pytest.mark.parametrize(
    ("model_class", "options"),
    [
        (LinearVAE, {}),
        (BetaVAE, {"likelihood": "zinb"}),
        (AnnotatedVAE, {}),
        (AnnotatedVAE, {"mask": "hard"}),
        (ProgramVAE, {}),
    ],
)
def test_gradients_of_one_step(adata, model_class, options):
    hand = moments_after_a_step(adata, options, model_class, hand=True)
    auto = moments_after_a_step(adata, options, model_class, hand=False)
    assert hand.keys() == auto.keys()
    largest = max(float(moment.abs().max()) for moment in auto.values())
    for name, moment in auto.items():
        # a bias in front of a batch norm has no gradient but rounding
        atol = 1e-5 * max(float(moment.abs().max()), 1e-2 * largest)
        torch.testing.assert_close(hand[name], moment, rtol=1e-4, atol=atol, msg=name)


def test_autograd_goes_on_from_its_state(adata, monkeypatch):
    LinearVAE.setup_anndata(adata)
    model = LinearVAE(adata)
    module, optimiser = model.module.train(), optimiser_of(model.module)
    (tensors,) = model._minibatches(None, None, N_CELLS)
    step = WholeStep.of(module, optimiser)
    step(tensors)
    step.store()
    steps = {float(state["step"]) for state in optimiser.state.values()}
    assert steps == {1.0}
    module.minibatch_loss(tensors).loss.backward()
    optimiser.step()
    assert {float(state["step"]) for state in optimiser.state.values()} == {2.0}
    assert WholeStep.of(module, optimiser)(tensors).loss.isfinite()


def test_weights_may_change_while_a_minibatch_is_left_to_autograd(adata):
    AnnotatedVAE.setup_anndata(adata)
    model = AnnotatedVAE(adata)
    module, optimiser = model.module.train(), optimiser_of(model.module)
    (tensors,) = model._minibatches(None, None, N_CELLS)
    step = WholeStep.of(module, optimiser)
    assert step(tensors).loss.isfinite()
    assert step({**tensors, "X": tensors["X"].to_dense()}) is None
    weights = module.decoder.weights.raw.data
    gene, factor = (weights == 0).nonzero()[0].tolist()
    weights[gene, factor] = 0.5
    step(tensors)
    assert factor * N_GENES + gene in step.decoder.pattern.positions


def test_small_weights_may_change_then_too(adata):
    LinearVAE.setup_anndata(adata)
    model = LinearVAE(adata)
    module, optimiser = model.module.train(), optimiser_of(model.module)
    (tensors,) = model._minibatches(None, None, N_CELLS)
    step = WholeStep.of(module, optimiser)
    step(tensors)
    assert step({**tensors, "X": tensors["X"].to_dense()}) is None
    bias = module.posterior.mean.bias.data
    bias += 100.0
    assert step(tensors).location.min() > 50.0
    step.store()
    assert bias.min() > 50.0
    assert optimiser.state[module.posterior.mean.bias]["step"] == 2.0


def test_parameters_may_have_taken_different_numbers_of_steps(adata):
    """Those that joined later have another bias of Adam's moments."""
    BetaVAE.setup_anndata(adata)
    found = []
    for hand in (True, False):
        with torch.random.fork_rng():
            torch.manual_seed(3)
            model = BetaVAE(adata, dropout_rate=0.0)
            module = model.module.train()
            (tensors,) = model._minibatches(None, None, N_CELLS)
            optimiser = optimiser_of(module)
            module.minibatch_loss(tensors).loss.backward()
            optimiser.step()
            for parameter in (module.likelihood.dispersion.log_value, module.posterior.mean.bias):
                optimiser.state[parameter]["step"] += 5.0
            optimiser.zero_grad()
            if hand:
                step = WholeStep.of(module, optimiser)
                step(tensors)
                step.store()
            else:
                module.minibatch_loss(tensors).loss.backward()
                optimiser.step()
        found.append((module.state_dict(), [float(state["step"]) for state in optimiser.state.values()]))
    (by_hand, counts), (expected, known) = found
    assert counts == known
    assert set(counts) == {2.0, 7.0}
    for name, values in expected.items():
        torch.testing.assert_close(by_hand[name], values, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize(("model_class", "options"), OTHERS)
def test_what_it_does_not_know_is_left_to_autograd(adata, model_class, options):
    model_class.setup_anndata(adata)
    module = model_class(adata, **options).module
    assert WholeStep.of(module, optimiser_of(module)) is None
    assert WholeStep.of(module, torch.optim.SGD(module.parameters(), lr=0.1)) is None


def test_a_parameter_out_of_its_sight_is_left_to_autograd(adata):
    FactorVAE.setup_anndata(adata)
    module = FactorVAE(adata, decoder="linear").module
    assert WholeStep.of(module, optimiser_of(module)) is not None
    module.register_parameter("further", torch.nn.Parameter(torch.ones(1)))
    assert WholeStep.of(module, optimiser_of(module)) is None


def test_dense_counts_are_left_to_autograd(adata):
    LinearVAE.setup_anndata(adata)
    model = LinearVAE(adata)
    (tensors,) = model._minibatches(None, None, N_CELLS)
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    step = WholeStep.of(model.module, optimiser_of(model.module))
    assert step({**tensors, "X": tensors["X"].to_dense()}) is None
    assert all(torch.equal(value, before[name]) for name, value in model.module.state_dict().items())


def test_weights_that_leave_the_pattern_are_seen(adata):
    AnnotatedVAE.setup_anndata(adata)
    model = AnnotatedVAE(adata, lambda_off_mask=0.0)  # all weights move away from zero at once
    model.train(3, seed=0, batch_size=64, accelerator="cpu", enable_progress_bar=False)
    assert (model.module.decoder.loadings() != 0).all()


def test_a_loss_that_is_not_finite_is_found(adata):
    LinearVAE.setup_anndata(adata)
    model = LinearVAE(adata)
    with torch.no_grad():
        model.module.decoder.weights.raw[0, 0] = 3e38
    with pytest.raises(ds.train.DivergenceError, match="reconstruction"):
        model.train(1, accelerator="cpu", enable_progress_bar=False)
