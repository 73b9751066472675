"""Effect on expression of moving each factor over its range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from distaff._checks import check_adata, check_flag, check_int, check_number, check_seed, error
from distaff._keys import DEFAULT_KEY, Slots
from distaff.model._traversal import mean_effects
from distaff.tl._names import model_names, stored_names
from distaff.tl._representation import store

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["traverse"]


def traverse(
    adata: AnnData,
    model: Any,
    *,
    key: str = DEFAULT_KEY,
    percentiles: tuple[float, float] = (1, 99),
    n_cells: int | None = 1000,
    batch_size: int | None = None,
    random_state: int = 0,
    copy: bool = False,
) -> AnnData | None:
    r"""Log fold change of each gene when a factor moves over its range, for any decoder.

    A cell is decoded twice, with factor :math:`k` at its low and at its high percentile over all cells, and
    the other factors and covariates as they are in that cell. The change is averaged over cells,

    .. math::

        \Delta_{gk} = \frac1N \sum_i \log \rho_g(z_i, z_{ik} = h_k) - \log \rho_g(z_i, z_{ik} = l_k),

    where :math:`\rho` is expression as a share of the cell's total. No cell need be like the middle of all
    cells, where a decoder has seen no data, and covariates weigh as they occur. For a linear decoder with a
    softmax this is, up to a constant of each factor, :math:`(h_k - l_k)` times the loadings. For a normal
    likelihood the values themselves are on a log scale, and so is their difference.

    Parameters
    ----------
    adata
        Cells with the genes of the model; minified if the model's data are.
    model
        Trained model of distaff with a decoder, or one of scvi-tools built like
        :class:`scvi.model.SCVI`: so are :class:`scvi.model.LinearSCVI` and ``scvi.external.DRVI``.
    key
        Prefix of the slots.
    percentiles
        Low and high percentile of a factor, in [0, 100].
    n_cells
        Number of cells to average over, drawn at random; None for all.
    batch_size
        Cells a minibatch.
    random_state
        Seed of the choice of cells.
    copy
        Return a changed copy and leave ``adata`` alone.

    Returns
    -------
    None, or the copy. Writes

    - ``varm["{key}_traversal"]``: DataFrame (genes, factors), log fold change in nats
    - ``uns["{key}"]["traversal"]``: ``"range"``, DataFrame (factors, columns) with the values ``low`` and
      ``high``, and ``"params"``

    Raises
    ------
    TypeError
        If the model has no decoder that takes a latent, or ``percentiles`` are not two.
    ValueError
        If the percentiles do not rise, or the latent is not finite.

    Examples
    --------
    >>> import distaff as ds
    >>> adata = ds.datasets.simulate_gep(100, 200, random_state=0)
    >>> ds.model.BetaVAE.setup_anndata(adata)
    >>> model = ds.model.BetaVAE(adata, n_latent=4)
    >>> model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
    >>> ds.tl.traverse(adata, model)
    >>> adata.varm["distaff_traversal"].shape
    (200, 4)
    """
    check_flag("copy", copy)
    check_adata(adata)
    _check_model(model)
    low, high = _bounds(percentiles)
    check_seed("random_state", random_state)
    if batch_size is not None:
        check_int("batch_size", batch_size, minimum=1)
    adata = adata.copy() if copy else adata
    own = model._validate_anndata(adata)
    Z = np.asarray(model.get_latent_representation(own), dtype=np.float32)
    if not np.isfinite(Z).all():
        cell = adata.obs_names[int(np.argwhere(~np.isfinite(Z))[0, 0])]
        raise error("The latent must be finite", got=f"a missing or infinite value for cell {cell!r}")
    bounds = np.percentile(Z, (low, high), axis=0).astype(np.float32)
    cells = np.arange(own.n_obs)
    if n_cells is not None and check_int("n_cells", n_cells, minimum=1) < own.n_obs:
        cells = np.sort(np.random.default_rng(random_state).choice(own.n_obs, n_cells, replace=False))
    effects = mean_effects(model, own, Z, bounds, cells=cells, batch_size=batch_size)
    slots = Slots(key)
    names = stored_names(adata, model, slots, Z.shape[1]) or model_names(model, Z.shape[1])
    adata.varm[slots.traversal] = pd.DataFrame(effects, index=adata.var_names, columns=names)
    ends = pd.DataFrame(bounds.T, index=pd.Index(names), columns=["low", "high"])
    params = {"percentiles": [low, high], "n_cells": len(cells), "random_state": random_state}
    store(adata, key, Slots.traversed, {"range": ends, "params": params})
    return adata if copy else None


def _bounds(percentiles: tuple[float, float]) -> tuple[float, float]:
    if not isinstance(percentiles, Sequence) or isinstance(percentiles, str) or len(percentiles) != 2:
        raise error("percentiles must be two numbers", got=repr(percentiles), kind=TypeError)
    low, high = (check_number("percentiles", value, minimum=0, maximum=100) for value in percentiles)
    if low >= high:
        raise error("percentiles must rise", got=percentiles)
    return low, high


def _check_model(model: Any) -> None:
    module = getattr(model, "module", None)
    parts = ("inference", "generative", "_get_inference_input", "_get_generative_input")
    if not hasattr(model, "get_latent_representation") or not all(hasattr(module, part) for part in parts):
        raise error(
            "model must have an encoder and a decoder as scvi.model.SCVI has",
            got=type(model).__name__,
            fix="For a linear model use tl.loadings.",
            kind=TypeError,
        )
