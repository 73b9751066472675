"""What is measured of a fit: scores, likelihood, seconds and memory."""

from __future__ import annotations

import ctypes
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
from data_sets import Problem
from methods import Fit

import distaff as ds

__all__ = ["COUNTED", "measured", "scores"]

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # what the kernel takes for: the peak is what is in use now
# scores that a rotation changes and that are no doubles of others: those that the ranks are made of
COUNTED = (
    "lms",
    "mig",
    "dci",
    "smi",
    "msgs",
    "sap",
    "spn",
    "max_spearman",
    "single_dimension_accuracy",
    "modularity",
    "dci_completeness",
    "infomec",
    "infomec_infoc",
    "factor_vae_score",
)


def scores(problem: Problem, fit: Fit) -> dict[str, float]:
    """Every score of the latent as a whole, with the dimensions that are not used left out."""
    adata = anndata.AnnData(obs=problem.adata.obs[[]].copy())
    adata.obsm["X_latent"] = np.where(fit.active, fit.latent, 0.0)
    adata.obsm["truth"] = problem.factors.set_index(adata.obs_names)
    ds.tl.disentanglement(
        adata, "truth", use_rep="X_latent", metrics="all", references=None, key="peers", random_state=0
    )
    summary = adata.uns["peers"]["disentanglement"]["summary"]
    return {name: float(value) for name, value in summary.items()}


def measured(problem: Problem, fit: Callable[[], Fit]) -> dict[str, Any]:
    """Scores, held-out log-likelihood, seconds of the processor and megabytes that the fit adds."""
    _release()
    before, start = _megabytes("VmRSS"), time.process_time()
    if CLEAR.exists():
        CLEAR.write_text(RESET_PEAK)
    found = fit()
    seconds, peak = time.process_time() - start, _megabytes("VmHWM")
    if not np.isfinite(found.latent).all():
        raise RuntimeError("The latent is not finite.")
    return {
        "scores": scores(problem, found),
        "n_active": int(found.active.sum()),
        "log_likelihood": None if found.log_likelihood is None else found.log_likelihood(),
        "seconds": seconds,
        "megabytes": None if before is None else peak - before,
    }


def _release() -> None:
    """Give memory that earlier fits have freed back to the system, where it can be."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        return


def _megabytes(name: str) -> float | None:
    """Resident memory now (VmRSS) or at its peak (VmHWM); None where the system does not tell."""
    if not STATUS.exists():
        return None
    return int(re.search(rf"{name}:\s+(\d+) kB", STATUS.read_text())[1]) / 1024
