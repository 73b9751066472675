"""Optimiser steps that are written out by hand: the loops alone, without autograd between them.

They compute what :meth:`~distaff.module.FactorModule.minibatch_loss`, ``backward`` and Adam do, in the same
order of random draws; tests hold the two against each other. They serve what most users train: an encoder
with one hidden layer on sparse counts, a normal latent or its softplus, a linear decoder (annotated, or of
non-negative loadings that add up) or an MLP, the negative binomial (an MLP's also with zero inflation), and
the beta-weighted KL. Everything else goes through autograd.
"""

from distaff.module.by_hand.step import WholeStep

__all__ = ["WholeStep"]
