"""Deterministic deep autoencoder: the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anndata import AnnData

from distaff._checks import check_int, error
from distaff.model._base import FactorModel
from distaff.model._build import ModelConfig
from distaff.model._decoder import DecoderConfig
from distaff.model._latent import LatentConfig
from distaff.model._objective import ObjectiveConfig

__all__ = ["Autoencoder"]


class Autoencoder(FactorModel):
    r"""Deep autoencoder of log-normalised or scaled expression, with squared error.

    .. math:: \mathcal L = \sum_g (x_g - \hat x_g)^2

    Nothing in it is random but the dropout of training. The decoder mirrors the encoder.

    Parameters
    ----------
    adata
        Annotated data, registered with ``setup_anndata(adata, layer=..., allow_non_integer=True)``.
    registry
        Registry of a saved model, to build it without data; not for users.
    layers
        Width of each layer of the encoder.
    n_latent
        Number of latent dimensions.
    dropout_rate
        Share of the encoder's units dropped in training.
    latent_norm
        Weight of the squared length of the code.

    Examples
    --------
    >>> import distaff as ds
    >>> import numpy as np
    >>> adata = ds.datasets.simulate_gep(100, 200, random_state=0)
    >>> adata.layers["log1p"] = np.log1p(adata.X)
    >>> ds.model.Autoencoder.setup_anndata(adata, layer="log1p", allow_non_integer=True)
    >>> model = ds.model.Autoencoder(adata)
    >>> model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
    >>> model.get_latent_representation().shape
    (100, 6)
    """

    def __init__(
        self,
        adata: AnnData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        layers: Sequence[int] = (128, 32, 16),
        n_latent: int = 6,
        dropout_rate: float = 0.0,
        latent_norm: float = 0.0,
    ) -> None:
        super().__init__(adata, registry)
        if isinstance(layers, str) or not isinstance(layers, Sequence) or not layers:
            raise error("layers must be a sequence of widths", got=repr(layers), fix="Such as (128, 32, 16).")
        widths = tuple(check_int("Width in layers", width, minimum=1) for width in layers)
        self._compose(
            ModelConfig(
                widths=widths,
                dropout_rate=dropout_rate,
                likelihood="normal",
                dispersion="fixed",
                use_observed_lib_size=True,
                encode_covariates=False,
                latent=LatentConfig("deterministic", n_latent),
                decoder=DecoderConfig("mlp", widths[::-1]),
                objective=ObjectiveConfig(beta=1.0, kl_warmup_epochs=0, latent_norm=latent_norm),
            ),
            self._get_init_params(locals()),
        )
