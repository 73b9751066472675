"""Latent, and expression, without the effect of some factors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from distaff._checks import check_column_names, check_flag, error, factor_order, listing, name_list
from distaff._keys import DEFAULT_KEY, Slots
from distaff.tl._representation import factor_table, representation
from distaff.tl._stale import BASIC, drop_of_latent

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["regress_out_factors"]

BLOCK = 2048  # cells at a time


def regress_out_factors(
    adata: AnnData,
    factors: str | Sequence[str],
    *,
    key: str = DEFAULT_KEY,
    key_added: str | None = None,
    layer: str | None = None,
    layer_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    r"""Remove factors, such as the cell cycle, stress or a batch, from the latent and from expression.

    The latent loses their columns; the others stay as they are. What these share with a factor that was
    removed, as far as they are correlated, stays too.

    With ``layer_added`` their effect is taken out of log-normalised expression :math:`y_{ig}` as well,

    .. math:: y_{ig} - \sum_{k\ \text{removed}} (z_{ik} - \bar z_k)\, \beta_{kg},

    with the coefficients :math:`\beta` of a least-squares fit to all factors together, so that a factor
    answers for its own part only and the mean of each gene stays. Residuals of this kind serve clustering and
    embedding, as those of f-scLVM do :cite:p:`Buettner17`. They are no counts, may be negative, and keep
    whatever the factor does that is not linear on this scale: test differences with the factor as a covariate
    and not on them. The loadings of a model are not used: they are on the scale of log rates, where a weak
    gene changes far more than on that of log1p counts.

    Parameters
    ----------
    adata
        Annotated data with the latent.
    factors
        Names of the factors to remove.
    key
        Prefix of the slots of the latent.
    key_added
        Prefix of the slots to write; None for ``"{key}_regressed"``.
    layer
        Layer with log-normalised expression, None for ``X``; read only with ``layer_added``.
    layer_added
        Layer to write, a dense matrix (cells, genes) float32; None for none.
    copy
        Return a changed copy and leave ``adata`` alone.

    Returns
    -------
    None, or the copy. Writes

    - ``obsm["X_{key_added}"]``: (cells, remaining factors) float32
    - ``varm["{key_added}_loadings"]``: the remaining columns, where there are loadings
    - ``uns["{key_added}"]``: ``"params"``, and ``"factors"`` with ``kind``, ``active`` and ``kl`` of the
      remaining factors
    - ``layers["{layer_added}"]``: on request

    Raises
    ------
    KeyError
        If the latent, a factor or the layer is missing.
    ValueError
        If no factor is left or named, ``key_added`` is ``key``, expression is not finite or holds counts, or
        there are loadings and a factor that stays has a name that no file can hold ("_index").

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from distaff import tl
    >>> rng = np.random.default_rng(0)
    >>> Z = rng.normal(size=(200, 3))
    >>> adata = anndata.AnnData(Z @ rng.normal(size=(3, 5)) + 10)
    >>> adata.obsm["X_distaff"] = Z
    >>> tl.regress_out_factors(adata, "Factor 2", layer_added="corrected")
    >>> adata.obsm["X_distaff_regressed"].shape
    (200, 2)
    >>> bool(abs(np.corrcoef(adata.layers["corrected"][:, 0], Z[:, 1])[0, 1]) < 0.15)
    True
    """
    check_flag("copy", copy)
    Z, rep = representation(adata, key=key, use_rep=None)
    removed = _removed(Z, factors)
    kept = ~removed
    target = f"{key}_regressed" if key_added is None else key_added
    if Slots(target).latent == rep:
        raise error("key_added must differ from key", got=repr(target))
    if layer is not None and layer_added is None:
        fix = "Without layer_added no expression is read."
        raise error("layer must be None without layer_added", got=repr(layer), fix=fix)
    corrected = None if layer_added is None else _corrected(adata, layer, Z.to_numpy(), removed)
    entry: dict[str, Any] = {Slots.params: _params(key, list(Z.columns[removed]), layer, layer_added)}
    entry[Slots.factors] = _remaining_table(adata, Slots(key), Z.columns, kept)
    loadings = _remaining_loadings(adata, Slots(key), Z.columns, kept)
    adata = adata.copy() if copy else adata
    slots = Slots(target)
    drop_of_latent(adata, slots)
    adata.varm.pop(slots.loadings, None)
    adata.obsm[slots.latent] = Z.to_numpy(dtype=np.float32)[:, kept]
    if loadings is not None:
        adata.varm[slots.loadings] = loadings
    adata.uns[slots.uns] = entry
    if layer_added is not None and corrected is not None:
        adata.layers[layer_added] = corrected
    return adata if copy else None


def _removed(Z: pd.DataFrame, factors: str | Sequence[str]) -> NDArray[np.bool_]:
    """(factors,) which of them to remove."""
    names = name_list("factors", factors)
    unknown = [name for name in names if name not in Z.columns]
    if unknown or not names:
        raise error(
            "factors must name factors of the latent",
            got=listing(unknown) or "none",
            fix=f"There are {listing(list(Z.columns))}.",
            kind=KeyError if unknown else ValueError,
        )
    removed = Z.columns.isin(names)
    if removed.all():
        raise error("A factor must be left", got=f"all {len(removed)} to remove")
    return removed


def _params(key: str, names: list[str], layer: str | None, layer_added: str | None) -> dict[str, Any]:
    params = {"model": "regress_out_factors", "key": key, "factors": names, "layer_added": layer_added}
    params = {**params, "layer": layer, "distaff_version": version("distaff")}
    return {name: value for name, value in params.items() if value is not None}


def _remaining_table(adata: AnnData, slots: Slots, names: pd.Index, kept: NDArray[np.bool_]) -> pd.DataFrame:
    table = factor_table(adata, slots)
    if table is not None and len(table) == len(kept) and set(BASIC) <= set(table):
        return table[BASIC][kept]
    return pd.DataFrame({"kind": "latent", "active": True, "kl": np.nan}, index=names[kept])


def _remaining_loadings(
    adata: AnnData, slots: Slots, names: pd.Index, kept: NDArray[np.bool_]
) -> pd.DataFrame | None:
    if slots.loadings not in adata.varm:
        return None
    stored = adata.varm[slots.loadings]
    values = np.asarray(stored)
    check_column_names("Names of factors that stay", names[kept], fix="Rename them first.")
    if isinstance(stored, pd.DataFrame):
        values = values[:, factor_order(stored.columns, names, name=f"adata.varm[{slots.loadings!r}]")]
    return pd.DataFrame(values[:, kept], index=adata.var_names, columns=names[kept])


def _corrected(
    adata: AnnData, layer: str | None, Z: NDArray[np.float64], removed: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """(cells, genes) residuals, block by block of cells."""
    if layer is not None and layer not in adata.layers:
        have = listing([name for name in adata.layers if name is not None]) or "none"  # newer anndata lists X
        raise error(
            "layer must name a layer of adata", got=repr(layer), fix=f"There are {have}.", kind=KeyError
        )
    expression = adata.X if layer is None else adata.layers[layer]
    centred = Z - Z.mean(axis=0)
    products = np.zeros((Z.shape[1], adata.n_vars))
    whole = True
    for rows, block in _blocks(expression):
        if not np.isfinite(block).all():
            raise error("Expression must be finite", got="a missing or infinite value")
        whole = whole and bool((block == np.round(block)).all())
        products += centred[rows].T @ block
    if whole:
        raise error(
            "Expression must be log-normalised",
            got="whole numbers only, as counts are",
            fix="Run scanpy.pp.normalize_total and scanpy.pp.log1p first.",
        )
    beta = (np.linalg.pinv(centred.T @ centred, hermitian=True) @ products)[removed]
    result = np.empty(expression.shape, dtype=np.float32)
    for rows, block in _blocks(expression):
        result[rows] = block - centred[rows][:, removed] @ beta
    return result


def _blocks(expression: Any) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    for start in range(0, expression.shape[0], BLOCK):
        rows = slice(start, start + BLOCK)
        block = expression[rows]
        yield rows, np.asarray(block.toarray() if sparse.issparse(block) else block, dtype=np.float64)
