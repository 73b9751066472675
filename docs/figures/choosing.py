"""The figure "Which model do I want?": questions on the left, models on the right.

``python docs/figures/choosing.py`` writes choosing.png beside itself.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

HERE = Path(__file__).parent
# question, model, what is read of it
ROWS = [
    (
        "Do you bring gene sets\nwhose activity you want?",
        "AnnotatedVAE",
        "one factor a gene set:\nwhich are on, which genes joined",
    ),
    (
        "Shall programs add up, each\na list of genes that are on?",
        "ProgramVAE",
        "loadings that are never\nnegative: start here",
    ),
    (
        "Shall a factor raise genes and\nlower others, or cells be mixtures?",
        "LinearVAE",
        "loadings of both signs;\nlogistic normal: shares",
    ),
    (
        "Shall each cell use\nfew dimensions only?",
        "SparseVAE",
        "which dimensions are on\nin which cell",
    ),
    (
        "Does reconstruction count\nmore than loadings?",
        "BetaVAE",
        "axes as independent as a\nweighted KL makes them",
    ),
    ("None of these", "FactorVAE", "your own combination,\nor parts of your own"),
]
QUESTION, MODEL, LINE = "#eef2f7", "#1f5fa8", "#6b7785"
WIDTH, X_MODEL = 3.7, 4.7
STEP, HEIGHT = 1.25, 0.86


def box(ax: Axes, x: float, y: float, width: float, text: str, *, strong: bool) -> None:
    """Rounded box with its text, left edge at x, middle at y."""
    style, fill = "round,pad=0.02,rounding_size=0.12", MODEL if strong else QUESTION
    ax.add_patch(FancyBboxPatch((x, y - HEIGHT / 2), width, HEIGHT, boxstyle=style, fc=fill, ec="none"))
    look = {"color": "white", "weight": "bold"} if strong else {"color": "black"}
    ax.text(x + width / 2, y, text, ha="center", va="center", fontsize=11, **look)


def arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], label: str) -> None:
    """Arrow with its answer above or beside it."""
    look = {"arrowstyle": "-|>", "color": LINE, "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=look)
    x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    if start[1] == end[1]:
        ax.text(x, y + 0.1, label, color=LINE, fontsize=10, ha="center", va="bottom")
    else:
        ax.text(x + 0.1, y, label, color=LINE, fontsize=10, ha="left", va="center")


def main() -> None:
    """Draw."""
    fig, ax = plt.subplots(figsize=(9.4, 6.6))
    for i, (question, model, what) in enumerate(ROWS):
        y, is_last = -i * STEP, i == len(ROWS) - 1
        box(ax, 0.0, y, WIDTH, question, strong=False)
        box(ax, X_MODEL, y, 1.9, model, strong=True)
        ax.text(X_MODEL + 2.2, y, what, va="center", fontsize=10.5)
        arrow(ax, (WIDTH + 0.04, y), (X_MODEL - 0.04, y), "" if is_last else "yes")
        if not is_last:
            arrow(ax, (WIDTH / 2, y - HEIGHT / 2 - 0.03), (WIDTH / 2, y - STEP + HEIGHT / 2 + 0.03), "no")
    ax.set(xlim=(-0.1, 9.9), ylim=((1 - len(ROWS)) * STEP - 0.6, 0.6))
    ax.axis("off")
    fig.savefig(HERE / "choosing.png", dpi=150, bbox_inches="tight")


if __name__ == "__main__":
    main()
