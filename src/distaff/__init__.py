"""distaff: interpretable and disentangled latent spaces of single-cell RNA-seq."""

from importlib.metadata import version

__version__ = version("distaff")
