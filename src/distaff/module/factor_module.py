"""Encoder, posterior, prior, decoder, likelihood and objective, composed for scvi-tools."""

from __future__ import annotations

from typing import Any

import torch
from scvi import REGISTRY_KEYS
from scvi.distributions import Poisson
from scvi.module.base import BaseMinifiedModeModuleClass, LossOutput, auto_move_data
from torch import Tensor, nn
from torch.distributions import Distribution

from distaff._keys import MINIFIED
from distaff.module.by_hand import WholeStep
from distaff.module.marginal import log_marginal_likelihood
from distaff.module.minibatch import MinibatchLoss
from distaff.module.minified import unpack
from distaff.module.query import freeze
from distaff.module.shared import with_other_processes
from distaff.nn.covariates import Covariates, CovariateSpec
from distaff.nn.decoders import AbstractDecoder
from distaff.nn.encoders import MLPEncoder
from distaff.nn.libraries import AbstractLibrary
from distaff.nn.likelihoods import AbstractLikelihood
from distaff.nn.posteriors import AbstractPosterior
from distaff.nn.priors import AbstractPrior
from distaff.objectives import LossInputs, Objective
from distaff.ops import as_dense, is_sparse, kl_divergence, rsample

__all__ = ["FactorModule", "MinibatchLoss"]


MAX_POISSON_RATE = 1e8  # torch's Poisson sampler overflows above; far beyond any count


