import numpy as np
import pytest
import torch
from scipy import stats
from scvi.distributions import NegativeBinomial, Poisson, ZeroInflatedNegativeBinomial

from distaff.ops import _count_likelihood_blocks as blocks
from distaff.ops import linear_count_log_likelihood

FAMILIES = ["nb", "zinb", "poisson"]
FLOORS = [None, 1e-3]


class Problem:
    """Counts, parameters by name, and the log-likelihood of any of their versions."""

    def __init__(
        self, n_cells=40, n_genes=300, n_factors=10, family="nb", floor=None, n_groups=1, seed=0, density=0.1
    ):
        self.family, self.floor = family, floor
        g = torch.Generator().manual_seed(seed)
        rng = np.random.default_rng(seed)
        shape = n_cells, n_genes
        self.counts = torch.tensor((rng.random(shape) < density) * (1.0 + rng.poisson(2, shape))).float()
        self.codes = torch.tensor(rng.integers(0, n_groups, n_cells))
        self.design = torch.randn(n_cells, 3, generator=g)
        p = {
            "features": torch.randn(n_cells, n_factors, generator=g),
            "weight": torch.randn(n_genes, n_factors, generator=g) / n_factors**0.5,
            "log_size": (self.counts.sum(1, keepdim=True) + 1).log(),
        }
        if floor is None:
            p["bias"] = torch.randn(n_genes, generator=g)
        else:
            p["features"], p["weight"] = p["features"].abs(), p["weight"].abs()
            p["table"] = 0.3 * torch.randn(3, n_genes, generator=g)
        if family != "poisson":
            p["theta"] = torch.randn(n_groups, n_genes, generator=g).exp()
        if family == "zinb":
            p["dropout"] = torch.randn(n_genes, n_factors, generator=g) / n_factors**0.5
            p["dropout_bias"] = torch.randn(n_genes, generator=g)
        self.parameters = p

    def log_likelihood(self, counts, p):
        return linear_count_log_likelihood(
            counts,
            p["features"],
            p["weight"],
            bias=p.get("bias"),
            log_size=p["log_size"],
            theta=(p["theta"], self.codes) if "theta" in p else None,
            dropout=(p["dropout"], p["dropout_bias"]) if "dropout" in p else None,
            offset=(self.design.to(p["weight"].dtype), p["table"]) if "table" in p else None,
            floor=self.floor,
        )

    def run(self, counts, dtype=torch.float32, weights=None):
        """Value and gradients by name."""
        p = {k: v.to(dtype).detach().clone().requires_grad_() for k, v in self.parameters.items()}
        value = self.log_likelihood(counts, p)
        weights = torch.ones(len(value)) if weights is None else weights
        (value * weights.to(dtype)).sum().backward()
        return {"value": value.detach()} | {k: v.grad for k, v in p.items()}

    def kernels(self, weights=None, index=torch.int64):
        x = self.counts.to_sparse_csr()
        x = torch.sparse_csr_tensor(
            x.crow_indices().to(index),
            x.col_indices().to(index),
            x.values(),
            x.shape,
            check_invariants=True,
        )
        return self.run(x, weights=weights)

    def single(self, weights=None):
        return self.run(self.counts, weights=weights)

    def double(self, weights=None):
        return self.run(self.counts.double(), torch.float64, weights)


def size_of(exact, name, problem):
    """What an error is measured by: the derivative by the size is a difference of sums over all counts."""
    size = exact[name].abs().max().clamp(min=1.0)
    return torch.maximum(size, problem.counts.sum(1).max()) if name == "log_size" else size


def distance(a, b):
    return float((a.double() - b).norm() / b.norm().clamp(min=1e-300))


@pytest.mark.parametrize("uniform", [True, False])
@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("family", FAMILIES)
def test_as_near_to_double_as_torch(family, floor, uniform):
    errors = {}
    for seed in range(4):
        problem = Problem(n_cells=150, n_genes=1000, family=family, floor=floor, n_groups=2, seed=seed)
        weights = None if uniform else torch.linspace(-1.0, 2.0, 150)
        exact = problem.double(weights)
        kernels, torchs = problem.kernels(weights), problem.single(weights)
        assert ((kernels["value"] - exact["value"]) / exact["value"]).abs().max() < 1e-6
        for name in exact:
            errors.setdefault(name, []).append(
                (distance(kernels[name], exact[name]), distance(torchs[name], exact[name]))
            )
    for name, pairs in errors.items():
        ours, theirs = np.mean(pairs, axis=0)
        assert ours < max(1.5 * theirs, 6e-7), name


