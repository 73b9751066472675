"""Models: short classes, each a choice of parts."""

from distaff.model.beta_vae import BetaVAE
from distaff.model.linear_vae import LinearVAE
from distaff.model.program_vae import ProgramVAE

__all__ = ["BetaVAE", "LinearVAE", "ProgramVAE"]
