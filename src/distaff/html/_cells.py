"""The cells that are drawn: where each lies, and its value in each factor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from distaff._checks import check_name, error, listing
from distaff._keys import Slots
from distaff.html._encode import fractions, number, packed
from distaff.html._factors import Factors

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["choose_cells", "drawn_cells"]

CLIP = (1, 99)  # percentiles beyond which colours stop, so that outliers do not bleach the rest
MAX_VALUES = 6_000_000  # of cells times factors, one byte each: 8 MB of the page in base64


def choose_cells(n_obs: int, n_factors: int, *, n_cells: int, random_state: int) -> NDArray[np.int64]:
    """Cells to draw in random order, so that none lies on top because it comes last."""
    n = max(1, min(n_cells, n_obs, MAX_VALUES // n_factors))
    return np.random.default_rng(random_state).permutation(n_obs)[:n]


def drawn_cells(
    adata: AnnData, key: str, factors: Factors, cells: NDArray[np.int64], *, basis: str | None
) -> dict[str, Any]:
    """Coordinates, and one entry a factor: bytes, the ends of the colours, whether it has two signs."""
    points, name = _embedding(adata, key, factors, basis)
    xy = points[cells]
    return {
        "basis": name,
        "n": len(cells),
        "xy": packed(fractions(xy, points.min(axis=0), points.max(axis=0), np.uint16)),
        "values": [_bytes(values, cells) for values in factors.values],
    }


def _bytes(values: NDArray[np.float32], cells: NDArray[np.int64]) -> dict[str, Any]:
    low, high = np.percentile(values, CLIP)
    if low == high:  # most cells share one value: colours must still show the others
        low, high = values.min(), values.max()
    return {
        "bytes": packed(fractions(values[cells], low, high, np.uint8)),
        "low": number(low),
        "high": number(high),
    }


def _embedding(
    adata: AnnData, key: str, factors: Factors, basis: str | None
) -> tuple[NDArray[np.float64], list[str]]:
    """(cells, 2) coordinates and the names of the two axes."""
    slots = Slots(key)
    if basis is not None:
        check_name("basis", basis)
    names = [slots.umap, slots.tsne, "X_umap", "X_tsne"] if basis is None else [basis, f"X_{basis}"]
    slot = next((name for name in names if name in adata.obsm), None)
    if slot is None and basis is not None:
        raise error(
            "basis must name a slot of adata.obsm",
            got=repr(basis),
            fix=f"There are {listing(list(adata.obsm)) or 'none'}.",
            kind=KeyError,
        )
    if slot is None:
        return _first_two(factors)
    points = np.asarray(adata.obsm[slot], dtype=np.float64)
    if points.ndim != 2 or points.shape[1] < 2:
        raise error(f"adata.obsm[{slot!r}] must have two columns", got=f"shape {points.shape}")
    if not np.isfinite(points[:, :2]).all():
        raise error(f"adata.obsm[{slot!r}] must be finite", got="a missing or infinite value")
    what = {"umap": "UMAP", "tsne": "t-SNE"}.get(slot.rsplit("_", 1)[-1], slot.removeprefix("X_"))
    return points[:, :2], [f"{what} 1", f"{what} 2"]


def _first_two(factors: Factors) -> tuple[NDArray[np.float64], list[str]]:
    """The first two factors by rank as axes; one factor alone is drawn as a line."""
    first = factors.order[:2]
    points = factors.values[first].T.astype(np.float64)
    axes = [factors.names[i] for i in first]
    return (points, axes) if len(axes) == 2 else (np.column_stack([points, 0 * points]), [*axes, ""])
