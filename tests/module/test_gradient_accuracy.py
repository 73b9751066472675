"""Gradients of whole models in float32, by loops and by hand, against float64: no farther than torch's."""

import copy

import numpy as np
import pytest
import torch
from scipy import sparse

import distaff as ds
from distaff.model import AnnotatedVAE, BetaVAE, LinearVAE, ProgramVAE
from distaff.module.by_hand import WholeStep
from distaff.nn import posteriors

N_CELLS, SEEDS = 96, range(6)  # fewer leave the error of a bias whose gradient nearly cancels to chance
WORST = 1.5  # times the error of torch in float32
ROUNDING = 5e-7  # relative: what a sum in float32 costs in any order

CASES = [
    (LinearVAE, {"n_latent": 8}),
    (BetaVAE, {"n_latent": 8, "beta": 1.0}),
    (BetaVAE, {"n_latent": 8, "beta": 1.0, "likelihood": "zinb"}),
    (AnnotatedVAE, {"init": None}),
    (ProgramVAE, {"n_latent": 8}),
]


@pytest.fixture(scope="module")
def adata():
    adata = ds.datasets.simulate_gep(300, 600, random_state=0)
    adata.X = sparse.csr_matrix(adata.X)
    rng = np.random.default_rng(0)
    ds.pp.gene_sets(
        adata, {f"set {i}": list(rng.choice(adata.var_names, 15, replace=False)) for i in range(40)}
    )
    return adata


def by_autograd(module, tensors):
    module.train()
    module.minibatch_loss(tensors).loss.backward()
    return {name: p.grad.double() for name, p in module.named_parameters() if p.grad is not None}


def by_hand(module, tensors):
    module.train()
    weights = [p for p in module.parameters() if p.numel()]
    optimiser = torch.optim.Adam(weights, lr=1e-3, eps=0.01)
    step = WholeStep.of(module, optimiser)
    step(tensors)
    step.store()
    moments = {name: optimiser.state.get(p) for name, p in module.named_parameters()}
    return {name: state["exp_avg"].double() / 0.1 for name, state in moments.items() if state}


def errors(adata, model_class, options, seed, monkeypatch):
    """Relative error of each tensor's gradient: by hand, by loops, by torch."""
    model = model_class(adata, dropout_rate=0.0, **options)
    model.train(3, seed=seed, accelerator="cpu", enable_progress_bar=False)
    rng = np.random.default_rng(seed)
    (tensors,) = model._minibatches(None, rng.permutation(adata.n_obs)[:N_CELLS], N_CELLS)
    shape = N_CELLS, model.module.posterior.n_latent
    noise = torch.from_numpy(rng.normal(size=shape).astype(np.float32))
    with monkeypatch.context() as patch:  # the same draw in each precision
        patch.setattr(posteriors, "rsample", lambda q, *n: q.loc + q.scale * noise.to(q.loc.dtype))
        patch.setattr(torch, "randn", lambda *shape: noise)
        dense = tensors | {"X": tensors["X"].to_dense()}
        exact = by_autograd(copy.deepcopy(model.module).double(), dense | {"X": dense["X"].double()})
        found = [
            by_hand(copy.deepcopy(model.module), tensors),
            by_autograd(copy.deepcopy(model.module), tensors),
            by_autograd(copy.deepcopy(model.module), dense),
        ]
    largest = max(float(gradient.norm()) for gradient in exact.values())
    known = {name: gradient for name, gradient in exact.items() if gradient.norm() > 1e-9 * largest}
    return {
        name: [float((gradients[name] - gradient).norm() / gradient.norm()) for gradients in found]
        for name, gradient in known.items()  # a bias in front of a batch norm has none
    }


@pytest.mark.parametrize(("model_class", "options"), CASES)
def test_no_tensor_is_farther_from_float64_than_torchs(adata, monkeypatch, model_class, options):
    model_class.setup_anndata(adata)
    runs = [errors(adata, model_class, options, seed, monkeypatch) for seed in SEEDS]
    assert len(runs[0]) > 8
    for name in runs[0]:
        hand, loops, dense = np.mean([run[name] for run in runs], axis=0)
        assert hand < max(WORST * dense, ROUNDING), name
        assert loops < max(WORST * dense, ROUNDING), name
