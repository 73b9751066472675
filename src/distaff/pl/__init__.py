"""Figures: AnnData slots read, axes returned."""

from distaff.pl.correlation import correlation
from distaff.pl.density import density
from distaff.pl.disentanglement import disentanglement
from distaff.pl.enrichment import enrichment
from distaff.pl.history import history
from distaff.pl.latent import latent
from distaff.pl.loadings import loadings
from distaff.pl.rank_factors import rank_factors
from distaff.pl.terms import terms
from distaff.pl.top_genes import top_genes
from distaff.pl.traversal import traversal
from distaff.pl.variance import variance

__all__ = [
    "correlation",
    "density",
    "disentanglement",
    "enrichment",
    "history",
    "latent",
    "loadings",
    "rank_factors",
    "terms",
    "top_genes",
    "traversal",
    "variance",
]
