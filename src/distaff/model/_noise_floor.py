"""The value below which a non-negative factor says nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from distaff.model._inference import stack
from distaff.nn.posteriors import NonNegativePosterior

__all__ = ["set_noise_floor"]

MOST_CELLS = 20_000  # that a floor is taken from: a quantile needs no more


@torch.inference_mode()
def set_noise_floor(model: Any, cells: np.ndarray) -> None:
    """Set the floor of a non-negative latent by the cells it was trained on; leave any other alone."""
    posterior = model.module.posterior
    if not isinstance(posterior, NonNegativePosterior):
        return
    if len(cells) > MOST_CELLS:
        cells = np.sort(np.random.default_rng(model.seed_).permutation(cells)[:MOST_CELLS])
    both = stack(
        torch.cat([q.loc, q.scale], dim=1)
        for q in model._encoded(model.module.posterior_of, None, cells, None)
    )
    n = posterior.n_latent
    posterior.set_floor(both[:, :n], both[:, n:])
