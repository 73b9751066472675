"""All scores of a latent, at the defaults and as published."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from distaff import metrics
from distaff.metrics import Score

# Arguments of the published forms; nothing where the default is one
PUBLISHED: dict[str, dict[str, Any]] = {
    "smi": {"strategy": "uniform"},
    "mig": {"strategy": "uniform"},
    "sap": {"classifier": "svm", "accuracy": "plain", "correlation": "pearson"},
    "dci": {"learner": "gradient_boosting"},
    "infomec": {"estimator": "knn", "cv": None, "clip": 0},
    "modularity": {"strategy": "uniform"},
    "irs": {"clip": 0},
    "factor_vae_score": {"pruning": "absolute", "clip": 0},
    "max_spearman": {},
    "spn": {"ties": "input"},
    "single_dimension_accuracy": {"cv": None},
    "explicitness": {"clip": 0},
    "beta_vae_score": {"standardised": False, "clip": 0},
}
CLASSES_ONLY = ("spn", "single_dimension_accuracy")
# Where each number stands: metric, and what of it (None for the value)
PLACES: dict[str, tuple[str, str | None]] = {
    "LMS": ("smi", "lms"),
    "MSGS": ("smi", "msgs"),
    "MIG": ("mig", None),
    "SAP": ("sap", None),
    "DCI completeness": ("dci", "completeness"),
    "InfoC": ("infomec", "infoc"),
    "DCI disentanglement": ("dci", "disentanglement"),
    "InfoM": ("infomec", "infom"),
    "modularity": ("modularity", None),
    "IRS": ("irs", None),
    "FactorVAE score": ("factor_vae_score", None),
    "max |Spearman|": ("max_spearman", None),
    "SMI": ("smi", None),
    "SPN": ("spn", None),
    "one-dimension accuracy": ("single_dimension_accuracy", None),
    "explicitness": ("explicitness", None),
    "InfoE": ("infomec", "infoe"),
    "DCI accuracy": ("dci", "accuracy"),
    "beta-VAE score": ("beta_vae_score", None),
}
# How many of these, in this order, answer each question
QUESTIONS = {
    "Has each factor a dimension of its own?": 6,
    "Has each dimension one factor only?": 5,
    "Does some dimension know the factor?": 4,
    "Does the whole latent know the factor?": 4,
}


def all_scores(Z: np.ndarray, Y: pd.DataFrame, *, published: bool = False) -> pd.Series:
    """Return every score of a latent (cells, dimensions), NaN where a metric has no other published form."""
    found: dict[str, Score] = {}
    for name, arguments in PUBLISHED.items():
        if arguments or not published:
            targets = classes(Y) if name in CLASSES_ONLY else Y
            found[name] = getattr(metrics, name)(Z, targets, **(arguments if published else {}))
    places = {**PLACES, "modularity": ("modularity", "all_dimensions")} if published else PLACES
    return pd.Series({label: read(found.get(name), part) for label, (name, part) in places.items()})


def read(score: Score | None, part: str | None) -> float:
    """Return one number of a result."""
    if score is None:
        return float("nan")
    if part in ("lms", "msgs"):
        return getattr(metrics, part)(score).value
    return score.value if part is None else score.summary[part]


def chance(Y: pd.DataFrame) -> pd.Series:
    """Return what a constant latent gets."""
    majority = [Y[name].value_counts(normalize=True).max() for name in classes(Y)]
    known = {
        "FactorVAE score": 1 / Y.shape[1],
        "beta-VAE score": 1 / Y.shape[1],
        "one-dimension accuracy": 0.5,
        "explicitness": 0.5,
        "DCI accuracy": float(np.mean(majority)),
    }
    return pd.Series(known).reindex(list(PLACES), fill_value=0.0)


def classes(Y: pd.DataFrame) -> pd.DataFrame:
    """Return the factors that are no amounts."""
    return Y.select_dtypes(exclude="float")
