import numpy as np
import pytest
import torch

from distaff.nn import Softplus
from distaff.nn.posteriors import NonNegativePosterior, NormalPosterior


@pytest.fixture
def posterior():
    torch.manual_seed(0)
    return NonNegativePosterior(5, 3, Softplus())


def test_without_a_floor_it_is_any_other(posterior):
    plain = NormalPosterior(5, 3, Softplus())
    plain.load_state_dict({k: v for k, v in posterior.state_dict().items() if k != "floor"})
    features = torch.randn(20, 5)
    torch.testing.assert_close(posterior.reported(features), plain.reported(features))


def test_nothing_is_reported_below_the_floor(posterior):
    features = torch.randn(400, 5)
    with torch.no_grad():
        before, q = posterior.reported(features), posterior(features)
    mean, deviation = q.loc.numpy(), q.scale.numpy() / 10
    posterior.set_floor(mean, deviation)
    floor = np.logaddexp(0, np.quantile(mean, 0.05, axis=0) + 3 * deviation.mean(axis=0))
    after = posterior.reported(features).detach().numpy()
    np.testing.assert_allclose(after, np.maximum(before.numpy(), floor), rtol=1e-5)
    at_floor = np.isclose(after, floor).mean(axis=0)
    assert (at_floor > 0.05).all()
    assert (at_floor < 0.5).all()


def test_no_factor_is_all_floor(posterior):
    features = torch.randn(400, 5)
    with torch.no_grad():
        mean = posterior(features).loc.numpy()
    posterior.set_floor(mean, np.full_like(mean, 9.0))
    Z = posterior.reported(features).detach().numpy()
    np.testing.assert_allclose([np.unique(z).size for z in Z.T], 41, atol=1)  # a tenth, and the floor


def test_draws_know_no_floor(posterior):
    q = posterior(torch.zeros(1, 5))
    posterior.set_floor(np.full((4, 3), 9.0), np.ones((4, 3)))
    _, z = posterior.draw(q)
    assert (z < 9.0).all()
    assert (posterior.representation(q) > 9.0).all()