@pytest.mark.parametrize("index", [torch.int32, torch.int64])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("n_cells", "n_genes", "n_factors"), [(1, 1, 1), (1, 50, 3), (70, 1, 2), (9, 700, 1), (7, 40, 300)]
)
def test_shapes(n_cells, n_genes, n_factors, family, index):
    problem = Problem(n_cells, n_genes, n_factors, family, density=0.5)
    exact, got = problem.double(), problem.kernels(index=index)
    for name in exact:
        scale = size_of(exact, name, problem)
        assert (got[name].double() - exact[name]).abs().max() < 2e-5 * scale, name


@pytest.mark.parametrize("family", FAMILIES)
def test_many_blocks_are_one(family, monkeypatch):
    problem = Problem(family=family, n_groups=3)
    whole = problem.kernels()
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 4 * 300 * 7)
    for name, tensor in problem.kernels().items():
        torch.testing.assert_close(tensor, whole[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_of_the_reference(family, floor):
    problem = Problem(4, 5, 2, family, floor, n_groups=2, density=0.6)
    names = list(problem.parameters)
    tensors = [problem.parameters[n].double().requires_grad_() for n in names]

    def f(*values):
        return problem.log_likelihood(problem.counts.double(), dict(zip(names, values, strict=True)))

    assert torch.autograd.gradcheck(f, tensors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("family", FAMILIES)
def test_against_scvi_and_scipy(family, dtype):
    problem = Problem(family=family)
    p = {k: v.to(dtype) for k, v in problem.parameters.items()}
    x = problem.counts.to(dtype)
    mu = p["log_size"].exp() * (p["features"] @ p["weight"].T + p["bias"]).softmax(1)
    if family == "poisson":
        px = Poisson(rate=mu.clamp(min=1e-8), validate_args=False)
        expected = stats.poisson.logpmf(x, mu).sum(1)
    elif family == "nb":
        px = NegativeBinomial(mu=mu, theta=p["theta"][0], validate_args=False)
        expected = stats.nbinom.logpmf(x, p["theta"][0], p["theta"][0] / (p["theta"][0] + mu)).sum(1)
    else:
        logits = p["features"] @ p["dropout"].T + p["dropout_bias"]
        px = ZeroInflatedNegativeBinomial(mu=mu, theta=p["theta"][0], zi_logits=logits, validate_args=False)
        expected = None
    got = problem.log_likelihood(x.to_sparse_csr(), p)
    torch.testing.assert_close(got, px.log_prob(x).sum(1), rtol=1e-6, atol=0.0)
    if expected is not None:
        np.testing.assert_allclose(got, expected, rtol=2e-6)


@pytest.mark.parametrize("factor", [0.0, 1e-3, 20.0])
@pytest.mark.parametrize("theta", [1e-4, 1.0, 1e6])
@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("family", FAMILIES)
def test_extreme_inputs(family, floor, theta, factor):
    problem = Problem(6, 40, 3, family, floor, density=0.3)
    problem.counts[0] = 0.0  # an empty cell
    problem.counts[:, 0] = 0.0  # an empty gene
    problem.counts[1, 1], problem.counts[2, 2] = 1e6, 1e3
    p = problem.parameters
    for name in ("weight", "dropout"):
        if name in p:
            p[name] = (factor * p[name]).clamp(-30, 30)
    if "theta" in p:
        p["theta"] = torch.full_like(p["theta"], theta)
    p["log_size"] = problem.counts.sum(1, keepdim=True).clamp(min=1.0).log()
    exact, got = problem.double(), problem.kernels()
    for name, tensor in got.items():
        assert torch.isfinite(tensor[torch.isfinite(exact[name])]).all(), name
        scale = size_of(exact, name, problem)
        assert (tensor.double() - exact[name]).abs().max() < 2e-4 * scale, name


@pytest.mark.parametrize("family", FAMILIES)
def test_nan_is_not_hidden(family):
    problem = Problem(family=family)
    problem.parameters["features"][3, 0] = torch.nan
    value = problem.kernels()["value"]
    assert value.isnan().nonzero().flatten().tolist() == [3]


def test_layouts_do_not_matter():
    problem = Problem(family="zinb", n_groups=2)
    expected = problem.kernels()
    x = problem.counts.to_sparse_csr()
    strided = {
        k: v.repeat_interleave(2, dim=-1)[..., ::2] if k != "log_size" else v
        for k, v in problem.parameters.items()
    }
    assert torch.equal(problem.log_likelihood(x, strided), expected["value"])


def test_explicit_zeros_are_zeros():
    problem = Problem(family="zinb")
    x = problem.counts.clone()
    x[0, :20] = torch.where(x[0, :20] == 0, torch.full((20,), 5.0), x[0, :20])
    csr = x.to_sparse_csr()
    values = csr.values()
    places = csr.col_indices()[: csr.crow_indices()[1]]
    values[: len(places)] = problem.counts[0, places]
    stored = problem.run(csr)
    for name, tensor in problem.kernels().items():
        torch.testing.assert_close(stored[name], tensor, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_same_bits_each_time_and_without_gradients(family):
    problem = Problem(family=family)
    first, second = problem.kernels(), problem.kernels()
    assert all(torch.equal(first[name], second[name]) for name in first)
    with torch.no_grad():
        value = problem.log_likelihood(problem.counts.to_sparse_csr(), problem.parameters)
    assert torch.equal(value, first["value"])


@pytest.mark.parametrize("family", ["nb", "zinb"])
def test_no_tensor_of_cells_and_genes(family):
    n_cells, n_genes = 4096, 12_000
    counts = torch.sparse_csr_tensor(
        torch.arange(n_cells + 1),
        torch.arange(n_cells) % n_genes,
        torch.ones(n_cells),
        (n_cells, n_genes),
        check_invariants=True,
    )
    weight = torch.zeros(n_genes, 2).requires_grad_()
    largest = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor) and out.layout is torch.strided:
                largest.append(out.untyped_storage().nbytes())
            return out

    with Watch():
        linear_count_log_likelihood(
            counts,
            torch.zeros(n_cells, 2),
            weight,
            log_size=torch.zeros(n_cells, 1),
            theta=torch.ones(n_genes),
            dropout=(torch.zeros(n_genes, 2), None) if family == "zinb" else None,
        ).sum().backward()
    assert weight.grad is not None
    assert max(largest) < 2**20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"theta": None, "dropout": (torch.ones(3, 2), None)}, "dropout must come with theta"),
        ({"theta": torch.ones(2)}, r"theta must have the shape \(1, 3\)"),
        ({"floor": -1.0}, "floor must be >= 0"),
        ({"floor": 0.1, "bias": torch.ones(3)}, "bias must be None with a floor"),
        ({"offset": (torch.ones(4, 1), torch.ones(1, 3))}, "offset must be None without a floor"),
        ({"log_size": torch.ones(4)}, r"log_size must have the shape \(4, 1\), got \(4,\)"),
        ({"weight": torch.ones(2, 2)}, r"weight must have the shape \(3, 2\), got \(2, 2\)"),
    ],
)
def test_bad_input(change, message):
    arguments = {
        "features": torch.ones(4, 2),
        "weight": torch.ones(3, 2),
        "log_size": torch.ones(4, 1),
        "theta": torch.ones(3),
    }
    with pytest.raises(ValueError, match=message):
        linear_count_log_likelihood(torch.ones(4, 3).to_sparse_csr(), **(arguments | change))


@pytest.mark.parametrize("n_factors", [3, 60])
def test_no_cells_have_no_gradient(n_factors):
    problem = Problem(0, 30, n_factors, density=0.5)
    if n_factors > 32:
        problem.parameters["weight"] *= (
            torch.rand(30, n_factors, generator=torch.Generator().manual_seed(0)) < 0.05
        )
        problem.parameters["weight"] = problem.parameters["weight"].T.contiguous().T
    found = problem.kernels()
    assert found.pop("value").shape == (0,)
    assert not any(gradient.any() for gradient in found.values())
