"""Write what is known of each factor into an AnnData."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distaff._checks import check_flag, check_int, error, factor_order, modelled_genes
from distaff._keys import DEFAULT_KEY, Slots
from distaff.metrics import variance_explained
from distaff.metrics._contract import constant_columns
from distaff.tl import _factor_table, _representation
from distaff.tl._stale import BASIC

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["factors"]


def factors(
    adata: AnnData, model: Any = None, *, key: str = DEFAULT_KEY, n_top: int = 5, copy: bool = False
) -> AnnData | None:
    r"""Rank the factors and describe each: how much it explains, by which genes, in which direction.

    The share of factor :math:`d` in the variance is

    .. math:: \frac{\mathrm{Var}(z_d)\,\lVert L_d \rVert^2}{\sum_j \mathrm{Var}(z_j)\,\lVert L_j \rVert^2}

    with loadings :math:`L` centred over genes, see :func:`~distaff.metrics.variance_explained`, and
    :math:`\mathrm{Var}(z_d) / \sum_j \mathrm{Var}(z_j)`, which depends on the scale of each dimension, where
    there are none: behind a network that is not linear no dimension has a share of its own.

    Parameters
    ----------
    adata
        Annotated data with the latent of :func:`~distaff.tl.latent`, or any other in ``obsm["X_{key}"]``.
    model
        The model that the latent is from, whose loadings are used where it has any. None to go by the slots
        alone: ``varm["{key}_loadings"]``, an array or DataFrame (genes, factors) of any origin, and what
        :func:`~distaff.tl.latent` has written.
    key
        Prefix of the slots.
    n_top
        Genes to name, at most.
    copy
        Return a changed copy and leave ``adata`` alone.

    Returns
    -------
    None, or the copy. Writes ``uns["{key}"]["factors"]``: DataFrame, one row a factor:

    - ``kind``, ``active``, ``kl``: as :func:`~distaff.tl.latent` writes them. For a latent of other origin
      "latent", whether it varies over cells, and NaN
    - ``rank``: 1 for the active factor with the largest share, inactive ones last
    - ``variance_explained``: the share above
    - ``direction``: multiply factor and loadings by it to make the larger side positive. That side is the
      sign of the sum of the cubes of the centred loadings: it does not change with the constant that a
      softmax leaves free, and follows the few strong genes rather than the many weak ones. For a gene set
      the sign of the sum of its own genes, see :meth:`distaff.model.AnnotatedVAE.get_terms`. Without
      loadings that of the mean of a latent with a gate, which is 0 where a factor is off: it is then mostly
      positive where it is on. 1 where the sign is no choice, as latent or loadings are not negative, and
      for other latents without loadings

    and where there are loadings

    - ``l2_norm``: of the loadings as they are
    - ``n_genes``: genes whose loading is not 0; for :class:`~distaff.model.FSCLVM`, whose loadings never are,
      genes that belong to the factor with a probability above 0.5
    - ``top_genes``: names of the ``n_top`` genes with the largest loadings in this direction, by ", "; fewer
      where fewer are above the mean of the factor's loadings, or differ from 0

    Raises
    ------
    KeyError
        If there is no latent.
    ValueError
        If the latent or the loadings are not finite, or their factors differ.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from distaff import tl
    >>> rng = np.random.default_rng(0)
    >>> adata = anndata.AnnData(rng.normal(size=(100, 3)))
    >>> adata.var_names = ["CD3D", "LYZ", "MS4A1"]
    >>> adata.obsm["X_pca"] = rng.normal(size=(100, 2))
    >>> adata.varm["pca_loadings"] = np.array([[0.1, 0.2], [-0.1, 3.0], [-2.0, 0.1]])
    >>> tl.factors(adata, key="pca", n_top=1)
    >>> adata.uns["pca"]["factors"][["rank", "direction", "top_genes"]]
              rank  direction top_genes
    Factor 1     2         -1     MS4A1
    Factor 2     1          1       LYZ
    """
    check_flag("copy", copy)
    n_top = check_int("n_top", n_top, minimum=1)
    Z, _ = _representation.representation(adata, key=key, use_rep=None)
    slots = Slots(key)
    stored = _representation.factor_table(adata, slots)
    if stored is not None and list(stored.index.astype(str)) != list(Z.columns):
        stored = None  # of a latent with another number of factors
    table = _basic(adata, model, Z, stored)
    L = _loadings(adata, model, slots, table.index)
    if L is not None:
        if stored is None and model is None and not isinstance(adata.obsm[slots.latent], pd.DataFrame):
            table.index = _better_names(table.index, L.columns)
        if model is None:
            L = L.iloc[:, factor_order(L.columns, table.index, name=f"adata.varm[{slots.loadings!r}]")]
        L = L.set_axis(table.index, axis=1)
    values = Z.to_numpy()
    share = _shares(values, L)
    table["rank"] = _ranks(share, table["active"].to_numpy())
    table["variance_explained"] = share
    if L is not None:
        loadings = L.to_numpy(dtype=np.float64)
        table["l2_norm"] = np.linalg.norm(loadings, axis=0)
        known = model.get_terms() if hasattr(model, "get_terms") else stored if model is None else None
        table["n_genes"] = _gene_numbers(known, table, loadings)
        table["direction"] = _directions(known, table, loadings, values)
        table["top_genes"] = _top_genes(L, table["direction"].to_numpy(), n_top)
    elif slots.inclusion in adata.obsm:
        table["direction"] = np.where(values.mean(axis=0) < 0, -1, 1)
    else:
        table["direction"] = 1
    adata = adata.copy() if copy else adata
    _representation.store(adata, key, Slots.factors, table)
    return adata if copy else None


def _basic(adata: AnnData, model: Any, Z: pd.DataFrame, stored: pd.DataFrame | None) -> pd.DataFrame:
    """Kind, activity and KL: of the model, else as stored, else what the latent alone tells."""
    if model is not None:
        _check_model(model, Z)
        table = _factor_table.factor_table(model, adata, Z.to_numpy(dtype=np.float32))
        if table is not None:
            return table.set_axis(Z.columns) if stored is not None else table
    if stored is not None and set(BASIC) <= set(stored):
        return stored[BASIC].set_axis(Z.columns)
    columns = {"kind": "latent", "active": ~constant_columns(Z.to_numpy()), "kl": np.nan}
    return pd.DataFrame(columns, index=Z.columns)


def _check_model(model: Any, Z: pd.DataFrame) -> None:
    """A model with another number of factors did not make this latent."""
    if not hasattr(model, "get_latent_representation"):
        got = type(model).__name__
        raise error("model must have get_latent_representation()", got=got, kind=TypeError)
    names = getattr(model, "factor_names", None)
    n = len(names) if names is not None else getattr(getattr(model, "module", None), "n_latent", Z.shape[1])
    if n != Z.shape[1]:
        raise error(
            "model must be the one that the latent is from",
            got=f"{n} factors for a latent of {Z.shape[1]}",
            fix="Run distaff.tl.latent(adata, model) first.",
        )


def _loadings(adata: AnnData, model: Any, slots: Slots, factors: pd.Index) -> pd.DataFrame | None:
    """(genes, factors) of the model, else of the slot, where an array has no names; None without any."""
    if hasattr(model, "get_loadings") and getattr(model, "has_loadings", True):
        return model.get_loadings().rename(columns=str)
    if model is not None or slots.loadings not in adata.varm:
        return None  # loadings beside a model that has none are those of another
    stored = adata.varm[slots.loadings]
    if isinstance(stored, pd.DataFrame):
        return modelled_genes(stored.rename(columns=str))
    names = [f"Factor {i + 1}" for i in range(stored.shape[1])]
    columns = factors if len(factors) == len(names) else names
    return modelled_genes(pd.DataFrame(np.asarray(stored), index=adata.var_names, columns=columns))


def _better_names(names: pd.Index, columns: pd.Index) -> pd.Index:
    """Those of the loadings, for a latent that has none of its own."""
    return pd.Index(columns) if len(columns) == len(names) and columns.is_unique else names


def _shares(Z: NDArray[np.float64], L: pd.DataFrame | None) -> NDArray[np.float64]:
    """(factors,) share of each in the variance that reaches the genes; without loadings, in the latent's."""
    unit = np.eye(Z.shape[1])
    loadings = np.vstack([unit, -unit]) if L is None else L.to_numpy(dtype=np.float64)  # centred as they are
    return np.asarray(variance_explained(Z, loadings).per_dimension)


