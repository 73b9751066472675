"""Sparse codes: a spike-and-slab latent."""

from __future__ import annotations

from typing import Any, Literal

from anndata import AnnData

from distaff._checks import check_choice
from distaff.model._base import FactorModel
from distaff.model._build import ModelConfig, layer_widths
from distaff.model._decoder import DecoderConfig
from distaff.model._latent import SLAB_PRIORS, LatentConfig
from distaff.model._objective import ObjectiveConfig

__all__ = ["SparseVAE"]


class SparseVAE(FactorModel):
    r"""Variational sparse coding with beta, beta-VSC :cite:p:`Tonolini19`.

    Each latent dimension is zero in a cell with probability :math:`1 - \gamma_j(x)` and normal otherwise; the
    whole KL, gates included, is weighted by :math:`\beta`:

    .. math::

        KL = \sum_j \gamma_j\, KL(N(\mu_j, \sigma_j^2) \| N(0, 1))
        + KL(\text{Bern}(\gamma_j) \| \text{Bern}(\alpha))

    The representation is :math:`\gamma \mu`; :meth:`get_inclusion_probability` gives :math:`\gamma`.

    Parameters
    ----------
    adata
        Annotated data, registered with :meth:`setup_anndata`.
    registry
        Registry of a saved model, to build it without data; not for users.
    n_latent
        Number of latent dimensions.
    alpha
        Prior probability that a dimension is on.
    target_active
        The same as the expected number of dimensions that are on in a cell, ``alpha * n_latent``; give one
        of the two. None and None is 10 %.
    prior
        ``"fixed"``, or ``"pseudo_input"``: the posterior of the learned profile that fits the cell best. The
        profiles are part of the loss: a KL, weighted by ``beta`` too, holds the mean probability that their
        dimensions are on at ``alpha``.
    relaxation
        Gate in training: binary ``"concrete"``, or the paper's ``"vsc"``.
    slab_warmup
        Over half of the first run, let the gates carry the information before the slabs do.
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
        Weight of the KL.
    kl_warmup_epochs
        Epochs over which the weight of the KL rises from 0; 0 for none, None for half of the first run.

    Examples
    --------
    >>> import distaff as ds
    >>> adata = ds.datasets.simulate_gep(100, 200, random_state=0)
    >>> ds.model.SparseVAE.setup_anndata(adata)
    >>> model = ds.model.SparseVAE(adata, n_latent=8, target_active=2)
    >>> model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
    >>> model.get_inclusion_probability().shape
    (100, 8)
    """

    def __init__(
        self,
        adata: AnnData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        n_latent: int = 32,
        alpha: float | None = None,
        target_active: float | None = None,
        prior: Literal["fixed", "pseudo_input"] = "fixed",
        relaxation: Literal["concrete", "vsc"] = "concrete",
        slab_warmup: bool = False,
        n_hidden: int = 128,
        n_layers: int = 1,
        dropout_rate: float = 0.1,
        likelihood: Literal["nb", "zinb", "poisson", "normal"] = "nb",
        dispersion: Literal["gene", "gene-batch", "gene-label", "gene-cell"] = "gene",
        use_observed_lib_size: bool = True,
        encode_covariates: bool = False,
        beta: float = 1.0,
        kl_warmup_epochs: int | None = None,
    ) -> None:
        super().__init__(adata, registry)
        check_choice("prior", prior, SLAB_PRIORS)
        default_alpha = 0.1 if alpha is None and target_active is None else alpha
        self._compose(
            ModelConfig(
                widths=layer_widths(n_hidden, n_layers),
                dropout_rate=dropout_rate,
                likelihood=likelihood,
                dispersion=dispersion,
                use_observed_lib_size=use_observed_lib_size,
                encode_covariates=encode_covariates,
                latent=LatentConfig(
                    "spike_slab",
                    n_latent,
                    alpha=default_alpha,
                    target_active=target_active,
                    slab_prior=prior,
                    relaxation=relaxation,
                    slab_warmup=slab_warmup,
                ),
                decoder=DecoderConfig("mlp", layer_widths(n_hidden, n_layers)),
                objective=ObjectiveConfig(beta=beta, kl_warmup_epochs=kl_warmup_epochs),
            ),
            self._get_init_params(locals()),
        )
