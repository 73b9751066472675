"""Arguments of scvi-tools' methods that it takes as they are: numbers, names of genes and groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from scvi import REGISTRY_KEYS

from distaff._checks import (
    check_adata,
    check_choice,
    check_flag,
    check_int,
    check_number,
    check_obs_column,
    error,
    is_hashable,
    listing,
    name_list,
)
from distaff._compat import registered_genes
from distaff.nn.libraries import ObservedLibrary
from distaff.nn.likelihoods import NegativeBinomialLikelihood, ZeroInflatedNegativeBinomialLikelihood
from distaff.nn.links import Identity
from distaff.nn.posteriors import NormalPosterior
from distaff.nn.priors import StandardNormalPrior
from distaff.train import cell_positions

__all__ = ["check_loader", "checked"]

# arguments that count something; scvi-tools takes 0 and less without a word
COUNTS = {"batch_size", "n_mc_samples", "n_mc_samples_per_pass", "n_samples", "n_samples_overall"}
FLAGS = {"all_stats", "batch_correction", "filter_outlier_cells", "give_mean"}
FLAGS |= {"return_mean", "return_numpy", "silent"}
MAPPINGS = {"data_loader_kwargs", "importance_weighting_kwargs"}
CHOICES = {"correlation_type": ("spearman", "pearson"), "weights": ("uniform", "importance")}
MODES = ("vanilla", "change")  # of differential expression


def checked(method: Callable[..., Any]) -> Callable[..., Any]:
    """Have a method refuse numbers out of range, genes and groups that there are not, and random weights."""
    own = signature(method)

    @wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        bound = own.bind(self, *args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        for name in COUNTS & given.keys():
            if given[name] is not None:  # numbers of numpy are none to torch
                given[name] = check_int(name, given[name], minimum=1)
        adata = self.adata if given.get("adata") is None else given["adata"]
        if adata is not None:
            check_adata(adata)
        _check_values(given)
        if given.get("weights") == "importance":
            _check_weighted(self)
        if given.get("indices") is not None and adata is not None:
            cell_positions(given["indices"], adata.n_obs)
        _check_genes(self, given.get("gene_list"))
        _check_batches(self, given.get("transform_batch"))
        if "groupby" in given:
            _check_groups(given, adata)
        self._check_if_trained(warn=False)
        return method(*bound.args, **bound.kwargs)

    return run


def _check_values(given: Mapping[str, Any]) -> None:
    """Check flags, choices and sizes by their names."""
    known = {name: value for name, value in given.items() if value is not None}
    for name in known.keys() & FLAGS:
        check_flag(name, known[name])
    for name in known.keys() & CHOICES.keys():
        check_choice(name, known[name], CHOICES[name])
    for name in known.keys() & MAPPINGS:
        if not isinstance(known[name], Mapping):
            raise error(f"{name} must be a dict", got=repr(known[name]), kind=TypeError)
    check_loader(known.get("dataloader"))
    if "rna_size_factor" in known:
        check_number("rna_size_factor", known["rna_size_factor"], above=0)
    size = known.get("library_size", 1)
    if not isinstance(size, np.ndarray) and not (isinstance(size, str) and size == "latent"):
        check_number("library_size", size, above=0)


def _check_weighted(model: Any) -> None:
    """Refuse scvi-tools' importance weights where they would be of another model than this."""
    module = model.module
    plain = (
        type(module.posterior) is NormalPosterior
        and type(module.posterior.link) is Identity
        and type(module.prior) is StandardNormalPrior
        and type(module.library) is ObservedLibrary
        and type(module.likelihood) in (NegativeBinomialLikelihood, ZeroInflatedNegativeBinomialLikelihood)
        and model.registry_["setup_args"]["size_factor_key"] is None
    )
    if not plain:
        raise error(
            "weights must be 'uniform' for this model",
            got="'importance'",
            fix="scvi-tools computes those for a latent with a standard normal prior, the negative binomial, "
            "zero-inflated or not, and total counts as the library size.",
        )


def check_loader(dataloader: Any) -> None:
    """Check that something can give minibatches, as far as can be told without asking it for one."""
    plain = isinstance(dataloader, str | bytes | bytearray | memoryview | Mapping | np.ndarray | Path | range)
    if dataloader is not None and (plain or not hasattr(dataloader, "__iter__")):
        got = type(dataloader).__name__
        raise error("dataloader must give minibatches, dicts of tensors", got=got, kind=TypeError)


def _check_genes(model: Any, genes: Any) -> None:
    if genes is None:
        return
    if not isinstance(genes, Iterable):
        raise error("gene_list must be a list of genes", got=repr(genes), kind=TypeError)
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
    unknown = [batch for batch in wanted if batch is not None and not _is_among(batch, known)]
    if unknown or not wanted:
        got, fix = listing(unknown) or "none", f"There are {listing(known)}."
        raise error("transform_batch must name batches of the model", got=got, fix=fix)


def _is_among(batch: Any, known: list[Any]) -> bool:
    """Whether it is one of the names; an array is none, and would compare by its parts."""
    return is_hashable(batch) and batch in known


def _check_groups(given: Mapping[str, Any], adata: Any) -> None:
    """Check which cells differential expression compares."""
    check_choice("mode", given["mode"], MODES)
    check_number("delta", given["delta"], minimum=0)
    check_number("fdr_target", given["fdr_target"], above=0, below=1)
    if adata is None:
        return
    for name in ("idx1", "idx2"):
        chosen = given[name]
        if chosen is None or isinstance(chosen, str):
            continue
        if not len(cell_positions(chosen, adata.n_obs, name=name)):
            raise error(f"{name} must choose cells", got="none")
    groupby = given["groupby"]
    if groupby is None:
        if given["idx1"] is None:
            fix = "Give groupby, a column of adata.obs with groups of cells, or idx1, the cells."
            raise error("Groups of cells must be given", got="neither groupby nor idx1", fix=fix)
        return
    known = _groups(adata, groupby)
    for name in ("group1", "group2"):
        groups = given[name]
        wanted = [] if groups is None else name_list(name, groups)
        unknown = [group for group in wanted if str(group) not in known]
        if unknown:
            raise error(
                f"{name} must name groups of adata.obs[{groupby!r}]",
                got=listing(unknown),
                fix=f"There are {listing(known)}.",
                kind=KeyError,
            )


def _groups(adata: Any, groupby: Any) -> list[str]:
    """Names of the groups in a column, which must not be one of measurements."""
    column = check_obs_column(adata, groupby, name="groupby").dropna()
    if column.dtype.kind in "fc" and (column != column.round()).any():
        fix = "Cut it into intervals first (pandas.cut)."
        raise error("groupby must name a column of groups", got=f"fractions in {groupby!r}", fix=fix)
    return [str(group) for group in column.unique()]
