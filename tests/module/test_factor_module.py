import numpy as np
import pytest
import torch
from scipy import integrate, stats

from distaff.model import BetaVAE


@pytest.fixture
def model(make_adata):
    adata = make_adata(30, 12, covariates=True)
    BetaVAE.setup_anndata(adata, batch_key="batch", labels_key="label", continuous_covariate_keys=["age"])
    return BetaVAE(adata, n_latent=3, n_hidden=8)


@pytest.fixture
def tensors(model):
    return next(iter(model._make_data_loader(model.adata, batch_size=30)))


def test_shapes_of_one_and_of_several_samples(model, tensors):
    model.module.eval()
    for n_samples, lead in ((1, ()), (5, (5,))):
        inference, generative = model.module(
            tensors, inference_kwargs={"n_samples": n_samples}, compute_loss=False
        )
        assert inference["z"].shape == (*lead, 30, 3)
        assert generative["px"].log_prob(tensors["X"]).shape == (*lead, 30, 12)


def test_every_parameter_has_a_gradient(model, tensors):
    model.module.train()
    model.module(tensors)[2].loss.backward()
    for name, parameter in model.module.named_parameters():
        if parameter.numel():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


def test_encoding_and_mean_decoding_draw_nothing(model, tensors):
    model.module.eval()
    state = torch.random.get_rng_state()
    with torch.no_grad():
        first, second = model.module.decode_mean(tensors), model.module.decode_mean(tensors)
    assert torch.equal(first.mu, second.mu)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_transform_batch_decodes_as_if_of_that_batch(model, tensors):
    model.module.eval()
    inference = model.module.inference(**model.module._get_inference_input(tensors))
    inputs = model.module._get_generative_input(tensors, inference)
    in_one = model.module.generative(**inputs, transform_batch=1)["px"].mu
    inputs["batch_index"] = torch.ones_like(inputs["batch_index"])
    torch.testing.assert_close(in_one, model.module.generative(**inputs)["px"].mu)


def test_the_logged_kl_is_the_true_one_whatever_is_optimised(make_adata):
    adata = make_adata(30, 12)
    BetaVAE.setup_anndata(adata)
    plain = BetaVAE(adata, n_latent=3, beta=1.0)
    held = BetaVAE(adata, n_latent=3, beta=50.0, capacity=10.0)
    weights = {name: value for name, value in plain.module.state_dict().items() if "objective" not in name}
    held.module.load_state_dict(weights, strict=False)
    kls = []
    for model in (plain, held):
        model.module.eval()
        tensors = next(iter(model._make_data_loader(adata, batch_size=30)))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            kls.append(model.module(tensors)[2].kl_local["kl_divergence_z"])
    assert torch.equal(*kls)


def test_marginal_likelihood_against_quadrature(make_adata):
    """One latent dimension: the integral over it can be done by quadrature."""
    adata = make_adata(6, 4)
    BetaVAE.setup_anndata(adata)
    model = BetaVAE(adata, n_latent=1, n_hidden=8, likelihood="poisson")
    model.module.eval()
    tensors = next(iter(model._make_data_loader(adata, batch_size=6)))
    grid = torch.linspace(-8, 8, 4001)
    with torch.inference_mode():
        library = tensors["X"].sum(1, keepdim=True).log()
        z = grid.reshape(-1, 1, 1).expand(-1, 6, 1)
        px = model.module.generative(z, library, tensors["batch"])["px"]
        log_joint = px.log_prob(tensors["X"]).sum(-1).numpy() + stats.norm.logpdf(grid.numpy())[:, None]
    peak = log_joint.max(0)
    exact = np.log(integrate.simpson(np.exp(log_joint - peak), x=grid.numpy(), axis=0)) + peak
    for n_samples, per_pass in ((20_000, 1000), (20_001, 1000)):  # the second does not divide
        with torch.random.fork_rng():
            torch.manual_seed(0)
            estimate = model.module.marginal_ll(tensors, n_samples, n_mc_samples_per_pass=per_pass)
        np.testing.assert_allclose(estimate.numpy(), exact, atol=0.05)
    assert model.module.marginal_ll(tensors, 10, return_mean=True) < 0


@pytest.mark.parametrize("likelihood", ["nb", "zinb", "poisson", "normal"])
def test_samples_have_the_mean_of_the_likelihood(make_adata, likelihood):
    adata = make_adata(10, 5)
    BetaVAE.setup_anndata(adata)
    model = BetaVAE(adata, n_latent=2, likelihood=likelihood)
    model.module.eval()
    tensors = next(iter(model._make_data_loader(adata, batch_size=10)))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        draws = model.module.sample(tensors, n_samples=50)
    assert draws.shape == (10, 5, 50)
    assert torch.isfinite(draws).all()
    assert model.module.sample(tensors).shape == (10, 5)
    if likelihood != "normal":
        assert torch.equal(draws, draws.round())
        assert draws.min() >= 0
