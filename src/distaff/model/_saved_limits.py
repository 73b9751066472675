"""No memory is taken for what a file claims: what is built is held against the tensors that came with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from distaff._compat import categories_per_covariate, registered_genes
from distaff.model._annotation import REGISTRY_KEY as GENE_SETS
from distaff.model._terms import REGISTRY_KEY as NEW_TERMS

__all__ = ["BuildLimit", "check_claims"]

FREE = 2**20  # numbers that any module may take, 4 MB
SHARE = 64  # numbers that building a module may ask for in all, for each that was saved
BY_LENGTH = {"arange": 1, "eye": 2, "linspace": 1, "randperm": 1}  # take a number, and make its power of it
COST_OF_CALL = 64  # numbers that a call is counted as, at least: many small layers are large too


class BuildLimit(TorchDispatchMode):
    """Refuse tensors much larger than those that were saved, before they are made.

    Parameters
    ----------
    tensors
        What was saved.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._left = FREE + SHARE * _total(tensors)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run ``func`` if the sizes in its arguments are within the limit."""
        sizes = [prod(arg) for arg in args if isinstance(arg, list | tuple) and _is_size(arg)]
        power = BY_LENGTH.get(func.overloadpacket.__name__, 0)
        sizes += [arg**power for arg in args if isinstance(arg, int)]
        self._left -= max([COST_OF_CALL, *sizes])
        if self._left < 0:
            raise MemoryError("the model would be far larger than the saved tensors")
        return func(*args, **(kwargs or {}))


def check_claims(attributes: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Check the numbers from which arrays are made while a model is built.

    Raises
    ------
    ValueError
        If one of them cannot be right.
    """
    registry = attributes["registry_"]
    total = _total(tensors)
    genes = registered_genes(registry)
    stats: dict[str, Any] = {}
    for field in registry["field_registries"].values():
        stats |= field.get("summary_stats", {})
    if stats["n_vars"] != len(genes):
        raise ValueError(f"n_vars is {stats['n_vars']} for {len(genes)} genes")
    for claim in categories_per_covariate(registry):
        _check_count("n_cats_per_key", claim, total)
    for name, claim in stats.items():
        if name != "n_cells":
            _check_count(name, claim, total)
    for name, claim in attributes["init_params_"]["non_kwargs"].items():
        if name.startswith("n_"):
            _check_count(name, claim, len(tensors) if name == "n_layers" else total)
    blocks = registry.get(NEW_TERMS, [])
    known = [registry[GENE_SETS]] if GENE_SETS in registry else []
    for sets in [*known, *(block["gene_sets"] for block in blocks)]:
        rows, columns = sets["shape"]
        if (rows, columns) != (len(genes), len(sets["names"])) or rows * columns > total:
            raise ValueError(f"gene sets have the shape {sets['shape']}")
    for block in blocks:
        _check_count("n_sparse", block["n_sparse"], total)
        _check_count("n_dense", block["n_dense"], total)


def _check_count(name: str, claim: Any, most: int) -> None:
    if type(claim) is not int or not 0 <= claim <= most:
        raise ValueError(f"{name} is {claim!r}")


def _is_size(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int) for value in values)


def _total(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors.values())
