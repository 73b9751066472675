"""Simulated experiments with known truth."""

from distaff.datasets.simulate_factors import simulate_factors
from distaff.datasets.simulate_gep import simulate_gep
from distaff.datasets.simulate_splat import simulate_splat

__all__ = ["simulate_factors", "simulate_gep", "simulate_splat"]
