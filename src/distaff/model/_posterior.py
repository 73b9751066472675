"""What a trained model says of cells: representation, likelihoods, decoded expression."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from anndata import AnnData
from scvi.model.base import RNASeqMixin, VAEMixin
from torch import Tensor

from distaff._checks import check_flag, error
from distaff.model._abundance import AbundanceMixin
from distaff.model._arguments import checked
from distaff.model._inference import ENCODED, InferenceMixin, stack
from distaff.nn.folded import folded
from distaff.train import isolated_rng, seeded

__all__ = ["PosteriorMixin"]


class PosteriorMixin(AbundanceMixin, InferenceMixin, RNASeqMixin, VAEMixin):
    """Methods of scvi-tools, deterministic where they can be and seeded where they draw."""

    get_marginal_ll = seeded(checked(VAEMixin.get_marginal_ll))
    get_normalized_expression = seeded(checked(RNASeqMixin.get_normalized_expression))
    differential_expression = seeded(checked(RNASeqMixin.differential_expression))
    posterior_predictive_sample = seeded(checked(RNASeqMixin.posterior_predictive_sample))
    get_feature_correlation_matrix = seeded(checked(RNASeqMixin.get_feature_correlation_matrix))
    get_latent_library_size = seeded(checked(RNASeqMixin.get_latent_library_size))

    @torch.inference_mode()
    def get_latent_representation(
        self: Any,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        give_mean: bool = True,  # noqa: FBT001, FBT002 - scvi's signature
        batch_size: int | None = None,
        return_dist: bool = False,  # noqa: FBT001, FBT002
        dataloader: Iterator[dict[str, Tensor]] | None = None,
        *,
        seed: int = 0,
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Latent representation of cells.

        Parameters
        ----------
        adata
            Cells with the genes of the model, in its order; None for the cells it was trained on.
        indices
            Which cells; None for all.
        give_mean
            Return the middle of the posterior, which is deterministic: the mean of a normal or logistic
            normal latent, the median of a non-negative one, times the inclusion probability of a gate. A
            non-negative latent without a gate is not reported below the floor of its factor, three
            posterior standard deviations above what the lowest 5 % of the training cells have, and no higher
            than what 90 % have: differences below it are noise. Else one draw from the posterior.
        batch_size
            Cells a minibatch.
        return_dist
            Return mean and variance of the posterior instead: of the normal variable below the link of a
            non-negative or logistic normal latent, with a gate of its product with that variable.
        dataloader
            Minibatches, in place of ``adata``.
        seed
            Seed of the draw.

        Returns
        -------
        Array (cells, latent dimensions) float32; with ``return_dist`` two of them.

        Examples
        --------
        >>> import distaff as ds
        >>> adata = ds.datasets.simulate_gep(100, 200, random_state=0)
        >>> ds.model.BetaVAE.setup_anndata(adata)
        >>> model = ds.model.BetaVAE(adata, n_latent=4)
        >>> model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
        >>> model.get_latent_representation().shape
        (100, 4)
        """
        check_flag("give_mean", give_mean)
        check_flag("return_dist", return_dist)
        self._check_encoder()
        with isolated_rng(seed):  # also because scvi-tools' data loader draws a seed for its workers
            cells = adata, indices, batch_size, dataloader
            if give_mean and not return_dist:
                return stack(self._encoded(self.module.reported, *cells))
            qs = self._encoded(self.module.posterior_of, *cells)
            if return_dist:
                means, variances = zip(*((q.mean, q.variance) for q in qs), strict=True)
                return stack(means), stack(variances)
            return stack(self.module.posterior.draw(q)[1] for q in qs)

    def _encoded(
        self: Any,
        encode: Callable[[dict[str, Tensor]], Any],
        adata: AnnData | None,
        indices: Sequence[int] | None,
        batch_size: int | None,
        dataloader: Iterator[dict[str, Tensor]] | None = None,
    ) -> Iterator[Any]:
        """What ``encode`` makes of block after block of cells."""
        with folded(self.module):
            size = ENCODED if batch_size is None else batch_size
            for tensors in self._minibatches(adata, indices, size, dataloader):
                yield encode(tensors)

    @property
    def latent_unit(self: Any) -> float | None:
        """Change of the latent with a unit of the normal variable below it, at the middle of its prior.

        A simplex counts in units of one over the number of dimensions. None for a deterministic latent, which
        has no unit.
        """
        return self.module.posterior.unit

    @torch.inference_mode()
    def get_kl_per_dimension(
        self: Any,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        *,
        batch_size: int | None = None,
        seed: int = 0,
    ) -> np.ndarray:
        """KL of the posterior from the prior, of each latent dimension in each cell.

        Parameters
        ----------
        adata
            Cells with the genes of the model, in its order; None for the cells it was trained on.
        indices
            Which cells; None for all.
        batch_size
            Cells a minibatch.
        seed
            Seed of the draw, which a prior without a closed form needs.

        Returns
        -------
        Array (cells, latent dimensions) float32, nats; (cells, 1) for a prior over all dimensions together.

        Raises
        ------
        ValueError
            If the data are minified: what was kept is the posterior alone.
        """
        if self.minified_data_type is not None:
            raise error(
                "The KL must be computed from counts", got=f"minified_data_type={self.minified_data_type!r}"
            )
        self._check_encoder()
        with isolated_rng(seed), folded(self.module):
            size = ENCODED if batch_size is None else batch_size
            minibatches = self._minibatches(adata, indices, size)
            return stack(self.module.kl_of(tensors) for tensors in minibatches)

    @torch.inference_mode()
    def get_inclusion_probability(
        self: Any,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        *,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Probability that each latent dimension is on in each cell; models with a gate only.

        Parameters
        ----------
        adata
            Cells with the genes of the model, in its order; None for the cells it was trained on.
        indices
            Which cells; None for all.
        batch_size
            Cells a minibatch.

        Returns
        -------
        Array (cells, latent dimensions) float32, values in [0, 1].

        Raises
        ------
        TypeError
            If the latent has no gate.
        """
        if not self.has_gate:
            raise error(
                "Inclusion probabilities must come from a latent with a gate",
                got=f"prior={self._config.latent.prior!r}",
                fix="Use SparseVAE, or a non-negative prior with gate=True.",
                kind=TypeError,
            )
        self._check_encoder()
        return stack(q.inclusion for q in self._encoded(self.module.posterior_of, adata, indices, batch_size))

    @torch.inference_mode()
    def get_likelihood_parameters(
        self: Any,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        *,
        batch_size: int | None = None,
    ) -> dict[str, np.ndarray]:
        """Parameters of ``p(x | z)`` at the latent representation of each cell.

        Parameters
        ----------
        adata
            Cells with the genes of the model, in its order; None for the cells it was trained on.
        indices
            Which cells; None for all.
        batch_size
            Cells a minibatch.

        Returns
        -------
        ``mean`` and, by likelihood, ``dispersions`` (inverse dispersion of an NB, standard deviation of a
        normal) and ``dropout`` (chance of a further zero), each (cells, genes).
        """
        self._check_if_trained(warn=False)
        blocks = []
        with folded(self.module):
            for tensors in self._minibatches(adata, indices, batch_size):
                found = self.module.likelihood.statistics(self.module.decode_mean(tensors))
                blocks.append({name: value.expand_as(found["mean"]) for name, value in found.items()})
        return {name: stack(block[name] for block in blocks) for name in blocks[0]}
