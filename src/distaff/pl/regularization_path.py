"""What the strength of the group lasso costs and switches off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from distaff._checks import error, listing
from distaff.pl._figure import BACKGROUND, HIGHLIGHT, OKABE_ITO, SMALL, TEXT, finish, new_figure

__all__ = ["regularization_path"]

PANEL = (4.2, 1.9)  # inches
COLUMNS = ("difference", "difference_error", "active_terms", "selected")
STRENGTH = "lambda_group"
MIN_GAP = 0.07  # share of the axis between two ticks with a number
CLOSE = 6.0  # standard errors above the best beyond which the axis is logarithmic
CALL = "model.select_lambda_group()"


def regularization_path(
    path: pd.DataFrame, *, show: bool | None = None, save: str | Path | None = None
) -> NDArray[Any]:
    """Held-out likelihood and number of active terms against the strength of the group lasso.

    Above, what each strength loses on held-out cells to the best one: the difference of the negative ELBO of
    its refit, paired by cell, with one standard error. Selected is the largest strength whose loss is within
    its error. Below, the gene sets that are left. The vertical line is the selected strength.

    Parameters
    ----------
    path
        Table of :meth:`distaff.model.AnnotatedVAE.select_lambda_group`, also as read back from a file:
        ``lambda_group`` as index or column, ``difference``, ``difference_error``, ``active_terms`` and
        ``selected``.
    show
        Show the figure; None to do so in interactive sessions only.
    save
        File to write; without an ending both a PNG and a PDF.

    Returns
    -------
    Array (2,) of axes: likelihood, active terms.

    Raises
    ------
    KeyError
        If a column is missing.
    TypeError
        If ``path`` is no DataFrame.
    ValueError
        If there are fewer than two strengths, one is below 0, or not exactly one is selected.

    Examples
    --------
    >>> import pandas as pd
    >>> from distaff import pl
    >>> path = pd.DataFrame(
    ...     {
    ...         "difference": [0.3, 0.0, 2.0],
    ...         "difference_error": [0.2, 0.0, 0.4],
    ...         "active_terms": [40, 25, 3],
    ...         "selected": [False, True, False],
    ...     },
    ...     index=pd.Index([0.0, 1.0, 10.0], name="lambda_group"),
    ... )
    >>> [ax.get_ylabel().replace(chr(10), " ") for ax in pl.regularization_path(path)]
    ['held-out loss (nats a cell)', 'active terms']
    """
    table = _check(path)
    figure = new_figure(PANEL[0], 2 * PANEL[1])
    axes = figure.subplots(2, 1, sharex=True)
    places = _places(table.index.to_numpy(dtype=float))
    selected = table["selected"].to_numpy()
    _draw_loss(axes[0], places, table, selected)
    axes[1].plot(places, table["active_terms"], "o-", color=OKABE_ITO[0], markersize=4, linewidth=1.1)
    axes[1].plot(places[selected], table["active_terms"][selected], "o", color=HIGHLIGHT, markersize=6)
    axes[1].set_ylim(0, 1.08 * max(table["active_terms"].max(), 1))
    axes[1].yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes[1].set_ylabel("active terms", fontsize=TEXT)
    axes[1].set_xlabel(r"strength of the group lasso, $\lambda_\mathrm{group}$", fontsize=TEXT)
    for ax in axes:
        ax.axvline(places[selected][0], color=HIGHLIGHT, linewidth=0.9, linestyle="--", zorder=0)
        ax.tick_params(labelsize=SMALL, length=2)
        ax.spines[["top", "right"]].set_visible(False)
    _set_ticks(axes[1], places, table.index.to_numpy(dtype=float), int(selected.argmax()))
    chosen = table.index[selected][0]
    axes[0].set_title(
        f"selected {chosen:.3g}: {int(table['active_terms'][selected].iloc[0])} active terms", fontsize=TEXT
    )
    finish(figure, show=show, save=save)
    return axes


def _check(path: pd.DataFrame) -> pd.DataFrame:
    """Rows by strength, which is the index."""
    if not isinstance(path, pd.DataFrame):
        got = type(path).__name__
        raise error("path must be a DataFrame", got=got, fix=f"Pass the table of {CALL}.", kind=TypeError)
    table = path.set_index(STRENGTH) if STRENGTH in path else path
    missing = [name for name in COLUMNS if name not in table]
    if missing or table.index.name != STRENGTH:
        raise error(
            f"path must have the columns {listing((STRENGTH, *COLUMNS))}",
            got=listing(path.columns) or "none",
            fix=f"Pass the table of {CALL}.",
            kind=KeyError,
        )
    table = table.sort_index()
    if len(table) < 2 or table.index[0] < 0 or table.index.has_duplicates:
        raise error("path must hold two different strengths >= 0 or more", got=listing(table.index))
    if table["selected"].sum() != 1:
        raise error("path must have one strength that is selected", got=int(table["selected"].sum()))
    return table.assign(selected=table["selected"].astype(bool))


def _places(strengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Decimal logarithms; 0 stands as far below the smallest as the strengths are apart, at least 0.5."""
    with np.errstate(divide="ignore"):
        places = np.log10(strengths)
    if strengths[0] == 0:
        steps = np.diff(places[1:])
        places[0] = places[1] - max(float(np.median(steps)) if len(steps) else 1.0, 0.5)
    return places


def _set_ticks(ax: Axes, places: NDArray[np.float64], strengths: NDArray[np.float64], selected: int) -> None:
    """Strengths as numbers, those that do not touch the selected one or each other."""
    span = float(np.ptp(places)) or 1.0
    shown = [selected]
    for i in range(len(places)):
        if all(abs(places[i] - places[j]) > 1.6 * MIN_GAP * span for j in shown):
            shown.append(i)
    ax.xaxis.set_major_locator(FixedLocator(places[sorted(shown)].tolist()))
    ax.set_xticklabels([f"{strengths[i]:.2g}" for i in sorted(shown)])
    ax.xaxis.set_minor_locator(NullLocator())


def _draw_loss(
    ax: Axes, places: NDArray[np.float64], table: pd.DataFrame, selected: NDArray[np.bool_]
) -> None:
    """Loss with its error, on a scale that shows near ties beside strengths that break the model."""
    loss, wrong = table["difference"], table["difference_error"]
    ax.axhline(0.0, color=BACKGROUND, linewidth=0.8, zorder=0)
    options: dict[str, Any] = {"markersize": 4, "elinewidth": 1.1, "capsize": 2, "linewidth": 1.1}
    ax.errorbar(places, loss, yerr=wrong, fmt="o-", color=OKABE_ITO[0], **options)
    ax.plot(places[selected], loss[selected], "o", color=HIGHLIGHT, markersize=6, zorder=4)
    error_size = float(wrong[wrong > 0].median()) if (wrong > 0).any() else 0.0
    if error_size and loss.max() > CLOSE**2 * error_size:
        ax.set_yscale("symlog", linthresh=CLOSE * error_size)
        ax.yaxis.set_minor_locator(NullLocator())
    else:
        ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set_ylabel("held-out loss\n(nats a cell)", fontsize=TEXT)
