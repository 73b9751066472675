"""What several runs agree on: members of each consensus factor, their stability and their mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distaff._checks import error, listing
from distaff.metrics._contract import constant_columns
from distaff.tl._matching import chance_levels, common_signs, correlations, groups, match, stability
from distaff.tl._members import Run

__all__ = ["Agreement", "agree"]

MAJORITY = 0.5  # share of the runs that a stable factor is in more than

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Agreement:
    """Consensus factors of runs.

    Parameters
    ----------
    runs
        The runs.
    table
        One row a consensus factor, see :func:`distaff.tl.consensus`.
    members
        One row a factor of a run, see there.
    correlation
        (rows of ``members``, rows of ``members``)
    """

    runs: list[Run]
    table: pd.DataFrame
    members: pd.DataFrame
    correlation: Floats

    @property
    def names(self) -> list[str]:
        """Names of the consensus factors."""
        return list(self.table.index)

    def kind(self, name: str) -> str:
        """Kind that all members of a factor have, else "latent"."""
        kinds = {run.kinds[column] for run, column, _ in self._of(name)}
        return kinds.pop() if len(kinds) == 1 else "latent"

    def mean_scores(self) -> Floats:
        """(cells, consensus factors), see :func:`distaff.tl.consensus`."""
        centred = not all(run.non_negative for run in self.runs)
        columns = []
        for name in self.names:
            scores = [sign * run.Z[:, k] / run.Z[:, k].std() for run, k, sign in self._of(name)]
            columns.append(np.mean([z - z.mean() if centred else z for z in scores], axis=0))
        return np.stack(columns, axis=1)

    def mean_loadings(self) -> Floats | None:
        """(genes, consensus factors), None if a run has none."""
        loadings = {run.name: run.L for run in self.runs if run.L is not None}
        if len(loadings) < len(self.runs):
            return None
        columns = []
        for name in self.names:
            parts = [sign * r.Z[:, k].std() * loadings[r.name][:, k] for r, k, sign in self._of(name)]
            columns.append(np.mean(parts, axis=0))
        return np.stack(columns, axis=1)

    def _of(self, name: str) -> list[tuple[Run, int, int]]:
        """Run, column and sign of each member of a consensus factor."""
        rows = self.members[self.members["consensus"] == name]
        runs = {run.name: run for run in self.runs}
        return [
            (runs[run], runs[run].factors.index(factor), int(sign))
            for run, factor, sign in zip(rows["run"], rows["factor"], rows["sign"], strict=True)
        ]


def agree(runs: list[Run], *, by: str, threshold: float, random_state: int) -> Agreement:
    """Match the factors of runs; arguments as those of :func:`distaff.tl.consensus`."""
    profiles = _profiles(runs, by)
    run = np.repeat(np.arange(len(runs)), [len(r.factors) for r in runs])
    positive = np.array([r.non_negative for r in runs])
    signed = ~(positive[:, None] & positive)
    R = correlations(profiles)
    similarity = np.where(signed[np.ix_(run, run)], np.abs(R), R)
    names = [f"{r.name} {factor}" for r in runs for factor in r.factors]
    shared = _ordered(groups(match(similarity, run, threshold)), similarity, names)
    if not shared:
        raise error(
            f"Runs must share a factor with a correlation above {threshold:g}",
            got="none in any two of them",
            fix="Lower threshold, or train longer.",
        )
    signs = np.ones(len(run), dtype=np.int64)
    if signed.any():
        for group in shared:
            signs[group] = common_signs(R[np.ix_(group, group)])
            signs[group] *= _side(runs, run, group, signs)
    chance = chance_levels(profiles, threshold, random_state=random_state)
    names = _names(runs, run, shared)
    alone = np.setdiff1d(np.arange(len(run)), np.concatenate(shared))
    order = np.concatenate([*shared, alone])
    return Agreement(
        runs,
        _table(runs, run, shared, names, similarity, chance),
        _members(runs, run, shared, names, similarity, signs, order),
        R[np.ix_(order, order)],
    )


def _profiles(runs: list[Run], by: str) -> list[Floats]:
    """What the factors of each run are matched by, a column a factor."""
    if by == "scores":
        return [run.Z for run in runs]
    lacking = [run.name for run in runs if run.L is None]
    if lacking:
        raise error(
            "Runs must have loadings of all genes of adata to match by them",
            got=f"none for {listing(lacking)}",
            fix='Use by="scores".',
        )
    loadings = [run.L for run in runs if run.L is not None]
    shared = np.all([np.isfinite(L).all(axis=1) for L in loadings], axis=0)
    if not shared.any() or any(constant_columns(L[shared]).any() for L in loadings):
        raise error(
            "Loadings to match by must vary over the genes that all runs have modelled",
            got=f"{shared.sum()} such genes, over which a factor does not vary",
            fix='Use by="scores".',
        )
    return [L[shared] for L in loadings]


def _ordered(found: list[Ints], similarity: Floats, names: list[str]) -> list[Ints]:
    """Those of most runs first, then the most stable; by name if equal, so that no order of runs matters."""
    return sorted(
        found, key=lambda g: (-len(g), -round(stability(similarity, g), 6), min(names[i] for i in g))
    )


def _side(runs: list[Run], run: Ints, group: Ints, signs: Ints) -> int:
    """1, or -1 where the larger side of the mean is the negative one: by loadings, else by scores."""
    total = np.zeros(())
    first = np.concatenate([[0], np.cumsum([len(r.factors) for r in runs])])
    with_loadings = all(r.L is not None for r in runs)
    for i in group:
        own = runs[run[i]]
        k = i - first[run[i]]
        z = own.Z[:, k]
        values = own.L[:, k] * z.std() if with_loadings and own.L is not None else z / z.std()
        total = total + signs[i] * _centred(values)
    return -1 if (total**3).sum() < 0 else 1


def _centred(values: Floats) -> Floats:
    """Less their mean; genes that were not modelled (NaN) count as none."""
    known = np.isfinite(values)
    return np.where(known, values - values[known].mean(), 0.0) if known.any() else np.zeros_like(values)


def _names(runs: list[Run], run: Ints, shared: list[Ints]) -> list[str]:
    """Name of the gene set that all members are of, else counted from 1."""
    factors = [(factor, kind) for r in runs for factor, kind in zip(r.factors, r.kinds, strict=True)]
    names: list[str] = []
    for number, group in enumerate(shared, start=1):
        common = {factors[i] for i in group}
        factor, kind = common.pop()
        of_set = not common and kind == "annotated" and factor not in names
        names.append(factor if of_set else f"Consensus {number}")
    return names


def _table(
    runs: list[Run],
    run: Ints,
    shared: list[Ints],
    names: list[str],
    similarity: Floats,
    chance: dict[int, float],
) -> pd.DataFrame:
    """One row a consensus factor."""
    factors = [factor for r in runs for factor in r.factors]
    rows = []
    for group in shared:
        value, level = stability(similarity, group), chance[len(group)]
        often = len(group) > MAJORITY * len(runs)
        row = {"n_runs": len(group), "stability": value, "chance": level}
        row["stable"] = bool(often and value > level)
        member = {int(run[i]): factors[i] for i in group}
        rows.append({**row, **{f"factor_{r.name}": member.get(k, "") for k, r in enumerate(runs)}})
    return pd.DataFrame(rows, index=pd.Index(names))


def _members(
    runs: list[Run],
    run: Ints,
    shared: list[Ints],
    names: list[str],
    similarity: Floats,
    signs: Ints,
    order: Ints,
) -> pd.DataFrame:
    """One row a factor of a run."""
    consensus, mean = np.full(len(run), "", dtype=object), np.full(len(run), np.nan)
    for name, group in zip(names, shared, strict=True):
        consensus[group] = name
        for i in group:
            mean[i] = similarity[i, group[group != i]].mean()
    table = pd.DataFrame(
        {
            "run": [runs[r].name for r in run],
            "factor": [factor for r in runs for factor in r.factors],
            "consensus": consensus.astype(str),
            "sign": signs,
            "similarity": mean,
        }
    ).iloc[order]
    return table.set_axis(pd.RangeIndex(len(table)).astype(str))