class FactorModule(BaseMinifiedModeModuleClass):
    r"""Variational autoencoder made of parts.

    .. math::

        q(u|x) = \text{posterior}(\text{encoder}(x)), \quad z = g(u), \quad
        p(x|z) = \text{likelihood}(\text{decoder}(z), \ell)

    Parameters
    ----------
    encoder
        Expression to features.
    posterior
        Features to ``q(u | x)``, and the map ``z = g(u)``.
    prior
        ``p(u)``.
    decoder
        Latent to heads.
    likelihood
        Heads and library size to ``p(x | z)``.
    library
        Library size.
    objective
        Loss.
    covariates
        Sizes of the covariates.
    """

    def __init__(
        self,
        *,
        encoder: MLPEncoder,
        posterior: AbstractPosterior,
        prior: AbstractPrior,
        decoder: AbstractDecoder,
        likelihood: AbstractLikelihood,
        library: AbstractLibrary,
        objective: Objective,
        covariates: CovariateSpec,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.posterior = posterior
        self.prior = prior
        self.decoder = decoder
        self.likelihood = likelihood
        self.library = library
        self.objective = objective
        self.covariates = covariates
        self.frozen = False

    # --- weights of a reference ------------------------------------------------------------------

    def freeze(self) -> None:
        """Keep everything as it is but what the parts give to a query."""
        freeze(self)
        self.frozen = True

    def get_extra_state(self) -> Tensor:
        """Whether the module is frozen, for ``state_dict``."""
        return torch.tensor([self.frozen], dtype=torch.int64)

    def set_extra_state(self, state: Tensor) -> None:
        """Restore what :meth:`get_extra_state` returned."""
        if state[0]:
            self.freeze()

    # --- inference -------------------------------------------------------------------------------

    def _get_inference_input(
        self,
        tensors: dict[str, Tensor],
        full_forward_pass: bool = False,  # noqa: FBT001, FBT002 - scvi's
    ) -> dict[str, Any]:
        if self.minified_data_type is not None and not full_forward_pass:
            return {
                "qzm": tensors[REGISTRY_KEYS.LATENT_QZM_KEY],
                "qzv": tensors[REGISTRY_KEYS.LATENT_QZV_KEY],
                "gate_logits": tensors.get(MINIFIED.gate_logits),
                "totals": tensors[REGISTRY_KEYS.OBSERVED_LIB_SIZE],
            }
        return {
            "x": tensors[REGISTRY_KEYS.X_KEY],
            "batch_index": tensors[REGISTRY_KEYS.BATCH_KEY],
            "cont_covs": tensors.get(REGISTRY_KEYS.CONT_COVS_KEY),
            "cat_covs": tensors.get(REGISTRY_KEYS.CAT_COVS_KEY),
        }

    @auto_move_data
    def encode(
        self, x: Tensor, batch_index: Tensor, cont_covs: Tensor | None = None, cat_covs: Tensor | None = None
    ) -> Distribution:
        """Posterior ``q(u | x)`` of each cell; draws nothing."""
        covariates = Covariates(batch_index, categorical=cat_covs, continuous=cont_covs)
        return self.posterior(self.encoder(x, covariates))

    @auto_move_data
    def posterior_of(self, tensors: dict[str, Tensor]) -> Distribution:
        """Posterior ``q(u | x)`` of each cell of a minibatch, be it minified or not; draws nothing."""
        inputs = self._get_inference_input(tensors)
        if "qzm" in inputs:
            return unpack(inputs["qzm"], inputs["qzv"], inputs["gate_logits"])
        return self.encode(**inputs)

    @auto_move_data
    def reported(self, tensors: dict[str, Tensor]) -> Tensor:
        """What is reported for each cell of a minibatch, be it minified or not, (cells, n_latent)."""
        inputs = self._get_inference_input(tensors)
        if "qzm" in inputs:
            return self.posterior.representation(self.posterior_of(tensors))
        covariates = Covariates(inputs["batch_index"], None, inputs["cat_covs"], inputs["cont_covs"])
        return self.posterior.reported(self.encoder(inputs["x"], covariates))

    def kl_of(self, tensors: dict[str, Tensor]) -> Tensor:
        """KL of the posterior from the prior in a minibatch, (cells, n_latent); see ``kl_divergence``."""
        found = self.inference(**self._get_inference_input(tensors))
        return kl_divergence(found["qz"], found["pz"], found["u"])

    def _regular_inference(
        self,
        x: Tensor,
        batch_index: Tensor,
        cont_covs: Tensor | None = None,
        cat_covs: Tensor | None = None,
        n_samples: int = 1,
    ) -> dict[str, Any]:
        """Posterior and a draw from it; with several samples the first dimension counts them."""
        covariates = Covariates(batch_index, categorical=cat_covs, continuous=cont_covs)
        features = self.encoder(x, covariates)
        qz = self.posterior(features)
        library, ql = self.library(x, covariates)
        pz = self.prior(features, self._encode_pseudo_inputs)
        samples = (n_samples,) if n_samples > 1 else ()
        u, z = self.posterior.draw(qz, samples, step=self.objective.step)
        library = library.expand(*samples, -1, -1) if ql is None else rsample(ql, samples)
        return {"u": u, "z": z, "qz": qz, "pz": pz, "ql": ql, "library": library}

    def _cached_inference(
        self,
        qzm: Tensor,
        qzv: Tensor,
        totals: Tensor,
        gate_logits: Tensor | None = None,
        n_samples: int = 1,
    ) -> dict[str, Any]:
        """Draw from a posterior that was kept in place of the counts."""
        qz = unpack(qzm, qzv, gate_logits)
        samples = (n_samples,) if n_samples > 1 else ()
        u, z = self.posterior.draw(qz, samples, step=self.objective.step)
        library = self._library_of_totals(totals).expand(*samples, -1, -1)
        return {"u": u, "z": z, "qz": qz, "pz": None, "ql": None, "library": library}

    def _library_of_totals(self, totals: Tensor) -> Tensor:
        """Log library size of cells that are known by their totals (cells, 1): as of one gene."""
        return self.library(totals, Covariates(torch.zeros_like(totals)))[0]

    def _encode_pseudo_inputs(self, expression: Tensor) -> Distribution:
        """Posterior of learned profiles, in the first batch, without touching running averages."""
        covariates = self._reference_covariates(expression)
        was_training = self.encoder.training
        self.encoder.eval()
        features = self.encoder.body(expression, covariates)
        self.encoder.train(was_training)
        return self.posterior(features)

    def _reference_covariates(self, like: Tensor) -> Covariates:
        """Covariates of profiles that are no cells: first category of each, zero for numbers."""
        codes = torch.zeros(len(like), 1, dtype=torch.long, device=like.device)
        spec = self.covariates
        return Covariates(
            codes,
            labels=codes,
            categorical=codes.expand(-1, len(spec.n_cats_per_cov)),
            continuous=like.new_zeros(len(like), spec.n_continuous),
        )

    # --- generation ------------------------------------------------------------------------------

    def _get_generative_input(
        self, tensors: dict[str, Tensor], inference_outputs: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            "z": inference_outputs["z"],
            "library": inference_outputs["library"],
            "batch_index": tensors[REGISTRY_KEYS.BATCH_KEY],
            "cont_covs": tensors.get(REGISTRY_KEYS.CONT_COVS_KEY),
            "cat_covs": tensors.get(REGISTRY_KEYS.CAT_COVS_KEY),
            "size_factor": tensors.get(REGISTRY_KEYS.SIZE_FACTOR_KEY),
            "y": tensors.get(REGISTRY_KEYS.LABELS_KEY),
        }

    @auto_move_data
    def generative(
        self,
        z: Tensor,
        library: Tensor,
        batch_index: Tensor,
        cont_covs: Tensor | None = None,
        cat_covs: Tensor | None = None,
        size_factor: Tensor | None = None,
        y: Tensor | None = None,
        transform_batch: int | None = None,
    ) -> dict[str, Any]:
        """``p(x | z)`` and the priors; ``transform_batch`` decodes all cells as if of that batch."""
        covariates = Covariates(batch_index, labels=y, categorical=cat_covs, continuous=cont_covs)
        if transform_batch is not None:
            covariates = covariates.in_batch(transform_batch)
        log_size = library if size_factor is None else size_factor.log()
        px = self.likelihood(self.decoder(z, covariates), log_size, covariates)
        return {"px": px, "pl": self.library.prior(covariates)}

    @auto_move_data
    def decode_mean(self, tensors: dict[str, Tensor]) -> Distribution:
        """``p(x | z)`` at the latent representation and the library size; draws nothing."""
        inputs = self._get_inference_input(tensors)
        z = self.posterior.representation(self.posterior_of(tensors))
        if "totals" in inputs:
            library = self._library_of_totals(inputs["totals"])
        else:
            covariates = Covariates(inputs["batch_index"], None, inputs["cat_covs"], inputs["cont_covs"])
            library, _ = self.library(inputs["x"], covariates)
        return self.generative(**self._get_generative_input(tensors, {"z": z, "library": library}))["px"]

    @property
    def gives_shares(self) -> bool:
        """Whether expression is a share of the cell's total, a softmax."""
        return isinstance(getattr(self.likelihood, "link", None), nn.Softmax)

    @auto_move_data
    def log_shares(
        self, z: Tensor, batch_index: Tensor, cont_covs: Tensor | None = None, cat_covs: Tensor | None = None
    ) -> Tensor:
        """Log of the share of each gene, (..., cells, genes): of no other head and of no mean."""
        covariates = Covariates(batch_index, categorical=cat_covs, continuous=cont_covs)
        return self.decoder.readouts(z, covariates)["scale"].dense().log_softmax(-1)

    # --- loss ------------------------------------------------------------------------------------

    def minibatch_loss(self, tensors: dict[str, Tensor]) -> MinibatchLoss:
        """Loss of a minibatch on this module's device, whose counts may be sparse.

        The loss is that of :meth:`forward`; of counts that are sparse no (cells, genes) matrix is made where
        the likelihood has a kernel.
        """
        found = self._regular_inference(**self._get_inference_input(tensors, full_forward_pass=True))
        covariates = self._covariates(tensors)
        reconstruction = -self._log_likelihood(tensors, found, covariates)
        return self._weigh(reconstruction, found, self.library.prior(covariates))

    def whole_step(self, optimiser: torch.optim.Optimizer) -> WholeStep | None:
        """Loss, gradients and optimiser step of a minibatch in one, where that is written out by hand."""
        return WholeStep.of(self, optimiser)

    def _covariates(self, tensors: dict[str, Tensor]) -> Covariates:
        return Covariates(
            tensors[REGISTRY_KEYS.BATCH_KEY],
            labels=tensors.get(REGISTRY_KEYS.LABELS_KEY),
            categorical=tensors.get(REGISTRY_KEYS.CAT_COVS_KEY),
            continuous=tensors.get(REGISTRY_KEYS.CONT_COVS_KEY),
        )

    def _log_likelihood(
        self, tensors: dict[str, Tensor], found: dict[str, Any], covariates: Covariates
    ) -> Tensor:
        """``log p(x | z)`` of each cell."""
        x, size_factor = tensors[REGISTRY_KEYS.X_KEY], tensors.get(REGISTRY_KEYS.SIZE_FACTOR_KEY)
        log_size = found["library"] if size_factor is None else size_factor.log()
        readouts = self.decoder.readouts(found["z"], covariates)
        if is_sparse(x) or x.device.type == "cuda":
            value = self.likelihood.log_likelihood(x, readouts, log_size, covariates)
            if value is not None:
                return value
        heads = {name: readout.dense() for name, readout in readouts.items()}
        return self.likelihood(heads, log_size, covariates).log_prob(as_dense(x)).sum(-1)

    def _weigh(
        self,
        reconstruction: Tensor,
        found: dict[str, Any],
        pl: Distribution | None,
        kl_weight: Tensor | float = 1.0,
    ) -> MinibatchLoss:
        """Put the terms of the objective together."""
        qz, ql = found["qz"], found["ql"]
        kl = kl_divergence(qz, found["pz"], found["u"])
        kl_library = torch.zeros_like(reconstruction)
        if ql is not None and pl is not None:
            kl_library = kl_divergence(ql, pl, found["library"]).sum(-1)
        inputs = with_other_processes(
            LossInputs(
                reconstruction,
                kl,
                kl_library,
                kl_weight,
                qz=qz,
                u=found["u"],
                z=found["z"],
                n_cells=self.objective.n_cells,
                prior_cost=self.prior.cost(found["pz"]),
            )
        )
        output = self.objective(inputs)
        location = self.posterior.location(inputs.qz).detach()
        return MinibatchLoss(
            output.loss, inputs.reconstruction, inputs.kl, inputs.kl_library, output.parts, location
        )

    def loss(
        self,
        tensors: dict[str, Tensor],
        inference_outputs: dict[str, Any],
        generative_outputs: dict[str, Any],
        kl_weight: Tensor | float = 1.0,
    ) -> LossOutput:
        """Loss as scvi-tools asks for it; the KL in ``kl_local`` is the true one, whatever is weighed."""
        reconstruction = -generative_outputs["px"].log_prob(tensors[REGISTRY_KEYS.X_KEY]).sum(-1)
        found = self._weigh(reconstruction, inference_outputs, generative_outputs["pl"], kl_weight)
        return LossOutput(
            loss=found.loss,
            reconstruction_loss=reconstruction,
            kl_local={"kl_divergence_l": found.kl_library, "kl_divergence_z": found.kl.sum(-1)},
        )

    # --- sampling and marginal likelihood --------------------------------------------------------

    @torch.inference_mode()
    def sample(
        self, tensors: dict[str, Tensor], n_samples: int = 1, generative_kwargs: dict | None = None
    ) -> Tensor:
        """Draw from the posterior predictive: (cells, genes), or (cells, genes, samples) on the CPU."""
        _, generative_outputs = self.forward(
            tensors,
            inference_kwargs={"n_samples": n_samples},
            generative_kwargs=generative_kwargs,
            compute_loss=False,
        )
        px = generative_outputs["px"]
        if isinstance(px, Poisson):
            px = Poisson(px.rate.clamp(max=MAX_POISSON_RATE), validate_args=False)
        samples = px.sample()
        return (samples.permute(1, 2, 0) if n_samples > 1 else samples).cpu()

    @torch.inference_mode()
    @auto_move_data
    def marginal_ll(
        self,
        tensors: dict[str, Tensor],
        n_mc_samples: int,
        return_mean: bool = False,  # noqa: FBT001, FBT002 - scvi's signature
        n_mc_samples_per_pass: int = 1,
    ) -> Tensor | float:
        """Importance-sampled log marginal likelihood, (cells,) on the CPU, or its mean; nats."""
        log_likelihood = log_marginal_likelihood(self, tensors, n_mc_samples, n_mc_samples_per_pass).cpu()
        return log_likelihood.mean().item() if return_mean else log_likelihood
