"""Tables, and a figure, from the results of single runs."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from data_sets import SETS
from measures import COUNTED
from methods import METHODS
from other_variants import OTHERS
from ranks import mean_ranks, value_table
from variants import ALL

__all__ = ["write"]

KNOWN = METHODS | ALL | OTHERS
HEADLINE = {"lms": "LMS", "mig": "MIG", "dci": "DCI"}
HEADINGS = {
    "report": "Data that no default was chosen by",
    "strangers": "Simulations written when all methods and defaults stood",
    "tune": "Data that defaults were chosen by",
}
OURS, PEER = "#c2410c", "#64748b"
Records = list[Mapping[str, Any]]


def write(folder: Path, records: Records, command: str) -> None:
    """Write ``peers.json``, ``peers.md`` and figures; one part for each side of the split."""
    names = {r["data"] for r in records}
    parts, data = [f"`{command}`, Python {platform.python_version()}\n"], {}
    for side in HEADINGS:
        wanted = [name for name in SETS if name in names and SETS[name].side == side]
        own = [r for r in records if r["data"] in wanted]
        if not own:
            continue
        ranked = [r for r in own if not KNOWN[r["method"]].guided]
        ranks, headline = mean_ranks(ranked, COUNTED), mean_ranks(ranked, HEADLINE)
        parts += [f"### {HEADINGS[side]}\n", rank_table(ranks, headline), scores_table(own), costs_table(own)]
        data[side] = {"ranks": summary(ranks).to_dict("index"), "records": own}
        figure(ranks, folder / ("peers.png" if side == "report" else f"peers_{side}.png"))
    parts += _absent(records)
    (folder / "peers.md").write_text("\n".join(parts), encoding="utf-8")
    (folder / "peers.json").write_text(json.dumps(data, indent=1), encoding="utf-8")


def _absent(records: Records) -> list[str]:
    """One line for each method that could not run everywhere, with the reason."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for r in records:
        if "absent" in r:
            reasons.setdefault((r["method"], r["absent"]), []).append(r["data"])
    return [f"{m} is absent on {', '.join(dict.fromkeys(d))}: {why}.\n" for (m, why), d in reasons.items()]


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Methods and data sets in the order in which they are listed."""
    return table.reindex([m for m in KNOWN if m in table.index])[[name for name in SETS if name in table]]


def summary(ranks: pd.DataFrame) -> pd.DataFrame:
    """Mean rank over data sets, its spread over runs, and the means of simulations and of real data."""
    by_set = _ordered(ranks.T.groupby(level="data").mean().T)
    real = [name for name in by_set if SETS[name].real]
    simulated = [name for name in by_set if name not in real]
    table = pd.DataFrame({"all": by_set.mean(axis=1), "sd over runs": ranks.std(axis=1)})
    if real and simulated:
        table = table.assign(simulated=by_set[simulated].mean(axis=1), real=by_set[real].mean(axis=1))
    return pd.concat([table, by_set], axis=1).sort_values("all")


def rank_table(ranks: pd.DataFrame, headline: pd.DataFrame) -> str:
    """Mean ranks, best first, the last column by the headline scores alone; ours in bold."""
    table = summary(ranks)
    table[" / ".join(HEADLINE.values())] = summary(headline)["all"]
    seeds = sorted({f"{seed}" for _, seed in ranks.columns})
    note = (
        f"Mean rank over {len(COUNTED)} scores (1 is the best of {len(ranks)}), seeds {', '.join(seeds)}.\n"
    )
    return note + "\n" + _markdown(table, 2)


def scores_table(records: Records) -> str:
    """LMS, MIG and DCI disentanglement by data set."""
    tables = {label: _ordered(value_table(records, name)) for name, label in HEADLINE.items()}
    text = pd.DataFrame(
        {
            data: [
                " / ".join(map(_two, row)) for row in zip(*(t[data] for t in tables.values()), strict=True)
            ]
            for data in tables["LMS"]
        },
        index=tables["LMS"].index,
    )
    return "LMS / MIG / DCI disentanglement.\n\n" + _markdown(text, 2)


def costs_table(records: Records) -> str:
    """Held-out log-likelihood by data set, seconds and megabytes."""
    likelihood = _ordered(value_table(records, "log_likelihood")).dropna(how="all")
    seconds = value_table(records, "seconds").mean(axis=1)
    memory = value_table(records, "megabytes").mean(axis=1)
    table = likelihood.assign(**{"seconds": seconds, "MB": memory})
    rest = [name for name in KNOWN if name in seconds.index and name not in table.index]
    table = pd.concat([table, pd.DataFrame({"seconds": seconds[rest], "MB": memory[rest]})])
    note = (
        "Log-likelihood of held-out cells, nats a cell, higher is better; seconds and memory of the fit.\n\n"
    )
    return note + _markdown(table, 1)


def figure(ranks: pd.DataFrame, path: Path) -> None:
    """Mean rank of each method: a dot a data set, a bar for their mean."""
    table = summary(ranks)
    by_set = table[[name for name in table if name in SETS]]
    fig, ax = plt.subplots(figsize=(7.5, 0.34 * len(table) + 1.2), layout="constrained")
    for y, name in enumerate(table.index[::-1]):
        colour = OURS if KNOWN[name].ours else PEER
        for data, rank in by_set.loc[name].items():
            ax.plot(rank, y, "s" if SETS[data].real else "o", color=colour, alpha=0.55, ms=5, mew=0)
        ax.plot([table.loc[name, "all"]] * 2, [y - 0.35, y + 0.35], color=colour, lw=3)
    ax.set_yticks(range(len(table)), table.index[::-1])
    ax.set_xlabel("mean rank over scores (circles: simulations; squares: real data; bars: mean)")
    for label in ax.get_yticklabels():
        label.set_color(OURS if KNOWN[label.get_text()].ours else "black")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="x", alpha=0.3)
    fig.savefig(path, dpi=150)
    plt.close(fig)


def _markdown(table: pd.DataFrame, digits: int) -> str:
    lines = ["| | " + " | ".join(map(str, table.columns)) + " |", "|---" * (table.shape[1] + 1) + "|"]
    for name, row in table.iterrows():
        label = f"**{name}**" if name in KNOWN and KNOWN[name].ours else str(name)
        lines.append(f"| {label} | " + " | ".join(_cell(value, digits) for value in row) + " |")
    return "\n".join(lines) + "\n"


def _cell(value: Any, digits: int) -> str:
    if isinstance(value, str):
        return value.strip(" /")
    return "" if pd.isna(value) else f"{value:.{digits}f}"


def _two(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.2f}".removeprefix("0")
