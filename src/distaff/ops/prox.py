r"""Proximal operators of sparse loadings: exact zeros for single weights (L1) and for whole factors (group).

Weights are (genes, factors); a group is a column, all weights of one factor. The operators minimise over x

.. math::
    \tfrac12 \sum_{gk} d_{gk} (x_{gk} - v_{gk})^2 + \sum_{gk} t_{gk} |x_{gk}|
    + \sum_k \lambda_k \lVert x_k \rVert

where :math:`d = 1` is the Euclidean metric of plain gradient descent :cite:p:`Rybakov20`. Adam divides the
gradient of each weight by a number of its own; :func:`adam_metric` is the metric that belongs to its step,
and only with it do training and penalty agree on where to stop. In either metric L1 goes first and the group
second: the other order is not the minimum. Nothing here waits for an accelerator, or has a gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distaff._checks import check_number, error
from distaff.ops.kernels.prox import prox_rows

__all__ = [
    "adam_metric",
    "prox_group_metric",
    "prox_l1_group",
    "prox_l1_group_metric",
    "proximal_step",
    "soft_threshold",
]

NEWTON_STEPS = 16  # float64 precision for any metric that spans up to twelve orders of magnitude


@torch.no_grad()
def soft_threshold(v: Tensor, threshold: float | Tensor) -> Tensor:
    """Move each value towards 0 by a threshold, and to exactly 0 where it is no larger.

    Parameters
    ----------
    v
        Values, any shape.
    threshold
        Thresholds >= 0 that broadcast to ``v``.

    Returns
    -------
    Tensor of the shape of ``v``; a missing value stays one.

    Examples
    --------
    >>> import torch
    >>> soft_threshold(torch.tensor([3.0, -0.5, -2.0]), 1.0).tolist()
    [2.0, 0.0, -1.0]
    """
    return v - torch.clamp(v, -threshold, threshold)  # type: ignore[arg-type]


@torch.no_grad()
def prox_l1_group(weight: Tensor, l1_threshold: float | Tensor, group_threshold: float | Tensor) -> Tensor:
    """Proximal operator of L1 plus group lasso in the Euclidean metric.

    Parameters
    ----------
    weight
        Weights, shape (genes, factors).
    l1_threshold
        Thresholds >= 0 of single weights that broadcast to ``weight``: 0 for the annotated genes.
    group_threshold
        Threshold >= 0 of the norm of each factor, shape (factors,).

    Returns
    -------
    Tensor of the shape of ``weight``.

    Raises
    ------
    ValueError
        If ``weight`` is not a matrix.

    Examples
    --------
    The second factor goes:

    >>> import torch
    >>> prox_l1_group(torch.tensor([[3.0, 0.5], [-5.0, 0.5]]), 1.0, torch.tensor([0.0, 2.0])).tolist()
    [[2.0, 0.0], [-4.0, 0.0]]
    """
    _check_matrix(weight)
    v = soft_threshold(weight, l1_threshold)
    norm = _norm(v)
    # `<=`, so that a zero column is decided before 0 / 0 is looked at and a missing value stays one
    return torch.where(norm <= group_threshold, 0.0, v * ((norm - group_threshold) / norm))


@torch.no_grad()
def prox_group_metric(v: Tensor, d: Tensor, group: float | Tensor) -> Tensor:
    r"""Proximal operator of the group lasso in a diagonal metric.

    A factor is 0 if and only if :math:`\lVert d v_k \rVert \le \lambda_k`. Otherwise
    :math:`x = v r / (r + \lambda / d)`, where the norm :math:`r` of the solution is the root of
    :math:`\sum_g (v_g / (r + \lambda / d_g))^2 = 1`.

    Parameters
    ----------
    v
        Weights, shape (genes, factors).
    d
        Metric > 0, shape (genes, factors).
    group
        Weight :math:`\lambda_k \ge 0` of each factor's norm, shape (factors,).

    Returns
    -------
    Tensor of the shape of ``v``.

    Raises
    ------
    ValueError
        If ``v`` is not a matrix.

    Examples
    --------
    With a metric that is the same for all genes, the norm shrinks by group / d:

    >>> import torch
    >>> x = prox_group_metric(torch.tensor([[3.0], [4.0]]), torch.full((2, 1), 2.0), 2.0)
    >>> [round(value, 4) for value in x.flatten().tolist()]
    [2.4, 3.2]
    """
    _check_matrix(v)
    norm = _norm(d * v)
    offset = group / d
    r = _solve_norm(v, offset, active=norm > group, lower=(norm - group) / d.amax(0))
    return torch.where(norm <= group, 0.0, v * (r / (r + offset)))


@torch.no_grad()
def prox_l1_group_metric(weight: Tensor, metric: Tensor, l1: float | Tensor, group: float | Tensor) -> Tensor:
    """Proximal operator of L1 plus group lasso in a diagonal metric.

    Parameters
    ----------
    weight
        Weights, shape (genes, factors).
    metric
        Metric > 0, shape (genes, factors).
    l1
        Weights >= 0 of the absolute values that broadcast to ``weight``.
    group
        Weight >= 0 of each factor's norm, shape (factors,).

    Returns
    -------
    Tensor of the shape of ``weight``.

    Raises
    ------
    ValueError
        If ``weight`` is not a matrix.

    Examples
    --------
    >>> import torch
    >>> weight, metric = torch.tensor([[3.0], [-5.0]]), torch.tensor([[1.0], [2.0]])
    >>> prox_l1_group_metric(weight, metric, 2.0, 0.0).tolist()
    [[1.0], [-4.0]]
    """
    _check_matrix(weight)
    v = soft_threshold(weight, l1 / metric)
    if isinstance(group, int | float) and group == 0:
        return v
    return prox_group_metric(v, metric, group)


@torch.no_grad()
def adam_metric(second_moment: Tensor, lr: float, eps: float) -> Tensor:
    r"""Metric of Adam's step: :math:`d = (\sqrt{\hat v} + \epsilon) / \eta`.

    Adam's step is :math:`w - \hat m / d`; that is the minimum of its linear model plus half the squared
    distance in this metric.

    Parameters
    ----------
    second_moment
        Second moment :math:`\hat v` with the bias corrected: ``exp_avg_sq / (1 - beta2**step)``.
    lr
        Learning rate :math:`\eta` of the step.
    eps
        Adam's :math:`\epsilon`.

    Returns
    -------
    Tensor of the shape of ``second_moment``, > 0.

    Raises
    ------
    ValueError
        If ``lr`` or ``eps`` is not > 0.

    Examples
    --------
    >>> import torch
    >>> adam_metric(torch.tensor([4.0, 0.0]), 0.5, 1.0).tolist()
    [6.0, 2.0]
    """
    check_number("lr", lr, above=0)
    check_number("eps", eps, above=0)  # a weight that never had a gradient would have no metric
    return (second_moment.sqrt() + eps) / lr


@torch.no_grad()
def proximal_step(
    weight: Tensor,
    *,
    l1: float | Tensor,
    group: float | Tensor,
    lr: float,
    second_moment: Tensor | None = None,
    bias_correction: float | Tensor = 1.0,
    eps: float = 1e-8,
) -> None:
    r"""Apply the penalties to weights, in place, right after an optimiser's step on the smooth loss.

    Parameters
    ----------
    weight
        Weights, shape (genes, factors); changed.
    l1
        Weights >= 0 of the absolute values that broadcast to ``weight``.
    group
        Weight >= 0 of each factor's norm, shape (factors,).
    lr
        Learning rate of the step just taken.
    second_moment
        Adam's second moment of ``weight``, for the metric of Adam's step. None for the Euclidean metric,
        with thresholds ``lr`` times the weights: right after plain gradient descent; after Adam it is what
        :cite:t:`Rybakov20` do, and where it stops depends on Adam's scaling.
    bias_correction
        What the second moment is to be divided by: ``1 - beta2**step``, or 1 where that was done; a number,
        or a tensor with one.
    eps
        Adam's term in the denominator; unused without ``second_moment``.

    Raises
    ------
    ValueError
        If ``weight`` is not a matrix, or ``lr`` or ``eps`` is not > 0.

    Examples
    --------
    >>> import torch
    >>> weight = torch.nn.Parameter(torch.tensor([[3.0, 0.01], [-5.0, 0.02]]))
    >>> proximal_step(weight, l1=0.0, group=1.0, lr=0.1)
    >>> weight[:, 1].tolist()
    [0.0, 0.0]
    """
    if second_moment is None:
        check_number("lr", lr, above=0)
        weight.copy_(prox_l1_group(weight, lr * l1, lr * group))
    elif _has_loops(weight, second_moment):
        _check_matrix(weight)
        check_number("lr", lr, above=0)
        check_number("eps", eps, above=0)
        by_factor = (_by_factor(torch.as_tensor(l1), weight), torch.as_tensor(group).expand(weight.shape[1]))
        penalties = (t.float().contiguous().numpy() for t in by_factor)
        arrays = weight.detach().t().numpy(), second_moment.t().numpy()
        prox_rows(*arrays, *penalties, float(bias_correction), eps, lr)
    else:
        metric = adam_metric(second_moment / bias_correction, lr, eps)
        weight.copy_(prox_l1_group_metric(weight, metric, l1, group))


def _has_loops(*matrices: Tensor) -> bool:
    """Whether compiled loops can work on matrices where they are, each factor's weights side by side."""
    return all(m.device.type == "cpu" and m.dtype is torch.float32 and m.T.is_contiguous() for m in matrices)


