"""How cells spread over each factor, by group."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from distaff._checks import check_int, check_obs_column, error
from distaff._keys import DEFAULT_KEY
from distaff.pl._cells import NAME, category_colors, legend_beside, room_beside
from distaff.pl._factors import Choice, choose, factor_values, read_factors
from distaff.pl._figure import OKABE_ITO, SMALL, TEXT, check_axes, finish, new_figure, wrap

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["density"]

PANEL = (2.3, 1.5)  # inches
DEFAULT = 12  # factors
MAX_COLUMNS = 4
MAX_FILLED = 6  # groups; beyond, fillings would hide each other
MAX_GROUPS = 40  # more curves, as of a column of numbers, tell nothing
GRID = 512  # points of a curve
MANY = 0.1  # share of the cells at the lowest value from which it is no value like others
FEW = 10  # cells of a group below which a curve would say more than they do
NARROW = 10.0  # points of a curve, the width of a kernel at least: like cells would make a needle of it
TICKS: dict[str, Any] = {"marker": "|", "linestyle": "none", "markeredgewidth": 1.5, "zorder": 3}
TICK = 0.08  # share of the height for the cells of a small group, at most
MARGIN = 0.08  # share of the range on either side, for the tails of the kernels
ENDS = (0.1, 99.9)  # percentiles that a panel shows


def density(
    adata: AnnData,
    factors: Choice = None,
    *,
    color: str | None = None,
    key: str = DEFAULT_KEY,
    n_columns: int | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> NDArray[Any]:
    """Density of the cells over each factor, a curve for each group, all of the same area.

    Kernels are normal with Scott's width for the group, but at least a fiftieth of the panel; panels show
    the cells between the 0.1th and the 99.9th percentile. A group of less than ten cells has no curve: each
    of its cells is a tick, those beyond the panel at its edge, and the legend counts them. Factors are turned
    in their ``direction``.

    Where a tenth of the cells or more share the lowest value, as those do in which a program of a
    non-negative latent is off, that value is a dotted line, the curves are of the other cells, and the area
    of a curve is their share of the group. Curves of such a factor, and of any that is not negative, begin at
    the lowest value: what kernels spread below it is reflected.

    Parameters
    ----------
    adata
        Annotated data with the latent and the table of :func:`distaff.tl.factors`.
    factors
        Names of factors, or how many of the first ranks; None for up to twelve.
    color
        Column of ``obs`` with the groups; cells without a label are left out. None for all cells as one.
    key
        Prefix of the slots.
    n_columns
        Panels side by side; None for up to four.
    ax
        Axes for one factor; None for a new figure.
    show
        Show the figure; None to do so in interactive sessions only.
    save
        File to write; without an ending both a PNG and a PDF.

    Returns
    -------
    Array (factors,) of axes.

    Raises
    ------
    KeyError
        If the table, the latent, a factor or the column is missing.
    ValueError
        If the column holds no label or too many, or ``ax`` is given for several factors.

    References
    ----------
    Svensson et al. (2020), :cite:p:`Svensson20`, figure 1c.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from distaff import pl, tl
    >>> adata = anndata.AnnData(np.ones((100, 2)))
    >>> adata.obs["condition"] = np.repeat(["ctrl", "stim"], 50)
    >>> adata.obsm["X_distaff"] = np.random.default_rng(0).normal(size=(100, 3))
    >>> tl.factors(adata)
    >>> pl.density(adata, color="condition").shape
    (3,)
    """
    check_axes(ax)
    table = read_factors(adata, key)
    names = choose(table, factors, default=DEFAULT if ax is None else 1)
    if ax is not None and len(names) > 1:
        raise error("ax must be left out for several factors", got=f"{len(names)} factors")
    codes, groups = _groups(adata, color)
    Z = factor_values(adata, key, table, names)
    listed = [] if color is None else [words for words, _ in groups]
    axes, beside = np.array([ax], dtype=object), 0
    if ax is None:
        axes, beside = _new_axes(len(names), listed, str(color), n_columns)
    for panel, name, values in zip(axes, names, Z.T, strict=True):
        _draw(panel, values, codes, groups)
        panel.set_title(wrap(name), fontsize=TEXT)
    if color is not None:
        _add_legend(axes[0], color, beside)
    # a figure that was passed in belongs to the caller, and may not be complete
    finish(axes[0].figure, show=show, save=save, own=ax is None)
    return axes


def _groups(adata: AnnData, color: str | None) -> tuple[NDArray[np.int64], list[tuple[str, Any]]]:
    """(cells,) group of each cell, -1 for none, and the words and the colour of each group."""
    if color is None:
        return np.zeros(adata.n_obs, dtype=np.int64), [("all cells", OKABE_ITO[0])]
    column = check_obs_column(adata, color, name="color")
    codes, classes = pd.factorize(column, sort=True)
    if not 1 <= len(classes) <= MAX_GROUPS:
        raise error(
            f"adata.obs[{color!r}] must hold 1 to {MAX_GROUPS} groups",
            got=len(classes),
            fix="Cut numbers into ranges first, as with pandas.cut.",
        )
    words = [_words(str(label), int(np.sum(codes == i))) for i, label in enumerate(classes)]
    return codes, list(zip(words, category_colors(column, adata.uns), strict=True))


def _words(label: str, n: int) -> str:
    """Name of a group in the legend, with its number of cells where these are few."""
    return wrap(label if n >= FEW else f"{label} ({n}\xa0{'cell' if n == 1 else 'cells'})", NAME)


def _new_axes(n: int, listed: list[str], title: str, n_columns: int | None) -> tuple[NDArray[Any], int]:
    """Panels, and the columns of the legend beside them."""
    n_columns = min(n, MAX_COLUMNS) if n_columns is None else check_int("n_columns", n_columns, minimum=1)
    n_lines = -(-n // n_columns)
    height = PANEL[1] * n_lines + 0.2
    beside, width = room_beside(listed, title, height)
    figure = new_figure(PANEL[0] * n_columns + width, height)
    axes = figure.subplots(n_lines, n_columns, squeeze=False).ravel()
    for ax in axes[n:]:
        ax.set_axis_off()
    return axes[:n], beside


def _draw(
    ax: Axes, values: NDArray[np.float64], codes: NDArray[np.int64], groups: list[tuple[str, Any]]
) -> None:
    labelled = values[codes >= 0]
    low, high = np.percentile(labelled, ENDS)
    if low == high:  # nearly all cells share one value: show the others
        low, high = labelled.min(), labelled.max()
    margin = MARGIN * (high - low) or max(0.5, MARGIN * abs(high))
    floor, bounded = _floor(labelled), _is_bounded(labelled)
    edges = np.linspace(labelled.min() if bounded else low - margin, high + margin, GRID + 1)
    if floor is not None:
        ax.axvline(floor, color="#777777", linestyle=":", linewidth=0.9)
    small = [i for i in range(len(groups)) if np.sum(codes == i) < FEW]
    for i, (words, color) in enumerate(groups):
        group = values[codes == i]
        if i in small:
            height = min(TICK, 1 / len(small)) * (small.index(i) + 0.5)
            _draw_ticks(ax, np.clip(group, edges[0], edges[-1]), height, color, words)
            continue
        above = group if floor is None else group[group > floor]
        curve = _curve(above, edges, bounded=bounded) * len(above) / len(group)
        middles = (edges[:-1] + edges[1:]) / 2
        ax.plot(middles, curve, color=color, linewidth=1.2, label=words)
        if len(groups) <= MAX_FILLED:
            ax.fill_between(middles, curve, color=color, alpha=0.15, linewidth=0)
    ax.set_ylim(bottom=0)
    ax.set_xlim(low - margin, edges[-1])
    ax.set_yticks([])
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.tick_params(axis="x", labelsize=SMALL, length=2)
    ax.spines[["top", "right", "left"]].set_visible(False)


def _draw_ticks(ax: Axes, values: NDArray[np.float64], height: float, color: Any, words: str) -> None:
    """Each cell of a small group, at this share of the height of the panel."""
    heights = np.full(len(values), height)
    ax.plot(values, heights, color=color, transform=ax.get_xaxis_transform(), label=words, **TICKS)


def _floor(values: NDArray[np.float64]) -> float | None:
    """Lowest value, if so many cells share it that kernels would make a peak of nothing else."""
    share = np.mean(values == values.min())
    return float(values.min()) if MANY <= share < 1 else None


def _is_bounded(values: NDArray[np.float64]) -> bool:
    """Whether no cell can lie below the lowest: that of a floor, or of values that are not negative."""
    low, high = values.min(), values.max()
    return bool(low < high and (low >= 0 or _floor(values) is not None))


def _curve(values: NDArray[np.float64], edges: NDArray[np.float64], *, bounded: bool) -> NDArray[np.float64]:
    """(grid,) kernel density at the middles of the bins, reflected where the first edge bounds the values.

    A histogram as fine as the grid is smoothed, which takes the same time for any number of cells.
    """
    if not len(values):
        return np.zeros(len(edges) - 1)
    step = edges[1] - edges[0]
    counts = np.histogram(values, edges)[0].astype(np.float64)
    mirrored = np.concatenate([counts[::-1] if bounded else np.zeros_like(counts), counts])
    width = values.std(ddof=1) * len(values) ** -0.2 if len(values) > 1 else 0.0  # Scott's rule
    smooth = gaussian_filter1d(mirrored, max(width / step, NARROW), mode="constant")[len(counts) :]
    return smooth / (len(values) * step)


def _add_legend(ax: Axes, title: str, beside: int) -> None:
    """Legend beside the panels, in so many columns, or in the only one."""
    if beside:
        legend_beside(ax, title, beside)
    else:
        ax.legend(title=wrap(title, NAME), fontsize=SMALL, title_fontsize=SMALL, frameon=False)
