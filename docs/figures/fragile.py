"""Where a published definition breaks, and the default does not: three curves."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from gallery import EXTREME, N_CELLS, Case, noisy

from distaff import metrics

OUTLIERS = np.logspace(0, 4, 9)
SIDES = (10, 20, 40, 80, 160)  # cells of each class
N_DRAWS = 20
N_NOISE = 20  # dimensions
SHARES = (0.5, 0.3, 0.2, 0.1, 0.05, 0.02)


def one_cell(case: Case) -> pd.DataFrame:
    """Return scores of a good latent as one of its cells moves out."""
    rows = {}
    for value in OUTLIERS:
        Z = case.Z.copy()
        Z[EXTREME] = value
        rows[value] = {
            "MIG, equal width (published)": metrics.mig(Z, case.Y, strategy="uniform").value,
            "MIG, quantiles (default)": metrics.mig(Z, case.Y).value,
            "IRS, clip=0 (published)": metrics.irs(Z, case.Y, clip=0).value,
            "IRS (default)": metrics.irs(Z, case.Y).value,
        }
    return pd.DataFrame(rows).T.rename_axis("value of one cell")


def on_noise() -> pd.DataFrame:
    """Return what useless dimensions seem to know of two classes, by the cells in each."""
    rng = np.random.default_rng(0)
    rows = {}
    for n in SIDES:
        labels = np.repeat(["ctrl", "stim"], n)
        draws = [rng.normal(size=(2 * n, N_NOISE)) for _ in range(N_DRAWS)]
        rows[n] = {
            "InfoE, training cells (published)": mean_infoe(draws, labels, cv=None),
            "InfoE, cross-validated (default)": mean_infoe(draws, labels, cv=3),
        }
    return pd.DataFrame(rows).T.rename_axis("cells in each class")


def mean_infoe(latents: list[np.ndarray], labels: np.ndarray, *, cv: int | None) -> float:
    """Return the mean over latents of the information that a linear model finds."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Too few cells", category=UserWarning)
        return float(np.mean([metrics.infomec(Z, labels, cv=cv).summary["infoe"] for Z in latents]))


def on_rare_classes() -> pd.DataFrame:
    """Return SAP of a dimension that separates a class, by the share of the class."""
    rng = np.random.default_rng(0)
    rows = {}
    for share in SHARES:
        member = np.arange(N_CELLS) < share * N_CELLS
        Z = noisy(np.column_stack([member, np.zeros(N_CELLS)]), rng)
        rows[share] = {
            "SAP, plain accuracy (published)": metrics.sap(Z, member, accuracy="plain").value,
            "SAP, balanced accuracy (default)": metrics.sap(Z, member).value,
        }
    return pd.DataFrame(rows).T.rename_axis("share of cells in the class")
