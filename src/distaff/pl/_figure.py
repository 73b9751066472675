"""What all figures share: layout, colours that colour-blind readers can tell apart, showing and saving."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from distaff._atomic import write_whole
from distaff._checks import check_flag, check_path, error

__all__ = [
    "BACKGROUND",
    "DIVERGING",
    "HIGHLIGHT",
    "MISSING",
    "OKABE_ITO",
    "SEQUENTIAL",
    "SIGNED",
    "SMALL",
    "TEXT",
    "check_axes",
    "finish",
    "literal",
    "new_figure",
    "p_text",
    "point_size",
    "scatter",
    "set_names",
    "settle",
    "short_names",
    "shorten",
    "wrap",
]

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442", "#000000")
HIGHLIGHT = "#D55E00"
BACKGROUND = "#CCCCCC"
MISSING = "#EFEFEF"  # cells without a label
SEQUENTIAL = "viridis"
DIVERGING = "PuOr_r"  # tells signs apart also for colour-blind readers
ENDS = mpl.colormaps[DIVERGING]([0.0, 0.15, 0.3, 0.7, 0.85, 1.0])
SIGNED = LinearSegmentedColormap.from_list(  # the same for cells: white ones would not be seen
    "signed", [*ENDS[:3], "#D8D8D8", *ENDS[3:]]
)
TEXT = 9.0  # points
SMALL = 7.5
FORMATS = (".png", ".pdf")  # for a file name without an ending: one to look at, one to print
BREAK = "\0"  # marks a place to break a name, such as that of a gene set, where no space is
SIZE_3D = 0.6  # of the area of a cell in the plane, since a box is drawn smaller
ELEVATION, AZIMUTH = 22.0, -55.0  # degrees, from where a box is seen
BOX_ZOOM = 1.15  # of a box, which leaves room for ticks that there are none of
SETTLING = 3  # layouts until what is beside and below panels of fixed shape has found its place
RESOLUTION = 200  # dots an inch, of raster files and of rasterised points


def check_axes(ax: Any) -> None:
    """Check that one can draw on ``ax``, or that it is None."""
    if ax is not None and not isinstance(ax, Axes):
        raise error("ax must be axes of matplotlib", got=type(ax).__name__, kind=TypeError)


def new_figure(width: float, height: float) -> Figure:
    """Empty figure of this size in inches that keeps its parts from overlapping."""
    return plt.figure(figsize=(width, height), layout="constrained")


def finish(
    figure: Figure | SubFigure, *, show: bool | None, save: str | Path | None, own: bool = True
) -> None:
    """Save and show as asked; by default a figure of our ``own`` is shown, in interactive sessions only."""
    if show is not None:
        check_flag("show", show)
    if save is not None:
        path = check_path("save", save)
        paths = [path] if path.suffix else [path.with_suffix(suffix) for suffix in FORMATS]
        drawn = {target: _drawn(figure, target.suffix[1:]) for target in paths}
        for target, data in drawn.items():
            write_whole(target, data)
    if show or (show is None and own and mpl.is_interactive()):
        plt.show()


def _drawn(figure: Figure | SubFigure, form: str) -> bytes:
    """Figure as a file has it: matplotlib opens the file first, and a figure that fails would empty it."""
    data = BytesIO()
    figure.canvas.figure.savefig(data, format=form, dpi=RESOLUTION)
    return data.getvalue()


def settle(figure: Figure | SubFigure) -> None:
    """Lay a figure out until it stays: a single layout would cut off what is below square panels."""
    for _ in range(SETTLING):
        figure.canvas.figure.draw_without_rendering()


def point_size(n_cells: int) -> float:
    """Area in square points that fills an embedding of so many cells without smearing it."""
    return float(np.clip(12_000 / n_cells, 0.8, 16.0))


def scatter(ax: Axes, points: NDArray[Any], *, size: float, **colors: Any) -> PathCollection:
    """Cells on an embedding of two or three dimensions, as pixels also in vector files.

    ``colors`` go to :meth:`Axes.scatter`; three dimensions need axes of that projection.
    """
    if points.shape[1] == 3:
        return _scatter_3d(ax, points, size=size, **colors)
    drawn = ax.scatter(points[:, 0], points[:, 1], s=size, linewidths=0, rasterized=True, **colors)
    ax.set(xticks=[], yticks=[], box_aspect=1)
    ax.spines[:].set_color("#AAAAAA")
    return drawn


def _scatter_3d(ax: Any, points: NDArray[Any], *, size: float, **colors: Any) -> PathCollection:
    """The same in a box; colours stay as they are, since a shade for depth would change their meaning."""
    drawn = ax.scatter(*points.T, s=SIZE_3D * size, linewidths=0, depthshade=False, rasterized=True, **colors)
    ax.computed_zorder = False  # what is drawn later lies on top, as in the plane
    ax.view_init(elev=ELEVATION, azim=AZIMUTH)
    ax.set_box_aspect((1, 1, 1), zoom=BOX_ZOOM)
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_ticks([])
        axis.set_pane_color("white")  # grey would hide cells without a label
        axis.pane.set_edgecolor("#DDDDDD")
        axis.line.set_color("#AAAAAA")
    return drawn


def literal(text: str) -> str:
    """Text that matplotlib draws as it is: a pair of dollar signs would make a formula of what is between."""
    return re.sub(r"(?<!\\)\$", r"\\$", text)


def wrap(text: str, width: int = 24) -> str:
    """Break ``text`` after words or "_" into at most three lines, and end a longer one by an ellipsis."""
    lines = textwrap.wrap(text.replace("_", f"_{BREAK} "), width, max_lines=3, placeholder=" …")
    return literal("\n".join(lines).replace(f"{BREAK} ", "").replace(BREAK, "") or text)


def shorten(text: str, length: int) -> str:
    """Cut ``text`` to so many characters, the last an ellipsis."""
    return literal(text if len(text) <= length else text[: length - 1] + "…")


def short_names(names: Sequence[str], length: int) -> list[str]:
    """Names of at most so many characters, more where they would read the same.

    A long one loses its middle, which an ellipsis marks: names of gene sets begin and end alike.
    """
    texts = [str(name) for name in names]
    sizes = dict.fromkeys(texts, length)
    while True:
        short = {text: _without_middle(text, size) for text, size in sizes.items()}
        counts = Counter(short.values())
        same = [text for text, brief in short.items() if counts[brief] > 1 and brief != text]
        if not same:
            return [literal(short[text]) for text in texts]
        sizes |= {text: sizes[text] + 1 for text in same}


def set_names(names: Sequence[str], length: int) -> tuple[list[str], str]:
    """Short names without the beginning that all share up to a "_", and what it is: a collection, mostly."""
    texts = [str(name) for name in names]
    start = texts[0].partition("_")[0] + "_" if texts else "_"
    shared = len(texts) > 1 and all(text.startswith(start) and len(text) > len(start) for text in texts)
    short = short_names([text.removeprefix(start) if shared else text for text in texts], length)
    return short, start[:-1] if shared else ""


def p_text(value: float) -> str:
    """A p- or q-value as short as can be: "0.012", "3e-7"; a dash where there is none."""
    if not np.isfinite(value):
        return "-"
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}".replace("e-0", "e-")


def _without_middle(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    tail = (length - 1) // 3
    return f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}"
