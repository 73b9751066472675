"""Every part of the networks keeps the same contract: shapes, gradients, evaluation, state, repr."""

from operator import attrgetter

import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn

from distaff.nn import (
    CellDispersion,
    Covariates,
    CovariateSpec,
    FixedLibrary,
    GeneDispersion,
    GroupDispersion,
    Identity,
    LearnedLibrary,
    Log1p,
    MLPDecoder,
    MLPEncoder,
    NegativeBinomialLikelihood,
    NormalLikelihood,
    NormalPosterior,
    ObservedLibrary,
    PoissonLikelihood,
    StandardNormalPrior,
    ZeroInflatedNegativeBinomialLikelihood,
)

CELLS, GENES, LATENT, HIDDEN = 12, 7, 3, 8
SPEC = CovariateSpec(n_batch=3, n_labels=2, n_cats_per_cov=(2, 1), n_continuous=2)
SOFTMAX = nn.Softmax(dim=-1)


@pytest.fixture
def covariates():
    g = torch.Generator().manual_seed(0)
    return Covariates(
        batch=(torch.arange(CELLS) % 3).unsqueeze(1),
        labels=(torch.arange(CELLS) % 2).unsqueeze(1),
        categorical=torch.stack([torch.arange(CELLS) % 2, torch.zeros(CELLS, dtype=torch.long)], dim=1),
        continuous=torch.randn(CELLS, 2, generator=g),
    )


@pytest.fixture
def counts():
    return torch.poisson(3 * torch.ones(CELLS, GENES), generator=torch.Generator().manual_seed(1)) + 1


def draw(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2))


@pytest.fixture(autouse=True)
def seeded_weights():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        yield


def check_part(part, call):
    """Gradients reach every parameter; evaluation is deterministic; state and repr survive."""
    part.train()
    total = call(part)
    total.backward()
    for name, parameter in part.named_parameters():
        if parameter.numel():
            assert parameter.grad is not None, f"no gradient for {name}"
            assert torch.isfinite(parameter.grad).all(), f"gradient of {name} is not finite"
            assert parameter.grad.abs().sum() > 0, f"gradient of {name} is zero"
    part.eval()
    with torch.no_grad():
        first, second = call(part), call(part)
        assert torch.equal(first, second)
        state = {name: value.clone() for name, value in part.state_dict().items()}
        for parameter in part.parameters():
            parameter.add_(1.0)
        part.load_state_dict(state)
        assert torch.equal(call(part), first)
    assert type(part).__name__ in repr(part)


@pytest.mark.parametrize("spec", [None, SPEC])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_encoder(covariates, counts, spec, n_layers):
    encoder = MLPEncoder(GENES, (HIDDEN,) * n_layers, transform=Log1p(), spec=spec)
    assert encoder(counts, covariates).shape == (CELLS, encoder.n_out)
    weights = draw(CELLS, HIDDEN)
    check_part(encoder, lambda part: (part(counts, covariates) * weights).sum())


@pytest.mark.parametrize("heads", [("scale",), ("scale", "dropout", "dispersion")])
@pytest.mark.parametrize("spec", [None, SPEC])
def test_decoder(covariates, heads, spec):
    decoder = MLPDecoder(LATENT, GENES, heads, widths=(HIDDEN, HIDDEN), spec=spec)
    z, weights = draw(CELLS, LATENT), draw(CELLS, GENES)
    assert {head: value.shape for head, value in decoder(z, covariates).items()} == dict.fromkeys(
        heads, (CELLS, GENES)
    )
    check_part(decoder, lambda part: sum((h * weights).sum() for h in part(z, covariates).values()))


def test_decoder_takes_several_samples_as_it_takes_one(covariates):
    decoder = MLPDecoder(LATENT, GENES, ("scale",), widths=(HIDDEN, HIDDEN), spec=SPEC).eval()
    z = draw(4, CELLS, LATENT)
    stacked = decoder(z, covariates)["scale"]
    for sample, one in zip(z, stacked, strict=True):
        torch.testing.assert_close(decoder(sample, covariates)["scale"], one)


def test_covariates_act_as_one_hot_columns(covariates, counts):
    from distaff.nn import CovariateLinear

    layer = CovariateLinear(GENES, 4, SPEC)
    one_hot = [
        nn.functional.one_hot(c, n).float() for c, n in zip(covariates.codes(), (3, 2, 1), strict=True)
    ]
    columns = torch.cat([counts, covariates.continuous, *one_hot[:2]], dim=1)
    tables = [
        layer.linear.weight,
        layer.shift.continuous.T,
        *[table().T for table in layer.shift.categorical[:2]],
    ]
    expected = nn.functional.linear(columns, torch.cat(tables, dim=1), layer.linear.bias)
    torch.testing.assert_close(layer(counts, covariates), expected)
    assert layer.shift.categorical[2].n_rows == 0  # a covariate with one category says nothing


def test_in_batch_changes_the_batch_alone(covariates):
    moved = covariates.in_batch(2)
    assert moved.batch.unique().tolist() == [2]
    assert moved.labels is covariates.labels
    assert covariates.batch.unique().tolist() == [0, 1, 2]


def test_posterior(counts):
    posterior = NormalPosterior(GENES, LATENT, Identity())
    q = posterior(counts)
    assert q.batch_shape == (CELLS, LATENT)
    assert torch.equal(posterior.representation(q), q.mean)
    u, z = posterior.draw(q, (5,))
    assert u.shape == (5, CELLS, LATENT)
    assert z is u
    weights = draw(CELLS, LATENT)
    check_part(posterior, lambda part: ((part(counts).mean + part(counts).stddev) * weights).sum())


