"""Arguments of scvi-tools' methods that it takes as they are: numbers, names of genes and groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from inspect import signature
from typing import Any

import numpy as np
from scvi import REGISTRY_KEYS

from distaff._checks import check_choice, check_int, check_number, check_obs_column, error, listing
from distaff._compat import registered_genes
from distaff.train import cell_positions

__all__ = ["checked"]

# arguments that count something; scvi-tools takes 0 and less without a word
COUNTS = ("batch_size", "n_mc_samples", "n_mc_samples_per_pass", "n_samples", "n_samples_overall")
MODES = ("vanilla", "change")  # of differential expression


def checked(method: Callable[..., Any]) -> Callable[..., Any]:
    """Have a method refuse numbers out of range, genes and groups that there are not, and random weights."""
    own = signature(method)

    @wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = own.bind(self, *args, **kwargs).arguments
        for name in COUNTS:
            if given.get(name) is not None:
                check_int(name, given[name], minimum=1)
        if given.get("indices") is not None:
            adata = given.get("adata")
            cell_positions(given["indices"], (self.adata if adata is None else adata).n_obs)
        _check_genes(self, given.get("gene_list"))
        _check_batches(self, given.get("transform_batch"))
        _check_groups(self, given)
        size = given.get("library_size", 1)
        if size is not None and not isinstance(size, np.ndarray) and size != "latent":
            check_number("library_size", size, above=0)
        self._check_if_trained(warn=False)
        return method(self, *args, **kwargs)

    return run


def _check_genes(model: Any, genes: Any) -> None:
    if genes is None:
        return
    if isinstance(genes, str):
        raise error("gene_list must be a list", got=repr(genes), fix=f"Write [{genes!r}].", kind=TypeError)
    known = set(registered_genes(model.registry_))
    unknown = [gene for gene in genes if gene not in known]
    if unknown:
        got = f"{len(unknown)} others: {listing(unknown)}"
        raise error("gene_list must name genes of the model", got=got, kind=KeyError)


def _check_batches(model: Any, batches: Any) -> None:
    if batches is None:
        return
    known = list(model.adata_manager.get_state_registry(REGISTRY_KEYS.BATCH_KEY).categorical_mapping)
    wanted = [batches] if isinstance(batches, str) or not isinstance(batches, Iterable) else list(batches)
    unknown = [batch for batch in wanted if batch is not None and batch not in known]
    if unknown or not wanted:
        got, fix = listing(unknown) or "none", f"There are {listing(known)}."
        raise error("transform_batch must name batches of the model", got=got, fix=fix)


def _check_groups(model: Any, given: Mapping[str, Any]) -> None:
    groupby = given.get("groupby")
    if "mode" in given:
        check_choice("mode", given["mode"], MODES)
    if "delta" in given:
        check_number("delta", given["delta"], minimum=0)
    for name in ("idx1", "idx2"):
        if given.get(name) is not None and not isinstance(given[name], str) and not len(given[name]):
            raise error(f"{name} must choose cells", got="none")
    adata = model.adata if given.get("adata") is None else given["adata"]
    if groupby is None or adata is None:
        return
    known = [str(group) for group in check_obs_column(adata, groupby, name="groupby").dropna().unique()]
    for name in ("group1", "group2"):
        groups = given.get(name)
        wanted = [groups] if isinstance(groups, str) else list(groups or ())
        unknown = [group for group in wanted if str(group) not in known]
        if unknown:
            raise error(
                f"{name} must name groups of adata.obs[{groupby!r}]",
                got=listing(unknown),
                fix=f"There are {listing(known)}.",
                kind=KeyError,
            )
