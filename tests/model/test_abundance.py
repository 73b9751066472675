"""Aggregated posteriors and the density of samples, against the formulas."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from distaff import datasets
from distaff.model import Autoencoder, BetaVAE

SMALL = {"n_latent": 2, "n_hidden": 8}
FAST = {"seed": 0, "accelerator": "cpu", "enable_progress_bar": False}


@pytest.fixture(scope="module")
def model():
    adata = datasets.simulate_gep(60, 200, random_state=0)
    adata.obs["donor"] = pd.Categorical([None, "a", "b"] * 20, categories=["b", "a", "none of it"])
    BetaVAE.setup_anndata(adata)
    found = BetaVAE(adata, **SMALL)
    found.train(2, **FAST)
    return found


def density(points, means, variances, form):
    """Log density of an even mixture at points."""
    spread = np.sqrt(variances)
    each = (form.logpdf((points[:, None] - means) / spread) - np.log(spread)).sum(-1)
    return special.logsumexp(each, axis=1) - np.log(len(means))


@pytest.mark.parametrize("dof", [None, 3.0])
def test_density_of_samples(model, dof):
    model.differential_abundance(sample_key="donor", dof=dof)
    found = model.adata.obsm.pop("da_log_probs")
    means, variances = model.get_latent_representation(return_dist=True)
    form = stats.norm() if dof is None else stats.t(dof)
    donor = model.adata.obs["donor"].to_numpy()
    assert list(found.columns) == ["a", "b"]
    assert list(found.index) == list(model.adata.obs_names)
    for name in "ab":
        own = donor == name
        expected = density(means, means[own], variances[own], form)
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-4)


def test_aggregated_posterior(model):
    found = model.get_aggregated_posterior(indices=[3, 5, 8], dof=None)
    means, variances = model.get_latent_representation(indices=[3, 5, 8], return_dist=True)
    np.testing.assert_allclose(found.mean, means.mean(0), rtol=1e-5)
    spread = variances.mean(0) + means.var(0)
    np.testing.assert_allclose(found.variance, spread, rtol=1e-4)


def test_few_cells_of_a_sample(model):
    """The same seed draws the same cells; the generators of the user stay."""
    state = np.random.get_state()[1].copy()
    tables = []
    for seed in (0, 0, 1):
        model.differential_abundance(sample_key="donor", num_cells_posterior=3, seed=seed)
        tables.append(model.adata.obsm.pop("da_log_probs"))
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert not np.allclose(tables[0], tables[2])
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_no_samples_and_no_spread(model):
    adata = model.adata.copy()
    adata.obs["donor"] = None
    with pytest.raises(ValueError, match=r"adata.obs\['donor'\] must name samples, got missing values only"):
        model.differential_abundance(adata, sample_key="donor")
    own = anndata.AnnData(model.adata.X.copy(), obs=model.adata.obs[["donor"]].copy())
    Autoencoder.setup_anndata(own)
    points = Autoencoder(own, layers=(4,), n_latent=2)
    points.train(1, **FAST)
    with pytest.raises(
        ValueError, match="The posterior of a cell must have a spread, got a latent of one point"
    ):
        points.differential_abundance(sample_key="donor")
