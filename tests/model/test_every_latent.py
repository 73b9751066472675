"""What is computed from draws of the latent holds for every latent."""

import numpy as np
import pytest

from distaff.model import FactorVAE

FAST = {"seed": 0, "batch_size": 32, "accelerator": "cpu", "enable_progress_bar": False}
LATENTS = {
    "normal": {},
    "logistic normal": {"prior": "logistic_normal"},
    "spike and slab": {"prior": "spike_slab", "alpha": 0.3},
    "pseudo-inputs": {"prior": "spike_slab", "slab_prior": "pseudo_input"},
    "vamp": {"prior": "vamp"},
    "gated softplus": {"prior": "softplus_normal", "gate": True},
    "exponential": {"prior": "exponential"},
}


@pytest.fixture
def make_model(make_adata):
    """Return a maker of trained models of cells of two kinds."""

    def make(**options):
        adata = make_adata(60, 12, covariates=True)
        counts = adata.X.toarray()
        counts[adata.obs["label"] == "l0", 1:4] *= 5
        adata.X = counts
        FactorVAE.setup_anndata(adata, labels_key="label")
        model = FactorVAE(adata, n_latent=3, n_hidden=8, beta=0.1, **options)
        model.train(15, lr=1e-2, **FAST)
        return model

    return make


@pytest.mark.parametrize("name", LATENTS)
def test_sampling_and_marginal_likelihood(make_model, name):
    model = make_model(**LATENTS[name])
    elbo, marginal = float(model.get_elbo()), float(model.get_marginal_ll(n_mc_samples=50))
    # the bound is tight up to the KL of the posterior from the true one, a few nats for three dimensions
    assert elbo - 0.2 < marginal < elbo + 10
    sample = np.asarray(model.posterior_predictive_sample(n_samples=20).todense())
    assert sample.shape == (60, 12, 20)
    # whatever the latent, shares of genes add up to one and counts to the total of the cell
    assert np.isclose(sample.sum(axis=1).mean(), model.adata.X.sum(axis=1).mean(), rtol=0.1)
    result = model.differential_expression(
        groupby="label", group1="l0", group2="l1", mode="change", silent=True
    )
    assert result.loc[["gene1", "gene2", "gene3"], "lfc_mean"].min() > result.loc["gene8", "lfc_mean"]
