"""Models: short classes, each a choice of parts."""

from distaff.model.annotated_vae import AnnotatedVAE
from distaff.model.autoencoder import Autoencoder
from distaff.model.beta_vae import BetaVAE
from distaff.model.factor_vae import FactorVAE
from distaff.model.fsclvm import FSCLVM
from distaff.model.linear_vae import LinearVAE
from distaff.model.program_vae import ProgramVAE
from distaff.model.sparse_vae import SparseVAE

__all__ = [
    "FSCLVM",
    "AnnotatedVAE",
    "Autoencoder",
    "BetaVAE",
    "FactorVAE",
    "LinearVAE",
    "ProgramVAE",
    "SparseVAE",
]
