"""Contract of terms of a loss."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Normal

from distaff._checks import error
from distaff.extend._checks import CELLS, check_tensor, draw
from distaff.objectives import AbstractTerm, LossInputs, Objective
from distaff.ops import Constant, Schedule

__all__ = ["check_term"]

N_LATENT = 3
WEIGHT = 2.0


def check_term(build: Callable[[Schedule], AbstractTerm]) -> None:
    """Check a term of the loss: one number a cell or in all, gradients, its place in an objective.

    Parameters
    ----------
    build
        Called with a schedule, as in :func:`distaff.extend.register_term`.

    Raises
    ------
    AssertionError
        If the term breaks a rule; the message says which.

    Examples
    --------
    >>> from distaff.objectives import BetaKL
    >>> check_term(BetaKL)
    """
    term = build(Constant(WEIGHT))
    if not isinstance(term, AbstractTerm):
        got = type(term).__name__
        raise error("build must return an AbstractTerm of distaff.objectives", got=got, kind=AssertionError)
    if not isinstance(term.name, str) or term.schedule != Constant(WEIGHT):
        rule = "The term must keep its schedule and have a name"
        raise error(rule, got=repr(term), kind=AssertionError)
    inputs, leaves = _inputs()
    value = check_tensor("The term", term(inputs, WEIGHT), (CELLS,), ())
    if not value.requires_grad:
        raise error("The term must depend on the latent", got="no gradient", kind=AssertionError)
    value.sum().backward()
    for name, leaf in leaves.items():
        if leaf.grad is not None:
            check_tensor(f"The gradient by {name}", leaf.grad, leaf.shape)
    output = Objective([term])(inputs)
    if term.name not in output.parts:
        raise error("An objective must list the term", got=tuple(output.parts), kind=AssertionError)


def _inputs() -> tuple[LossInputs, dict[str, Tensor]]:
    location = draw(CELLS, N_LATENT).requires_grad_()
    scale = draw(CELLS, N_LATENT, seed=1).exp().requires_grad_()
    qz = Normal(location, scale)
    u = location + scale * draw(CELLS, N_LATENT, seed=2)
    kl = torch.distributions.kl_divergence(qz, Normal(0.0, 1.0))
    inputs = LossInputs(
        reconstruction=draw(CELLS, seed=3).abs(),
        kl=kl,
        kl_library=torch.zeros(CELLS),
        qz=qz,
        u=u,
        z=u,
        n_cells=10 * CELLS,
    )
    return inputs, {"the mean": location, "the scale": scale}
