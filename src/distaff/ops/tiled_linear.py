"""Linear map of sparse counts with weights that are fixed: what an encoder does when it only reads."""

from __future__ import annotations

import torch
from torch import Tensor

from distaff._checks import error
from distaff.ops.csr import csr_arrays
from distaff.ops.kernels.tiled import add_tiled_rows
from distaff.ops.kernels.weighted_rows import WIDTH

__all__ = ["tiled", "tiled_linear"]


def tiled(weight: Tensor) -> Tensor:
    """Weight (out, genes) as :func:`tiled_linear` takes it: (tiles, genes, columns), filled up with zeros.

    Parameters
    ----------
    weight
        Weight in float32 on the CPU.
    """
    n_out, n_genes = weight.shape  # torch's tensors begin where a cache line does: half the time
    n_tiles = -(-n_out // WIDTH)
    tiles = torch.zeros(n_tiles, n_genes, WIDTH)
    for tile, part in zip(tiles, weight.detach().split(WIDTH), strict=True):
        tile[:, : len(part)] = part.t()
    return tiles


def tiled_linear(x: Tensor, tiles: Tensor, base: Tensor, *, logarithm: bool = False) -> Tensor:
    r"""Linear map of sparse rows, :math:`y = x W^\top + b`, without a gradient.

    Each cell's sum is the same to the last bit whatever cells are beside it.

    Parameters
    ----------
    x
        Values (cells, genes), sparse CSR in float32 on the CPU.
    tiles
        Weight W, from :func:`tiled`.
    base
        What is added, (out,) or (cells, out).
    logarithm
        Take ``log(1 + x)`` in place of ``x``, to 2e-7; values must not be negative.

    Returns
    -------
    Shape (cells, out).

    Raises
    ------
    ValueError
        If the genes of ``x`` and ``tiles`` differ in number.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[0.0, 2.0, 0.0], [1.0, 0.0, 3.0]]).to_sparse_csr()
    >>> tiled_linear(x, tiled(torch.tensor([[1.0, 10.0, 100.0]])), torch.tensor([0.5]))
    tensor([[ 20.5000],
            [301.5000]])
    """
    if x.shape[1] != tiles.shape[1]:
        raise error("tiles must have one row per gene of x", got=f"{tiles.shape[1]} for {x.shape[1]}")
    if base.ndim > 1 and len(base) != len(x):
        raise error("base must have one row per cell of x", got=f"{len(base)} for {len(x)}")
    n_out = base.shape[-1]
    width = tiles.shape[0] * WIDTH
    rows = torch.nn.functional.pad(base.detach().reshape(-1, n_out), (0, width - n_out))
    out = torch.empty(len(x), width)
    add_tiled_rows(*csr_arrays(x), logarithm, tiles.numpy(), rows.contiguous().numpy(), out.numpy())
    return out[:, :n_out]
