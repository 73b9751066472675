"""Putting a start into the parts of a module."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from distaff.model._start import Start
from distaff.module import FactorModule
from distaff.nn.annotated_decoder import AnnotatedDecoder
from distaff.nn.linear_decoder import LinearDecoder
from distaff.nn.posteriors import NormalPosterior, SpikeSlabPosterior
from distaff.nn.readouts import AdditiveRate

__all__ = ["set_decoder", "target_scores", "teach_encoder"]

Minibatch = tuple[dict[str, Tensor], np.ndarray]  # and the rows of the training cells that it holds

SMALLEST_SHARE = 1e-7  # of a cell's counts: the log of a gene that is never seen
LEARNING_RATE = 3e-3
N_EPOCHS = 10


def target_scores(start: Start, module: FactorModule) -> np.ndarray:
    """Scores on the scale of the latent: standardised for a latent of both signs, shares on the simplex."""
    name = type(_link(module)).__name__
    if name == "Simplex":
        return start.scores / np.maximum(start.scores.sum(axis=1, keepdims=True), 1e-12)
    if name == "Identity" and not isinstance(_decoder(module).rate, AdditiveRate):
        return (start.scores - start.scores.mean(axis=0)) / np.maximum(start.scores.std(axis=0), 1e-12)
    return start.scores


def _link(module: FactorModule) -> torch.nn.Module:
    posterior = module.posterior
    slab = posterior.slab if isinstance(posterior, SpikeSlabPosterior) else posterior
    if not isinstance(slab, NormalPosterior):
        raise TypeError(f"A start needs a normal posterior, got {type(slab).__name__}.")
    return slab.link


def _decoder(module: FactorModule) -> LinearDecoder | AnnotatedDecoder:
    decoder = module.decoder
    if not isinstance(decoder, LinearDecoder | AnnotatedDecoder):
        raise TypeError(f"A start needs a linear decoder, got {type(decoder).__name__}.")
    return decoder


@torch.no_grad()
def set_decoder(module: FactorModule, start: Start, scores: np.ndarray) -> None:
    """Loadings of the start on the scale of ``scores``, and each gene's mean as its baseline."""
    decoder = _decoder(module)
    device = decoder.weights.raw.device
    scale = start.scores.std(axis=0) / np.maximum(scores.std(axis=0), 1e-12)
    loadings = torch.tensor(start.loadings * scale, dtype=torch.float32, device=device)
    decoder.weights.set(loadings)
    if isinstance(decoder.rate, AdditiveRate):
        return
    z = torch.tensor(scores, dtype=torch.float32, device=device)
    activity = z @ decoder.effective_weights().T
    gene_means = torch.tensor(start.gene_means, dtype=torch.float32, device=device)
    baseline = gene_means.clamp(min=SMALLEST_SHARE).log()
    if isinstance(decoder, AnnotatedDecoder):
        decoder.bias.copy_(baseline - activity.mean(0))
    elif decoder.norm is not None:
        decoder.norm.fit(activity, mean=baseline)


def teach_encoder(module: FactorModule, scores: np.ndarray, epoch: Callable[[], Iterable[Minibatch]]) -> None:
    """Regress the representation on the scores of a start, each in units of its standard deviation."""
    parameters = [*module.encoder.parameters(), *module.posterior.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=LEARNING_RATE)
    target = torch.tensor(scores, dtype=torch.float32, device=module.device)
    spread = target.std(0).clamp(min=1e-6)
    module.train()
    for _ in range(N_EPOCHS):
        for tensors, rows in epoch():
            q = module.encode(**module._get_inference_input(tensors))
            representation = module.posterior.representation(q)
            loss = ((representation - target[rows]) / spread).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
