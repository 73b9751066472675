"""Models: short classes, each a choice of parts."""

from distaff.model.beta_vae import BetaVAE

__all__ = ["BetaVAE"]
