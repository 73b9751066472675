"""Objectives: named terms with weights and schedules, and their sum."""

from distaff.objectives.objective import Objective, ObjectiveOutput
from distaff.objectives.terms import AbstractTerm, BetaKL, Capacity, LossInputs

__all__ = ["AbstractTerm", "BetaKL", "Capacity", "LossInputs", "Objective", "ObjectiveOutput"]
