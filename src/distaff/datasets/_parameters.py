"""Parameters of the simulators: the valid values of each, checked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distaff._checks import check_int, check_number, error

__all__ = ["PROBABILITY", "check_each", "check_group_prob", "check_parameters", "check_seed"]

Floats = NDArray[np.float64]

PROBABILITY = {"minimum": 0.0, "maximum": 1.0}

# Valid values of the real parameters, most of which are Splatter's and scsim's.
LIMITS: dict[str, dict[str, float]] = {
    "batch_fac_loc": {},
    "batch_fac_scale": {"minimum": 0.0},
    "mean_shape": {"above": 0.0},
    "mean_rate": {"above": 0.0},
    "lib_loc": {},
    "lib_scale": {"minimum": 0.0},
    "out_prob": PROBABILITY,
    "out_fac_loc": {},
    "out_fac_scale": {"minimum": 0.0},
    "de_prob": PROBABILITY,
    "de_down_prob": PROBABILITY,
    "de_fac_loc": {},
    "de_fac_scale": {"minimum": 0.0},
    "bcv_common": {"minimum": 0.0},
    "dropout_mid": {},
    "dropout_shape": {},
    "prog_down_prob": PROBABILITY,
    "prog_fac_loc": {},
    "prog_fac_scale": {"minimum": 0.0},
    "prog_cell_frac": PROBABILITY,
    "min_prog_usage": PROBABILITY,
    "max_prog_usage": PROBABILITY,
    "overlap": PROBABILITY,
    "confounding": PROBABILITY,
    "overdispersion_loc": {
        "minimum": -20.0,
        "maximum": 5.0,
    },  # Poisson ... counts of 64 bits
    "overdispersion_scale": {"minimum": 0.0, "maximum": 3.0},
    "false_positive_rate": PROBABILITY,
    "false_negative_rate": PROBABILITY,
}


def check_parameters(parameters: Mapping[str, Any]) -> dict[str, float]:
    """Return the parameters as floats if each lies within its limits."""
    checked = {
        name: check_number(name, parameters[name], **LIMITS[name]) for name in LIMITS if name in parameters
    }
    if "bcv_df" in parameters:
        checked["bcv_df"] = _check_bcv_df(parameters["bcv_df"])
    return checked


def check_each(name: str, value: Any, *, n: int, each: str) -> Floats:
    """Return a parameter for each of ``n``, shape (n,); one number counts for all."""
    if np.ndim(value) == 0:
        return np.full(n, check_number(name, value, **LIMITS[name]))
    values = np.array([check_number(name, v, **LIMITS[name]) for v in value])
    if len(values) != n:
        rule = f"{name} must be a number, or have one entry for each {each} ({n})"
        raise error(rule, got=f"{len(values)} entries")
    return values


def _check_bcv_df(bcv_df: Any) -> float:
    if isinstance(bcv_df, float | np.floating) and bcv_df == np.inf:
        return float(np.inf)
    df = check_number("bcv_df", bcv_df)
    if df <= 2:
        raise error(
            "bcv_df must be > 2",
            got=bcv_df,
            fix="Below that the variance of the counts is infinite; inf gives all genes the same dispersion.",
        )
    return df


def check_seed(random_state: int) -> int:
    """Return the seed if it is a whole number that a file can store."""
    return check_int("random_state", random_state, minimum=0)


def check_group_prob(group_prob: Sequence[float] | None, *, n_groups: int, groups: str) -> Floats:
    """Return the probability of each group, shape (groups,); ``groups`` is the argument that counts them."""
    if group_prob is None:
        return np.full(n_groups, 1 / n_groups)
    if np.ndim(group_prob) != 1:
        raise error("group_prob must be a sequence of probabilities", got=repr(group_prob), kind=TypeError)
    prob = np.array([check_number("group_prob", p, **PROBABILITY) for p in group_prob])
    if len(prob) != n_groups:
        rule = f"group_prob must have one entry for each of {groups}={n_groups}"
        raise error(rule, got=f"{len(prob)} entries")
    if not np.isclose(prob.sum(), 1):
        raise error("group_prob must sum to 1", got=prob.sum())
    return prob / prob.sum()
