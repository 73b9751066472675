"""What became of the gene sets of a trained f-scLVM."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

__all__ = ["TermsOfFSCLVM"]


class TermsOfFSCLVM:
    """Which genes belong to which factor, and which factors are on."""

    @torch.inference_mode()
    def get_gene_inclusion(self: Any) -> pd.DataFrame:
        """Posterior probability that each gene belongs to each factor.

        Returns
        -------
        DataFrame (genes, factors), values in [0, 1].
        """
        return self._gene_table(self.module.q_weights().inclusion)

    @torch.inference_mode()
    def get_relevance(self: Any) -> pd.Series:
        r"""Relevance of each factor: its slab's variance times how much data say of its scores.

        The slab's variance is the inverse of the posterior mean of :math:`\alpha_k`. A factor without genes
        keeps an arbitrary one, so it is multiplied by one minus the posterior variance of its scores: 0 where
        the posterior is the prior, 1 where scores are known exactly.

        Returns
        -------
        Series (factors,), not negative.
        """
        ard = self.module.q_ard(self.module.q_weights())
        values = (1.0 - self.module.score_variance()).clamp_min(0.0) / ard.mean
        return pd.Series(values.cpu().numpy(), index=self.factor_names, name="relevance")

    @property
    def active_terms(self: Any) -> list[str]:
        """Names of the factors that are on, see :meth:`get_terms`."""
        table = self.get_terms()
        return table.index[table["active"]].to_list()

    @torch.inference_mode()
    def get_terms(self: Any) -> pd.DataFrame:
        """What became of each gene set.

        Returns
        -------
        DataFrame with one row a factor: ``kind`` (annotated, sparse, dense), ``active``: whether data fix at
        least half of the variance of its scores, ``relevance``, ``l2_norm`` of its loadings, ``n_genes`` with
        an inclusion probability above 0.5, of which ``n_kept`` are in the set and ``n_added`` are not;
        ``n_dropped`` genes of the set are at most at 0.5.
        """
        names, n_sets = self.factor_names, len(self._annotation.names)
        inside = np.zeros((self.summary_stats.n_vars, len(names)), dtype=bool)
        inside[:, :n_sets] = self._annotation.mask != 0
        used = self.get_gene_inclusion().to_numpy() > 0.5
        table = {
            "kind": self.factor_kinds,
            "active": self.module.score_variance().cpu().numpy() < 0.5,
            "relevance": self.get_relevance(),
            "l2_norm": (self.get_loadings() ** 2).sum() ** 0.5,
            "n_genes": used.sum(axis=0),
            "n_kept": (used & inside).sum(axis=0),
            "n_added": (used & ~inside).sum(axis=0),
            "n_dropped": (~used & inside).sum(axis=0),
        }
        return pd.DataFrame(table, index=names)
