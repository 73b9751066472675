"""The open family: any prior with any decoder, likelihood and objective."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from anndata import AnnData

from distaff._checks import check_choice, check_int
from distaff.model._annotation import Annotation
from distaff.model._base import FactorModel
from distaff.model._build import ModelConfig, given_widths
from distaff.model._decoder import DecoderConfig
from distaff.model._latent import LatentConfig
from distaff.model._objective import ObjectiveConfig

__all__ = ["FactorVAE"]


class FactorVAE(FactorModel):
    """Variational autoencoder of parts that you choose.

    The other models are choices of these; use it where none of them is yours.

    Parameters
    ----------
    adata
        Annotated data, registered with :meth:`setup_anndata`.
    registry
        Registry of a saved model, to build it without data; not for users.
    n_latent
        Number of latent dimensions; with an annotated decoder, the sets and further factors decide.
    encoder
        ``"mlp"``: fully connected layers.
    prior
        ``"normal"``, ``"logistic_normal"`` (rows sum to 1), ``"spike_slab"``, ``"vamp"`` (mixture of
        posteriors of learned profiles), the non-negative ``"softplus_normal"``, ``"lognormal"`` and
        ``"exponential"``, ``"deterministic"``, or one of your own: see
        :func:`~distaff.extend.register_prior`.
    decoder
        ``"mlp"``, ``"linear"``, ``"additive"`` (one small network a factor), ``"annotated"`` (gene sets), or
        one of your own: see :func:`~distaff.extend.register_decoder`.
    gate
        Switch the dimensions of a non-negative prior off and on by cell.
    alpha
        Prior probability that a dimension is on, with a gate or spike and slab; None for 0.5.
    target_active
        The same as the expected number of dimensions that are on in a cell.
    slab_prior
        With ``prior="spike_slab"``: ``"fixed"`` or ``"pseudo_input"``.
    relaxation
        Gate in training: ``"concrete"`` or ``"vsc"``.
    slab_warmup
        Let the gates carry the information first.
    batch_norm
        Normalise the logits of a linear decoder over the minibatch.
    non_negative
        Keep the loadings of a linear or hard-masked annotated decoder from being negative.
    rate
        ``"log"``: factors act on the log scale; ``"additive"``: they add up to log1p expression.
    set_key
        Slot of ``varm`` with the gene sets of an annotated decoder.
    mask
        ``"soft"`` or ``"hard"`` annotation.
    n_sparse
        Number of further sparse factors of an annotated decoder.
    n_dense
        Number of further dense factors of an annotated decoder.
    lambda_off_mask
        L1 penalty on genes outside their set.
    lambda_sparse
        L1 penalty on sparse factors.
    lambda_group
        Group lasso on terms.
    prox
        ``"metric"`` or ``"paper"``: proximal step of an annotated decoder; see
        :class:`~distaff.model.AnnotatedVAE`.
    init
        Start of a linear or annotated decoder: ``"nmf"``, ``"nmf_kl"``, ``"ica"``, ``"pca"`` or None.
    n_hidden
        Width of the hidden layers; or one for each layer of the encoder, such as ``(128, 32, 16)``, in the
        reverse order in an MLP decoder.
    n_layers
        Number of hidden layers of the encoder and of an MLP decoder.
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
        Epochs over which the weights of the KL and of further terms rise from 0; 0 for none, None for half
        of the first run.
    kl_warmup_steps
        The same in optimiser steps.
    kl_schedule
        How they rise: ``"linear"``, ``"cosine"``, ``"sigmoid"`` or ``"cyclical"``.
    total_correlation
        Weight of the total correlation, on top of its share in the KL (beta-TC).
    dip
        Off-diagonal and diagonal weight of DIP-VAE; None for none.
    dip_form
        ``"I"`` (covariance of the means) or ``"II"`` (of the aggregated posterior).
    hsic
        Weight of the Hilbert-Schmidt independence criterion between dimensions; useful from about 100 on.
    terms
        Weights of further terms of the loss, by the name under which
        :func:`~distaff.extend.register_term` knows them; None for none.

    Examples
    --------
    >>> import distaff as ds
    >>> adata = ds.datasets.simulate_gep(100, 200, random_state=0)
    >>> ds.model.FactorVAE.setup_anndata(adata)
    >>> model = ds.model.FactorVAE(adata, n_latent=4, prior="lognormal", decoder="additive")
    >>> model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
    >>> bool((model.get_latent_representation() > 0).all())
    True
    """

    def __init__(
        self,
        adata: AnnData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        n_latent: int = 10,
        encoder: Literal["mlp"] = "mlp",
        prior: str = "normal",
        decoder: str = "mlp",
        gate: bool = False,
        alpha: float | None = None,
        target_active: float | None = None,
        slab_prior: str = "fixed",
        relaxation: str = "concrete",
        slab_warmup: bool = False,
        batch_norm: bool = False,
        non_negative: bool = False,
        rate: str = "log",
        set_key: str = "gene_sets",
        mask: str = "soft",
        n_sparse: int = 0,
        n_dense: int = 0,
        lambda_off_mask: float = 0.0,
        lambda_sparse: float = 0.0,
        lambda_group: float = 0.0,
        prox: str = "metric",
        init: str | None = None,
        n_hidden: int | Sequence[int] = 128,
        n_layers: int = 1,
        dropout_rate: float = 0.1,
        likelihood: str = "nb",
        dispersion: str = "gene",
        use_observed_lib_size: bool = True,
        encode_covariates: bool = False,
        beta: float = 1.0,
        capacity: float | None = None,
        capacity_start: float = 0.1,
        capacity_steps: int | None = None,
        capacity_mode: str = "batch",
        kl_warmup_epochs: int | None = None,
        kl_warmup_steps: int | None = None,
        kl_schedule: str = "linear",
        total_correlation: float = 0.0,
        dip: tuple[float, float] | None = None,
        dip_form: str = "II",
        hsic: float = 0.0,
        terms: dict[str, float] | None = None,
    ) -> None:
        super().__init__(adata, registry)
        check_choice("encoder", encoder, ("mlp",))
        widths = given_widths(n_hidden, n_layers)
        annotation = Annotation.of(adata, registry, set_key) if decoder == "annotated" else None
        if annotation is not None:
            n_free = check_int("n_sparse", n_sparse, minimum=0) + check_int("n_dense", n_dense, minimum=0)
            n_latent = len(annotation.names) + n_free
        latent_config = LatentConfig(
            prior, n_latent, gate, alpha, target_active, slab_prior, relaxation, slab_warmup
        )
        decoder_config = DecoderConfig(
            decoder,
            widths[::-1],
            batch_norm,
            non_negative,
            rate,
            mask,
            n_sparse,
            n_dense,
            lambda_off_mask,
            lambda_sparse,
            lambda_group,
            prox,
        )
        objective = ObjectiveConfig(
            beta,
            capacity,
            capacity_start,
            capacity_steps,
            capacity_mode,
            kl_warmup_epochs,
            kl_warmup_steps,
            kl_schedule,
            total_correlation,
            dip,
            dip_form,
            hsic,
            terms=terms,
        )
        config = ModelConfig(
            widths=widths,
            dropout_rate=dropout_rate,
            likelihood=likelihood,
            dispersion=dispersion,
            use_observed_lib_size=use_observed_lib_size,
            encode_covariates=encode_covariates,
            latent=latent_config,
            decoder=decoder_config,
            objective=objective,
            init=init,
        )
        self._compose(config, self._get_init_params(locals()), annotation)
