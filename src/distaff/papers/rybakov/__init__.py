"""Rybakov et al. 2020: autoencoders whose factors are gene sets, beside f-scLVM."""

from distaff.papers._study import Study
from distaff.papers.rybakov._figures import draw
from distaff.papers.rybakov._tables import tables
from distaff.papers.rybakov._work import trials, work

__all__ = ["RYBAKOV"]

RYBAKOV = Study(
    name="rybakov",
    paper="Rybakov et al. (2020), Learning interpretable latent autoencoder representations with annotations "
    "of feature sets",
    trials=trials,
    work=work,
    tables=tables,
    draw=draw,
    inputs=("data", "gene_sets"),
)
