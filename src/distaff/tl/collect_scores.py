"""Scores of several latents as one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from distaff._checks import check_adata, check_flag
from distaff._runs import runs_table

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

__all__ = ["collect_scores"]


def collect_scores(
    adata: AnnData, keys: Sequence[str] | None = None, *, by_factor: bool = False
) -> pd.DataFrame:
    """Settings and scores of all latents that ``adata`` holds, one row a run.

    This reads slots and writes none. The table is what :func:`distaff.pl.tradeoff` draws and, for a single
    setting that differs, what :func:`distaff.metrics.compare_runs` tests.

    Parameters
    ----------
    adata
        Annotated data with a latent under each key, and the scores of :func:`~distaff.tl.disentanglement`,
        those of :func:`~distaff.tl.cluster_agreement`, or both.
    keys
        Keys to collect, in this order; None for all that hold scores.
    by_factor
        One row a run and known factor, without the agreement of clusters, which has no factors.

    Returns
    -------
    DataFrame with the columns ``key``; ``model``, ``beta``, ``capacity`` (0 for one that is off), ``seed``
    and all other arguments of the model, where :func:`~distaff.tl.latent` has written them; ``factor`` if
    ``by_factor``; one column a metric, its mean over the factors if not ``by_factor``; ``ari`` and ``nmi``,
    the largest over the resolutions. A value that a run does not have is missing.

    Raises
    ------
    KeyError
        If no key holds scores, or one of those named does not.
    TypeError
        If ``keys`` is a string.
    ValueError
        If the scores under a key are of another representation, or, unless ``by_factor``, the keys were
        scored against different factors or labels.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from distaff import tl
    >>> adata = anndata.AnnData(obs={"condition": np.repeat(["ctrl", "stim"], 50)})
    >>> for seed in range(2):
    ...     adata.obsm[f"X_run{seed}"] = np.random.default_rng(seed).normal(size=(100, 3))
    ...     tl.disentanglement(adata, "condition", key=f"run{seed}", metrics="max_spearman")
    >>> tl.collect_scores(adata).columns.to_list()
    ['key', 'max_spearman']
    """
    check_flag("by_factor", by_factor)
    check_adata(adata)
    return runs_table(adata, keys, by_factor=by_factor)
