"""Preparation of data: counts, gene sets, queries."""

from distaff.pp.align_query import align_query
from distaff.pp.check_counts import check_counts
from distaff.pp.gene_sets import gene_sets

__all__ = ["align_query", "check_counts", "gene_sets"]