def test_posterior_variance_has_a_floor(counts):
    posterior = NormalPosterior(GENES, LATENT, Identity())
    with torch.no_grad():
        posterior.log_variance.bias.fill_(-1e4)
    assert torch.all(posterior(counts).variance >= 0.99e-4)


def test_prior():
    prior = StandardNormalPrior(LATENT)
    p = prior(draw(CELLS, HIDDEN), lambda x: x)
    assert p.batch_shape == (LATENT,)
    z = draw(5, LATENT)
    np.testing.assert_allclose(p.log_prob(z), scipy.stats.norm.logpdf(z), rtol=1e-5)


DISPERSIONS = {
    "gene": lambda: GeneDispersion(GENES),
    "gene-batch": lambda: GroupDispersion(GENES, 3, attrgetter("batch")),
    "gene-label": lambda: GroupDispersion(GENES, 2, attrgetter("labels")),
    "gene-cell": CellDispersion,
}


@pytest.mark.parametrize("name", DISPERSIONS)
def test_dispersion(name, covariates):
    dispersion = DISPERSIONS[name]()
    heads = {"dispersion": draw(CELLS, GENES)}
    value = dispersion(heads, covariates)
    assert torch.all(value > 0)
    assert value.expand(CELLS, GENES).shape == (CELLS, GENES)
    if list(dispersion.parameters()):
        check_part(dispersion, lambda part: part(heads, covariates).sum())


def test_group_dispersion_follows_the_group(covariates):
    dispersion = DISPERSIONS["gene-batch"]()
    value = dispersion({}, covariates)
    assert torch.equal(value, dispersion.log_value().exp()[covariates.batch.squeeze(1)])


def test_group_dispersion_without_groups(covariates):
    with pytest.raises(ValueError, match="needs the group of each cell"):
        DISPERSIONS["gene-label"]()({}, Covariates(covariates.batch))


LIKELIHOODS = {
    "nb": lambda d: NegativeBinomialLikelihood(d, SOFTMAX),
    "zinb": lambda d: ZeroInflatedNegativeBinomialLikelihood(d, SOFTMAX),
    "normal": NormalLikelihood,
    "poisson": lambda d: PoissonLikelihood(SOFTMAX),
}


def scipy_log_prob(name, x, mean, theta, dropout):
    if name == "normal":
        return scipy.stats.norm.logpdf(x, mean, theta)
    if name == "poisson":
        return scipy.stats.poisson.logpmf(x, mean)
    log_nb = scipy.stats.nbinom.logpmf(x, theta, theta / (theta + mean))
    if name == "nb":
        return log_nb
    pi = scipy.special.expit(dropout)
    return np.log(pi * (x == 0) + (1 - pi) * np.exp(log_nb))


@pytest.mark.parametrize("dispersion", DISPERSIONS)
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_likelihood_against_scipy(name, dispersion, covariates, counts):
    counts = counts - 1  # zeros too
    likelihood = LIKELIHOODS[name](DISPERSIONS[dispersion]())
    heads = {head: draw(CELLS, GENES) * 0.5 for head in likelihood.heads}
    library = counts.sum(1, keepdim=True).log()
    px = likelihood(heads, library, covariates)
    scale = heads["scale"] if name == "normal" else torch.softmax(heads["scale"], -1)
    mean = scale if name == "normal" else library.exp() * scale
    theta = None if name == "poisson" else likelihood.dispersion(heads, covariates).detach().double().numpy()
    expected = scipy_log_prob(
        name, counts.double().numpy(), mean.double().numpy(), theta, heads["scale"].double().numpy()
    )
    np.testing.assert_allclose(px.log_prob(counts).detach(), expected, rtol=2e-4, atol=2e-4)
    statistics = likelihood.statistics(px)
    torch.testing.assert_close(statistics["mean"], mean)
    assert set(statistics) == {"mean"} | ({"dispersions"} if name != "poisson" else set()) | (
        {"dropout"} if name == "zinb" else set()
    )
    torch.testing.assert_close(px.get_normalized("scale"), scale)
    if list(likelihood.parameters()):
        check_part(likelihood, lambda part: part(heads, library, covariates).log_prob(counts).sum())


def test_softplus_link_leaves_the_sum_free(covariates, counts):
    likelihood = NegativeBinomialLikelihood(GeneDispersion(GENES), nn.Softplus())
    head = draw(CELLS, GENES)
    px = likelihood({"scale": head}, torch.full((CELLS, 1), 2.0).log(), covariates)
    torch.testing.assert_close(px.mu, 2.0 * nn.functional.softplus(head))


def test_observed_library(counts, covariates):
    log_library, q = ObservedLibrary()(counts, covariates)
    assert q is None
    assert ObservedLibrary().prior(covariates) is None
    torch.testing.assert_close(log_library.exp(), counts.sum(1, keepdim=True))


def test_fixed_library_is_one_even_for_negative_values(covariates):
    log_library, q = FixedLibrary()(-torch.ones(CELLS, GENES), covariates)
    assert q is None
    assert torch.equal(log_library, torch.zeros(CELLS, 1))


def test_learned_library(counts, covariates):
    encoder = MLPEncoder(GENES, (HIDDEN,), transform=Log1p())
    library = LearnedLibrary(encoder, torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.1, 0.2, 0.4]))
    mean, q = library(counts, covariates)
    assert torch.equal(mean, q.mean)
    prior = library.prior(covariates)
    assert torch.equal(prior.mean.squeeze(1), (covariates.batch.squeeze(1) + 1).float())
    torch.testing.assert_close(
        prior.variance.squeeze(1), torch.tensor([0.1, 0.2, 0.4])[covariates.batch.squeeze(1)]
    )
    weights = draw(CELLS, 1)
    check_part(
        library,
        lambda part: (
            (part(counts, covariates)[1].mean + part(counts, covariates)[1].stddev) * weights
        ).sum(),
    )
