"""What moving each factor does to the genes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from distaff._checks import check_adata, check_int, error, listing
from distaff._keys import DEFAULT_KEY, Slots
from distaff.pl._factors import Choice, choose, known_factors
from distaff.pl._figure import DIVERGING, SMALL, TEXT, check_axes, finish, new_figure, set_names

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["traversal"]

DEFAULT = 12  # factors
CELL = (0.24, 0.135)  # inches of a factor and of a gene
THIN = 0.02  # inches of a gene without its name
MANY = 160  # genes beyond which names are left out: the figure would be higher than a page
MAX_HEIGHT = 12.0  # inches of such genes
MAX_NAMED = 60  # factors beyond which their names are left out
LETTER = 0.068  # inches of a letter
MAX_LABEL = 30  # characters
OUTER = 99  # percentile of the changes at which colours stop


def traversal(
    adata: AnnData,
    factors: Choice = None,
    *,
    key: str = DEFAULT_KEY,
    n_genes: int = 6,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes:
    """Log fold change of the genes that each factor changes most, as it moves over its range.

    Half of the genes of a factor are those that go up most, half those that go down most; each gene is drawn
    once, at the first factor that picks it, and for all factors. Factors are turned in their ``direction``.
    Colours stop at the 99th percentile of the changes drawn. Names are left out of more than 160 genes or 60
    factors.

    Parameters
    ----------
    adata
        Annotated data with the result of :func:`distaff.tl.traverse`.
    factors
        Names of factors, or how many of the first ranks; None for up to twelve.
    key
        Prefix of the slots.
    n_genes
        Genes of a factor.
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
        If the result or a factor is missing.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> from distaff import pl
    >>> adata = anndata.AnnData(np.ones((2, 30)))
    >>> changes = np.random.default_rng(0).normal(size=(30, 3))
    >>> adata.varm["distaff_traversal"] = pd.DataFrame(
    ...     changes, index=adata.var_names, columns=["Factor 1", "Factor 2", "Factor 3"]
    ... )
    >>> pl.traversal(adata, n_genes=2).images[0].get_array().shape
    (5, 3)
    """
    check_axes(ax)
    n_genes = check_int("n_genes", n_genes, minimum=1)
    changes = _read(adata, key)
    known = known_factors(adata, key, list(changes), own=True)
    names = choose(known, factors, default=DEFAULT)
    changes = changes[names] * known.loc[names, "direction"] + 0.0  # no -0.0
    genes = list(dict.fromkeys(gene for name in names for gene in _strongest(changes[name], n_genes)))
    shown = changes.iloc[genes]
    own = ax is None
    labels, collection = set_names(names, MAX_LABEL) if len(names) <= MAX_NAMED else ([], "")
    if ax is None:
        beside = 0.2 + LETTER * max(len(str(gene)) for gene in shown.index)
        below = LETTER * max(map(len, labels), default=0) + 0.3
        width = CELL[0] * len(names) if labels else THIN * len(names)
        height = max(len(shown) * (CELL[1] if len(shown) <= MANY else THIN), 1.0)
        ax = new_figure(width + beside + 1.1, min(height, MAX_HEIGHT) + below).subplots()
    _draw(ax, shown, labels)
    many = f"{len(names)} factors" if not labels else ""
    ax.set_xlabel(f"factor ({collection})" if collection else many, fontsize=TEXT)
    # a figure that was passed in belongs to the caller, and may not be complete
    finish(ax.figure, show=show, save=save, own=own)
    return ax


def _read(adata: AnnData, key: str) -> pd.DataFrame:
    check_adata(adata)
    slot = Slots(key).traversal
    if slot not in adata.varm:
        raise error(
            f"adata.varm must hold the traversal {slot!r}",
            got=listing(list(adata.varm)) or "nothing",
            fix=f"Run distaff.tl.traverse(adata, model, key={key!r}) first.",
            kind=KeyError,
        )
    return adata.varm[slot].rename(columns=str)


def _strongest(column: pd.Series, n: int) -> list[int]:
    """Places of the genes that go up most and of those that go down most, the largest change first."""
    values = column.to_numpy()
    order = np.argsort(-values, kind="stable")
    up = [int(i) for i in order[: n - n // 2] if values[i] > 0]
    down = [int(i) for i in order[::-1][: n // 2][::-1] if values[i] < 0]
    return up + down


def _draw(ax: Axes, shown: pd.DataFrame, labels: list[str]) -> None:
    limit = float(np.percentile(shown.abs(), OUTER)) if shown.size else 1.0
    limit = limit or float(shown.abs().max(axis=None)) or 1.0
    image = ax.imshow(shown, cmap=DIVERGING, vmin=-limit, vmax=limit, aspect="auto", interpolation="none")
    ax.set_xticks(range(len(labels)), labels, rotation=90, fontsize=SMALL)  # none of many
    if len(shown) <= MANY:
        ax.set_yticks(range(len(shown)), [str(gene) for gene in shown.index], fontsize=SMALL - 0.5)
    else:
        ax.set_yticks([])
        ax.set_ylabel(f"{len(shown):,} genes", fontsize=TEXT)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.05, pad=0.03, aspect=12, shrink=0.5, anchor=(0, 1))
    bar.locator = MaxNLocator(4, symmetric=True)
    bar.update_ticks()
    bar.set_label("log fold change", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL, length=2)
    bar.outline.set_visible(False)
