"""Parts of your own for :class:`~distaff.model.FactorVAE`: their names, and the checks that ours pass too."""

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
