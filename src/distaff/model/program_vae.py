"""Non-negative gene programs: the model to begin with."""

from __future__ import annotations

from typing import Any, Literal

from anndata import AnnData

from distaff.model._base import FactorModel
from distaff.model._build import ModelConfig, layer_widths
from distaff.model._decoder import DecoderConfig
from distaff.model._latent import LatentConfig
from distaff.model._objective import ObjectiveConfig

__all__ = ["ProgramVAE"]


class ProgramVAE(FactorModel):
    r"""Non-negative factor model of counts, started from NMF and amortised.

    .. math::

        r = (\text{expm1}(z W^\top) + 10^{-3})\, e^{\text{covariates}}, \quad
        \rho = r / \textstyle\sum_g r_g, \quad z_k = \text{softplus}(u_k), \quad W \ge 0

    Programs have non-negative scores and loadings that add up to log1p expression: what NMF finds, with a
    count likelihood, covariates, and an encoder that maps new cells. A score is not reported below the floor
    of its program, the level that noise reaches in cells where the program is off.

    Parameters
    ----------
    adata
        Annotated data, registered with :meth:`setup_anndata`.
    registry
        Registry of a saved model, to build it without data; not for users.
    n_latent
        Number of programs.
    init
        ``"nmf"`` (Frobenius) or ``"nmf_kl"`` of the log-normalised counts; None for a random start.
    gate
        Also switch programs off and on by cell, :math:`z_k = \zeta_k\, \text{softplus}(u_k)`; the latent is
        then that of a :class:`~distaff.model.SparseVAE`, inclusion probabilities included.
    alpha
        Prior probability that a gated program is on; None for 0.5.
    n_hidden
        Width of the encoder's layers.
    n_layers
        Number of hidden layers of the encoder.
    dropout_rate
        Share of the encoder's units dropped in training.
    likelihood
        ``"nb"``, ``"zinb"`` or ``"poisson"``.
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
    >>> ds.model.ProgramVAE.setup_anndata(adata)
    >>> model = ds.model.ProgramVAE(adata, n_latent=4)
    >>> model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
    >>> bool((model.get_loadings() >= 0).all(axis=None))
    True
    """

    _learning_rate = 5e-3
    _most_epochs = 100  # longer training lets the axes drift from those that NMF found

    def __init__(
        self,
        adata: AnnData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        n_latent: int = 10,
        init: Literal["nmf", "nmf_kl"] | None = "nmf",
        gate: bool = False,
        alpha: float | None = None,
        n_hidden: int = 128,
        n_layers: int = 1,
        dropout_rate: float = 0.1,
        likelihood: Literal["nb", "zinb", "poisson"] = "nb",
        dispersion: Literal["gene", "gene-batch", "gene-label", "gene-cell"] = "gene",
        use_observed_lib_size: bool = True,
        encode_covariates: bool = False,
        beta: float = 1.0,
        kl_warmup_epochs: int | None = None,
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
                init=init,
                latent=LatentConfig("softplus_normal", n_latent, gate=gate, alpha=alpha),
                decoder=DecoderConfig("linear", non_negative=True, rate="additive"),
                objective=ObjectiveConfig(beta=beta, kl_warmup_epochs=kl_warmup_epochs),
            ),
            self._get_init_params(locals()),
        )