def _by_factor(values: Tensor, like: Tensor) -> Tensor:
    return values.expand(like.shape).T


def _check_matrix(weight: Tensor) -> None:
    if weight.ndim != 2:
        raise error("weight must have the shape (genes, factors)", got=f"shape {tuple(weight.shape)}")


def _norm(v: Tensor) -> Tensor:
    """Norm of each column, scaled: squares of very small or large values leave the range of float32."""
    largest = v.abs().amax(0)
    scale = torch.where(largest == 0, 1.0, largest)
    return scale * torch.linalg.vector_norm(v / scale, dim=0)


def _solve_norm(v: Tensor, offset: Tensor, *, active: Tensor, lower: Tensor) -> Tensor:
    r"""Root r of :math:`S(r) = \sum_g (v_g / (r + o_g))^2 = 1` in each active column.

    :math:`S^{-1/2}` is concave and increases, so Newton's method on it climbs to the root from below
    without ever passing it: it starts at the larger of two lower bounds, and rounding is held back by them.
    """
    lower = torch.maximum(lower, (v.abs() - offset).amax(0))  # no term of the sum is above 1
    lower = torch.where(active, lower, 1.0)
    tiny, tolerance = torch.finfo(v.dtype).tiny, torch.finfo(v.dtype).eps ** (2 / 3)
    r = lower
    for _ in range(NEWTON_STEPS):
        inverse = (r + offset).reciprocal_()
        terms = (v * inverse).square_()
        total = terms.sum(0)
        slope = terms.mul_(inverse).sum(0).clamp_(min=tiny)
        before, r = r, torch.maximum(r + total * (total.sqrt() - 1) / slope, lower)
        # convergence is quadratic: after a step this small the next changes nothing. Only a CPU may ask
        if v.device.type == "cpu" and bool(((r - before).abs() <= tolerance * r).all()):
            break
    return r
