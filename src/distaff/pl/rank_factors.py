"""Factors that differ between groups: effects with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from distaff._checks import check_flag, check_int, error, listing
from distaff._keys import DEFAULT_KEY, Slots
from distaff.pl._factors import known_factors
from distaff.pl._figure import (
    BACKGROUND,
    OKABE_ITO,
    SMALL,
    TEXT,
    check_axes,
    finish,
    new_figure,
    p_text,
    set_names,
    wrap,
)
from distaff.pl._read import read_entry
from distaff.pl._volcano import volcano

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["rank_factors"]

MAX_COLUMNS = 3
LINE = 0.19  # inches of a factor
MARKS = 1.7  # inches of the effects
COLUMNS = 1.15  # inches of the q-value and the Bayes factor
LETTER = 0.07  # inches of a letter
MAX_LABEL = 40  # characters
SQUARE = (2.9, 3.0)  # inches of a compact panel
LIST = 0.6  # inches of numbers beside it
GAP = 0.12  # inches around a panel
HEAD = 0.95  # inches of title and label of the axis
LEVEL = 0.05  # q-value below which a factor counts as different
POSITIVE, NEGATIVE = OKABE_ITO[0], OKABE_ITO[3]
GREY = "#8C8C8C"  # of factors that are not


def rank_factors(
    adata: AnnData,
    *,
    key: str = DEFAULT_KEY,
    groups: str | Sequence[str] | None = None,
    n_factors: int | None = None,
    compact: bool = False,
    n_columns: int | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> NDArray[Any]:
    """Effect of each group on the factors with its interval, q-values and Bayes factors, a panel a group.

    The factors of the smallest p-values are drawn, the largest effect on top: filled where q < 0.05, with the
    95 % interval of the effect, and in figures q and the logarithm of the Bayes factor in nats. Factors are
    turned in their ``direction`` where the table is of the latent of ``key``.

    A compact panel shows all factors: the effect to the right, q upwards, the Bayes factor as size. Numbers
    lead to the names of those with the smallest p-values below q = 0.05.

    Parameters
    ----------
    adata
        Annotated data with the table of :func:`distaff.tl.rank_factors`.
    key
        Prefix of the slots.
    groups
        Groups to draw; None for all that were compared.
    n_factors
        Factors of a panel, in a compact panel those with names; None for up to 20, in a compact one 10.
    compact
        Draw all factors of a group in one plane.
    n_columns
        Panels side by side; None for up to three.
    ax
        Axes for one group; None for a new figure.
    show
        Show the figure; None to do so in interactive sessions only.
    save
        File to write; without an ending both a PNG and a PDF.

    Returns
    -------
    Array (groups,) of axes.

    Raises
    ------
    KeyError
        If the table or a group is missing.
    ValueError
        If no factor was tested, or ``ax`` is given for several groups.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from distaff import pl, tl
    >>> adata = anndata.AnnData(obs={"condition": np.tile(["control", "treated"], 60)})
    >>> adata.obsm["X_distaff"] = np.random.default_rng(0).normal(size=(120, 3))
    >>> adata.obsm["X_distaff"][1::2, 1] += 2
    >>> tl.rank_factors(adata, "condition", reference="control")
    >>> ax = pl.rank_factors(adata)[0]
    >>> ax.get_yticklabels()[0].get_text()
    'Factor 2'
    """
    check_axes(ax)
    check_flag("compact", compact)
    n = (10 if compact else 20) if n_factors is None else check_int("n_factors", n_factors, minimum=1)
    call = f"distaff.tl.rank_factors(adata, groupby, key={key!r})"
    entry = read_entry(adata, key, Slots.rank_factors, call)
    table = _turned(adata, key, entry)
    names = _choose(table, groups)
    if ax is not None and len(names) > 1:
        raise error("ax must be left out for several groups", got=f"{len(names)} groups")
    parts = [table[table["group"] == name] for name in names]
    if not compact:
        parts = [_first(part, n) for part in parts]
    axes = np.array([ax], dtype=object) if ax is not None else _new_axes(parts, n_columns, compact=compact)
    for panel, name, part in zip(axes, names, parts, strict=True):
        if compact:
            volcano(panel, part, n, colors=(POSITIVE, NEGATIVE, GREY), level=LEVEL)
        else:
            _draw(panel, part, max(map(len, parts)))
        panel.set_title(f"{wrap(name)}\n{_replicates(entry['groups'].loc[name])}", fontsize=TEXT)
        panel.set_xlabel(f"effect (SD) against {_against(entry['params'])}", fontsize=TEXT)
    # a figure that was passed in belongs to the caller, and may not be complete
    finish(axes[0].figure, show=show, save=save, own=ax is None)
    return axes


def _turned(adata: AnnData, key: str, entry: Any) -> pd.DataFrame:
    """Rows with a result, each in the direction of its factor."""
    table = entry["table"].astype({"group": str, "factor": str})
    own = entry["params"]["use_rep"] == Slots(key).latent
    known = known_factors(adata, key, list(table["factor"].unique()), own=own)
    sign = known["direction"].reindex(table["factor"]).to_numpy()
    ends = [table[end] * sign for end in ("lower", "upper")]
    turned = table.assign(
        effect=table["effect"] * sign,
        lower=np.minimum(*ends),
        upper=np.maximum(*ends),
        log_bayes_factor=table["log_bayes_factor"] * sign,
    )
    turned = turned[turned["log_bayes_factor"].notna()]
    if turned.empty:
        raise error("A factor must have been tested", got="none", fix="Are all factors inactive?")
    return turned


def _choose(table: pd.DataFrame, groups: str | Sequence[str] | None) -> list[str]:
    if not isinstance(groups, str | Sequence | None):
        raise error("groups must be a name or a list of names", got=repr(groups), kind=TypeError)
    known = list(table["group"].unique())
    names = known if groups is None else [groups] if isinstance(groups, str) else [str(g) for g in groups]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        got = listing(unknown) or "none"
        fix = f"There are {listing(known)}."
        raise error("groups must name groups that were compared", got=got, fix=fix, kind=KeyError)
    return list(dict.fromkeys(names))


def _first(part: pd.DataFrame, n: int) -> pd.DataFrame:
    """The ``n`` factors of the smallest p-values, largest effect first; by Bayes factor without a test."""
    part = part.assign(size=-part["log_bayes_factor"].abs())
    part = part.sort_values(["p_value", "size"], kind="stable", na_position="last").head(n)
    return part.sort_values(["effect", "log_bayes_factor"], ascending=False, na_position="last")


def _new_axes(parts: list[pd.DataFrame], n_columns: int | None, *, compact: bool) -> NDArray[Any]:
    default = min(len(parts), MAX_COLUMNS)
    n_columns = default if n_columns is None else check_int("n_columns", n_columns, minimum=1)
    n_columns = min(n_columns, len(parts))
    n_lines = -(-len(parts) // n_columns)
    labels = max(
        (set_names(list(part["factor"]), MAX_LABEL)[0] for part in parts),
        key=lambda names: max(map(len, names)),
    )
    letters = LETTER * max(map(len, labels))
    width, height = MARKS + COLUMNS + letters, LINE * (max(map(len, parts)) + 1) + HEAD
    if compact:
        width, height = SQUARE[0] + letters + LIST, SQUARE[1]
    figure = new_figure(width * n_columns, height * n_lines)
    figure.set_layout_engine("constrained", w_pad=GAP)
    axes = figure.subplots(n_lines, n_columns, squeeze=False).ravel()
    for ax in axes[len(parts) :]:
        ax.set_axis_off()
    return axes[: len(parts)]


def _draw(ax: Axes, part: pd.DataFrame, n_lines: int) -> None:
    """Effects and intervals, the numbers to their right."""
    lines = np.arange(len(part))
    found = (part["q_value"] < LEVEL).to_numpy()
    colors = np.where(found, np.where(part["effect"] > 0, POSITIVE, NEGATIVE), GREY)
    ax.axvline(0.0, color=BACKGROUND, linewidth=0.8, zorder=0)
    ax.hlines(lines, part["lower"], part["upper"], colors=list(colors), linewidth=1.3)
    ax.scatter(
        part["effect"],
        lines,
        s=24,
        c=np.where(found, colors, "white"),
        edgecolors=list(colors),
        linewidths=1.2,
        zorder=3,
    )
    labels, collection = set_names(list(part["factor"]), MAX_LABEL)
    ax.set_yticks(lines, labels, fontsize=SMALL)
    ax.set_ylabel(f"factor ({collection})" if collection else "", fontsize=TEXT)
    ax.set_ylim(max(n_lines, 1) - 0.4, -0.6)
    if part["effect"].isna().all():
        ax.text(0.5, 0.5, "no test", transform=ax.transAxes, ha="center", fontsize=SMALL, color=GREY)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.tick_params(axis="x", labelsize=SMALL, length=2)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    _write(ax, part, found)


def _write(ax: Axes, part: pd.DataFrame, found: NDArray[np.bool_]) -> None:
    """Columns of numbers beside the panel, in bold where q is small."""
    options: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    options |= {"ha": "right", "va": "center", "fontsize": SMALL, "annotation_clip": False}
    columns = {
        "q": map(p_text, part["q_value"]),
        "log BF": (f"{b + 0.0:+.1f}" for b in part["log_bayes_factor"].round(1)),
    }
    for (title, texts), x in zip(columns.items(), (34, 70), strict=True):
        ax.annotate(title, (1.0, -0.9), (x, 0), **options)
        for line, text in enumerate(texts):
            weight = "bold" if found[line] and title == "q" else "normal"
            ax.annotate(text, (1.0, line), (x, 0), **options, fontweight=weight)


def _replicates(group: pd.Series) -> str:
    """What was compared by which test."""
    counts = [f"{int(group[name]):,}" for name in ("n_samples", "n_samples_reference")]
    if int(group["n_samples"]) == 0:
        return " vs ".join(f"{int(group[name]):,}" for name in ("n_cells", "n_cells_reference")) + " cells"
    return f"{counts[0]} pairs of samples" if group["test"] == "paired" else f"{' vs '.join(counts)} samples"


def _against(params: Any) -> str:
    return "the rest" if params["reference"] == "rest" else wrap(str(params["reference"]), 18)
