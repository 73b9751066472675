"""Tools: AnnData in, documented slots written."""

from distaff.tl.cluster_agreement import cluster_agreement
from distaff.tl.collect_scores import collect_scores
from distaff.tl.consensus import consensus
from distaff.tl.disentanglement import disentanglement
from distaff.tl.enrich import enrich
from distaff.tl.factors import factors
from distaff.tl.gep_score import gep_score
from distaff.tl.latent import latent
from distaff.tl.loadings import loadings
from distaff.tl.rank_factors import rank_factors
from distaff.tl.regress_out_factors import regress_out_factors
from distaff.tl.rename_factors import rename_factors
from distaff.tl.traverse import traverse
from distaff.tl.tsne import tsne
from distaff.tl.umap import umap

__all__ = [
    "cluster_agreement",
    "collect_scores",
    "consensus",
    "disentanglement",
    "enrich",
    "factors",
    "gep_score",
    "latent",
    "loadings",
    "rank_factors",
    "regress_out_factors",
    "rename_factors",
    "traverse",
    "tsne",
    "umap",
]
