"""The metrics that ``tl.disentanglement`` knows, and how they are run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from distaff import metrics as scores
from distaff._checks import error, name_list
from distaff.metrics import Assessment, Score
from distaff.metrics._contract import warn

__all__ = ["METRICS", "Metric", "Plan", "choose", "run_metrics", "said_once"]

Run = Callable[..., Score]


@dataclass(frozen=True)
class Metric:
    """How a metric is run.

    Parameters
    ----------
    run
        Function of a latent and factors.
    options
        Which of "random_state" and "n_jobs" it takes.
    slow
        Whether it trains a model or draws cells, which takes from half a second to half a minute for 10,000
        cells, 32 dimensions and 20 factors.
    default
        Whether it is run if nobody chooses.
    classes_only
        Whether it takes no continuous factor.
    matrix_of
        Metric whose matrix it reads; "" for its own.
    of_several
        Whether its value is 1 for a single factor, whatever the latent, as long as that knows it at all.
    """

    run: Run
    options: tuple[str, ...] = ()
    slow: bool = False
    default: bool = True
    classes_only: bool = False
    matrix_of: str = ""
    of_several: bool = False


def _of_smi(aggregate: Callable[[Score], Score]) -> Run:
    """Metric that aggregates the pairwise scores of SMI."""

    def run(Z: Any, Y: Any, *, kinds: Mapping[str, str] | None = None) -> Score:
        return aggregate(scores.smi(Z, Y, kinds=kinds))

    return run


SEED, BOTH = ("random_state",), ("random_state", "n_jobs")
METRICS: dict[str, Metric] = {
    "max_spearman": Metric(scores.max_spearman),
    "single_dimension_accuracy": Metric(scores.single_dimension_accuracy, BOTH, slow=True, classes_only=True),
    "mig": Metric(scores.mig),
    "smi": Metric(scores.smi),
    "lms": Metric(_of_smi(scores.lms), matrix_of="smi"),
    "msas": Metric(_of_smi(scores.msas), default=False, matrix_of="smi"),  # by factor the same as smi
    "msgs": Metric(_of_smi(scores.msgs), matrix_of="smi"),
    "spn": Metric(scores.spn, classes_only=True),
    "sap": Metric(scores.sap, BOTH),
    "modularity": Metric(scores.modularity, of_several=True),
    "irs": Metric(scores.irs),
    "dci": Metric(scores.dci, BOTH, slow=True, default=False, of_several=True),
    "infomec": Metric(scores.infomec, BOTH, slow=True, default=False, of_several=True),
    "explicitness": Metric(scores.explicitness, BOTH, slow=True, default=False),
    "beta_vae_score": Metric(scores.beta_vae_score, SEED, slow=True, default=False, of_several=True),
    "factor_vae_score": Metric(scores.factor_vae_score, SEED, slow=True, default=False, of_several=True),
}


@dataclass(frozen=True)
class Plan:
    """What to run, and how.

    Parameters
    ----------
    names
        Metrics in the order of the results.
    asked
        Whether the user named them: one that applies to no factor is then an error, else it is left out.
    referenced
        Those that get a noise floor, a ceiling and so on.
    draws
        Numbers of draws, as :func:`distaff.metrics.assess` takes them.
    n_jobs
        Threads.
    random_state
        Seed.
    progress
        Show a progress bar.
    """

    names: list[str]
    asked: bool
    referenced: list[str]
    draws: dict[str, int]
    n_jobs: int
    random_state: int
    progress: bool


def choose(option: str, wanted: str | Sequence[str], groups: Mapping[str, list[str]]) -> list[str]:
    """Names of metrics, from a name, the name of a group, or a list of names."""
    if isinstance(wanted, str) and wanted in groups:
        return groups[wanted]
    names = name_list(option, wanted)
    for name in names:
        if name not in METRICS:
            known = ", ".join(map(repr, [*METRICS, *groups]))  # all of them: there is no other list at hand
            raise error(f"{option} must be one of {known}, or a list of metrics", got=repr(name))
    return names


@contextmanager
def said_once() -> Iterator[None]:
    """Give each warning once, at the end: several metrics say the same of the same factor."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", category=UserWarning)
        yield
    for one in {str(warning.message): warning for warning in caught}.values():
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def run_metrics(
    Z: pd.DataFrame, Y: pd.DataFrame, kinds: Mapping[str, str], plan: Plan
) -> tuple[dict[str, Score], dict[str, Assessment]]:
    """Result of each metric, and of those that get references these."""
    results: dict[str, Score] = {}
    references: dict[str, Assessment] = {}
    classes = [name for name in Y if kinds[name] != "continuous"]
    bar = tqdm(plan.names, disable=not plan.progress)
    for name in bar:
        bar.set_description(name)
        metric, columns = METRICS[name], list(Y)
        if metric.classes_only and (classes or not plan.asked):
            columns = classes
        if not columns or (metric.of_several and len(columns) == 1 and not plan.asked):
            continue
        if metric.of_several and len(columns) == 1:
            warn(
                f"{name} of a single factor, here {columns[0]!r}, is 1 for every latent that knows it at "
                "all: give a second one, or one yes-or-no a class (a table in obsm)."
            )
        own = {column: kinds[column] for column in columns}
        if name in plan.referenced:
            references[name] = _assess(metric, Z, Y[columns], own, plan)
            results[name] = references[name].score
        else:
            given = {"random_state": plan.random_state, "n_jobs": plan.n_jobs}
            options = {option: given[option] for option in metric.options}
            results[name] = metric.run(Z, Y[columns], kinds=own, **options)
    return results, references


def _assess(
    metric: Metric, Z: pd.DataFrame, Y: pd.DataFrame, kinds: Mapping[str, str], plan: Plan
) -> Assessment:
    seeded = SEED[0] in metric.options
    return scores.assess(
        partial(metric.run, random_state=plan.random_state) if seeded else metric.run,
        Z,
        Y,
        **plan.draws,
        random_state=plan.random_state,
        n_jobs=plan.n_jobs,
        progress=plan.progress,
        kinds=kinds,
    )
