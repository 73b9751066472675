"""Training curves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from distaff._checks import error, listing
from distaff._keys import DEFAULT_KEY, Slots
from distaff.pl._figure import OKABE_ITO, SEQUENTIAL, SMALL, TEXT, finish, new_figure
from distaff.pl._read import read_entry

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["history"]

PANEL = (3.1, 2.6)  # inches
MAX_PANELS_A_LINE = 3
START = 0.05  # share of the epochs whose values may leave the panel at the top: the first ones dwarf the rest

# title, unit, and names of the curves of training and of validation; the first that is there is drawn
PANELS: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "loss",
        "nats a cell",
        ("train_loss", "train_loss_epoch", "elbo_train"),
        ("validation_loss", "elbo_validation"),
    ),
    (
        "reconstruction",
        "nats a cell",
        ("reconstruction_train", "reconstruction_loss_train"),
        ("reconstruction_validation", "reconstruction_loss_validation"),
    ),
    ("KL", "nats a cell", ("kl_train", "kl_local_train"), ("kl_validation", "kl_local_validation")),
    ("active units", "dimensions", ("active_units_train",), ("active_units_validation",)),
)
PER_DIMENSION = "KL of each dimension"


def history(
    adata: AnnData, *, key: str = DEFAULT_KEY, show: bool | None = None, save: str | Path | None = None
) -> NDArray[Any]:
    """Loss, reconstruction, KL, KL of each dimension, and active units over training.

    Each panel is drawn if its curve is there. The first 5 % of the epochs may leave a panel at the top.

    Parameters
    ----------
    adata
        Annotated data with ``uns["{key}"]["history"]``, and ``["kl_per_dimension"]`` for the panel of that
        name, as :func:`distaff.tl.latent` writes them.
    key
        Prefix of the slots.
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
        If the history is missing.
    ValueError
        If it holds none of the curves.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> from distaff import pl
    >>> adata = anndata.AnnData(obs=pd.DataFrame(index=["cell"]))
    >>> curves = pd.DataFrame({"train_loss": [3.0, 2.0, 1.5], "active_units_train": [9, 5, 4]})
    >>> adata.uns["distaff"] = {"history": curves}
    >>> [ax.get_title() for ax in pl.history(adata)]
    ['loss', 'active units']
    """
    call = f"distaff.tl.latent(adata, model, key={key!r})"
    curves = read_entry(adata, key, Slots.history, call)
    per_dimension = adata.uns[Slots(key).uns].get(Slots.kl_per_dimension)
    panels = _available(curves)
    if per_dimension is not None and not per_dimension.empty:
        panels.insert(_place_of_dimensions(panels), PER_DIMENSION)
    if not panels:
        raise error("The history must hold a training curve", got=listing(curves.columns) or "no column")
    n_columns = min(len(panels), MAX_PANELS_A_LINE)
    n_lines = -(-len(panels) // n_columns)
    figure = new_figure(PANEL[0] * n_columns, PANEL[1] * n_lines)
    grid = figure.subplots(n_lines, n_columns, squeeze=False).ravel()
    for ax, panel in zip(grid, panels, strict=False):
        if panel == PER_DIMENSION:
            _draw_dimensions(ax, per_dimension)
        else:
            _draw_curves(ax, curves, panel)
    for ax in grid[len(panels) :]:
        ax.set_axis_off()
    finish(figure, show=show, save=save)
    return grid[: len(panels)]


def _find(curves: pd.DataFrame, names: tuple[str, ...]) -> pd.Series | None:
    """First of the curves that is there and holds a value, without the epochs where it was not computed."""
    for name in names:
        if name in curves and curves[name].notna().any():
            return curves[name].dropna().astype(float)
    return None


def _available(curves: pd.DataFrame) -> list[str]:
    return [
        title
        for title, _, train, validation in PANELS
        if _find(curves, train) is not None or _find(curves, validation) is not None
    ]


def _place_of_dimensions(panels: list[str]) -> int:
    """After the KL, before the active units."""
    return panels.index("active units") if "active units" in panels else len(panels)


def _draw_curves(ax: Axes, curves: pd.DataFrame, title: str) -> None:
    _, unit, train, validation = next(panel for panel in PANELS if panel[0] == title)
    drawn = []
    for label, names, color in (("training", train, OKABE_ITO[0]), ("validation", validation, OKABE_ITO[3])):
        curve = _find(curves, names)
        if curve is None:
            continue
        epochs = _epochs(curve)
        marker = "o" if len(curve) == 1 else None  # a line of one point would be invisible
        ax.plot(epochs, curve, color=color, label=label, linewidth=1.4, marker=marker, markersize=3)
        drawn.append((epochs, curve.to_numpy()))
    if len(drawn) > 1:
        ax.legend(fontsize=SMALL, frameon=False)
    if title == "active units":
        ax.set_ylim(0, max(1.05 * max(values.max() for _, values in drawn), 1))
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        _leave_out_start(ax, drawn, len(curves))
    _decorate(ax, title, unit)


def _draw_dimensions(ax: Axes, table: pd.DataFrame) -> None:
    """One thin line a dimension, coloured by the rank of its last value."""
    table = table.dropna(how="all").astype(float)
    ranks = table.iloc[-1].rank(method="first").to_numpy() - 1
    colors = mpl.colormaps[SEQUENTIAL](0.9 * (1 - ranks / max(len(ranks) - 1, 1)))
    epochs = _epochs(table)
    for i, color in enumerate(colors):
        ax.plot(
            epochs,
            table.iloc[:, i],
            color=color,
            linewidth=0.7,
            marker="o" if len(table) == 1 else None,
            markersize=2,
        )
    _leave_out_start(ax, [(epochs, table.max(axis=1).to_numpy())], len(table))
    ax.set_ylim(bottom=0)
    _decorate(ax, PER_DIMENSION, "nats a cell")


def _epochs(curve: pd.Series | pd.DataFrame) -> NDArray[Any]:
    """Epochs from the index; files may have turned them into text."""
    return pd.to_numeric(curve.index.to_series()).to_numpy()


def _leave_out_start(ax: Axes, drawn: list[tuple[NDArray[Any], NDArray[Any]]], n_epochs: int) -> None:
    """Scale the panel by the epochs after the start."""
    skip = int(np.ceil(START * n_epochs)) if n_epochs >= 1 / START else 0
    later = np.concatenate([values[epochs >= epochs.min() + skip] for epochs, values in drawn])
    if skip and len(later):
        low, high = min(float(values.min()) for _, values in drawn), float(later.max())
        margin = 0.05 * (high - low) or 0.05 * abs(high) or 0.05
        ax.set_ylim(low - margin, high + margin)


def _decorate(ax: Axes, title: str, unit: str) -> None:
    ax.set_title(title, fontsize=TEXT + 1)
    ax.set_xlabel("epoch", fontsize=TEXT)
    low, high = ax.get_xlim()
    if high - low < 1:  # a single epoch
        ax.set_xlim((low + high) / 2 - 1, (low + high) / 2 + 1)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.set_ylabel(unit, fontsize=TEXT)
    ax.tick_params(labelsize=SMALL)
    ax.spines[["top", "right"]].set_visible(False)
