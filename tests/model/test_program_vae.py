import numpy as np
import pytest

import distaff as ds
from distaff.model import Autoencoder, ProgramVAE

FAST = {"seed": 0, "accelerator": "cpu", "enable_progress_bar": False}


@pytest.fixture(scope="module")
def simulated():
    adata = ds.datasets.simulate_gep(600, 400, random_state=0)
    ProgramVAE.setup_anndata(adata)
    return adata


@pytest.mark.parametrize("gate", [True, False])
def test_programs_are_non_negative_and_found(simulated, gate):
    model = ProgramVAE(simulated, n_latent=6, gate=gate)
    model.train(15, **FAST)
    Z = model.get_latent_representation()
    assert (Z >= 0).all()
    assert (model.get_loadings().to_numpy() >= 0).all()
    assert ds.metrics.max_spearman(Z, simulated.obsm["program_usage"]).value > 0.5  # of 0.70


def test_new_cells_are_mapped(simulated):
    model = ProgramVAE(simulated, n_latent=6)
    model.train(5, **FAST)
    new = simulated[:50].copy()
    np.testing.assert_allclose(
        model.get_latent_representation(new), model.get_latent_representation()[:50], atol=1e-6
    )


def test_what_is_noise_has_no_rank(simulated):
    model = ProgramVAE(simulated, n_latent=6)
    model.train(5, **FAST)
    floor = model.module.posterior.link(model.module.posterior.floor).numpy()
    Z = model.get_latent_representation()
    assert (floor > 0).all()
    np.testing.assert_allclose(Z.min(axis=0), floor, rtol=1e-6)
    assert (np.isclose(Z, floor).mean(axis=0) > 0.03).all()
    assert np.unique(Z[:, 0]).size > 100
    assert (Z.std(axis=0) > 0).all()


def test_autoencoder_learns_and_is_deterministic(simulated):
    adata = simulated.copy()
    adata.layers["log1p"] = adata.X.log1p()
    Autoencoder.setup_anndata(adata, layer="log1p", allow_non_integer=True)
    model = Autoencoder(adata)
    model.train(10, **FAST)
    fit = model.history["train_loss"].iloc[:, 0]
    assert fit.iloc[-1] < fit.iloc[0]
    assert model.get_latent_representation().shape == (600, 6)
    assert float(model.get_elbo(seed=0)) == float(model.get_elbo(seed=1))


@pytest.mark.parametrize("layers", [(), "128", 128, (0,)])
def test_autoencoder_needs_layers(simulated, layers):
    adata = simulated.copy()
    Autoencoder.setup_anndata(adata)
    with pytest.raises(ValueError, match=r"layers must be a sequence|Width in layers must be >= 1"):
        Autoencoder(adata, layers=layers)
