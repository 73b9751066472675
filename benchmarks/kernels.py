"""Time of one gradient of the count likelihood: compiled loops, plain torch, scvi-tools' distributions.

Run on one pinned core: ``taskset -c 0 python benchmarks/kernels.py``. The best time counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from scvi.distributions import NegativeBinomial, ZeroInflatedNegativeBinomial

from distaff.ops import linear_count_log_likelihood, sparse_linear

CASES = [(2000, 128, 0.08), (2000, 1024, 0.08), (12000, 128, 0.05)]  # genes, cells, share of non-zeros
N_ROUNDS = 12


def counts(n_cells: int, n_genes: int, density: float) -> torch.Tensor:
    """Dense counts, of which ``density`` are not zero."""
    rng = np.random.default_rng(0)
    x = (rng.random((n_cells, n_genes)) < density) * (1 + rng.poisson(1.0, (n_cells, n_genes)))
    return torch.tensor(x, dtype=torch.float32)


def likelihood(x: torch.Tensor, n_factors: int, family: str) -> dict[str, Callable[[], None]]:
    """Steps forward and backward by name."""
    n_cells, n_genes = x.shape
    g = torch.Generator().manual_seed(0)
    features = torch.randn(n_cells, n_factors, generator=g).requires_grad_()
    weight = (torch.randn(n_genes, n_factors, generator=g) / n_factors).requires_grad_()
    bias, log_theta = (torch.zeros(n_genes).requires_grad_() for _ in range(2))
    dropout = torch.zeros_like(weight).requires_grad_(), torch.zeros(n_genes).requires_grad_()
    log_size = x.sum(dim=1, keepdim=True).log()
    leaves = [features, weight, bias, log_theta, *dropout]

    def ours(data: torch.Tensor) -> torch.Tensor:
        return linear_count_log_likelihood(
            data,
            features,
            weight,
            bias=bias,
            log_size=log_size,
            theta=log_theta.exp(),
            dropout=dropout if family == "zinb" else None,
        )

    def scvi() -> torch.Tensor:
        mu = log_size.exp() * torch.nn.functional.linear(features, weight, bias).softmax(dim=1)
        if family == "nb":
            p = NegativeBinomial(mu=mu, theta=log_theta.exp(), validate_args=False)
        else:
            logits = torch.nn.functional.linear(features, *dropout)
            p = ZeroInflatedNegativeBinomial(
                mu=mu, theta=log_theta.exp(), zi_logits=logits, validate_args=False
            )
        return p.log_prob(x).sum(dim=1)

    def step(value: Callable[[], torch.Tensor]) -> None:
        for leaf in leaves:
            leaf.grad = None
        value().mean().backward()

    sparse = x.to_sparse_csr()
    return {
        "kernels": lambda: step(lambda: ours(sparse)),
        "torch": lambda: step(lambda: ours(x)),
        "scvi": lambda: step(scvi),
    }


def first_layer(x: torch.Tensor, n_out: int) -> dict[str, Callable[[], None]]:
    """Steps of the encoder's first layer."""
    weight = torch.randn(x.shape[1], n_out, generator=torch.Generator().manual_seed(0)).t().requires_grad_()
    sparse, gradient = x.to_sparse_csr(), torch.ones(len(x), n_out)

    def step(data: torch.Tensor) -> None:
        weight.grad = None
        sparse_linear(data, weight).backward(gradient)

    return {"kernels": lambda: step(sparse), "torch": lambda: step(x)}


def best(steps: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Least time of each step in ms."""
    times = dict.fromkeys(steps, np.inf)
    for _ in range(N_ROUNDS):
        for name, step in steps.items():
            for _ in range(2 if times[name] > 0.05 else 8):
                start = time.perf_counter()
                step()
                times[name] = min(times[name], 1e3 * (time.perf_counter() - start))
    return times


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("| what | genes | cells | kernels ms | torch ms | scvi ms |\n|---|---|---|---|---|---|")
    for n_genes, n_cells, density in CASES:
        x = counts(n_cells, n_genes, density)
        rows = {
            f"{family}, {n_factors} factors": likelihood(x, n_factors, family)
            for family in ("nb", "zinb")
            for n_factors in (10, 128)
        }
        rows["first layer, 128 units"] = first_layer(x, 128)
        for name, steps in rows.items():
            t = best(steps)
            numbers = " | ".join(f"{t[k]:.2f}" if k in t else "" for k in ("kernels", "torch", "scvi"))
            print(f"| {name} | {n_genes} | {n_cells} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
