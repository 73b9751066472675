"""Svensson et al. 2020: linear decoders against a VAE, their factors, their time, their convergence."""

from distaff.papers._study import Study
from distaff.papers.svensson._figures import draw
from distaff.papers.svensson._tables import tables
from distaff.papers.svensson._work import trials, work

__all__ = ["SVENSSON"]

SVENSSON = Study(
    name="svensson",
    paper="Svensson et al. (2020), Interpretable factor models of single-cell RNA-seq via variational "
    "autoencoders",
    trials=trials,
    work=work,
    tables=tables,
    draw=draw,
    inputs=("data",),
)
