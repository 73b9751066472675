"""Parts of your own: their names for :class:`~distaff.model.FactorVAE`, and the checks that all of ours pass."""

from distaff.extend.decoders import check_decoder
from distaff.extend.priors import check_prior
from distaff.extend.register import register_decoder, register_prior, register_term
from distaff.extend.terms import check_term

__all__ = [
    "check_decoder",
    "check_prior",
    "check_term",
    "register_decoder",
    "register_prior",
    "register_term",
]
