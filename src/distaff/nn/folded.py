"""Encoders while they only read: batch norm is part of the linear maps, and the weights lie as loops want."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distaff.nn.covariates import Covariates
from distaff.nn.encoders import Log1p, MLPEncoder
from distaff.nn.layers import CovariateShift
from distaff.ops import tiled, tiled_linear

__all__ = ["FoldedEncoder", "folded"]


@dataclass(frozen=True)
class FoldedLayer:
    r"""A linear layer and the batch norm behind it as one linear map, in evaluation.

    .. math:: y = x W^\top + b + s \circ \text{shift}

    Parameters
    ----------
    weight
        Weight W, shape (n_out, n_in).
    bias
        Bias b, shape (n_out,).
    shift
        What covariates add before the norm.
    scale
        Scale s of the norm, shape (n_out,).
    """

    weight: Tensor
    bias: Tensor
    shift: CovariateShift
    scale: Tensor

    @classmethod
    def of(cls, layer: Any, norm: Any) -> FoldedLayer:
        """Fold a norm into the layer in front of it."""
        scale = norm.evaluation_scale()
        bias = (layer.linear.bias - norm.running_mean) * scale + norm.bias
        return cls(layer.linear.weight * scale.unsqueeze(1), bias, layer.shift, scale)

    def base(self, n_cells: int, covariates: Covariates) -> Tensor:
        """All but the product, (n_out,) or (cells, n_out)."""
        if not any(len(parameter) for parameter in self.shift.parameters()):
            return self.bias
        shift = self.shift(torch.zeros(n_cells, len(self.bias)), covariates)
        return torch.addcmul(self.bias, shift, self.scale)


class FoldedEncoder:
    """What an encoder computes from sparse counts in evaluation, as it is now.

    Parameters
    ----------
    encoder
        Encoder in evaluation mode, in float32 on the CPU.
    """

    def __init__(self, encoder: MLPEncoder) -> None:
        body = encoder.body
        pairs = zip(body.linears, body.norms, strict=True)
        self.first, *self.deeper = [FoldedLayer.of(layer, norm) for layer, norm in pairs]
        self.tiles = tiled(self.first.weight)
        self.logarithm = isinstance(encoder.transform, Log1p)  # then the loops take it
        self.transform = encoder.transform

    def __call__(self, x: Tensor, covariates: Covariates) -> Tensor:
        """Map sparse CSR expression (cells, genes) to features (cells, n_out)."""
        n = len(x)
        x = x if self.logarithm else self.transform(x)
        base = self.first.base(n, covariates)
        y = tiled_linear(x, self.tiles, base, logarithm=self.logarithm).relu_()
        for layer in self.deeper:
            y = torch.relu_(nn.functional.linear(y, layer.weight) + layer.base(n, covariates))
        return y


@contextmanager
def folded(module: nn.Module) -> Iterator[None]:
    """Let the encoders of a module that only reads take sparse counts the short way.

    Those in training mode, or elsewhere than on the CPU in float32, stay as they are. Weights must not
    change meanwhile.

    Parameters
    ----------
    module
        Module with encoders.
    """
    encoders = [part for part in module.modules() if isinstance(part, MLPEncoder) and _can_fold(part)]
    with torch.no_grad():
        for encoder in encoders:
            encoder.folded = FoldedEncoder(encoder)
    try:
        yield
    finally:
        for encoder in encoders:
            encoder.folded = None


def _can_fold(encoder: MLPEncoder) -> bool:
    weights = encoder.parameters()
    return not encoder.training and all(w.device.type == "cpu" and w.dtype is torch.float32 for w in weights)
