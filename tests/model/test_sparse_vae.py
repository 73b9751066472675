import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import distaff as ds
from distaff.model import SparseVAE

FAST = {"seed": 0, "accelerator": "cpu", "enable_progress_bar": False}


def test_representation_is_gated_mean_and_slots(make_adata):
    adata = make_adata(80, 12)
    SparseVAE.setup_anndata(adata)
    model = SparseVAE(adata, n_latent=5, n_hidden=8, target_active=2)
    model.train(2, batch_size=32, **FAST)
    gamma = model.get_inclusion_probability()
    assert gamma.shape == (80, 5)
    ds.tl.latent(adata, model)
    assert np.array_equal(adata.obsm["distaff_inclusion"], gamma)
    mean, _ = model.get_latent_representation(return_dist=True)
    np.testing.assert_allclose(model.get_latent_representation(), mean, atol=1e-6)  # gamma * mu


def test_draws_have_exact_zeros(make_adata):
    adata = make_adata(80, 12)
    SparseVAE.setup_anndata(adata)
    model = SparseVAE(adata, n_latent=5, n_hidden=8)
    model.train(1, batch_size=32, **FAST)
    draw = model.get_latent_representation(give_mean=False, seed=1)
    share_off = (draw == 0).mean()
    assert share_off == pytest.approx(1 - model.get_inclusion_probability().mean(), abs=0.08)


@pytest.mark.slow
def test_gates_find_which_cells_use_which_program():
    """Neither all on nor all off, and a gate for nearly every program."""
    adata = ds.datasets.simulate_gep(1500, 600, random_state=0)
    SparseVAE.setup_anndata(adata)
    model = SparseVAE(adata, n_latent=16, target_active=3)
    model.train(40, **FAST)
    gamma = model.get_inclusion_probability()
    active = (gamma > 0.5).sum(axis=1).mean()
    assert 1.0 < active < 5.0
    used = adata.obsm["program_usage"].to_numpy() > 0
    auroc = [[roc_auc_score(used[:, k], gamma[:, d]) for d in range(16)] for k in range(used.shape[1])]
    assert np.max(auroc, axis=1).mean() > 0.9
