"""A score beside what chance and the truth would get, with its uncertainty."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from tqdm.auto import tqdm

from distaff._checks import check_flag, check_int, check_n_jobs, check_seed, error
from distaff.metrics._contract import parse
from distaff.metrics._factors import Kinds
from distaff.metrics._samples import Cells, Sample
from distaff.metrics._score import Score
from distaff.metrics._truth import truth_latents

__all__ = ["Assessment", "assess"]

TAILS = (0.975, 0.025)  # of a 95 % interval
ROUNDING = 1e-12  # a shuffle that gives the same score must count as equal
MIN_CELLS = 4  # two in each half

Maker = Callable[[np.random.SeedSequence], Sample]


@dataclass(frozen=True, eq=False)
class Assessment:
    """A score and its references; ``float(result)`` is the score.

    Parameters
    ----------
    name
        Name of the metric.
    score
        The score of the latent itself.
    per_factor
        (factors, columns): ``score``; ``noise``, the mean over random latents; ``ceiling``, that of the
        factors themselves; ``p_value``; ``lower`` and ``upper``, the 95 % interval. NaN for what was not
        asked for, or is undefined.
    mean
        The same columns for the value of the score as a whole.
    params
        Settings: numbers of draws, seed, and ``truth``, the form of the factors that set the ceiling.
    """

    name: str
    score: Score
    per_factor: pd.DataFrame
    mean: pd.Series
    params: dict[str, Any] = field(default_factory=dict)

    def __float__(self) -> float:
        return self.score.value


def assess(
    metric: Callable[..., Score],
    Z: Any,
    Y: Any,
    *,
    n_random: int = 5,
    n_permutations: int = 0,
    n_bootstrap: int = 0,
    random_state: int = 0,
    n_jobs: int = 1,
    progress: bool = False,
    kinds: Kinds = None,
) -> Assessment:
    r"""Score a latent beside its noise floor and its ceiling, with a p-value and an interval on request.

    **Noise** is the mean score of latents of independent normal values, of the same shape; dimensions that
    are constant in ``Z`` stay so. The best of many dimensions lies above zero by chance alone.

    **Ceiling** is the score of the factors themselves. Classes are taken in two ways, each class a
    dimension of zeros and ones or each factor a dimension with its classes numbered; the one with the
    better mean counts. Gaps between dimensions cannot reach 1 where factors overlap or exclude each other.
    It is a reference and no bound, and a rank correlation of a smooth dimension with a class stays below it
    (:func:`distaff.metrics.max_spearman`).

    **p-value**: labels are shuffled over the cells that have one, the same way for all factors. With
    :math:`b` of :math:`n` shuffles that reach the score it is :math:`(1 + b)/(1 + n)`. It takes cells for
    independent: cells of one donor are not.

    **Interval**: the score :math:`s` is recomputed on random halves of the cells, :math:`h`. For :math:`N`
    cells, :math:`h - s` varies as :math:`s` varies around its limit, so the interval is :math:`2s -
    q_{.975}(h)` to :math:`2s - q_{.025}(h)`. Drawing cells with replacement would repeat cells, which
    raises mutual information and makes neighbours of copies. The reflection removes an error that shrinks
    as :math:`1/N`, such as the upward bias of mutual information, so the score itself may lie outside. It
    fails where there is nothing to estimate, at 0 or 1; for a score that a model learns it points to what
    more cells would give; and it is NaN for a class so small that a half lacks it.

    Parameters
    ----------
    metric
        Function of a latent and factors that returns a :class:`Score`, such as :func:`distaff.metrics.mig` or
        ``functools.partial(mig, n_bins=10)``.
    Z
        (cells, dimensions) latent.
    Y
        (cells,) or (cells, factors): categorical, binary or continuous, missing labels allowed.
    n_random
        Random latents.
    n_permutations
        Shuffles of the labels; 0 for no p-value.
    n_bootstrap
        Halves of the cells; 0 for no interval. A hundred at least give quantiles of some use.
    random_state
        Seed; the results do not depend on ``n_jobs``.
    n_jobs
        Threads, one score each.
    progress
        Show a progress bar.
    kinds
        "categorical", "binary" or "continuous" for all factors, or a mapping from a factor's name, which is
        passed on to ``metric``. By default floats are continuous (binary if 0 and 1 are the only values), all
        else is categorical, and whole numbers with more than 50 different values must be declared.

    Returns
    -------
    Assessment, see there.

    Raises
    ------
    ValueError
        If ``Z`` is not finite or the kind of a factor is not clear.
    TypeError
        If ``metric`` does not return a :class:`Score`.

    References
    ----------
    Politis et al. (1999), :cite:p:`Politis99`, for the interval; Phipson and Smyth (2010),
    :cite:p:`Phipson10`, for the p-value.

    Examples
    --------
    >>> import numpy as np
    >>> from distaff.metrics import assess, max_spearman
    >>> condition = np.repeat(["ctrl", "stim"], 100)
    >>> Z = np.random.default_rng(0).normal(size=(200, 8)) + 2 * (condition == "stim")[:, None]
    >>> assess(max_spearman, Z, condition, n_permutations=19).mean[["noise", "ceiling", "p_value"]].round(2)
    noise      0.13
    ceiling    1.00
    p_value    0.05
    Name: max_spearman, dtype: float64
    """
    check_flag("progress", progress)
    if not callable(metric):
        raise error(
            "metric must be a function, such as distaff.metrics.mig", got=repr(metric), kind=TypeError
        )
    counts = {"n_random": n_random, "n_permutations": n_permutations, "n_bootstrap": n_bootstrap}
    for option, count in counts.items():
        check_int(option, count, minimum=0)
    check_seed("random_state", random_state)
    check_n_jobs(n_jobs)
    problem = parse(Z, Y, kinds, one_vs_rest=False)
    if n_bootstrap and len(problem.Z) < MIN_CELLS:
        raise error(f"Z must have at least {MIN_CELLS} cells to draw halves", got=len(problem.Z))
    run = metric if kinds is None else partial(metric, kinds=kinds)
    score = run(Z, Y)
    if not isinstance(score, Score):
        raise error("metric must return a Score", got=type(score).__name__, kind=TypeError)

    cells = Cells.of(problem.Z, problem.factors)
    *seeds, truth_seed = np.random.SeedSequence(random_state).spawn(4)
    makers: list[Maker] = [cells.noise, cells.shuffled, cells.half]
    plan = list(zip(makers, counts.values(), seeds, strict=True))
    samples = [(make, seed) for make, n, root in plan for seed in root.spawn(n)]
    truths = truth_latents(problem.factors, np.random.default_rng(truth_seed))
    names = score.per_factor.index
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the score itself has told what is wrong
        # taken off the list, so that no draw has to share the memory with them
        ceilings = [_flat(run(truths.pop(0), cells.Y), names) for _ in range(len(truths))]
        draws = Parallel(n_jobs=n_jobs, prefer="threads")(
            delayed(_draw)(run, make, seed, names)
            for make, seed in tqdm(samples, desc=score.name, disable=not progress)
        )
    values = np.array(draws).reshape(len(samples), len(names) + 1)
    best = int(np.argmax([np.nan_to_num(ceiling[0], nan=-np.inf) for ceiling in ceilings]))
    columns = _columns(
        _flat(score, names), np.split(values, np.cumsum([n_random, n_permutations])), ceilings[best]
    )
    table = pd.DataFrame(columns, index=[None, *names])
    return Assessment(
        name=score.name,
        score=score,
        per_factor=table.iloc[1:].set_axis(names),
        mean=table.iloc[0].rename(score.name),
        params={**counts, "random_state": random_state, "truth": ("classes", "numbered")[best]},
    )


def _flat(score: Score, names: pd.Index) -> NDArray[np.float64]:
    """Value, and score of each factor; NaN for one that the sample lacks."""
    return np.append(score.value, score.per_factor.reindex(names).to_numpy(dtype=np.float64))


def _draw(
    run: Callable[..., Score], make: Maker, seed: np.random.SeedSequence, names: pd.Index
) -> NDArray[np.float64]:
    return _flat(run(*make(seed)), names)


def _columns(
    score: NDArray[np.float64], draws: list[NDArray[np.float64]], ceiling: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Columns of the table, from the draws of noise, shuffles and halves."""
    noise, null, halves = draws
    nothing = np.full(len(score), np.nan)
    p_value = (1.0 + (null >= score - ROUNDING).sum(axis=0)) / (1.0 + len(null))
    lower, upper = nothing, nothing
    if len(halves):
        lower, upper = 2.0 * score - np.quantile(halves, TAILS, axis=0)
    return {
        "score": score,
        "noise": noise.mean(axis=0) if len(noise) else nothing,
        "ceiling": ceiling,
        "p_value": np.where(np.isnan(score), np.nan, p_value) if len(null) else nothing,
        "lower": lower,
        "upper": upper,
    }
