"""What a learned prior costs is part of the loss: against Monte Carlo and by its effect."""

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli

from distaff.model import FactorVAE, SparseVAE

N_DRAWS = 20_000


def sparse_model(adata, **arguments):
    SparseVAE.setup_anndata(adata)
    arguments = {"n_latent": 3, "n_hidden": 8, "prior": "pseudo_input", "kl_warmup_epochs": 0} | arguments
    return SparseVAE(adata, **arguments)


def everything(model):
    """All cells as one minibatch, in evaluation mode, and their loss."""
    model.module.eval()
    (tensors,) = model._minibatches(None, None, 60)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        return tensors, model.module.minibatch_loss(tensors)


@pytest.mark.parametrize("beta", [1.0, 3.0])
def test_loss_against_monte_carlo(make_adata, beta):
    alpha = 0.1
    model = sparse_model(make_adata(), alpha=alpha, beta=beta)
    tensors, found = everything(model)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(1)
        inference = model.module._regular_inference(**model.module._get_inference_input(tensors))
        q, p = inference["qz"], inference["pz"]
        u = q.sample((N_DRAWS,))
        kl = (q.log_prob(u) - p.log_prob(u)).sum(-1).mean(1)  # one number a draw of all cells
        on, wanted = (
            Bernoulli(p.components.inclusion.double().mean()),
            Bernoulli(torch.tensor(alpha).double()),
        )
        switches = on.sample((N_DRAWS,))
        cost = 3 * (on.log_prob(switches) - wanted.log_prob(switches))
    assert cost.mean() > 0.5  # gates start near one half: the cost is no small matter here
    oracle = float(found.reconstruction.mean()) + beta * float(kl.mean() + cost.mean())
    error = beta * float((kl.var() + cost.var()) / N_DRAWS) ** 0.5
    assert float(found.loss) == pytest.approx(oracle, abs=5 * error)


def test_elbo_is_without_it(make_adata):
    model = sparse_model(make_adata(), alpha=0.1)
    _, found = everything(model)
    true = float((found.reconstruction + found.kl.sum(-1)).mean())
    assert float(found.loss) > true + 0.5


def mean_inclusion(model):
    with torch.no_grad():
        prior = model.module.eval().prior
        return float(model.module._encode_pseudo_inputs(prior.inputs()).inclusion.mean())


def test_alpha_moves_the_pseudo_inputs(make_adata):
    fractions = {}
    for alpha in (0.05, 0.95):
        model = sparse_model(make_adata(), alpha=alpha)
        model.train(
            15, seed=0, lr=0.02, batch_size=32, accelerator="cpu", enable_progress_bar=False, train_size=1.0
        )
        fractions[alpha] = mean_inclusion(model)
    assert fractions[0.05] < 0.4
    assert fractions[0.95] > 0.6


def test_a_capacity_is_not_spent_on_it(make_adata):
    adata = make_adata()
    FactorVAE.setup_anndata(adata)
    arguments = {"n_latent": 3, "n_hidden": 8, "prior": "spike_slab", "alpha": 0.1, "kl_warmup_epochs": 0}
    arguments |= {"capacity": 5.0, "beta": 2.0}
    fixed = FactorVAE(adata, **arguments)
    learned = FactorVAE(adata, slab_prior="pseudo_input", **arguments)
    gaps = {}
    for model in (fixed, learned):
        _, found = everything(model)
        kl = float(found.kl.sum(-1).mean())
        capacity = model.module.objective.schedule_values()["capacity"]
        gaps[model] = float(found.loss - found.reconstruction.mean()) - 2.0 * abs(kl - capacity)
    assert gaps[fixed] == pytest.approx(0.0, abs=1e-3)
    gamma = mean_inclusion(learned)
    cost = gamma * np.log(gamma / 0.1) + (1 - gamma) * np.log((1 - gamma) / 0.9)
    assert gaps[learned] == pytest.approx(2.0 * 3 * cost, abs=1e-3)
