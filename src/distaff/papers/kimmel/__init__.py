"""Kimmel 2020: beta and capacity against the match of single dimensions, and against clustering."""

from distaff.papers._study import Study
from distaff.papers.kimmel._figures import draw
from distaff.papers.kimmel._tables import tables
from distaff.papers.kimmel._work import trials, work

__all__ = ["KIMMEL"]

KIMMEL = Study(
    name="kimmel",
    paper="Kimmel (2020), Disentangling latent representations of single cell RNA-seq experiments",
    trials=trials,
    work=work,
    tables=tables,
    draw=draw,
)
