"""LDVAE: a linear decoder, so that each factor has loadings."""

from __future__ import annotations

from typing import Any, Literal

from anndata import AnnData

from distaff._checks import check_choice
from distaff.model._base import FactorModel
from distaff.model._build import ModelConfig, layer_widths
from distaff.model._decoder import DecoderConfig
from distaff.model._latent import LatentConfig
from distaff.model._objective import ObjectiveConfig

__all__ = ["LinearVAE"]


class LinearVAE(FactorModel):
    r"""Linearly decoded variational autoencoder, LDVAE :cite:p:`Svensson20`.

    .. math:: \rho = \text{softmax}(\text{BN}(W [z; \text{covariates}]))

    A cell's expression is a log-linear function of its factors, and column k of W says which genes factor k
    moves: read it with :meth:`get_loadings`.

    Parameters
    ----------
    adata
        Annotated data, registered with :meth:`setup_anndata`.
    registry
        Registry of a saved model, to build it without data; not for users.
    n_latent
        Number of factors.
    latent
        ``"normal"``, or ``"logistic_normal"`` for cells that are mixtures of factors (rows sum to 1).
    batch_norm
        Normalise each gene's logits over the minibatch; folded into the loadings.
    init
        Start from ``"nmf"``, ``"nmf_kl"``, ``"ica"`` or ``"pca"`` of the log-normalised counts, with every
        gene's mean equalised over batches; None for a random start.
    n_hidden
        Width of the encoder's layers.
    n_layers
        Number of hidden layers of the encoder.
    dropout_rate
        Share of the encoder's units dropped in training.
    likelihood
        ``"nb"``, ``"zinb"`` or ``"poisson"`` for counts; ``"normal"`` for real values.
    dispersion
        One inverse dispersion a gene, or one a gene and batch, label or cell.
    use_observed_lib_size
        Scale by the cell's total count; else learn the library size.
    encode_covariates
        Give batch and covariates to the encoder too.
    beta
        Weight of the KL.
    capacity
        Final capacity in nats; 0 or None for none.
    capacity_start
        Capacity at the first step, nats.
    capacity_steps
        Optimiser steps over which the capacity rises; None for half of the first run.
    capacity_mode
        Hold the mean KL of a minibatch at the capacity (``"batch"``) or that of every cell (``"cell"``).
    kl_warmup_epochs
        Epochs over which the weight of the KL rises from 0; 0 for none, None for half of the first run.
    kl_warmup_steps
        The same in optimiser steps.

    Examples
    --------
    >>> import distaff as ds
    >>> adata = ds.datasets.simulate_gep(100, 200, random_state=0)
    >>> ds.model.LinearVAE.setup_anndata(adata)
    >>> model = ds.model.LinearVAE(adata, n_latent=4)
    >>> model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
    >>> model.get_loadings().shape
    (200, 4)
    """

    def __init__(
        self,
        adata: AnnData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        n_latent: int = 10,
        latent: Literal["normal", "logistic_normal"] = "normal",
        batch_norm: bool = True,
        init: Literal["nmf", "nmf_kl", "ica", "pca"] | None = None,
        n_hidden: int = 128,
        n_layers: int = 1,
        dropout_rate: float = 0.1,
        likelihood: Literal["nb", "zinb", "poisson", "normal"] = "nb",
        dispersion: Literal["gene", "gene-batch", "gene-label", "gene-cell"] = "gene",
        use_observed_lib_size: bool = True,
        encode_covariates: bool = False,
        beta: float = 1.0,
        capacity: float | None = 0.0,
        capacity_start: float = 0.1,
        capacity_steps: int | None = None,
        capacity_mode: Literal["batch", "cell"] = "batch",
        kl_warmup_epochs: int | None = None,
        kl_warmup_steps: int | None = None,
    ) -> None:
        super().__init__(adata, registry)
        check_choice("latent", latent, ("normal", "logistic_normal"))
        self._compose(
            ModelConfig(
                widths=layer_widths(n_hidden, n_layers),
                dropout_rate=dropout_rate,
                likelihood=likelihood,
                dispersion=dispersion,
                use_observed_lib_size=use_observed_lib_size,
                encode_covariates=encode_covariates,
                init=init,
                latent=LatentConfig(prior=latent, n_latent=n_latent),
                decoder=DecoderConfig("linear", batch_norm=batch_norm),
                objective=ObjectiveConfig(
                    beta=beta,
                    capacity=capacity,
                    capacity_start=capacity_start,
                    capacity_steps=capacity_steps,
                    capacity_mode=capacity_mode,
                    kl_warmup_epochs=kl_warmup_epochs,
                    kl_warmup_steps=kl_warmup_steps,
                ),
            ),
            self._get_init_params(locals()),
        )
