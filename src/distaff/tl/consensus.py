"""Factors that several runs agree on."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from distaff._checks import check_adata, check_choice, check_flag, check_number, check_seed, error
from distaff._keys import Slots
from distaff.tl._agreement import Agreement, agree
from distaff.tl._members import read_runs
from distaff.tl._stale import drop_of_latent
from distaff.tl.factors import factors as describe

__all__ = ["consensus"]


def consensus(
    adata: AnnData,
    models: Sequence[Any],
    *,
    by: Literal["scores", "loadings"] = "scores",
    threshold: float = 0.5,
    key: str = "consensus",
    random_state: int = 0,
    copy: bool = False,
) -> AnnData | None:
    r"""Factors matched over several runs: which of them come again with another seed, and their mean.

    Factors of two runs are the same by the absolute value of their correlation: of a signed latent either
    sign will do, of two non-negative ones only a positive correlation. A consensus factor has at most one
    factor of each run, and no run is the reference: the sum of :math:`|r| - \tau` over all pairs within
    consensus factors is maximised, with the threshold :math:`\tau`, by assigning one run after the other to
    all others. Runs may differ in their number of factors and in their kind. Inactive factors are left out,
    as are those that no other run has. cNMF :cite:p:`Kotliar19` clusters the factors of many runs in the same
    spirit; here a run cannot give two factors to a cluster, and scores are means, not fitted again.

    ``by="scores"`` correlates over cells, ``by="loadings"`` over genes. Weak genes make loadings noisy: for
    :class:`~distaff.model.LinearVAE` on simulated cells, the same factor of two seeds had a correlation of
    0.6 to 0.7 over cells and of 0.4 over genes.

    A stability of 0.6 alone says little: any two bases of the same few dimensions match to some degree. The
    chance level is what 5 % of the consensus factors exceed that are found among runs whose factors were
    turned at random within the space that they span. A factor below it has no axis of its own: seeds agree on
    the space, not on the factor.

    Parameters
    ----------
    adata
        Cells with the genes of the models, or with the latents of the keys.
    models
        Trained models with ``get_latent_representation``, or keys of latents in ``obsm["X_{key}"]``, which
        need no model; two or more, in any order.
    by
        What to match by.
    threshold
        Absolute correlation, in (0, 1), from which two factors are rather the same than not.
    key
        Prefix of the slots to write.
    random_state
        Seed of the random axes of the chance level.
    copy
        Return a changed copy and leave ``adata`` alone.

    Returns
    -------
    None, or the copy. Writes a latent like any other under ``key``:

    - ``obsm["X_{key}"]``: (cells, factors) float32, mean of the members' scores, each with standard deviation
      1, mean 0 and the sign that agrees; not centred if all runs are non-negative
    - ``varm["{key}_loadings"]``: DataFrame (genes, factors), mean of the members' loadings in the units of
      these scores, if all runs have loadings
    - ``uns["{key}"]["factors"]``: as :func:`~distaff.tl.factors` writes it
    - ``uns["{key}"]["consensus"]``: DataFrame, one row a factor, those of most runs first: ``n_runs`` that
      have it, ``stability`` (mean absolute correlation over the pairs of its members), ``chance`` for so many
      runs, ``stable`` (whether more than half of the runs have it, with a stability above chance), and for
      each run ``factor_{run}``, the name of its member or ""
    - ``uns["{key}"]["consensus_members"]``: DataFrame, one row an active factor of a run, in the order of the
      consensus: ``run``, ``factor``, ``consensus`` ("" for a factor that no other run has), ``sign`` and
      ``similarity``, the mean absolute correlation with the other members
    - ``uns["{key}"]["consensus_correlation"]``: array of the correlations of these rows, float32
    - ``uns["{key}"]["params"]``

    Results of another latent under this key are removed. A factor of gene sets keeps the name of its set if
    all its members have it.

    Raises
    ------
    KeyError
        If there is no latent of a key.
    TypeError
        If ``models`` is no list, or holds something else.
    ValueError
        If there are fewer than two runs, a run lacks loadings to match by, a run has no active factor, or no
        two runs share one.

    References
    ----------
    Kotliar et al. (2019), :cite:p:`Kotliar19`; clusters of components over runs as a sign of their stability:
    Himberg et al. (2004), :cite:p:`Himberg04`.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from distaff import tl
    >>> rng = np.random.default_rng(0)
    >>> adata = anndata.AnnData(np.ones((200, 2)))
    >>> truth = rng.normal(size=(200, 3))
    >>> for seed, order in enumerate([[0, 1, 2], [2, 0, 1], [1, 2, 0]]):
    ...     adata.obsm[f"X_{seed}"] = rng.choice([-1, 1], 3) * truth[:, order] + rng.normal(0, 0.1, (200, 3))
    >>> tl.consensus(adata, ["0", "1", "2"])
    >>> adata.uns["consensus"]["consensus"][["n_runs", "stable"]].to_numpy().tolist()
    [[3, True], [3, True], [3, True]]
    """
    check_flag("copy", copy)
    check_adata(adata)
    check_choice("by", by, ("scores", "loadings"))
    check_number("threshold", threshold, above=0, below=1)
    check_seed("random_state", random_state)
    runs = read_runs(adata, models)
    if key in [run.name for run in runs]:
        raise error("key must differ from those of the runs", got=repr(key))
    found = agree(runs, by=by, threshold=threshold, random_state=random_state)
    slots = Slots(key)
    params = {
        "model": "consensus",
        "models": [run.name for run in runs],
        "by": by,
        "threshold": threshold,
        "random_state": random_state,
        "distaff_version": version("distaff"),
    }
    result = _described(adata, found, slots, params)
    adata = adata.copy() if copy else adata
    drop_of_latent(adata, slots)
    adata.varm.pop(slots.loadings, None)
    adata.obsm[slots.latent] = result.obsm[slots.latent]
    if slots.loadings in result.varm:
        adata.varm[slots.loadings] = result.varm[slots.loadings]
    adata.uns[slots.uns] = result.uns[slots.uns]
    return adata if copy else None


def _described(adata: AnnData, found: Agreement, slots: Slots, params: dict[str, Any]) -> AnnData:
    """Slots to write, in an AnnData of their own: an error leaves the user's as it was."""
    result = AnnData(obs=pd.DataFrame(index=adata.obs_names), var=pd.DataFrame(index=adata.var_names))
    result.obsm[slots.latent] = found.mean_scores().astype(np.float32)
    loadings = found.mean_loadings()
    if loadings is not None:
        result.varm[slots.loadings] = pd.DataFrame(loadings, index=adata.var_names, columns=found.names)
    kinds = [found.kind(name) for name in found.names]
    result.uns[slots.uns] = {
        Slots.params: params,
        Slots.factors: pd.DataFrame({"kind": kinds, "active": True, "kl": np.nan}, index=found.names),
        Slots.consensus: found.table,
        Slots.consensus_members: found.members,
        Slots.consensus_correlation: found.correlation.astype(np.float32),
    }
    describe(result, key=slots.key)
    return result
