"""Parts of the user's own, under names that :class:`~distaff.model.FactorVAE` takes like those it knows.

A name, not the part, is what a saved model holds: it can be printed, compared and loaded without running
code of a file. Whoever loads the model registers the part first, by importing the code that does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from distaff._checks import error
from distaff.model._decoder import DECODERS, OWN_DECODERS
from distaff.model._latent import LINKS, OWN_PRIORS, OwnPrior
from distaff.model._objective import OWN_TERMS, TERMS
from distaff.nn.decoders import AbstractDecoder
from distaff.nn.links import AbstractLink, Identity
from distaff.nn.priors import AbstractPrior
from distaff.objectives import AbstractTerm
from distaff.ops import Schedule

__all__ = ["register_decoder", "register_prior", "register_term"]


def register_prior(
    name: str, build: Callable[[int], AbstractPrior], *, link: type[AbstractLink] = Identity
) -> None:
    """Let ``FactorVAE(adata, prior=name)`` use a prior of your own; the posterior is normal.

    Parameters
    ----------
    name
        Name of the prior. Registering a name again replaces the part.
    build
        Called with the number of latent dimensions; returns the prior of u. The KL is the closed form that
        torch has registered for the two distributions, else one Monte Carlo term.
    link
        How u becomes the latent z, one of ``distaff.nn.links``; ``Identity`` for z = u.

    Raises
    ------
    TypeError
        If the name is no text, or ``build`` or ``link`` is not what it should be.
    ValueError
        If the name is empty or that of a prior of distaff.
    """
    _check(name, build, LINKS, what="prior")
    if not (isinstance(link, type) and issubclass(link, AbstractLink)):
        raise error("link must be a class of distaff.nn.links", got=repr(link), kind=TypeError)
    OWN_PRIORS[name] = OwnPrior(build, link)


def register_decoder(name: str, build: Callable[..., AbstractDecoder]) -> None:
    """Let ``FactorVAE(adata, decoder=name)`` use a decoder of your own.

    Parameters
    ----------
    name
        Name of the decoder. Registering a name again replaces the part.
    build
        Called with the number of latent dimensions, the number of genes, the names of the heads that the
        likelihood asks for and, as ``spec``, the sizes of the covariates; a class of yours will do.

    Raises
    ------
    TypeError
        If the name is no text, or ``build`` cannot be called.
    ValueError
        If the name is empty or that of a decoder of distaff.
    """
    _check(name, build, DECODERS, what="decoder")
    OWN_DECODERS[name] = build


def register_term(name: str, build: Callable[[Schedule], AbstractTerm]) -> None:
    """Let ``FactorVAE(adata, terms={name: weight})`` add a penalty of your own to the loss.

    Parameters
    ----------
    name
        Name of the penalty, and of its curve in the history. Registering a name again replaces the part.
    build
        Called with the schedule of the weight, which rises like that of the KL; returns the penalty, whose
        ``name`` must be this one. A class of yours will do.

    Raises
    ------
    TypeError
        If the name is no text, or ``build`` cannot be called.
    ValueError
        If the name is empty or that of a term of distaff.
    """
    _check(name, build, TERMS, what="term")
    OWN_TERMS[name] = build


def _check(name: Any, build: Any, taken: Collection[str], *, what: str) -> None:
    if not isinstance(name, str):
        raise error(f"Name of the {what} must be a text", got=repr(name), kind=TypeError)
    if not name.strip() or name in taken:
        fix = "Choose another: distaff has one of this name." if name in taken else ""
        raise error(f"Name of the {what} must be a new one", got=repr(name), fix=fix)
    if not callable(build):
        raise error("build must be a function or class", got=repr(build), kind=TypeError)
