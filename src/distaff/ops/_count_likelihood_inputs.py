"""What a count likelihood is computed from, checked."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from distaff._checks import check_number, error
from distaff.ops.csr import CSR

__all__ = ["Fixed", "Gradients", "Inputs", "checked"]


class Inputs(NamedTuple):
    """Tensors of a linear decoder and its count likelihood; None for what there is not.

    Without theta counts are Poisson, with it negative binomial, with dropout too zero-inflated.
    """

    features: Tensor  # (cells, factors)
    weight: Tensor  # (genes, factors)
    bias: Tensor | None  # (genes,)
    log_size: Tensor  # (cells, 1)
    theta: Tensor | None  # (groups, genes)
    dropout_weight: Tensor | None  # (genes, factors)
    dropout_bias: Tensor | None  # (genes,)
    table: Tensor | None  # (covariates, genes)


class Fixed(NamedTuple):
    """What has no gradient."""

    counts: CSR
    codes: np.ndarray  # int32 (cells,), row of theta
    design: Tensor | None  # (cells, covariates)
    floor: float | None


class Gradients(NamedTuple):
    """Gradients by the tensors of :class:`Inputs`; None for what there is not, or what is kept elsewhere."""

    features: Tensor
    weight: Tensor | None
    bias: Tensor | None
    log_size: Tensor
    theta: Tensor | None
    dropout_weight: Tensor | None
    dropout_bias: Tensor | None
    table: Tensor | None


def checked(
    inputs: Inputs,
    *,
    counts: Tensor,
    codes: Tensor | None,
    design: Tensor | None,
    floor: float | None,
) -> None:
    """Raise unless the inputs fit each other."""
    if inputs.theta is None and inputs.dropout_weight is not None:
        raise error("dropout must come with theta", got="theta=None", fix="Zero inflation is that of the NB.")
    if floor is not None:
        check_number("floor", floor, minimum=0.0)
    if floor is not None and inputs.bias is not None:
        raise error("bias must be None with a floor", got="both", fix="Give it as an offset.")
    if floor is None and design is not None:
        raise error("offset must be None without a floor", got="one", fix="Append it to the features.")
    _check_shapes(inputs, counts, codes, design)


def _check_shapes(inputs: Inputs, counts: Tensor, codes: Tensor | None, design: Tensor | None) -> None:
    (n_cells, n_genes), n_factors = counts.shape, inputs.features.shape[1]
    n_groups = 1 if inputs.theta is None else len(inputs.theta)
    n_covariates = 0 if design is None else design.shape[1]
    expected = {
        "features": (n_cells, n_factors),
        "weight": (n_genes, n_factors),
        "bias": (n_genes,),
        "log_size": (n_cells, 1),
        "theta": (n_groups, n_genes),
        "dropout_weight": (n_genes, n_factors),
        "dropout_bias": (n_genes,),
        "table": (n_covariates, n_genes),
    }
    given = inputs._asdict() | {"codes of theta": codes, "design": design}
    expected |= {"codes of theta": (n_cells,), "design": (n_cells, n_covariates)}
    for name, tensor in given.items():
        if tensor is not None and tuple(tensor.shape) != expected[name]:
            raise error(f"{name} must have the shape {expected[name]}", got=tuple(tensor.shape))
