"""Figures: AnnData slots read, axes returned."""

from distaff.pl.disentanglement import disentanglement
from distaff.pl.history import history
from distaff.pl.latent import latent

__all__ = ["disentanglement", "history", "latent"]
