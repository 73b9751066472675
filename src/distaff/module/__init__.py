"""The module that composes the parts, and the one of f-scLVM in Pyro."""

from distaff.module.factor_module import FactorModule
from distaff.module.fsclvm import ClosedFormELBO, FSCLVMModule

__all__ = ["ClosedFormELBO", "FSCLVMModule", "FactorModule"]
