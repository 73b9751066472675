"""Correlations of the factors over cells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from distaff._checks import check_flag
from distaff._keys import DEFAULT_KEY
from distaff.pl._factors import Choice, choose, factor_values, read_factors
from distaff.pl._figure import DIVERGING, MISSING, SMALL, check_axes, finish, new_figure, set_names

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["correlation"]

CELL = 0.27  # inches
NARROW = 0.15  # the same, with many factors
THIN = 0.03  # the same, without names
MANY = 15  # factors from which numbers are left out
MAX_NAMED = 100  # factors beyond which names are left out: no page would show them
BAR = 15  # factors that the colour key is as high as
LETTER = 0.07  # inches of a letter
MAX_LABEL = 30  # characters
CONSTANT = 1e-12  # share of the largest variance below which a factor counts as constant


def correlation(
    adata: AnnData,
    factors: Choice = None,
    *,
    key: str = DEFAULT_KEY,
    cluster: bool = True,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes:
    """Pearson correlations of the factors over cells, each turned in its ``direction``.

    Names are left out of more than 100 factors.

    Parameters
    ----------
    adata
        Annotated data with the latent and the table of :func:`distaff.tl.factors`.
    factors
        Names of factors, or how many of the first ranks; None for all active ones. A factor that does not
        vary is grey.
    key
        Prefix of the slots.
    cluster
        Put factors that are alike side by side (average linkage, absolute correlation), else as they rank or
        were named.
    ax
        Axes to draw on; None for a new figure.
    show
        Show the figure; None to do so in interactive sessions only.
    save
        File to write; without an ending both a PNG and a PDF.

    Returns
    -------
    Axes.

    Raises
    ------
    KeyError
        If the table, the latent or a factor is missing.

    See Also
    --------
    distaff.metrics.factor_correlation

    References
    ----------
    Svensson et al. (2020), :cite:p:`Svensson20`, figure S3.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from distaff import pl, tl
    >>> adata = anndata.AnnData(np.ones((100, 2)))
    >>> adata.obsm["X_pca"] = np.random.default_rng(0).normal(size=(100, 3))
    >>> tl.factors(adata, key="pca")
    >>> pl.correlation(adata, key="pca").images[0].get_array().shape
    (3, 3)
    """
    check_axes(ax)
    check_flag("cluster", cluster)
    table = read_factors(adata, key)
    names = choose(table, factors, default=len(table))
    R = _correlations(factor_values(adata, key, table, names))
    if cluster and len(names) > 2:
        order = _similar_together(R)
        R, names = R[np.ix_(order, order)], [names[i] for i in order]
    labels, collection = set_names(names, MAX_LABEL) if len(names) <= MAX_NAMED else ([], "")
    own = ax is None
    if ax is None:
        cell = CELL if len(names) < MANY else NARROW if len(names) <= MAX_NAMED else THIN
        side = max(1.6, len(names) * cell)
        beside = LETTER * max(map(len, labels), default=0) + (0.2 if collection or not labels else 0.0)
        ax = new_figure(1.12 * side + beside + 1.0, side + beside + 0.4).subplots()
    _draw(ax, R, labels)
    title = f"factor ({collection})" if collection else "" if labels else f"{len(R)} factors"
    ax.set_xlabel(title, fontsize=SMALL)
    # a figure that was passed in belongs to the caller, and may not be complete
    finish(ax.figure, show=show, save=save, own=own)
    return ax


def _correlations(Z: NDArray[np.float64]) -> NDArray[np.float64]:
    """(factors, factors), NaN where one does not vary."""
    centred = Z - Z.mean(axis=0)
    sd = np.sqrt((centred**2).mean(axis=0))
    sd[sd**2 <= CONSTANT * (sd**2).max(initial=0.0)] = np.nan
    R = np.clip((centred / sd).T @ (centred / sd) / len(Z), -1.0, 1.0)
    np.fill_diagonal(R, np.where(np.isnan(sd), np.nan, 1.0))
    return R


def _similar_together(R: NDArray[np.float64]) -> NDArray[np.int64]:
    distance = 1.0 - np.abs(np.nan_to_num(R))  # a factor that does not vary is like none
    np.fill_diagonal(distance, 0.0)
    return leaves_list(linkage(squareform(distance, checks=False), "average", optimal_ordering=True))


def _draw(ax: Axes, R: NDArray[np.float64], labels: list[str]) -> None:
    colors = mpl.colormaps[DIVERGING].with_extremes(bad=MISSING)
    image = ax.imshow(R, cmap=colors, vmin=-1, vmax=1, interpolation="none")
    if len(R) < MANY:
        for (i, j), value in np.ndenumerate(R):
            if i != j and np.isfinite(value):
                text = f"{value:.1f}".replace("-0.0", "0.0").replace("0.", ".")
                color = "white" if abs(value) > 0.6 else "black"
                ax.text(j, i, text, ha="center", va="center", fontsize=SMALL - 1, color=color)
    if labels:
        ax.set_xticks(range(len(R)), labels, rotation=90, fontsize=SMALL)
        ax.set_yticks(range(len(R)), labels, fontsize=SMALL)
    else:
        ax.set(xticks=[], yticks=[])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = ax.figure.colorbar(
        image,
        ax=ax,
        fraction=0.05,
        pad=0.03,
        shrink=min(1.0, BAR / (len(R) if labels else len(R) * THIN / NARROW)),
        ticks=[-1, 0, 1],
    )
    bar.set_label("correlation", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL, length=2)
    bar.outline.set_visible(False)
