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
from distaff.pl._factors import Choice, choose, factor_values, read_factors
from distaff.pl._figure import SMALL, TEXT, category_colors, check_axes, finish, new_figure, wrap

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
NARROW = 15.0  # points of a curve, above such a value, where a group may have a single cell
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

    Kernels are normal with Scott's width for the group; panels show the cells between the 0.1th and the
    99.9th percentile. Factors are turned in their ``direction``. Where a tenth of the cells or more share the
    lowest value, as those do in which a program of a non-negative latent is off, that value is a dotted line,
    the curves are of the other cells, and the area of a curve is their share of the group.

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
    codes, classes = _groups(adata, color)
    Z = factor_values(adata, key, table, names)
    axes = np.array([ax], dtype=object) if ax is not None else _new_axes(len(names), len(classes), n_columns)
    for panel, name, values in zip(axes, names, Z.T, strict=True):
        _draw(panel, values, codes, classes)
        panel.set_title(wrap(name), fontsize=TEXT)
    if color is not None:
        _add_legend(axes, color, own=ax is None)
    # a figure that was passed in belongs to the caller, and may not be complete
    finish(axes[0].figure, show=show, save=save, own=ax is None)
    return axes


def _groups(adata: AnnData, color: str | None) -> tuple[NDArray[np.int64], list[str]]:
    """(cells,) group of each cell, -1 for none, and the names of the groups."""
    if color is None:
        return np.zeros(adata.n_obs, dtype=np.int64), ["all cells"]
    codes, classes = pd.factorize(check_obs_column(adata, color, name="color"), sort=True)
    if not 1 <= len(classes) <= MAX_GROUPS:
        raise error(
            f"adata.obs[{color!r}] must hold 1 to {MAX_GROUPS} groups",
            got=len(classes),
            fix="Cut numbers into ranges first, as with pandas.cut.",
        )
    return codes, [str(label) for label in classes]


def _new_axes(n: int, n_groups: int, n_columns: int | None) -> NDArray[Any]:
    n_columns = min(n, MAX_COLUMNS) if n_columns is None else check_int("n_columns", n_columns, minimum=1)
    n_lines = -(-n // n_columns)
    beside = 0.0 if n_groups == 1 else 1.5 * _legend_columns(n_groups, n_lines)
    figure = new_figure(PANEL[0] * n_columns + beside, PANEL[1] * n_lines + 0.2)
    axes = figure.subplots(n_lines, n_columns, squeeze=False).ravel()
    for ax in axes[n:]:
        ax.set_axis_off()
    return axes[:n]


def _legend_columns(n_groups: int, n_lines: int) -> int:
    """As many as groups need beside so many lines of panels."""
    return -(-n_groups // (8 * n_lines))


def _draw(ax: Axes, values: NDArray[np.float64], codes: NDArray[np.int64], classes: list[str]) -> None:
    low, high = np.percentile(values[codes >= 0], ENDS)
    if low == high:  # nearly all cells share one value: show the others
        low, high = values[codes >= 0].min(), values[codes >= 0].max()
    margin = MARGIN * (high - low) or max(0.5, MARGIN * abs(high))
    edges = np.linspace(low - margin, high + margin, GRID + 1)
    floor = _floor(values[codes >= 0])
    if floor is not None:
        ax.axvline(floor, color="#777777", linestyle=":", linewidth=0.9)
    for i, (label, color) in enumerate(zip(classes, category_colors(len(classes)), strict=True)):
        group = values[codes == i]
        above = group if floor is None else group[group > floor]
        curve = _curve(above, edges, 1.0 if floor is None else NARROW) * len(above) / len(group)
        middles = (edges[:-1] + edges[1:]) / 2
        ax.plot(middles, curve, color=color, linewidth=1.2, label=wrap(label, 18))
        if len(classes) <= MAX_FILLED:
            ax.fill_between(middles, curve, color=color, alpha=0.15, linewidth=0)
    ax.set_ylim(bottom=0)
    ax.set_xlim(edges[0], edges[-1])
    ax.set_yticks([])
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.tick_params(axis="x", labelsize=SMALL, length=2)
    ax.spines[["top", "right", "left"]].set_visible(False)


def _floor(values: NDArray[np.float64]) -> float | None:
    """Lowest value, if so many cells share it that kernels would make a peak of nothing else."""
    share = np.mean(values == values.min())
    return float(values.min()) if MANY <= share < 1 else None


def _curve(values: NDArray[np.float64], edges: NDArray[np.float64], narrowest: float) -> NDArray[np.float64]:
    """(grid,) kernel density at the middles of the bins, with kernels at least so many bins wide.

    A histogram as fine as the grid is smoothed, which takes the same time for any number of cells.
    """
    if not len(values):
        return np.zeros(len(edges) - 1)
    step = edges[1] - edges[0]
    counts, _ = np.histogram(values, edges)
    width = values.std(ddof=1) * len(values) ** -0.2 if len(values) > 1 else 0.0  # Scott's rule
    smooth = gaussian_filter1d(counts.astype(np.float64), max(width / step, narrowest), mode="constant")
    return smooth / (len(values) * step)


def _add_legend(axes: NDArray[Any], title: str, *, own: bool) -> None:
    handles, labels = axes[0].get_legend_handles_labels()
    options = {"title": wrap(title, 18), "fontsize": SMALL, "title_fontsize": SMALL, "frameon": False}
    if own:
        n_lines = axes[0].get_gridspec().nrows
        columns = _legend_columns(len(labels), n_lines)
        axes[0].figure.legend(handles, labels, loc="outside right upper", ncols=columns, **options)
    else:
        axes[0].legend(handles, labels, **options)
