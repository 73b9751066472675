"""A study: its trials, and what is made of their results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from distaff import __version__
from distaff._threads import one_thread
from distaff.papers._table import Table, write_tables
from distaff.papers._trials import Outcome, Runner, Trial, Work, run_trials

__all__ = ["Study", "reproduce"]


@dataclass(frozen=True)
class Study:
    """What it takes to reproduce a paper.

    Parameters
    ----------
    name
        Name on the command line.
    paper
        Authors, year and title.
    trials
        From the size (``True`` for the paper's, ``False`` for the small one) and the first seed, the trials;
        files that the user gave are further arguments, by the names of ``inputs``.
    work
        Does a trial, given its settings.
    tables
        Tables of the results, the claims first; copes with results that are missing.
    draw
        Writes figures of the results into a folder; copes with results that are missing.
    inputs
        Files that a user may give: ``"data"``, ``"gene_sets"``.
    """

    name: str
    paper: str
    trials: Callable[..., list[Trial]]
    work: Work
    tables: Callable[[Outcome], list[Table]]
    draw: Callable[[Outcome, Path], None]
    inputs: tuple[str, ...] = ()


def reproduce(
    study: Study,
    folder: Path,
    *,
    full: bool,
    seed: int,
    say: Callable[[str], None],
    runner: Runner | None = None,
) -> Outcome:
    """Do the trials of a study that are not done yet, then write its tables and figures.

    Parameters
    ----------
    study
        What to do.
    folder
        Where to write: ``trials/``, ``tables.json``, ``tables.md``, ``figures/``.
    full
        Take the paper's sizes.
    seed
        First of the seeds.
    say
        Told of each step.
    runner
        As in :func:`run_trials`.

    Returns
    -------
    Results and failures.
    """
    with one_thread():
        outcome = run_trials(folder / "trials", study.trials(full, seed), study.work, say=say, runner=runner)
        say("writing tables and figures")
        about = {
            "preset": "full" if full else "small",
            "seed": seed,
            "distaff": __version__,
            "trials": len(outcome.results) + len(outcome.failed),
            "seconds of the trials": round(sum(result.took.wall for result in outcome.results)),
            "seconds of one core": round(sum(result.took.cpu for result in outcome.results)),
        }
        tables = study.tables(outcome) if outcome.results else []
        write_tables(folder, tables, heading=study.paper, about=about, failed=outcome.failed)
        if outcome.results:
            (folder / "figures").mkdir(exist_ok=True)
            study.draw(outcome, folder / "figures")
    return outcome
