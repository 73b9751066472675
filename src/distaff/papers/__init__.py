"""The papers that distaff builds on, reproduced: one module a study, on the public functions alone."""

from distaff.papers._study import Study, reproduce
from distaff.papers._table import Table, write_tables
from distaff.papers._trials import Outcome, Trial, run_trials
from distaff.papers._workers import Processes
from distaff.papers.kimmel import KIMMEL
from distaff.papers.rybakov import RYBAKOV
from distaff.papers.svensson import SVENSSON
from distaff.papers.vsc import VSC

__all__ = [
    "STUDIES",
    "Outcome",
    "Processes",
    "Study",
    "Table",
    "Trial",
    "reproduce",
    "run_trials",
    "write_tables",
]

STUDIES = {study.name: study for study in (KIMMEL, SVENSSON, RYBAKOV, VSC)}
