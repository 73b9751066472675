"""What was measured: errors, factors, times, convergence, and the axes that tell cells apart."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from distaff.papers._trials import Outcome, Result
from distaff.papers.svensson._work import BEST, VARIANTS

__all__ = [
    "LAST",
    "best_pair",
    "convergence_table",
    "error_table",
    "fitted_line",
    "model_result",
    "three_types",
    "time_table",
]

# Pijuan-Sala, 125,775 cells: mean of the last 20 of 100 epochs and its standard deviation, nats a cell
PUBLISHED = {
    "VAE": (2239.5, 13.9),
    "LDVAE, normal, batch norm": (2260.8, 10.5),
    "LDVAE, normal": (2275.2, 20.5),
    "LDVAE, logistic normal, batch norm": (2277.4, 10.7),
    "LDVAE, logistic normal": (2275.1, 17.7),
}
LAST = 20  # epochs
NEAR = 0.01  # of the way from the first to the best error: converged
PREFIXES = ("B", "CD14", "NK")  # cell types of PBMC 3k that lie far apart


def error_table(outcome: Outcome) -> pd.DataFrame:
    """One row a model: error on held-out cells, factors, match with cell types."""
    rows = []
    for variant, results in _with_the_same_seeds(outcome).items():
        if results:
            last = [result.array("curve")[-LAST:] for result in results]
            rows.append(
                {
                    "model": variant,
                    "error": float(np.mean(last)),
                    "SD over epochs": float(np.mean([curve.std() for curve in last])),
                    "SD over seeds": float(np.std([curve.mean() for curve in last])),
                    "error, best epoch": float(np.mean([result.array("curve").min() for result in results])),
                    "published": PUBLISHED[variant][0],
                    "published SD": PUBLISHED[variant][1],
                    "mean abs. r": _mean(results, "mean_correlation"),
                    "smallest eigenvalue": float(np.mean([r.array("spectrum")[-1] for r in results])),
                    "accuracy, cell types": _mean(results, "accuracy"),
                    "LMS, cell types": _mean(results, "lms"),
                }
            )
    frame = pd.DataFrame(rows)
    if "VAE" in set(frame.get("model", ())):
        for column in ("error", "published"):
            base = float(frame.loc[frame["model"] == "VAE", column].iloc[0])
            frame.insert(2, f"{column}: excess %", 100 * (frame[column] / base - 1))
    return frame


def _with_the_same_seeds(outcome: Outcome) -> dict[str, list[Result]]:
    """Results of each model, of the seeds that all have: a seed decides which cells are held out."""
    found = {variant: outcome.find(part="fit", variant=variant) for variant in VARIANTS}
    seeds = [{r.trial.settings["seed"] for r in results} for results in found.values() if results]
    shared = set.intersection(*seeds) if seeds else set()
    return {
        variant: [r for r in results if r.trial.settings["seed"] in shared]
        for variant, results in found.items()
    }


def _mean(results: list[Result], name: str) -> float:
    values = [result.values[name] for result in results if result.values.get(name) is not None]
    return float(np.mean(values)) if values else float("nan")


def time_table(outcome: Outcome) -> pd.DataFrame:
    """One row a size."""
    rows = [
        {
            "device": result.trial.settings["device"],
            "cells": result.trial.settings["n_cells"],
            "non-zero": result.values["non_zero"],
            "seconds": result.values["seconds_of_training"],
            "seconds per 1,000 cells": 1e3
            * result.values["seconds_of_training"]
            / result.trial.settings["n_cells"],
            "denser": result.trial.settings["summed"] > 1,
        }
        for result in outcome.find(part="time")
    ]
    return pd.DataFrame(rows)


def fitted_line(times: pd.DataFrame) -> tuple[float, float, float]:
    """Seconds a cell, seconds whatever the cells, and the largest share that a time is off the line by."""
    cells, seconds = (times[column].to_numpy(float) for column in ("cells", "seconds"))
    slope, constant = np.polyfit(cells, seconds, 1, w=1.0 / seconds)
    off = np.abs(seconds / (constant + slope * cells) - 1.0).max()
    return float(slope), float(constant), float(off)


def convergence_table(outcome: Outcome) -> pd.DataFrame:
    """One row a number of training cells."""
    results = [*outcome.find(part="converge"), *outcome.find(part="fit", variant=BEST)[:1]]
    rows = []
    for result in results:
        curve, n_train = result.array("curve"), result.values["n_train"]
        epoch = _converged_at(curve)
        rows.append(
            {
                "training cells": n_train,
                "epochs": len(curve),
                "converged at epoch": epoch,
                "cells x epochs": n_train * epoch,
                "error there": curve[epoch - 1],
                "best error": curve.min(),
                "best epoch": int(curve.argmin()) + 1,
                "last error": curve[-LAST:].mean(),
            }
        )
    return pd.DataFrame(rows)


def _converged_at(curve: np.ndarray) -> int:
    """First epoch, counted from 1, with a hundredth or less of the way to the best error left."""
    near = curve <= curve.min() + NEAR * (curve[0] - curve.min())
    return int(np.argmax(near)) + 1


def model_result(outcome: Outcome, variant: str) -> Result | None:
    """The first seed of a model."""
    return next(iter(outcome.find(part="fit", variant=variant)), None)


def three_types(types: pd.Series) -> list[str]:
    """Three cell types to tell apart: of blood those that lie far apart, else the three largest ones."""
    known = [str(name) for name in types.dropna().unique()]
    chosen = [name for prefix in PREFIXES for name in sorted(known) if name.startswith(prefix)]
    return chosen if len(chosen) == len(PREFIXES) else list(types.value_counts().index[:3].astype(str))


def best_pair(Z: np.ndarray, types: pd.Series) -> tuple[tuple[int, int], float]:
    """Two dimensions that tell three cell types apart best, and the balanced accuracy on held-out cells."""
    rows = types.astype(str).isin(three_types(types)).to_numpy()
    y = types[rows].astype(str).to_numpy()
    scaled = (Z[rows] - Z[rows].mean(axis=0)) / np.maximum(Z[rows].std(axis=0), 1e-12)
    model = LogisticRegression(class_weight="balanced", max_iter=1000)
    scores = {
        pair: cross_val_score(model, scaled[:, pair], y, scoring="balanced_accuracy").mean()
        for pair in combinations(range(Z.shape[1]), 2)
    }
    best = max(scores, key=lambda pair: scores[pair])
    return best, float(scores[best])
