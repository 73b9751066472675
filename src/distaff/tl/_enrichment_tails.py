"""P-values of sums over gene sets that are far from normal under permutations of the genes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import logsumexp

__all__ = ["tail_p_values"]

N_DRAWS = 9_999
SEED = 0  # of the draws, the same ones in each call
LARGEST = 200  # genes of the sets that are drawn, which bounds the work; larger ones are seldom far off
TIE = 1e-9  # share of the largest term below which two sums differ by rounding
RATES = np.geomspace(0.01, 100, 41)  # of Chernoff's bound, over the largest loading; it holds at each of them

Floats = NDArray[np.float64]


def tail_p_values(centred: Floats, weights: sparse.csc_matrix, wanted: NDArray[np.bool_]) -> Floats:
    """Two-sided p-values (profiles, sets) of the ``wanted`` pairs; 1 for the others.

    The share of random draws of genes whose sum is as far out as that of the set or, if that is smaller,
    Chernoff's bound: it counts for sums that hardly any draw reaches.

    Parameters
    ----------
    centred
        (genes, profiles), of mean 0.
    weights
        (genes, sets), 0 for genes that are not in a set.
    wanted
        (profiles, sets)
    """
    sums, p = (weights.T @ centred).T, np.ones(wanted.shape)
    alike = _alike(weights, np.flatnonzero(wanted.any(axis=0)))
    sizes = [len(own) for own, _ in alike if len(own) <= LARGEST]
    draws = _draws(len(centred), max(sizes, default=0))
    for k in np.flatnonzero(wanted.any(axis=1)):
        profile = centred[:, k]
        rates = np.concatenate([-RATES, RATES]) / np.abs(profile).max()
        log_means = logsumexp(np.outer(rates, profile), axis=1) - np.log(len(profile))
        for own, sets in alike:
            sets = sets[wanted[k, sets]]
            if len(sets):
                share = _share_of_draws(profile, own, draws, sums[k, sets])
                p[k, sets] = np.minimum(share, _chernoff(rates, log_means, own, sums[k, sets]))
    return p


def _alike(weights: sparse.csc_matrix, sets: NDArray[np.int64]) -> list[tuple[Floats, NDArray[np.int64]]]:
    """Weights in order, and the sets that have them: all their sums have one distribution."""
    found: dict[bytes, list[int]] = {}
    for j in sets:
        own = weights.data[weights.indptr[j] : weights.indptr[j + 1]]
        found.setdefault(np.sort(own.astype(np.float64)).tobytes(), []).append(j)
    return [(np.frombuffer(own), np.array(members)) for own, members in found.items()]


def _draws(n_genes: int, size: int) -> NDArray[np.int64]:
    """(draws, genes) different genes in random order, so that the first ones are a draw too."""
    rng = np.random.default_rng(SEED)
    draws = np.empty((N_DRAWS, size), dtype=np.int64)
    for draw in draws:
        draw[:] = rng.choice(n_genes, size, replace=False)
    return draws


def _share_of_draws(profile: Floats, own: Floats, draws: NDArray[np.int64], sums: Floats) -> Floats:
    """Twice the share of the rarer side, the set itself counted; 1 for sets that are too large to draw."""
    if len(own) > draws.shape[1]:
        return np.ones(len(sums))
    drawn = np.sort(profile[draws[:, : len(own)]] @ own)
    tie = TIE * np.abs(profile).max() * np.abs(own).max()
    above = N_DRAWS - np.searchsorted(drawn, sums - tie, side="left")
    below = np.searchsorted(drawn, sums + tie, side="right")
    return np.minimum(2 * (np.minimum(above, below) + 1) / (N_DRAWS + 1), 1)


def _chernoff(rates: Floats, log_means: Floats, own: Floats, sums: Floats) -> Floats:
    r"""Twice :math:`\min_t e^{-ts} (\mathrm{E} e^{ty})^m`; 1 for sets whose weights differ.

    :math:`m` genes drawn without replacement have no larger mean of :math:`e^{ts}` than with it
    :cite:p:`Hoeffding63`.
    """
    if np.ptp(own) > 0:
        return np.ones(len(sums))
    exponents = len(own) * log_means[:, None] - np.outer(rates, sums / own[0])
    return np.minimum(2 * np.exp(exponents.min(axis=0)), 1)
