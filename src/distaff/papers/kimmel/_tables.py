"""Tables of the study: claims, settings, and the scores that the claims come from."""

from __future__ import annotations

import pandas as pd

from distaff.papers._table import Table, claims_table
from distaff.papers._trials import Outcome
from distaff.papers.kimmel._claims import claims
from distaff.papers.kimmel._runs import by_program, by_type, compared, runs
from distaff.papers.kimmel._work import BLOOD, N_HIDDEN, N_LATENT, SIMULATION

__all__ = ["tables"]

NAMES = {
    "n_active": "active dimensions",
    "kl": "KL (nats)",
    "spearman": "max Spearman",
    "spearman_active": "max Spearman, active dimensions",
    "specificity": "gap to the next program",
    "accuracy": "accuracy of one dimension",
    "ari": "ARI of clusters",
}


def tables(outcome: Outcome) -> list[Table]:
    """Tables of the results."""
    return [
        claims_table(claims(outcome)),
        _settings(outcome),
        _scores(outcome, SIMULATION, "Simulated cells, by beta and capacity", drop=[]),
        _tests(by_program(outcome, SIMULATION), "programs", "Programs, each beta against beta = 1 (Fig. 1C)"),
        _scores(outcome, BLOOD, "Blood cells, by beta (Fig. 2B, C)", drop=["capacity", "specificity"]),
        _tests(by_type(outcome, BLOOD), "types", "Cell types, each beta against beta = 1 (Fig. 2D)"),
    ]


def _settings(outcome: Outcome) -> Table:
    """Settings of the paper beside those of this run."""
    rows = [
        ("latent dimensions", "32", str(N_LATENT)),
        ("hidden units", "128", str(N_HIDDEN)),
        ("likelihood, library size", "scVI's of its time (not said)", "NB, observed"),
    ]
    for data, cells, genes in ((SIMULATION, "10,000", "25,000"), (BLOOD, "not said", "not said")):
        for result in outcome.find(data=data)[:1]:
            settings, values = result.trial.settings, result.values
            phases = " then ".join(f"{epochs} at {rate:g}" for epochs, rate in settings["lr_schedule"])
            rows += [
                (f"cells, {data}", cells, f"{values['n_cells']:,}"),
                (f"genes, {data}", genes, f"{values['n_genes']:,}"),
                (f"epochs and learning rate, {data}", "400 at 1e-4 then 200 at 1e-5", phases),
            ]
    first = outcome.results[0].trial.settings
    rows += [
        ("steps over which C rises", "20,000", f"{first['capacity_steps']:,}"),
        ("random starts", "10", str(len({result.trial.settings["seed"] for result in outcome.results}))),
    ]
    frame = pd.DataFrame(rows, columns=["setting", "paper", "this run"])
    return Table("settings", "Settings", frame)


def _scores(outcome: Outcome, data: str, title: str, *, drop: list[str]) -> Table:
    """Means over seeds; a note on models that use no dimension."""
    table = runs(outcome, data).drop(columns=["data", "seed"])
    means = table.groupby(["capacity", "beta"], as_index=False).mean()
    means.insert(2, "runs", table.groupby(["capacity", "beta"]).size().to_numpy())
    dead = [f"beta {row.beta:g}, C {row.capacity:g}" for row in means.itertuples() if row.n_active < 1]
    note = "Means over seeds. A dimension that the model does not use still carries a trace that ranks read."
    if dead:
        note += f" Collapsed (fewer than one active dimension on average): {'; '.join(dead)}."
    return Table(f"scores_{data}", title, means.drop(columns=drop).rename(columns=NAMES), note)


def _tests(wide: pd.DataFrame, name: str, title: str) -> Table:
    """Means with q-values."""
    scores = [column for column in wide if column not in ("data", "capacity", "beta", "seed")]
    complete = [column for column in scores if wide[column].notna().all()]
    table = compared(wide, complete) if complete else pd.DataFrame()
    note = "Student's t test over seeds; q after Benjamini and Hochberg over all tests of a capacity."
    return Table(name, title, table, note)
