"""Table and figure of the speed benchmark, from its measured rows."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from _timing import markdown
from matplotlib.figure import Figure

__all__ = ["table", "write"]

COLUMNS = ["what", "setting", "unit", "distaff", "other", "", "times", "-ELBO, nats: distaff", "other"]
OURS, PEER = "#0072B2", "#D55E00"  # Okabe and Ito


def lines(row: dict[str, Any]) -> Iterable[list[object]]:
    """Lines of a measured row: one a peer; figures of distaff alone have no peer."""
    values, losses = row["values"], row["losses"]
    head = [row["what"], row["setting"], row["unit"]]
    name, *others = values
    if row["what"].startswith(("exponent", "first")):
        yield from (
            [*head[:1], f"{head[1]}; {key}", head[2], value, *[None] * 5] for key, value in values.items()
        )
        return
    if not others:
        yield [*head, values[name], None, "no peer installed", None, None, None]
    for other in others:
        ratio = values[other] / values[name]
        yield [*head, values[name], values[other], other, ratio, losses.get(name), losses.get(other)]


def table(rows: list[dict[str, Any]]) -> str:
    """All rows as Markdown."""
    return markdown(COLUMNS, (line for row in rows for line in lines(row)))


def write(folder: Path, rows: list[dict[str, Any]], versions: dict[str, str | None], command: str) -> None:
    """Write speed.json, speed.md and speed.png."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {"command": command, "machine": machine(), "versions": versions, "rows": rows}
    (folder / "speed.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    have = ", ".join(f"{name} {v or 'not installed'}" for name, v in versions.items())
    text = f"`{command}` on {machine()}; {have}.\n\n{table(rows)}"
    (folder / "speed.md").write_text(text, encoding="utf-8")
    draw(rows, folder / "speed.png")


def machine() -> str:
    """Processor, as the system names it."""
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if "model name" in line] if info.exists() else []
    return names[0].split(":")[1].strip() if names else platform.processor() or platform.machine()


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw how many times faster, and seconds against cells."""
    compared = [(row, line) for row in rows for line in lines(row) if line[6] is not None]
    curves = [row for row in rows if row["what"] == "exponent in cells"]
    heights = [0.24 * len(compared) + 0.8, 3.0] if curves else [0.24 * len(compared) + 0.8]
    figure = Figure(figsize=(7.4, sum(heights)), layout="constrained")
    parts = np.atleast_1d(figure.subfigures(len(heights), 1, height_ratios=heights))
    bars(parts[0].subplots(), [line for _, line in compared])
    if curves:
        scaling(parts[1].subplots(), curves[0])
    figure.savefig(path, dpi=140, metadata={"Software": None})


def bars(ax: Any, compared: list[list[Any]]) -> None:
    """Ratios, on a logarithmic scale."""
    places = range(len(compared))
    ax.barh(places, [line[6] for line in compared], color=OURS, height=0.7)
    for place, line in zip(places, compared, strict=True):
        times = f"{line[6]:,.0f}" if line[6] >= 100 else f"{line[6]:.1f}"
        ax.text(line[6] * 1.05, place, times, va="center", fontsize=7)
    labels = [f"{line[5]}, {line[0]}: {short(line[1])}" for line in compared]
    ax.set_yticks(list(places), labels, fontsize=7)
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.grid(visible=False)  # packages that are imported switch it on
    ax.axvline(1, color="0.5", lw=1)
    ax.margins(x=0.15)
    ax.set_xlabel("time or memory of the package named / of distaff", fontsize=8)
    ax.tick_params(axis="x", labelsize=7)
    ax.spines[["top", "right"]].set_visible(False)


def short(setting: str) -> str:
    """A setting without what all rows share."""
    words = setting.replace(", threads 1", "").replace(" not zero", "").split(", ")
    return ", ".join(word for word in words if not word.endswith("%"))


def scaling(ax: Any, row: dict[str, Any]) -> None:
    """Seconds against cells."""
    for name, y in row["points"].items():
        colour = OURS if name.startswith("LinearVAE") else PEER
        style = "o-" if "epoch" in name else "s--"
        ax.plot(row["sizes"], y, style, ms=4, color=colour, label=f"{name}: cells^{row['values'][name]:.2f}")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks(row["sizes"], [f"{size:,}" for size in row["sizes"]])
    ax.minorticks_off()
    ax.grid(visible=False)
    ax.set_xlabel("cells", fontsize=8)
    ax.set_ylabel("seconds", fontsize=8)
    ax.tick_params(labelsize=7)
    ax.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    ax.spines[["top", "right"]].set_visible(False)
