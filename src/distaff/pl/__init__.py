"""Figures: AnnData slots read, axes returned."""

from distaff.pl.consensus import consensus
from distaff.pl.correlation import correlation
from distaff.pl.density import density
from distaff.pl.disentanglement import disentanglement
from distaff.pl.history import history
from distaff.pl.latent import latent
from distaff.pl.loadings import loadings
from distaff.pl.terms import terms
from distaff.pl.top_genes import top_genes
from distaff.pl.variance import variance

__all__ = [
    "consensus",
    "correlation",
    "density",
    "disentanglement",
    "history",
    "latent",
    "loadings",
    "terms",
    "top_genes",
    "variance",
]
