"""The one module that composes the parts."""

from distaff.module.factor_module import FactorModule

__all__ = ["FactorModule"]
