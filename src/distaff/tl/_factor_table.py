"""What a model says of its factors, one row each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distaff.metrics import active_units
from distaff.metrics._contract import constant_columns

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["factor_table"]

THRESHOLD = 0.01  # Burda's, for the variance of the posterior mean under a standard normal prior


def factor_table(model: Any, adata: AnnData, Z: NDArray[np.float32]) -> pd.DataFrame | None:
    """Table (factors, columns) with ``kind``, ``active`` and ``kl`` (nats, mean over cells).

    None for a model of others whose latent has no standard normal prior: there is no threshold for it.
    """
    own = hasattr(model, "factor_kinds")
    if not own and getattr(getattr(model, "module", None), "latent_distribution", None) != "normal":
        return None
    n_factors = Z.shape[1]
    names = model.factor_names if own else [f"Factor {i + 1}" for i in range(n_factors)]
    table = {
        "kind": model.factor_kinds if own else ["latent"] * n_factors,
        "active": _varies(Z, getattr(model, "latent_unit", 1.0)) & _has_loadings(model, n_factors),
        "kl": _mean_kl(model, adata, n_factors),
    }
    return pd.DataFrame(table, index=pd.Index(names))


def _varies(Z: NDArray[np.float32], unit: float | None) -> NDArray[np.bool_]:
    """(factors,) whether the posterior mean varies; ``unit`` is what a unit of the prior is in the latent."""
    values = Z.astype(np.float64)
    if unit is None or len(values) < 2:
        return ~constant_columns(values)
    return active_units(values, threshold=THRESHOLD * unit**2).active.to_numpy()


def _has_loadings(model: Any, n_factors: int) -> NDArray[np.bool_]:
    """(factors,) whether the decoder reads the factor, as far as its loadings tell."""
    if hasattr(model, "get_terms"):
        return model.get_terms()["active"].to_numpy(dtype=bool)
    if getattr(model, "has_loadings", False):
        return (model.get_loadings().to_numpy() != 0).any(axis=0)
    return np.ones(n_factors, dtype=bool)


def _mean_kl(model: Any, adata: AnnData, n_factors: int) -> NDArray[np.float64]:
    """(factors,) nats; NaN without a prior, without counts, or if the prior is one of all dimensions."""
    nothing = np.full(n_factors, np.nan)
    if not hasattr(model, "get_kl_per_dimension") or getattr(model, "latent_unit", 1.0) is None:
        return nothing
    if getattr(model, "minified_data_type", None) is not None:
        return nothing
    kl = model.get_kl_per_dimension(adata)
    return kl.mean(axis=0, dtype=np.float64) if kl.shape[1] == n_factors else nothing
