"""Objectives: named terms with weights and schedules, and their sum."""

from distaff.objectives.disentangling import DIP1, DIP2, HSIC, TotalCorrelation
from distaff.objectives.objective import Objective, ObjectiveOutput
from distaff.objectives.terms import AbstractTerm, BetaKL, Capacity, LatentNorm, LossInputs

__all__ = [
    "DIP1",
    "DIP2",
    "HSIC",
    "AbstractTerm",
    "BetaKL",
    "Capacity",
    "LatentNorm",
    "LossInputs",
    "Objective",
    "ObjectiveOutput",
    "TotalCorrelation",
]
