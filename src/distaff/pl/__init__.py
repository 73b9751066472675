"""Figures: AnnData slots read, axes returned."""

from distaff.pl.consensus import consensus
from distaff.pl.correlation import correlation
from distaff.pl.density import density
from distaff.pl.disentanglement import disentanglement
from distaff.pl.embedding import embedding
from distaff.pl.enrichment import enrichment
from distaff.pl.history import history
from distaff.pl.latent import latent
from distaff.pl.loadings import loadings
from distaff.pl.rank_factors import rank_factors
from distaff.pl.regularization_path import regularization_path
from distaff.pl.term_accuracy import term_accuracy
from distaff.pl.term_sizes import term_sizes
from distaff.pl.terms import terms
from distaff.pl.top_genes import top_genes
from distaff.pl.tradeoff import tradeoff
from distaff.pl.traversal import traversal
from distaff.pl.variance import variance

__all__ = [
    "consensus",
    "correlation",
    "density",
    "disentanglement",
    "embedding",
    "enrichment",
    "history",
    "latent",
    "loadings",
    "rank_factors",
    "regularization_path",
    "term_accuracy",
    "term_sizes",
    "terms",
    "top_genes",
    "tradeoff",
    "traversal",
    "variance",
]
