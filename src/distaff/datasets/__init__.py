"""Simulated experiments with known truth."""

from distaff.datasets.simulate_gep import simulate_gep

__all__ = ["simulate_gep"]
