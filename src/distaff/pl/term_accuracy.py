"""How well each single term tells classes apart, for several models beside each other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator
from numpy.typing import NDArray

from distaff._checks import check_int, error, listing, name_list
from distaff._keys import DEFAULT_KEY, Slots
from distaff.pl._figure import (
    BACKGROUND,
    OKABE_ITO,
    SMALL,
    TEXT,
    check_axes,
    finish,
    new_figure,
    shorten,
    wrap,
)
from distaff.pl._read import Scored, read_scores

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["term_accuracy"]

METRIC = "single_dimension_accuracy"
CHANCE = 0.5
LINE = 0.2  # inches of a term
NARROW = 0.13  # the same, with many terms
MANY = 60  # terms
WIDTH = 2.0  # inches of a panel without its names
LETTER = 0.068  # inches of a letter
MAX_LABEL = 44  # characters
MAX_COLUMNS = 2  # names take half of the width
SPREAD = 0.5  # share of the line of a term that its symbols take
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
GENERIC = re.compile(r"(Factor|Dense|Sparse) \d+")  # names that say nothing, and mean another in each model


def term_accuracy(
    adata: AnnData,
    labels: str | Sequence[str],
    *,
    keys: Mapping[str, str] | Sequence[str] = (DEFAULT_KEY,),
    terms: int | Sequence[str] = 15,
    n_columns: int | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> NDArray[Any]:
    """Accuracy of each single term for a class, for several models beside each other.

    Accuracies are those of :func:`distaff.metrics.single_dimension_accuracy`: of each dimension alone, with
    classes balanced, on cells held out. The dashed line is chance; the best of hundreds of terms lies above
    it by chance, too. A term has one row for all models that know it by this name; "Factor 1", "Dense 1" and
    "Sparse 1" are other ones in each model and have a row of their own. Open symbols are terms that the model
    does not use.

    Parameters
    ----------
    adata
        Annotated data with the scores of :func:`distaff.tl.disentanglement` under each key.
    labels
        Rows of the scores, such as ``"condition"`` or ``"cell_type: B"``, one panel each; a column of ``obs``
        with more than two classes stands for all of them.
    keys
        Keys of the models, or a mapping from the key to the name to show.
    terms
        How many terms to draw in each panel, those that are best in any model, or names of terms.
    n_columns
        Panels side by side; None for up to two.
    ax
        Axes for one panel; None for a new figure.
    show
        Show the figure; None to do so in interactive sessions only.
    save
        File to write; without an ending both a PNG and a PDF.

    Returns
    -------
    Array (panels,) of axes.

    Raises
    ------
    KeyError
        If scores, a label or a term are missing.
    ValueError
        If the accuracy was not computed, there are more than eight keys, or ``ax`` is given for several
        panels.

    References
    ----------
    Rybakov et al. (2020), :cite:p:`Rybakov20`, figure 2.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from distaff import pl, tl
    >>> adata = anndata.AnnData(obs={"condition": np.repeat(["ctrl", "stim"], 50)})
    >>> for key in ("one", "two"):
    ...     adata.obsm[f"X_{key}"] = np.random.default_rng(0).normal(size=(100, 3))
    ...     tl.disentanglement(adata, "condition", key=key, metrics="single_dimension_accuracy")
    >>> [text.get_text() for text in pl.term_accuracy(adata, "condition", keys=["one"])[0].get_yticklabels()]
    ['Factor 3', 'Factor 2', 'Factor 1']
    """
    check_axes(ax)
    names = _names(keys)
    scored = {key: read_scores(adata, key, METRIC) for key in names}
    rows = _rows(scored, labels)
    if ax is not None and len(rows) != 1:
        raise error("labels must stand for one class if ax is given", got=f"{len(rows)}: {listing(rows)}")
    tables = [_table(scored, names, row, terms) for row in rows]
    used = _used(adata, scored, names)
    axes = np.array([ax], dtype=object) if ax is not None else _new_axes(tables, n_columns)
    for panel, row, table in zip(axes, rows, tables, strict=True):
        _draw(panel, table, used)
        panel.set_title(wrap(row), fontsize=TEXT + 1)
    if len(names) > 1:
        _add_legend(axes, own=ax is None)
    # a figure that was passed in belongs to the caller, and may not be complete
    finish(axes[0].figure, show=show, save=save, own=ax is None)
    return axes


def _names(keys: Mapping[str, str] | Sequence[str]) -> dict[str, str]:
    """Name to show of each key."""
    if isinstance(keys, str):
        keys = [keys]
    if not isinstance(keys, Mapping | Sequence):
        raise error("keys must be a list of keys, or map them to names", got=repr(keys), kind=TypeError)
    names = dict(keys) if isinstance(keys, Mapping) else {key: key for key in name_list("keys", keys)}
    if not 1 <= len(names) <= len(MARKERS):
        raise error(f"keys must name one to {len(MARKERS)} models", got=len(names))
    if len(set(names.values())) < len(names):
        raise error("keys must map to names that differ", got=listing(list(names.values())))
    return names


def _rows(scored: Mapping[str, Scored], labels: str | Sequence[str]) -> list[str]:
    """Rows of the scores that all models have."""
    wanted = name_list("labels", labels)
    chosen = {key: scores.choose(wanted) for key, scores in scored.items()}
    first, *others = chosen.values()
    for key, rows in zip(list(chosen)[1:], others, strict=True):
        if rows != first:
            raise error(
                f"labels must stand for the same classes under all keys, {listing(first)}",
                got=f"{listing(rows)} under {key!r}",
            )
    if not first:
        raise error("labels must name at least one class", got="none")
    return first


def _row_name(term: str, name: str, *, several: bool) -> str:
    return f"{term} ({name})" if several and GENERIC.fullmatch(term) else term


def _table(
    scored: Mapping[str, Scored], names: Mapping[str, str], row: str, terms: int | Sequence[str]
) -> pd.DataFrame:
    """(terms, models) accuracies, best first; NaN where a model does not have the term."""
    columns = {}
    for key, scores in scored.items():
        index = [_row_name(str(term), names[key], several=len(names) > 1) for term in scores.matrix.index]
        columns[names[key]] = pd.Series(scores.matrix[row].to_numpy(dtype=float), index=index)
    table = pd.DataFrame(columns)
    order = table.max(axis=1).sort_values(ascending=False, kind="stable").index
    table = table.loc[order]
    if isinstance(terms, Sequence) and not isinstance(terms, str):
        unknown = [term for term in terms if term not in table.index]
        if unknown or not len(terms):
            raise error(
                "terms must name dimensions of a model",
                got=listing(unknown) or "none",
                fix=f"There are {listing(table.index)}.",
                kind=KeyError,
            )
        return table.loc[list(dict.fromkeys(terms))]
    return table.iloc[: check_int("terms", terms, minimum=1)]


def _used(adata: AnnData, scored: Mapping[str, Scored], names: Mapping[str, str]) -> set[tuple[str, str]]:
    """Models with the terms that they use, as far as their tables tell."""
    used = set()
    for key, scores in scored.items():
        stored = adata.uns[Slots(key).uns].get(Slots.factors)
        known = isinstance(stored, pd.DataFrame) and "active" in stored
        off = set(stored.index[~stored["active"].astype(bool)].astype(str)) if known else set()
        rows = [str(term) for term in scores.matrix.index if str(term) not in off]
        used |= {(names[key], _row_name(term, names[key], several=len(names) > 1)) for term in rows}
    return used


def _new_axes(tables: Sequence[pd.DataFrame], n_columns: int | None) -> NDArray[Any]:
    n = len(tables)
    default = min(n, MAX_COLUMNS)
    n_columns = min(default if n_columns is None else check_int("n_columns", n_columns, minimum=1), n)
    n_lines = -(-n // n_columns)
    longest = max(min(len(name), MAX_LABEL) for table in tables for name in table.index)
    most = max(map(len, tables))
    height = most * (LINE if most <= MANY else NARROW) + 0.9
    figure = new_figure((WIDTH + LETTER * longest + 0.3) * n_columns, height * n_lines + 0.3)
    axes = figure.subplots(n_lines, n_columns, squeeze=False).ravel()
    for ax in axes[n:]:
        ax.set_axis_off()
    return axes[:n]


def _draw(ax: Axes, table: pd.DataFrame, used: set[tuple[str, str]]) -> None:
    """One line a term from its worst to its best model, with a symbol a model."""
    places = np.arange(len(table))
    small = len(table) > MANY
    ax.hlines(places, table.min(axis=1), table.max(axis=1), color=BACKGROUND, linewidth=1.0, zorder=1)
    ax.axvline(CHANCE, color="#777777", linewidth=0.8, linestyle="--", zorder=0)
    for i, name in enumerate(table):
        color = OKABE_ITO[i]
        faces = [color if (name, term) in used else "white" for term in table.index]
        options: dict[str, Any] = {"s": 14 if small else 26, "marker": MARKERS[i], "edgecolors": color}
        aside = SPREAD * ((i + 0.5) / table.shape[1] - 0.5)  # symbols of equal models would hide each other
        ax.scatter(table[name], places + aside, c=faces, linewidths=0.8, zorder=2 + i, **options)
        ax.scatter([], [], color=color, label=name, **{**options, "edgecolors": color})
    ax.set_yticks(
        places, [shorten(name, MAX_LABEL) for name in table.index], fontsize=SMALL - 1.5 if small else SMALL
    )
    ax.set_ylim(len(table) - 0.4, -0.6)
    low = min(float(np.nanmin(table.to_numpy())), CHANCE)
    ax.set_xlim(low - 0.03, 1.02)
    ax.xaxis.set_major_locator(MultipleLocator(0.1))
    ax.set_xlabel("accuracy", fontsize=TEXT)
    ax.tick_params(axis="x", labelsize=SMALL, length=2)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)


def _add_legend(axes: NDArray[Any], *, own: bool) -> None:
    """Above all panels, or in the axes of the caller."""
    handles, labels = axes[0].get_legend_handles_labels()
    options: dict[str, Any] = {"fontsize": SMALL, "frameon": False, "handletextpad": 0.1}
    if own:
        axes[0].figure.legend(
            handles, labels, loc="outside upper center", ncols=min(len(labels), 4), **options
        )
    else:
        axes[0].legend(handles, labels, loc="lower right", **options)
