"""Tools: AnnData in, documented slots written."""

from distaff.tl.latent import latent
from distaff.tl.umap import umap

__all__ = ["latent", "umap"]
