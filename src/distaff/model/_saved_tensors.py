"""The safetensors file of a saved model."""

from __future__ import annotations

from collections.abc import Mapping

from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from safetensors.torch import save as dump_safetensors
from torch import Tensor

from distaff.model._saved_document import corrupt

__all__ = ["dump_tensors", "parse_tensors"]


def dump_tensors(tensors: Mapping[str, Tensor]) -> bytes:
    """Bytes of a safetensors file; the same tensors give the same bytes."""
    return dump_safetensors({name: _own(tensor) for name, tensor in tensors.items()})


def parse_tensors(data: bytes, name: object) -> dict[str, Tensor]:
    """Tensors on the CPU; ``name`` is what messages call the file.

    No more memory is taken than the file has bytes, whatever its header says.

    Raises
    ------
    ValueError
        If it is corrupt.
    """
    try:
        return parse_safetensors(data)
    except (SafetensorError, ValueError, TypeError, KeyError, RuntimeError, OverflowError) as exception:
        raise corrupt(name, exception) from exception


def _own(tensor: Tensor) -> Tensor:
    """Copy with memory of its own: the format has no views."""
    return tensor.detach().cpu().contiguous().clone()
