"""distaff: interpretable and disentangled latent spaces of single-cell RNA-seq, on scvi-tools."""

from importlib.metadata import version

from distaff import datasets, metrics, model, pl, pp, tl

__all__ = ["datasets", "metrics", "model", "pl", "pp", "tl"]
__version__ = version("distaff")
