"""Simulated experiments with known truth, and public data."""

from distaff.datasets.kang import kang
from distaff.datasets.pbmc3k import pbmc3k
from distaff.datasets.sc_mixology import sc_mixology
from distaff.datasets.simulate_factors import simulate_factors
from distaff.datasets.simulate_gep import simulate_gep
from distaff.datasets.simulate_splat import simulate_splat

__all__ = ["kang", "pbmc3k", "sc_mixology", "simulate_factors", "simulate_gep", "simulate_splat"]
