"""Fields of a setup that scvi-tools reads otherwise than it should."""

from __future__ import annotations

from typing import Any

from anndata import AnnData
from scvi.data.fields import CategoricalJointObsField

__all__ = ["CategoricalCovariates"]


class CategoricalCovariates(CategoricalJointObsField):
    """Categorical covariates, whose codes follow the model's categories whatever their order in the data.

    To pandas two unordered types with the same categories are one: a column that has them in another order
    would keep its own codes, and each cell would be taken for one of another category.
    """

    def _make_array_categorical(
        self, adata: AnnData, category_dict: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        if category_dict is not None:
            table = adata.obsm[self.attr_key]
            for key in self.attr_keys:
                table[key] = table[key].astype(object)  # plain values have no order of their own
        found: dict[str, Any] = super()._make_array_categorical(adata, category_dict)
        return found
