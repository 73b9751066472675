"""What linear decoders say of genes."""

from __future__ import annotations

from typing import Any

import pandas as pd

from distaff._checks import check_flag, error
from distaff._compat import registered_genes
from distaff.model._terms import term_names

__all__ = ["LoadingsMixin"]


class LoadingsMixin:
    """Names of factors, and loadings of linear decoders."""

    @property
    def factor_names(self: Any) -> list[str]:
        """Name of each latent dimension: of its gene set, else counted from 1."""
        n_latent = self._config.latent.n_latent
        return term_names(self._terms) or [f"Factor {i + 1}" for i in range(n_latent)]

    @property
    def factor_kinds(self: Any) -> list[str]:
        """Kind of each latent dimension: "annotated", "sparse" or "dense" beside gene sets, else "latent"."""
        kinds = [kind for block in self._terms for kind in block.kinds]
        return kinds or ["latent"] * self._config.latent.n_latent

    @property
    def has_loadings(self: Any) -> bool:
        """Whether the decoder is linear, so that :meth:`get_loadings` has an answer."""
        return hasattr(self.module.decoder, "loadings")

    @property
    def has_gate(self: Any) -> bool:
        """Whether latent dimensions are switched on and off by cell."""
        return self._config.latent.has_gate

    def get_loadings(self: Any, centered: bool = False) -> pd.DataFrame:  # noqa: FBT001, FBT002 - scvi's style
        """Effect of one unit of each factor on the log expression of each gene.

        Batch norm is folded in, as evaluation applies it. Columns are in the order of the latent
        dimensions and have its sign and scale: a factor times its column is what it adds to the logits. For
        a non-negative model with additive rates they are on the scale of log1p expression.

        Parameters
        ----------
        centered
            Subtract each column's mean: the softmax leaves a constant of each column free, so compare
            and rank genes of two models in this form. Exact zeros are lost.

        Returns
        -------
        DataFrame (genes, factors).

        Raises
        ------
        TypeError
            If the decoder is not linear.
        """
        check_flag("centered", centered)
        if not self.has_loadings:
            raise error(
                "Loadings must come from a linear or annotated decoder",
                got=f"decoder={self._config.decoder.decoder!r}",
                kind=TypeError,
            )
        loadings = self.module.decoder.loadings().cpu().numpy()
        genes = registered_genes(self.registry_)
        table = pd.DataFrame(loadings, index=pd.Index(genes), columns=self.factor_names)
        return table - table.mean() if centered else table
