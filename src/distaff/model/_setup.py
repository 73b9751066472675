"""Registering an AnnData: every value is checked before anything is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.data.fields import (
    CategoricalObsField,
    LayerField,
    NumericalJointObsField,
    NumericalObsField,
)

from distaff._checks import check_adata, check_flag, check_obs_column, error, listing
from distaff._compat import forget_manager, registered_genes, without_remarks
from distaff.model._fields import CategoricalCovariates
from distaff.model._fingerprint import ContentSum
from distaff.model._minified import check_minified_alike, has_no_counts, minified_fields
from distaff.model._unchanged import (
    ANEW,
    check_slots,
    check_unchanged,
    mark_counts,
    moved_genes,
    stale_covariate,
)
from distaff.pp.check_counts import check_values, check_whole

__all__ = ["SetupMixin", "check_genes", "check_known_categories", "check_setup_columns"]

SCVI_SLOTS = "_scvi_"  # how the columns begin that scvi-tools writes

# what scvi-tools itself passes when it replays a setup on load or on a query
REPLAY_ARGUMENTS = {"source_registry", "extend_categories", "allow_missing_labels"}


class SetupMixin:
    """``setup_anndata`` of all models, and the registry that it makes."""

    _own_registry: Mapping[str, Any] = MappingProxyType({})

    @property
    def registry_(self) -> dict[str, Any]:
        """Registry of scvi-tools, and beside it what this model alone has to say; saved with the model.

        scvi-tools hands the same one to all models of an AnnData, and a new one for new data.
        """
        return self._registry

    @registry_.setter
    def registry_(self, registry: dict[str, Any]) -> None:
        self._registry = {**registry, **self._own_registry}

    def _add_to_registry(self, entries: dict[str, Any]) -> None:
        """Keep plain values in the registry, whatever the data will be."""
        self._own_registry = {**self._own_registry, **entries}
        self.registry_ = self._registry

    @classmethod
    def setup_anndata(
        cls,
        adata: AnnData,
        *,
        layer: str | None = None,
        batch_key: str | None = None,
        labels_key: str | None = None,
        size_factor_key: str | None = None,
        categorical_covariate_keys: Sequence[str] | None = None,
        continuous_covariate_keys: Sequence[str] | None = None,
        allow_non_integer: bool = False,
        **kwargs: Any,
    ) -> None:
        """Tell the model where counts and covariates are, after a full check of all of them.

        Writes the bookkeeping of scvi-tools (``obs["_scvi_batch"]``, ``obs["_scvi_labels"]``,
        ``uns["_scvi_uuid"]`` and the like) and nothing else, but for counts that are a sparse array: they
        become a CSR matrix, the only form of them that scvi-tools' loader knows.

        Parameters
        ----------
        adata
            Annotated data, cells by genes, with raw counts.
        layer
            Layer with the counts; None for ``adata.X``.
        batch_key
            Column of ``adata.obs`` with the batch of each cell.
        labels_key
            Column of ``adata.obs`` with a label of each cell; used by gene-label dispersion only.
        size_factor_key
            Column of ``adata.obs`` with positive size factors, used in place of the library size.
        categorical_covariate_keys
            Columns of ``adata.obs`` with further categorical covariates.
        continuous_covariate_keys
            Columns of ``adata.obs`` with continuous covariates.
        allow_non_integer
            Accept any finite value: corrected counts, or real-valued expression for the normal likelihood.
        **kwargs
            Arguments with which scvi-tools replays a setup; not for users.

        Raises
        ------
        KeyError
            If a column or layer is missing.
        ValueError
            If the data cannot be modelled; the message names the column, or the first cell and gene.

        Examples
        --------
        >>> import distaff as ds
        >>> adata = ds.datasets.simulate_gep(100, 200, random_state=0)
        >>> ds.model.BetaVAE.setup_anndata(adata)
        """
        setup_method_args = cls._get_setup_method_args(**locals())  # type: ignore[attr-defined]
        unknown = set(kwargs) - REPLAY_ARGUMENTS
        if unknown:
            raise TypeError(f"setup_anndata() got an unexpected keyword argument {sorted(unknown)[0]!r}.")
        check_adata(adata)
        if "source_registry" in kwargs:
            check_genes(adata, registered_genes(kwargs["source_registry"]))
        content = ContentSum(adata.shape)
        if not has_no_counts(adata):
            check_flag("allow_non_integer", allow_non_integer)
            check_whole(adata)
            check_values(adata, layer=layer, allow_non_integer=allow_non_integer, look=content.add)
        check_setup_columns(adata, setup_method_args["setup_args"])
        if "source_registry" in kwargs and not kwargs.get("extend_categories"):
            check_known_categories(adata, kwargs["source_registry"])
        _as_scipy_matrix(adata, layer)
        manager = AnnDataManager(
            fields=[
                LayerField(REGISTRY_KEYS.X_KEY, layer, is_count_data=False),  # checked above, every value
                CategoricalObsField(REGISTRY_KEYS.BATCH_KEY, batch_key),
                CategoricalObsField(REGISTRY_KEYS.LABELS_KEY, labels_key),
                NumericalObsField(REGISTRY_KEYS.SIZE_FACTOR_KEY, size_factor_key, required=False),
                CategoricalCovariates(REGISTRY_KEYS.CAT_COVS_KEY, _as_list(categorical_covariate_keys)),
                NumericalJointObsField(REGISTRY_KEYS.CONT_COVS_KEY, _as_list(continuous_covariate_keys)),
                *minified_fields(cls, adata),
            ],
            setup_method_args=setup_method_args,
        )
        manager.register_fields(adata, **kwargs)
        mark_counts(manager, layer, content)
        cls.register_manager(manager)  # type: ignore[attr-defined]

    def _validate_anndata(self: Any, adata: AnnData | None = None, copy_if_view: bool = True) -> AnnData:  # noqa: FBT001, FBT002 - scvi's signature
        """Check another AnnData as thoroughly as the first one before the setup is transferred to it."""
        if adata is None or adata is self.adata:
            self._check_own_data()
            return super()._validate_anndata(adata, copy_if_view)  # type: ignore[misc]
        check_adata(adata)
        check_genes(adata, registered_genes(self.registry_))
        check_minified_alike(self.module, adata)
        setup = self.registry_["setup_args"]
        if not has_no_counts(adata):
            check_values(adata, layer=setup["layer"], allow_non_integer=setup["allow_non_integer"])
        check_setup_columns(adata, setup)
        check_known_categories(adata, self.registry_)
        known = None if adata.is_view else self.get_anndata_manager(adata)
        if known is not None and stale_covariate(known, setup):
            forget_manager(self, adata)
        with without_remarks():
            return super()._validate_anndata(adata, copy_if_view)  # type: ignore[misc,no-any-return]

    def _check_own_data(self: Any) -> None:
        """Check that the data of the model, which anyone may change, are still those that were set up.

        Raises
        ------
        KeyError
            If a slot of the setup is gone.
        ValueError
            If genes, a covariate or counts have changed so that results would be silently wrong.
        """
        adata, manager, setup = self.adata, self.adata_manager, self.registry_["setup_args"]
        if adata is None:
            return
        if moved_genes(adata, self.registry_):
            check_genes(adata, registered_genes(self.registry_))
        check_slots(manager)
        if not has_no_counts(adata):
            check_unchanged(manager, setup)
        if setup["size_factor_key"] is not None:
            _check_size_factor(adata, setup["size_factor_key"])
        manager.validate()  # another model that shares the data may have set them up since, in its own way
        key = stale_covariate(manager, setup)
        if key:
            got = "other values than those that the model was set up with"
            raise error(f"adata.obs[{key!r}] must stay as it is", got=got, fix=ANEW)


def check_genes(adata: AnnData, genes: np.ndarray) -> None:
    """Check that ``adata`` has the genes of the model, in its order.

    Raises
    ------
    ValueError
        If genes are missing or in another order: the latent would be silently wrong.
    """
    if np.array_equal(adata.var_names, genes):
        return
    missing = pd.Index(genes).difference(adata.var_names, sort=False)
    if len(missing):
        raise error(
            f"adata must have the {len(genes)} genes of the model",
            got=f"{adata.n_vars} genes, {len(missing)} of the model's missing: {listing(missing)}",
        )
    raise error(
        "adata must have the genes of the model in its order, and no others",
        got=_first_difference(adata.var_names, genes),
        fix="Use adata[:, model.get_var_names()].copy(), with a model of load(..., adata=False).",
    )


def _first_difference(names: pd.Index, genes: np.ndarray) -> str:
    """What tells the genes of data from those of the model, where none is missing."""
    others = names.difference(genes, sort=False)
    if len(others):
        return f"{len(others)} others: {listing(others)}"
    if len(names) > len(genes):
        repeated = names[names.duplicated()].unique()
        return f"{len(repeated)} genes more than once: {listing(repeated)}"
    i = int(np.flatnonzero(np.asarray(names) != genes)[0])
    return f"{names[i]!r} at position {i}, where the model has {genes[i]!r}"


def check_setup_columns(adata: AnnData, setup_args: dict[str, Any]) -> None:
    """Check the columns of ``obs`` that a setup names.

    Raises
    ------
    KeyError
        If a column is missing.
    ValueError
        If a value is missing, or a number is not finite or, for a size factor, not positive.
    """
    for name in ("categorical_covariate_keys", "continuous_covariate_keys"):
        keys = setup_args[name]
        if isinstance(keys, str) or not isinstance(keys, Sequence | None):
            fix = f"Write [{keys!r}]." if isinstance(keys, str) else ""
            raise error(f"{name} must be a list of columns", got=repr(keys), fix=fix, kind=TypeError)
        unnamed = [key for key in keys or () if not isinstance(key, str)]
        if unnamed:
            raise error(f"{name} must be a list of columns", got=repr(unnamed[0]), kind=TypeError)
        repeated = sorted({str(key) for key, n in Counter(keys or ()).items() if n > 1})
        if repeated:
            raise error(f"{name} must name each column once", got=f"{listing(repeated)} more than once")
    for name in ("batch_key", "labels_key"):
        _check_categorical(adata, setup_args[name], name)
    for key in setup_args["categorical_covariate_keys"] or ():
        _check_categorical(adata, key, "categorical_covariate_keys")
    for key in setup_args["continuous_covariate_keys"] or ():
        _check_numbers(adata, key, "continuous_covariate_keys")
    if setup_args["size_factor_key"] is not None:
        _check_size_factor(adata, setup_args["size_factor_key"])


def check_known_categories(adata: AnnData, registry: dict[str, Any]) -> None:
    """Check that the model knows all batches, labels and categories of covariates of new cells.

    Raises
    ------
    ValueError
        If it does not.
    """
    setup, fields = registry["setup_args"], registry["field_registries"]
    known = {}
    for name, field in (("batch_key", REGISTRY_KEYS.BATCH_KEY), ("labels_key", REGISTRY_KEYS.LABELS_KEY)):
        if setup[name] is not None:
            known[setup[name]] = name, fields[field]["state_registry"]["categorical_mapping"]
    if setup["categorical_covariate_keys"]:
        mappings = fields[REGISTRY_KEYS.CAT_COVS_KEY]["state_registry"]["mappings"]
        known |= {key: ("categorical_covariate_keys", mapping) for key, mapping in mappings.items()}
    for key, (name, categories) in known.items():
        values = pd.Index(adata.obs[key].unique())
        others = values.difference(pd.Index(categories), sort=False)
        if len(others):
            fix = f"It knows {listing(categories)}; load_query_data maps cells of others."
            if {str(value) for value in others} <= {str(value) for value in categories}:
                kinds = (type(next(iter(values))).__name__ for values in (categories, others))
                fix = "It knows them as {}, here they are {}: convert the column.".format(*kinds)
            raise error(
                f"adata.obs[{key!r}] ({name}) must hold categories that the model knows",
                got=f"{len(others)} others: {listing(others)}",
                fix=fix,
            )


def _check_size_factor(adata: AnnData, key: str) -> None:
    values = _check_numbers(adata, key, "size_factor_key")
    if values.min() <= 0:
        cell = adata.obs_names[int(values.argmin())]
        raise error(f"Size factors (adata.obs[{key!r}]) must be > 0", got=f"{values.min()} for cell {cell!r}")


def _check_categorical(adata: AnnData, key: str | None, name: str) -> None:
    if key is None:
        return
    if isinstance(key, str) and not key:  # to scvi-tools the same as none
        raise error(f"{name} must name a column", got="an empty name", fix="Rename the column.")
    column = check_obs_column(adata, key, name=name)
    if key.startswith(SCVI_SLOTS):
        got, fix = repr(key), "setup_anndata writes that column itself: give yours another name."
        raise error(f"{name} must name a column of your own", got=got, fix=fix)
    missing = column.isna().to_numpy()
    if missing.any():
        raise error(
            f"adata.obs[{key!r}] ({name}) must have no missing values",
            got=f"{missing.sum()} missing, the first for cell {adata.obs_names[int(missing.argmax())]!r}",
            fix="Leave these cells out, or give them a category of their own.",
        )
    values = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else column
    kinds = sorted({_kind(value) for value in values}) if values.dtype == object else []
    if len(kinds) > 1 or not {"dict", "list", "set"}.isdisjoint(kinds):
        raise error(
            f"adata.obs[{key!r}] ({name}) must hold values of one plain kind",
            got=listing(kinds),
            fix=f"Make them text: adata.obs[{key!r}].astype(str).",
            kind=TypeError,
        )


def _kind(value: Any) -> str:
    """Name of a value's type; text of numpy, as ``astype(str)`` of categories leaves it, is text like any."""
    return "str" if isinstance(value, str) else type(value).__name__


def _check_numbers(adata: AnnData, key: str, name: str) -> np.ndarray:
    column = check_obs_column(adata, key, name=name)
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
        raise error(f"adata.obs[{key!r}] ({name}) must hold numbers", got=f"dtype {column.dtype}")
    values = column.to_numpy(dtype=float, na_value=np.nan)
    with np.errstate(over="ignore"):  # models compute in float32
        bad = ~np.isfinite(values.astype(np.float32))
    if bad.any():
        cell = adata.obs_names[int(bad.argmax())]
        raise error(
            f"adata.obs[{key!r}] ({name}) must be finite",
            got=f"{values[bad.argmax()]} for cell {cell!r} ({bad.sum()} such cells)",
        )
    return values


def _as_list(keys: Sequence[str] | None) -> list[str] | None:
    return None if keys is None else list(keys)


def _as_scipy_matrix(adata: AnnData, layer: str | None) -> None:
    """Sparse arrays become sparse matrices of the same format: scvi-tools' loader knows no others."""
    matrix = adata.X if layer is None else adata.layers[layer]
    if not isinstance(matrix, sparse.sparray):
        return
    converted = sparse.csr_matrix(matrix)
    if layer is None:
        adata.X = converted
    else:
        adata.layers[layer] = converted
