"""What a decoder does to expression when one factor moves, for any model of scvi-tools with a decoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from anndata import AnnData
from numpy.typing import NDArray
from torch import Tensor
from torch.distributions import Normal

from distaff.module import FactorModule
from distaff.train import isolated_rng

__all__ = ["mean_effects"]

BATCH_SIZE = 128  # cells a minibatch
BLOCK = 2**22  # values decoded at once, 16 MB: more leave the cache of a CPU and take twice the time


@torch.inference_mode()
def mean_effects(
    model: Any,
    adata: AnnData,
    Z: NDArray[np.float32],
    bounds: NDArray[np.float32],
    *,
    cells: NDArray[np.int64],
    batch_size: int | None,
) -> NDArray[np.float64]:
    """Mean over cells of the change in log expression between two values of each factor.

    Some cells are decoded with several factors at both ends at once, in blocks that do not grow with the
    number of cells, factors or genes.

    Parameters
    ----------
    model
        Model with an inference and a generative part.
    adata
        Cells that the model has validated.
    Z
        (cells, factors), the latent of all of them.
    bounds
        (2, factors), first and last value.
    cells
        Positions of the cells to decode.
    batch_size
        Cells a minibatch, at most; None for 128.

    Returns
    -------
    Array (genes, factors).
    """
    n_rows = max(BLOCK // adata.n_vars, 2)
    n_cells = min(batch_size or BATCH_SIZE, n_rows // 2)
    total, done = np.zeros((adata.n_vars, Z.shape[1])), 0
    ends = torch.from_numpy(bounds)
    with isolated_rng(0):  # nothing that is drawn is used
        for tensors in _minibatches(model, adata, cells, n_cells):
            n = len(next(iter(tensors.values())))
            decode = _decoder(model.module, tensors, torch.from_numpy(Z[cells[done : done + n]]))
            for factors in torch.arange(Z.shape[1]).split(n_rows // (2 * n)):
                low, high = decode(factors, ends).unbind(1)
                total[:, factors.numpy()] += (high - low).sum(1, dtype=torch.float64).cpu().numpy().T
            done += n
    return total / len(cells)


def _minibatches(
    model: Any, adata: AnnData, cells: NDArray[np.int64], batch_size: int
) -> Iterable[dict[str, Tensor]]:
    """Those of our own models with sparse counts."""
    if isinstance(model.module, FactorModule) and model.minified_data_type is None:
        return model._minibatches(adata, cells, batch_size)
    return model._make_data_loader(adata=adata, indices=cells, batch_size=batch_size)


def _decoder(module: Any, tensors: dict[str, Tensor], z: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Map from factors and their ends to the log expression of cells moved there.

    The cells are those of a minibatch, the latent ``z`` theirs; the result is (factors, 2, cells, genes).
    """
    inferred = module.inference(**module._get_inference_input(tensors))
    inputs = module._get_generative_input(tensors, {**inferred, "z": z})

    def decode(factors: Tensor, ends: Tensor) -> Tensor:
        moved = z.repeat(len(factors), 2, 1, 1)
        moved[torch.arange(len(factors)), :, :, factors] = ends[:, factors].T.unsqueeze(-1)
        n = 2 * len(factors)
        rows = {name: _repeated(value, n, len(z)) for name, value in inputs.items()}
        logs = _log_expression(module, {**rows, "z": moved.flatten(0, 2)})
        return logs.unflatten(0, (len(factors), 2, len(z)))

    return decode


def _repeated(value: Any, n: int, n_cells: int) -> Any:
    """What is known of each cell ``n`` times, all cells after all; anything else as it is."""
    if isinstance(value, Tensor) and value.ndim > 0 and len(value) == n_cells:
        return value.repeat(n, *[1] * (value.ndim - 1))
    return value


def _log_expression(module: Any, inputs: dict[str, Any]) -> Tensor:
    """Log expression (rows, genes) of what goes into the generative part."""
    if isinstance(module, FactorModule) and module.gives_shares:
        return module.log_shares(
            **{name: inputs[name] for name in ("z", "batch_index", "cont_covs", "cat_covs")}
        )
    px = module.generative(**inputs)["px"]
    expression = px.get_normalized("scale")
    if isinstance(px, Normal):  # of values that are on a log scale already
        return expression
    return expression.clamp(min=torch.finfo(expression.dtype).tiny).log()
