"""Sizes of gene sets, as annotated and as the model uses them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from textalloc import allocate

from distaff._checks import check_int, check_name, error, listing
from distaff._keys import DEFAULT_KEY
from distaff.pl._factors import read_factors
from distaff.pl._figure import BACKGROUND, SEQUENTIAL, SMALL, TEXT, check_axes, finish, new_figure, shorten

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["term_sizes"]

SIZE = (4.6, 3.6)  # inches, without the names
MAX_LABEL = 58  # characters
REACH = 0.2  # share of the axes that a number may stand from its point
BELOW = -0.13  # where the names begin, below the label of the axis
LINE = 0.16  # inches of a name
KEY: dict[str, Any] = {"linestyle": "none", "markersize": 5, "markeredgewidth": 0.3}
FEW = 30  # terms up to which points are large
NUMBERS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)  # ticks
OFF = "#777777"  # terms that are off
CROSS = 2.5  # area of a cross in that of a point, below which its arms are still seen
BELOW_POINTS = 0.9  # place in the order of drawing


def term_sizes(
    adata: AnnData,
    *,
    key: str = DEFAULT_KEY,
    set_key: str = "gene_sets",
    n_terms: int = 8,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes:
    """Genes that the model uses of each gene-set term, against the genes that are annotated.

    A term on the line uses as many genes as its set has, though they need not be the same; one above it has
    taken up others. Colours are the norm of the loadings; where terms coincide, that with the largest lies on
    top. Crosses are terms that are off, numbers stand for the names below. Terms without a gene set are not
    drawn.

    Parameters
    ----------
    adata
        Annotated data with the gene sets of :func:`distaff.pp.gene_sets` and the table of
        :func:`distaff.tl.factors`, written with the loadings of the model.
    key
        Prefix of the slots.
    set_key
        Slot of ``varm`` with the gene sets that the model was trained with.
    n_terms
        Terms to name, those with the largest norm; 0 for none.
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
        If the gene sets, the table or its numbers of genes are missing.
    ValueError
        If no factor is a gene set, or the sets are not those of the factors.

    See Also
    --------
    distaff.model.AnnotatedVAE.get_terms

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> from distaff import pl, tl
    >>> adata = anndata.AnnData(np.ones((5, 4)))
    >>> adata.varm["gene_sets"] = pd.DataFrame({"T": [1, 1, 0, 0]}, index=adata.var_names)
    >>> adata.varm["distaff_loadings"] = pd.DataFrame({"T": [2.0, 0, 0, 0]}, index=adata.var_names)
    >>> adata.obsm["X_distaff"] = np.arange(5.0)[:, None]
    >>> table = pd.DataFrame({"kind": ["annotated"], "active": [True], "kl": [1.0]}, index=["T"])
    >>> adata.uns["distaff"] = {"factors": table}
    >>> tl.factors(adata)
    >>> pl.term_sizes(adata).get_xlabel()
    'genes annotated'
    """
    check_axes(ax)
    n_terms = check_int("n_terms", n_terms, minimum=0)
    table = _sizes(adata, key, set_key)
    n_terms = min(n_terms, len(table))
    own = ax is None
    ax = new_figure(SIZE[0], SIZE[1] + LINE * (n_terms + 1)).subplots() if ax is None else ax
    _draw(ax, table)
    _name(ax, table, n_terms, own=own)
    # a figure that was passed in belongs to the caller, and may not be complete
    finish(ax.figure, show=show, save=save, own=own)
    return ax


def _sizes(adata: AnnData, key: str, set_key: str) -> pd.DataFrame:
    """(terms, columns) of the gene sets: ``annotated``, ``used``, ``norm``, ``off``."""
    table = read_factors(adata, key)
    call = f"distaff.tl.factors(adata, model, key={key!r})"
    if "n_genes" not in table:
        raise error(
            f"adata.uns[{key!r}]['factors'] must hold 'n_genes'",
            got=listing(table.columns),
            fix=f"Run {call}, for a model with loadings.",
            kind=KeyError,
        )
    table = table[table["kind"] == "annotated"]
    if table.empty:
        raise error(
            f"adata.uns[{key!r}]['factors'] must hold factors of kind 'annotated'",
            got="none",
            fix="Only models that are trained with gene sets have them.",
        )
    if check_name("set_key", set_key) not in adata.varm:
        raise error(
            "set_key must name a slot of adata.varm",
            got=repr(set_key),
            fix=f"Run distaff.pp.gene_sets first; there are {listing(list(adata.varm)) or 'none'}.",
            kind=KeyError,
        )
    annotated = (adata.varm[set_key] != 0).sum(axis=0)
    return pd.DataFrame(
        {
            "annotated": _of_terms(annotated, table.index, set_key),
            "used": table["n_genes"],
            "norm": table["l2_norm"],
            "off": ~table["active"].astype(bool) | (table["n_genes"] == 0),
        }
    )


def _of_terms(annotated: pd.Series, terms: pd.Index, set_key: str) -> pd.Series:
    """Sizes by the names of the terms, or by their places where terms were renamed."""
    sets = annotated.index.astype(str)
    if terms.isin(sets).all():
        return annotated.set_axis(sets)[terms]
    in_place = len(sets) == len(terms) and all(
        term == name or term not in sets for term, name in zip(terms, sets, strict=True)
    )
    if in_place:
        return annotated.set_axis(terms)
    missing = terms[~terms.isin(sets)]
    raise error(
        f"adata.varm[{set_key!r}] must hold the gene sets of the factors",
        got=f"none for {listing(missing)}",
        fix="Pass the set_key that the model was trained with.",
    )


def _draw(ax: Axes, table: pd.DataFrame) -> None:
    """Both sizes on logarithmic axes; below one gene the vertical one is linear, for terms that are off."""
    top = float(table[["annotated", "used"]].max(axis=None))
    low = float(max(table["annotated"].min(), 1))
    ends = [low, max(top, low + 1)]
    ax.plot(ends, ends, color=BACKGROUND, linewidth=1.0, zorder=0)
    on, off = table[~table["off"]].sort_values("norm", kind="stable"), table[table["off"]]
    size = 30 if len(table) <= FEW else 14
    drawn = ax.scatter(
        on["annotated"],
        on["used"],
        c=on["norm"],
        s=size,
        cmap=SEQUENTIAL,
        vmin=0,
        linewidths=0.3,
        edgecolors="white",
    )
    ax.set_xscale("log")
    ax.set_yscale("symlog", linthresh=1.0, linscale=0.5)
    if len(off):
        ax.scatter(
            off["annotated"],
            off["used"],
            marker="x",
            s=CROSS * size,
            linewidths=0.9,
            color=OFF,
            label="switched off",
            zorder=BELOW_POINTS,
        )
    ax.set_xlim(low / 1.15, float(table["annotated"].max()) * 1.15)
    ax.set_ylim(-0.25 if len(off) or not len(on) else on["used"].min() / 1.3, max(top, 1) * 1.4)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(FixedLocator(NUMBERS))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axis.set_minor_locator(NullLocator())
    ax.set_xlabel("genes annotated", fontsize=TEXT)
    ax.set_ylabel("genes used", fontsize=TEXT)
    ax.tick_params(labelsize=SMALL, length=2)
    ax.spines[["top", "right"]].set_visible(False)
    bar = ax.figure.colorbar(drawn, ax=ax, fraction=0.046, pad=0.02, ticks=MaxNLocator(4))
    bar.set_label("norm of the loadings", fontsize=TEXT)
    bar.ax.tick_params(labelsize=SMALL, length=2)
    bar.outline.set_visible(False)


def _name(ax: Axes, table: pd.DataFrame, n: int, *, own: bool) -> None:
    """Numbers at the terms with the largest norm, and their names below: long names do not fit in between."""
    chosen = table[~table["off"]].nlargest(n, "norm")
    numbers = [str(i + 1) for i in range(len(chosen))]
    for number, name in zip(numbers, chosen.index, strict=True):
        ax.plot([], [], marker=f"${number}$", color="black", label=shorten(str(name), MAX_LABEL), **KEY)
    handles, labels = ax.get_legend_handles_labels()
    options: dict[str, Any] = {
        "fontsize": SMALL,
        "frameon": False,
        "handletextpad": 0.2,
        "labelspacing": 0.25,
    }
    if handles and own:
        ax.figure.legend(handles, labels, loc="outside lower left", **options)
    elif handles:
        ax.legend(loc="upper left", bbox_to_anchor=(-0.08, BELOW), **options)
    if numbers:
        points = chosen["annotated"].to_numpy(dtype=float), chosen["used"].to_numpy(dtype=float)
        everything = table["annotated"].to_numpy(dtype=float), table["used"].to_numpy(dtype=float)
        ax.figure.canvas.figure.draw_without_rendering()  # the layout settles what fits where
        allocate(
            ax,
            *points,
            numbers,
            x_scatter=everything[0],
            y_scatter=everything[1],
            textsize=TEXT,
            max_distance=REACH,
            linecolor="#777777",
            linewidth=0.5,
            avoid_label_lines_overlap=True,
            avoid_crossing_label_lines=True,
        )