def _ranks(share: NDArray[np.float64], active: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(factors,) from 1: active ones by their share, then the others."""
    ranks = np.empty(len(share), dtype=np.int64)
    ranks[np.lexsort((-share, ~active))] = np.arange(1, len(share) + 1)
    return ranks


def _gene_numbers(
    known: pd.DataFrame | None, table: pd.DataFrame, loadings: NDArray[np.float64]
) -> NDArray[np.int64]:
    """(factors,) genes of each factor: those that the model counts beside gene sets, else loadings not 0."""
    counted = (loadings != 0).sum(axis=0)
    if known is None or "n_genes" not in known:
        return counted
    return np.where(table["kind"] == "latent", counted, known["n_genes"].to_numpy())


def _directions(
    known: pd.DataFrame | None,
    table: pd.DataFrame,
    loadings: NDArray[np.float64],
    Z: NDArray[np.float64],
) -> NDArray[np.int64]:
    """(factors,) 1 or -1, see :func:`factors`; ``known`` says it of gene sets."""
    skew = ((loadings - loadings.mean(axis=0)) ** 3).sum(axis=0)
    fixed = bool((loadings >= 0).all() or (Z >= 0).all())
    direction = np.ones(len(table), dtype=np.int64) if fixed else np.where(skew < 0, -1, 1)
    # which genes are in a set, the slots do not tell: without the model its earlier answer stands
    if known is None or "direction" not in known:
        return direction
    return np.where(table["kind"] == "annotated", known["direction"].to_numpy(), direction)


def _top_genes(L: pd.DataFrame, direction: NDArray[np.int64], n: int) -> list[str]:
    """For each factor the names of the genes with the largest loadings above the mean, largest first."""
    names = []
    for values, sign in zip(L.to_numpy(dtype=np.float64).T, direction, strict=True):
        turned = sign * values
        order = np.argsort(-turned, kind="stable")[:n]
        above = (turned > turned.mean()) & (values != 0)
        names.append(", ".join(str(L.index[i]) for i in order if above[i]))
    return names
