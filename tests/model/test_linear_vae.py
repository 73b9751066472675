import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sklearn.decomposition import NMF

import distaff as ds
from distaff.model import LinearVAE
from distaff.nn.linear_decoder import LinearDecoder

FAST = {"seed": 0, "batch_size": 32, "accelerator": "cpu", "enable_progress_bar": False}


@pytest.fixture
def adata(make_adata):
    adata = make_adata(80, 12, covariates=True)
    LinearVAE.setup_anndata(
        adata,
        batch_key="batch",
        labels_key="label",
        categorical_covariate_keys=["donor"],
        continuous_covariate_keys=["age"],
    )
    return adata


@pytest.mark.parametrize("latent", ["normal", "logistic_normal"])
@pytest.mark.parametrize("dispersion", ["gene", "gene-batch", "gene-label", "gene-cell"])
def test_all_covariates_and_dispersions(adata, tmp_path, latent, dispersion):
    model = LinearVAE(adata, n_latent=3, n_hidden=8, latent=latent, dispersion=dispersion)
    model.train(2, **FAST)
    model.save(tmp_path / "model")
    loaded = LinearVAE.load(tmp_path / "model", adata=False)
    assert loaded.get_loadings().equals(model.get_loadings())
    assert np.array_equal(loaded.get_latent_representation(adata), model.get_latent_representation())


def test_loadings_fold_the_batch_norm():
    decoder = LinearDecoder(2, 3, ("scale",), batch_norm=True)
    with torch.no_grad():
        decoder.weights.raw.copy_(torch.tensor([[1.0, 2.0], [0.0, 1.0], [3.0, -1.0]]))
        decoder.norm.weight.copy_(torch.tensor([1.0, 2.0, 0.5]))
        decoder.norm.running_var.copy_(torch.tensor([4.0, 0.25, 1.0]))
    expected = [[0.4999375, 0.9998750], [0.0, 3.9920239], [1.4992506, -0.4997502]]
    np.testing.assert_allclose(decoder.loadings(), expected, atol=1e-6)


def test_loadings_are_what_a_unit_of_the_factor_does(adata):
    """In evaluation the log expression changes by a factor's loadings, up to the softmax's constant."""
    model = LinearVAE(adata, n_latent=3, n_hidden=8)
    model.train(3, **FAST)
    module = model.module.eval()
    tensors = next(iter(model._make_data_loader(adata, batch_size=80)))
    with torch.no_grad():
        z = module.posterior.representation(module.encode(**module._get_inference_input(tensors)))
        library = torch.zeros(80, 1)
        before, after = (
            module.generative(**module._get_generative_input(tensors, {"z": value, "library": library}))["px"]
            for value in (z, z + torch.tensor([0.0, 1.0, 0.0]))
        )
    change = (after.scale.log() - before.scale.log()).numpy()
    change -= change.mean(axis=1, keepdims=True)
    centred = model.get_loadings(centered=True)["Factor 2"].to_numpy()
    np.testing.assert_allclose(change, np.tile(centred, (80, 1)), atol=1e-4)


def test_centring_changes_nothing_that_the_softmax_sees(adata):
    model = LinearVAE(adata, n_latent=3, n_hidden=8)
    model.train(1, **FAST)
    plain, centred = model.get_loadings(), model.get_loadings(centered=True)
    z = np.array([[0.3, -1.0, 2.0]])
    np.testing.assert_allclose(
        log_softmax(z @ plain.T, axis=1), log_softmax(z @ centred.T, axis=1), atol=1e-6
    )
    np.testing.assert_allclose(centred.mean(), 0, atol=1e-6)


def test_a_logistic_normal_latent_is_deterministic_and_sums_to_one(adata):
    model = LinearVAE(adata, n_latent=4, n_hidden=8, latent="logistic_normal")
    model.train(2, **FAST)
    first, second = model.get_latent_representation(), model.get_latent_representation()
    assert np.array_equal(first, second)
    np.testing.assert_allclose(first.sum(axis=1), 1, atol=1e-5)
    assert (first > 0).all()


def test_one_dimension_on_the_simplex_is_refused(adata):
    with pytest.raises(ValueError, match="n_latent must be >= 2 for a logistic-normal latent, got 1"):
        LinearVAE(adata, n_latent=1, latent="logistic_normal")


def test_an_unknown_latent_is_refused(adata):
    with pytest.raises(ValueError, match="latent must be one of 'normal', 'logistic_normal', got 'ln'"):
        LinearVAE(adata, latent="ln")


@pytest.mark.filterwarnings("ignore:Maximum number of iterations:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_start_from_nmf_is_where_training_begins(batch_norm):
    """With a vanishing learning rate the latent is that of NMF, and the decoder gives its loadings."""
    adata = ds.datasets.simulate_gep(400, 300, random_state=0)
    LinearVAE.setup_anndata(adata)
    model = LinearVAE(adata, n_latent=5, init="nmf", batch_norm=batch_norm)
    model.train(1, train_size=1.0, lr=1e-9, seed=0, accelerator="cpu", enable_progress_bar=False)
    X = adata.X.multiply(1e4 / adata.X.sum(axis=1)).tocsr().log1p().astype(np.float32)
    nmf = NMF(5, init="nndsvda", max_iter=200, random_state=0)
    scores = nmf.fit_transform(X)
    Z = model.get_latent_representation()
    for k in range(5):
        assert np.corrcoef(scores[:, k], Z[:, k])[0, 1] > 0.8
        loading = model.get_loadings().iloc[:, k]
        assert np.corrcoef(nmf.components_[k], loading)[0, 1] > 0.95


def test_a_start_with_batches_is_blind_to_their_means():
    from distaff.model._start import log_normalise

    rng = np.random.default_rng(0)
    X = rng.poisson(5.0, (200, 30)).astype(np.float32)
    batch = np.repeat([0, 1], 100)
    X[batch == 1, :10] *= 3
    Y = log_normalise(X, batch)
    np.testing.assert_allclose(Y[batch == 0].mean(axis=0), Y[batch == 1].mean(axis=0), rtol=1e-4)


def test_a_start_needs_enough_cells_and_genes(make_adata):
    adata = make_adata(20, 6)
    LinearVAE.setup_anndata(adata)
    model = LinearVAE(adata, n_latent=8, init="nmf")
    with pytest.raises(ValueError, match="init='nmf' must have at most .* = 6 factors, got 8"):
        model.train(1, **FAST)
