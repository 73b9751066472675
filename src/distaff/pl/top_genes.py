"""The genes with the largest loadings of each factor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from distaff._checks import check_int, error
from distaff._keys import DEFAULT_KEY
from distaff.pl._factors import Choice, centered, choose, read_factors, read_loadings
from distaff.pl._figure import BACKGROUND, OKABE_ITO, SMALL, TEXT, check_axes, finish, new_figure, wrap

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["top_genes"]

DEFAULT = 12  # factors
LINE = 0.155  # inches of a gene
PANEL = 1.9  # inches
MAX_COLUMNS = 4
POSITIVE, NEGATIVE = OKABE_ITO[0], OKABE_ITO[3]


def top_genes(
    adata: AnnData,
    factors: Choice = None,
    *,
    key: str = DEFAULT_KEY,
    n_genes: int = 10,
    n_columns: int | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> NDArray[Any]:
    """Genes with the largest loadings of each factor, as bars.

    Factors are turned in their ``direction``. Where loadings have a sign, half of the genes are from either
    side, and dense columns are centred over genes first. Bars are drawn for loadings that are not 0.

    Parameters
    ----------
    adata
        Annotated data with the table of :func:`distaff.tl.factors` and the loadings of
        :func:`distaff.tl.loadings`.
    factors
        Names of factors, or how many of the first ranks; None for up to twelve.
    key
        Prefix of the slots.
    n_genes
        Genes of a factor.
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
        If the table, the loadings or a factor is missing.
    ValueError
        If ``ax`` is given for several factors.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from distaff import pl, tl
    >>> rng = np.random.default_rng(0)
    >>> adata = anndata.AnnData(rng.normal(size=(100, 20)))
    >>> adata.obsm["X_pca"] = rng.normal(size=(100, 3))
    >>> adata.varm["pca_loadings"] = rng.normal(size=(20, 3))
    >>> tl.factors(adata, key="pca")
    >>> pl.top_genes(adata, 2, key="pca").shape
    (2,)
    """
    check_axes(ax)
    n_genes = check_int("n_genes", n_genes, minimum=1)
    table = read_factors(adata, key)
    L = centered(read_loadings(adata, key, table))
    signed = bool((L < 0).any(axis=None))
    names = choose(table, factors, default=DEFAULT if ax is None else 1)
    if ax is not None and len(names) > 1:
        raise error("ax must be left out for several factors", got=f"{len(names)} factors")
    shown = [_largest(L[name], n_genes, signed=signed) for name in names]
    axes = np.array([ax], dtype=object) if ax is not None else _new_axes(shown, n_columns)
    for panel, name, values in zip(axes, names, shown, strict=True):
        _draw(panel, values, max(len(column) for column in shown))
        panel.set_title(wrap(name), fontsize=TEXT)
    # a figure that was passed in belongs to the caller, and may not be complete
    finish(axes[0].figure, show=show, save=save, own=ax is None)
    return axes


def _largest(column: pd.Series, n: int, *, signed: bool) -> pd.Series:
    """Up to ``n`` genes, largest loading first; half of them below 0 if ``signed``, as far as there are."""
    ordered = column[column != 0].sort_values(ascending=False, kind="stable")
    above, below = ordered[ordered > 0], ordered[ordered < 0]
    n_below = min(len(below), max(n // 2, n - len(above))) if signed else 0
    return pd.concat([above[: n - n_below], below[len(below) - n_below :]])


def _new_axes(shown: list[pd.Series], n_columns: int | None) -> NDArray[Any]:
    default = min(len(shown), MAX_COLUMNS)
    n_columns = default if n_columns is None else check_int("n_columns", n_columns, minimum=1)
    n_lines = -(-len(shown) // n_columns)
    letters = max((len(str(gene)) for column in shown for gene in column.index), default=0)
    width = PANEL + 0.07 * min(letters, 24)
    height = LINE * max(3, *(len(column) for column in shown)) + 0.75
    figure = new_figure(width * n_columns, height * n_lines)
    axes = figure.subplots(n_lines, n_columns, squeeze=False).ravel()
    for ax in axes[len(shown) :]:
        ax.set_axis_off()
    axes[0].set_xlabel("loading", fontsize=SMALL)
    return axes[: len(shown)]


def _draw(ax: Axes, values: pd.Series, n_lines: int) -> None:
    """Bars with the first gene on top; bars are as thick in all panels."""
    colors = [POSITIVE if value > 0 else NEGATIVE for value in values]
    ax.barh(range(len(values)), values, color=colors, height=0.72)
    ax.axvline(0.0, color=BACKGROUND, linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(values)), [str(gene) for gene in values.index], fontsize=SMALL)
    ax.set_ylim(max(n_lines, 1) - 0.5, -0.5)
    if values.empty:
        ax.text(0.5, 0.5, "no loadings", transform=ax.transAxes, ha="center", fontsize=SMALL)
    ax.xaxis.set_major_locator(MaxNLocator(3))
    ax.tick_params(axis="x", labelsize=SMALL, length=2)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
