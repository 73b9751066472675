import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import expit

from distaff.nn import gates
from distaff.nn.gates import ConcreteGate, ShiftedSigmoidGate
from distaff.nn.scheduled import Scheduled
from distaff.ops import Constant, Linear

MAKERS = {
    "concrete": lambda sharpness: ConcreteGate(Scheduled(Constant(1.0 / sharpness))),
    "vsc": lambda sharpness: ShiftedSigmoidGate(Scheduled(Constant(sharpness))),
}
ALMOST = 40.0  # logit of a probability that is 0 or 1 to 17 digits


def logits_of(gamma, n):
    logit = torch.logit(torch.tensor(gamma, dtype=torch.float64)).clamp(-ALMOST, ALMOST)
    return logit.expand(n)


@pytest.fixture
def even_uniforms(monkeypatch):
    """Uniforms at the middles of equal steps: a mean over draws becomes a quadrature."""

    def rand_like(x):
        return (torch.arange(len(x), dtype=x.dtype) + 0.5) / len(x)

    monkeypatch.setattr(gates.torch, "rand_like", rand_like)


RELAXED_MEAN = [  # gamma, c, (softplus(c gamma) - softplus(c (gamma - 1))) / c
    (0.0, 10.0, 0.06931017816607285),
    (0.0, 50.0, 0.013862943611198907),
    (0.0, 200.0, 0.0034657359027997266),
    (0.01, 10.0, 0.0744346486650222),
    (0.01, 50.0, 0.019481539683602132),
    (0.01, 200.0, 0.010634640055214863),
    (0.3, 10.0, 0.3047675885119968),
    (0.3, 50.0, 0.3000000061180455),
    (0.3, 200.0, 0.3),
    (0.9, 10.0, 0.8686861714671501),
    (0.9, 50.0, 0.8998656930302177),
    (0.9, 200.0, 0.8999999999896943),
    (1.0, 10.0, 0.9306898218339272),
    (1.0, 50.0, 0.986137056388801),
    (1.0, 200.0, 0.9965342640972003),
]


@pytest.mark.parametrize(("gamma", "c", "expected"), RELAXED_MEAN)
def test_mean_of_the_papers_relaxation(even_uniforms, gamma, c, expected):
    gate = MAKERS["vsc"](c)(logits_of(gamma, 100_000), 0)
    assert gate.mean().item() == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("gamma", [0.01, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("temperature", [0.1, 0.67, 1.0])
def test_mean_of_the_concrete(even_uniforms, gamma, temperature):
    logit = np.log(gamma / (1 - gamma))

    def integrand(x):  # over the logistic variable logit(v)
        return expit((logit + x) / temperature) * expit(x) * expit(-x)

    expected, _ = quad(integrand, -60.0, 60.0, points=[-logit], limit=200)
    gate = ConcreteGate(Scheduled(Constant(temperature)))(logits_of(gamma, 100_000), 0)
    assert gate.mean().item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("sharpness", [1.5, 50.0])
@pytest.mark.parametrize("gamma", [0.02, 0.5, 0.97])
@pytest.mark.parametrize("name", MAKERS)
def test_more_than_half_open_as_often_as_said(seeded, name, gamma, sharpness):
    n = 100_000
    share = (MAKERS[name](sharpness)(logits_of(gamma, n), 0) > 0.5).double().mean().item()
    assert abs(share - gamma) < 4 * (gamma * (1 - gamma) / n) ** 0.5


@pytest.mark.parametrize("name", MAKERS)
def test_a_sharp_gate_is_nearly_binary(seeded, name):
    gate = MAKERS[name](1e4)(torch.zeros(10_000), 0)
    assert ((gate < 0.01) | (gate > 0.99)).double().mean() > 0.99


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("logit", [-1e4, -100.0, -20.0, 0.0, 20.0, 100.0, 1e4])
def test_extreme_logits_are_finite(seeded, name, logit):
    logits = torch.full((1000,), logit, requires_grad=True)
    gate = MAKERS[name](10.0)(logits, 0)
    gate.sum().backward()
    assert ((gate >= 0) & (gate <= 1)).all()
    assert torch.isfinite(logits.grad).all()


def test_the_ends_of_the_uniform_are_finite(monkeypatch):
    monkeypatch.setattr(gates.torch, "rand_like", lambda x: torch.tensor([0.0, 1.0]).to(x))
    logits = torch.zeros(2, requires_grad=True)
    gate = MAKERS["concrete"](10.0)(logits, 0)
    gate.sum().backward()
    assert torch.isfinite(gate).all()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", MAKERS)
def test_the_chance_to_open_rises_with_the_logit(even_uniforms, name):
    logits = torch.full((101,), 0.3, dtype=torch.float64, requires_grad=True)
    gate = MAKERS[name](5.0)(logits, 0)
    assert (gate.diff() > 0).all()  # and with the uniform
    (gradient,) = torch.autograd.grad(gate.sum(), logits)
    assert (gradient > 0).all()


def test_gates_sharpen_with_the_steps(even_uniforms):
    logits = torch.zeros(1000, dtype=torch.float64)
    for gate in (
        ConcreteGate(Scheduled(Linear(0.67, 0.1, n_steps=100))),
        ShiftedSigmoidGate(Scheduled(Linear(10.0, 50.0, n_steps=100))),
    ):
        spread = [gate(logits, step).var().item() for step in (0, 50, 100)]
        assert spread == sorted(spread)


@pytest.mark.parametrize("name", MAKERS)
def test_shape_and_dtype_are_those_of_the_logits(name):
    logits = torch.zeros(3, 4, 2)
    gate = MAKERS[name](5.0)(logits, 0)
    assert gate.shape == logits.shape
    assert gate.dtype == logits.dtype
