"""Gene-set activity: a decoder annotated with gene sets, kept sparse by proximal steps."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from distaff._checks import check_choice, check_int
from distaff.model._annotation import Annotation
from distaff.model._base import FactorModel
from distaff.model._build import COUNT_LIKELIHOODS, ModelConfig, layer_widths
from distaff.model._decoder import DecoderConfig
from distaff.model._lambda_group import LambdaGroupMixin
from distaff.model._latent import LatentConfig
from distaff.model._new_terms import NewTermsMixin
from distaff.model._objective import ObjectiveConfig
from distaff.model._terms import TermBlock

__all__ = ["AnnotatedVAE"]


class AnnotatedVAE(LambdaGroupMixin, NewTermsMixin, FactorModel):
    r"""Variational autoencoder with one factor a gene set :cite:p:`Rybakov20`.

    .. math::

        \rho = \text{softmax}(z W^\top + \text{covariates} + b), \quad
        \mathcal L = -\text{ELBO} + \lambda_1 \sum_k \|W_k \circ (1 - I_k)\|_1
        + \lambda_2 \sum_{k\,\text{sparse}} \|W_k\|_1 + \lambda_3 \sum_k \|W_k\|_2

    The first factors are the gene sets, then come sparse and dense ones without annotation; a query may add
    more of all three (:meth:`load_query_data`). Penalties are
    applied by their proximal operator right after every optimiser step: weights that they remove are exactly
    zero, and whole terms are switched off.

    With ``prox="metric"`` the step is exact in the metric of Adam, with the threshold
    :math:`\eta \lambda / (\sqrt{\hat v} + \epsilon)` for the L1 penalty of a weight: training stops where
    :math:`\mathcal L` is stationary, each :math:`\lambda` is in nats a cell and unit of weight, and a weight
    leaves zero only where the gradient of the loss exceeds :math:`\lambda`. ``prox="paper"`` keeps the
    thresholds :math:`\eta \lambda` after Adam's step, as the paper's code does, to reproduce it. Adam's steps
    hardly depend on the scale of the loss, so neither does the strength of the penalties then: no step of
    Adam is much longer than :math:`\eta`, and :math:`\lambda_1 = 1` keeps nearly all weights outside the
    sets at zero. It does not settle at a stationary point of :math:`\mathcal L`: weights that the penalty
    should remove stay small, or come back from zero.

    Parameters
    ----------
    adata
        Annotated data with gene sets (:func:`distaff.pp.gene_sets`), registered with :meth:`setup_anndata`.
    registry
        Registry of a saved model, to build it without data; not for users.
    set_key
        Slot of ``varm`` with the gene sets.
    latent
        ``"normal"``: a stochastic encoder; ``"deterministic"``: the paper's autoencoder, with squared error
        on log-normalised data when ``likelihood="normal"`` and ``dispersion="fixed"``.
    mask
        ``"soft"``: genes outside a set may enter it against the penalty; ``"hard"``: they cannot.
    n_sparse
        Number of further sparse factors.
    n_dense
        Number of further dense factors.
    lambda_latent
        Strength :math:`\lambda_0` of the squared length of a deterministic code.
    lambda_off_mask
        Strength :math:`\lambda_1` of the L1 penalty on genes outside their set.
    lambda_sparse
        Strength :math:`\lambda_2` of the L1 penalty on sparse factors.
    lambda_group
        Strength :math:`\lambda_3` of the group lasso that switches terms off;
        :meth:`select_lambda_group` finds one from the data.
    prox
        Proximal step: exact in the ``"metric"`` of Adam, or that of the ``"paper"``; see above.
    init
        ``"nmf"`` (Frobenius) or ``"nmf_kl"`` of the log-normalised counts, with loadings zero outside the
        sets; None for a random start. ``"auto"`` is ``"nmf_kl"`` for counts and a stochastic latent, else
        None: from a random start, terms that share genes switch each other off more or less by chance.
    n_hidden
        Width of the encoder's layers.
    n_layers
        Number of hidden layers of the encoder.
    dropout_rate
        Share of the encoder's units dropped in training.
    likelihood
        ``"nb"``, ``"zinb"`` or ``"poisson"`` for counts; ``"normal"`` for real values.
    dispersion
        One inverse dispersion a gene, or one a gene and batch, label or cell; ``"fixed"`` makes a normal
        likelihood the squared error.
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
    >>> sets = {"first": adata.var_names[:20], "second": adata.var_names[15:40]}
    >>> ds.pp.gene_sets(adata, sets)
    >>> ds.model.AnnotatedVAE.setup_anndata(adata)
    >>> model = ds.model.AnnotatedVAE(adata, n_dense=1)
    >>> model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
    >>> model.factor_names
    ['first', 'second', 'Dense 1']
    """

    _most_epochs = 100  # longer training of a started model switches off more and more terms

    def __init__(
        self,
        adata: AnnData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        set_key: str = "gene_sets",
        latent: Literal["normal", "deterministic"] = "normal",
        mask: Literal["soft", "hard"] = "soft",
        n_sparse: int = 0,
        n_dense: int = 0,
        lambda_latent: float = 0.1,
        lambda_off_mask: float = 1.0,
        lambda_sparse: float = 1.0,
        lambda_group: float = 0.1,
        prox: Literal["metric", "paper"] = "metric",
        init: Literal["auto", "nmf", "nmf_kl"] | None = "auto",
        n_hidden: int = 128,
        n_layers: int = 1,
        dropout_rate: float = 0.1,
        likelihood: Literal["nb", "zinb", "poisson", "normal"] = "nb",
        dispersion: Literal["gene", "gene-batch", "gene-label", "gene-cell", "fixed"] = "gene",
        use_observed_lib_size: bool = True,
        encode_covariates: bool = False,
        beta: float = 1.0,
        kl_warmup_epochs: int | None = None,
    ) -> None:
        super().__init__(adata, registry)
        check_choice("latent", latent, ("normal", "deterministic"))
        latent_norm = lambda_latent if latent == "deterministic" else 0.0
        annotation = Annotation.of(adata, registry, set_key)
        added = TermBlock.stored(registry)
        n_added = tuple(block.n_factors for block in added)
        n_free = check_int("n_sparse", n_sparse, minimum=0) + check_int("n_dense", n_dense, minimum=0)
        n_known = len(annotation.names) + n_free
        decoder = DecoderConfig(
            "annotated",
            mask=mask,
            n_sparse=n_sparse,
            n_dense=n_dense,
            lambda_off_mask=lambda_off_mask,
            lambda_sparse=lambda_sparse,
            lambda_group=lambda_group,
            prox=prox,
        )
        self._compose(
            ModelConfig(
                widths=layer_widths(n_hidden, n_layers),
                dropout_rate=dropout_rate,
                likelihood=likelihood,
                dispersion=dispersion,
                use_observed_lib_size=use_observed_lib_size,
                encode_covariates=encode_covariates,
                init=_start(latent, likelihood) if init == "auto" else init,
                latent=LatentConfig(latent, n_known + sum(n_added), n_added=n_added),
                decoder=decoder,
                objective=ObjectiveConfig(
                    beta=beta, kl_warmup_epochs=kl_warmup_epochs, latent_norm=latent_norm
                ),
            ),
            self._get_init_params(locals()),
            annotation,
            added,
        )

    @property
    def active_terms(self) -> list[str]:
        """Names of the factors whose loadings are not all zero."""
        table = self.get_terms()
        return table.index[table["active"]].to_list()

    def get_terms(self) -> pd.DataFrame:
        """What became of each gene set; :meth:`get_term_genes` tells the genes of one.

        Returns
        -------
        DataFrame with one row a factor: ``kind`` (annotated, sparse, dense), ``active``, whether any loading
        is not zero (that of :func:`distaff.tl.latent` also asks whether cells differ in it), ``l2_norm`` of
        its loadings, ``n_genes`` with a loading, of which ``n_kept`` are in the set and ``n_added`` are not;
        ``n_dropped`` genes of the set have none; ``direction`` is the sign of the sum of the loadings inside
        the set (1 where it is zero): multiply factor and loadings by it to make the larger side positive.
        """
        loadings = self.get_loadings().to_numpy()
        inside = np.asarray(self._data_spec.annotation_mask(loadings.shape[1]))
        used = loadings != 0
        direction = (loadings * inside).sum(axis=0)
        table = {
            "kind": self.factor_kinds,
            "active": used.any(axis=0),
            "l2_norm": (loadings**2).sum(axis=0) ** 0.5,
            "n_genes": used.sum(axis=0),
            "n_kept": (used & inside).sum(axis=0),
            "n_added": (used & ~inside).sum(axis=0),
            "n_dropped": (~used & inside).sum(axis=0),
            "direction": [-1 if value < 0 else 1 for value in direction],
        }
        return pd.DataFrame(table, index=self.factor_names)

    def get_term_genes(self, term: str) -> pd.DataFrame:
        """Genes that a gene set kept, took up and dropped.

        How many genes a set takes up depends on ``lambda_off_mask``: smaller values let more of them in.

        Parameters
        ----------
        term
            Name of a factor, one of :attr:`factor_names`.

        Returns
        -------
        DataFrame with one row a gene that is in the set or has a loading, the largest in size first:
        ``loading``, ``in_set`` (all genes for a factor without annotation), ``status`` ("kept", "added",
        "dropped").

        Raises
        ------
        ValueError
            If there is no factor of this name.

        Examples
        --------
        >>> import distaff as ds
        >>> adata = ds.datasets.simulate_gep(100, 200, random_state=0)
        >>> ds.pp.gene_sets(adata, {"first": adata.var_names[:20]})
        >>> ds.model.AnnotatedVAE.setup_anndata(adata)
        >>> model = ds.model.AnnotatedVAE(adata)
        >>> model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
        >>> genes = model.get_term_genes("first")
        >>> int(genes["in_set"].sum())
        20
        """
        place = self.factor_names.index(check_choice("term", term, self.factor_names))
        loadings = self.get_loadings().iloc[:, place]
        mask = np.asarray(self._data_spec.annotation_mask(len(self.factor_names)))
        inside = mask[:, place].astype(bool)
        used = loadings.to_numpy() != 0
        status = np.select([used & inside, used], ["kept", "added"], "dropped")
        table = pd.DataFrame({"loading": loadings, "in_set": inside, "status": status})[used | inside]
        return table.sort_values("loading", key=abs, ascending=False, kind="stable")


def _start(latent: str, likelihood: str) -> str | None:
    """What ``init="auto"`` stands for."""
    return "nmf_kl" if latent == "normal" and likelihood in COUNT_LIKELIHOODS else None
