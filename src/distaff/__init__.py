"""distaff: interpretable and disentangled latent spaces of single-cell RNA-seq, on scvi-tools."""

from importlib.metadata import version

from distaff import datasets, extend, hub, metrics, model, pl, pp, tl
from distaff.html import report

__all__ = ["datasets", "extend", "hub", "metrics", "model", "pl", "pp", "report", "tl"]
__version__ = version("distaff")
