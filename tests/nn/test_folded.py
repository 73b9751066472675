"""Encoders that only read give what they give otherwise."""

import pytest
import torch
from torch import nn

from distaff.nn import Covariates, CovariateSpec, Log1p, MLPEncoder
from distaff.nn.folded import FoldedEncoder, folded

N_CELLS, N_GENES = 50, 30
SPEC = CovariateSpec(n_batch=3, n_cats_per_cov=(2,), n_continuous=2)


def counts():
    g = torch.Generator().manual_seed(0)
    return torch.poisson(torch.rand(N_CELLS, N_GENES, generator=g) * 2, generator=g).to_sparse_csr()


def encoder(*, widths=(16, 8), spec=SPEC, transform=None):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = MLPEncoder(N_GENES, widths, transform=transform or Log1p(), spec=spec)
        for norm in encoder.body.norms:
            nn.init.normal_(norm.weight, 1.0, 0.3)
            nn.init.normal_(norm.bias)
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.1, 2.0)
    return encoder.eval()


def covariates():
    g = torch.Generator().manual_seed(1)
    return Covariates(
        torch.randint(3, (N_CELLS, 1), generator=g),
        categorical=torch.randint(2, (N_CELLS, 1), generator=g),
        continuous=torch.randn(N_CELLS, 2, generator=g),
    )


@pytest.mark.parametrize("widths", [(16,), (16, 8), (130, 16, 8)])
@pytest.mark.parametrize("spec", [None, SPEC], ids=["no covariates", "covariates"])
@pytest.mark.parametrize("transform", [Log1p(), nn.Identity()], ids=["counts", "values"])
def test_against_the_layers_one_by_one(widths, spec, transform):
    part = encoder(widths=widths, spec=spec, transform=transform)
    x = counts()
    with torch.no_grad():
        expected = part(x, covariates())
        got = FoldedEncoder(part)(x, covariates())
    assert got.shape == (N_CELLS, widths[-1])
    assert (got > 0).any()
    torch.testing.assert_close(got, expected, rtol=2e-6, atol=2e-6)


def test_only_within_and_only_sparse_counts(monkeypatch):
    parts = nn.ModuleList([encoder(), encoder()])
    calls = []
    monkeypatch.setattr(FoldedEncoder, "__call__", lambda self, x, covariates: calls.append(self))
    with pytest.raises(KeyError), folded(parts):
        parts[0](counts(), covariates())
        parts[1](counts(), covariates())
        assert len(calls) == 2
        assert calls[0] is not calls[1]
        parts[0](counts().to_dense(), covariates())
        raise KeyError
    parts[0](counts(), covariates())
    assert len(calls) == 2


def test_weights_as_they_are_now():
    part, x = encoder(), counts()
    for _ in range(2):
        with folded(part), torch.no_grad():
            got = part(x, covariates())
        torch.testing.assert_close(got, part(x, covariates()).detach(), rtol=2e-6, atol=2e-6)
        part.body.linears[0].linear.weight.data.mul_(2.0)
        part.body.norms[1].running_mean.add_(1.0)


@pytest.mark.parametrize("change", [MLPEncoder.train, MLPEncoder.double], ids=["training", "float64"])
def test_what_cannot_be_folded_stays(change):
    part = encoder()
    change(part)
    with folded(part):
        assert part.folded is None


def test_numbers_that_are_not_finite_are_not_hidden():
    part, x = encoder(), counts()
    x.values()[0] = torch.nan
    with folded(part), torch.no_grad():
        y = part(x, covariates())
    assert y[0].isnan().any()
    assert y[1:].isfinite().all()
