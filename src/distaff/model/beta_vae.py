"""beta-VAE: scVI's network with a weighted or capacity-controlled KL."""

from __future__ import annotations

from typing import Any, Literal

from anndata import AnnData

from distaff.model._base import FactorModel
from distaff.model._build import ModelConfig, layer_widths
from distaff.model._decoder import DecoderConfig
from distaff.model._latent import LatentConfig
from distaff.model._objective import ObjectiveConfig

__all__ = ["BetaVAE"]


class BetaVAE(FactorModel):
    r"""Variational autoencoder whose KL is weighted, or held at a capacity :cite:p:`Kimmel20`.

    Encoder, decoder and likelihood are scVI's :cite:p:`Lopez18`; the loss is

    .. math::

        \mathcal L = E_q[-\log p(x|z)] + \beta\, KL(q(z|x) \,\|\, p(z)) \quad\text{or}\quad
        E_q[-\log p(x|z)] + \beta\, |KL(q(z|x) \,\|\, p(z)) - C(t)|

    With ``beta=1`` and no capacity it is scVI's.

    Parameters
    ----------
    adata
        Annotated data, registered with :meth:`setup_anndata`.
    registry
        Registry of a saved model, to build it without data; not for users.
    n_latent
        Number of latent dimensions.
    n_hidden
        Width of the hidden layers.
    n_layers
        Number of hidden layers of encoder and decoder.
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
        Weight :math:`\beta` of the KL.
    capacity
        Final capacity :math:`C` in nats; 0 or None for none.
    capacity_start
        Capacity at the first step, nats.
    capacity_steps
        Optimiser steps over which the capacity rises linearly (20,000 in the paper); None for half of the
        first run.
    capacity_mode
        Hold the mean KL of a minibatch at the capacity (``"batch"``) or that of every cell (``"cell"``).
    kl_warmup_epochs
        Epochs over which the weight of the KL rises linearly from 0; 0 for no warm-up, None for half of
        the first run. Always ends within the run: it is shortened, with a warning, where it would not.
    kl_warmup_steps
        The same in optimiser steps.

    Examples
    --------
    >>> import distaff as ds
    >>> adata = ds.datasets.simulate_gep(100, 200, random_state=0)
    >>> ds.model.BetaVAE.setup_anndata(adata)
    >>> model = ds.model.BetaVAE(adata, n_latent=4, beta=5.0)
    >>> model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
    >>> model.get_latent_representation().shape
    (100, 4)
    """

    def __init__(
        self,
        adata: AnnData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        n_latent: int = 32,
        n_hidden: int = 128,
        n_layers: int = 1,
        dropout_rate: float = 0.1,
        likelihood: Literal["nb", "zinb", "poisson", "normal"] = "nb",
        dispersion: Literal["gene", "gene-batch", "gene-label", "gene-cell"] = "gene",
        use_observed_lib_size: bool = True,
        encode_covariates: bool = False,
        beta: float = 10.0,
        capacity: float | None = 0.0,
        capacity_start: float = 0.1,
        capacity_steps: int | None = None,
        capacity_mode: Literal["batch", "cell"] = "batch",
        kl_warmup_epochs: int | None = None,
        kl_warmup_steps: int | None = None,
    ) -> None:
        super().__init__(adata, registry)
        self._compose(
            ModelConfig(
                widths=layer_widths(n_hidden, n_layers),
                dropout_rate=dropout_rate,
                likelihood=likelihood,
                dispersion=dispersion,
                use_observed_lib_size=use_observed_lib_size,
                encode_covariates=encode_covariates,
                latent=LatentConfig(prior="normal", n_latent=n_latent),
                decoder=DecoderConfig("mlp", layer_widths(n_hidden, n_layers)),
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
