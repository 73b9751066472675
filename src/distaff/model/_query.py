"""Query mapping: a trained model takes new cells of batches that it does not know."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from os import PathLike
from pathlib import Path
from typing import Any, Self

from anndata import AnnData

from distaff._checks import check_adata, check_flag, error
from distaff.model._minified import minify_type
from distaff.module.query import adopt, query_parameters
from distaff.pp import align_query
from distaff.train import chosen_device

__all__ = ["QueryMixin"]


class QueryMixin:
    """``load_query_data`` of all models."""

    from_reference_ = False  # whether the weights come from a reference: they are not drawn anew

    @classmethod
    def load_query_data(
        cls,
        adata: AnnData,
        reference_model: Any,
        *,
        freeze: bool = True,
        min_coverage: float = 0.8,
        accelerator: str = "auto",
        device: int | str = "auto",
    ) -> Self:
        """Map new cells onto a trained model, which stays as it is :cite:p:`Lotfollahi21`.

        Only what belongs to new batches and new categories of covariates is left to be trained: their rows in
        the tables of encoder and decoder, which start at the mean of the known ones, and their dispersion.
        The latent of cells that the reference knows does not change by a bit. Where the encoder has no
        covariates (``encode_covariates=False``), that of the query does not either, and can be read at once.

        A query without new categories is ready at once. All else of any other must be trained first.

        Parameters
        ----------
        adata
            New cells with the columns of ``obs`` that the reference was set up with. Genes may be in any
            order, and some may be missing (:func:`distaff.pp.align_query`). It is left as it is: the model
            holds a copy.
        reference_model
            Trained model of this class, or the directory that one was saved to.
        freeze
            Keep the reference as it is; else go on training all of it.
        min_coverage
            Share of the model's genes that must be in the data; the others become zero counts.
        accelerator
            ``"cpu"``, ``"gpu"``, ``"mps"`` or ``"auto"``.
        device
            Device of the accelerator.

        Returns
        -------
        Model of the new cells.

        Raises
        ------
        TypeError
            If ``reference_model`` is neither a model of this class nor a directory.
        KeyError
            If a column or layer is missing.
        ValueError
            If the reference was not trained, the data cannot be modelled, or too few genes are there.

        Examples
        --------
        >>> import distaff as ds
        >>> adata = ds.datasets.simulate_gep(100, 200, random_state=0)
        >>> adata.obs["batch"] = ["old"] * 60 + ["new"] * 40
        >>> reference = adata[:60].copy()
        >>> ds.model.BetaVAE.setup_anndata(reference, batch_key="batch")
        >>> model = ds.model.BetaVAE(reference, n_latent=4)
        >>> fast = {"seed": 0, "accelerator": "cpu", "enable_progress_bar": False}
        >>> model.train(2, **fast)
        >>> query = ds.model.BetaVAE.load_query_data(adata[60:].copy(), model, accelerator="cpu")
        >>> query.train(2, **fast)
        >>> query.get_latent_representation().shape
        (40, 4)
        """
        return cls._map_query(
            adata,
            reference_model,
            freeze=freeze,
            min_coverage=min_coverage,
            accelerator=accelerator,
            device=device,
        )

    @classmethod
    def _map_query(
        cls,
        adata: AnnData,
        reference_model: Any,
        *,
        freeze: bool,
        min_coverage: float,
        accelerator: str,
        device: int | str,
        extend_registry: Callable[[dict[str, Any], Any], None] | None = None,
    ) -> Self:
        """Build the model of a query; ``extend_registry`` adds to the registry what the reference lacks."""
        check_adata(adata)
        check_flag("freeze", freeze)
        torch_device = chosen_device(accelerator, device)
        reference = _reference(cls, reference_model)
        if minify_type(adata) is not None:
            raise error("The query must have its counts", got="minified data", fix="Pass the full data.")
        aligned = align_query(adata, reference, min_coverage=min_coverage)
        registry = deepcopy(reference.registry)
        if extend_registry is not None:
            extend_registry(registry, reference)
        cls.setup_anndata(  # type: ignore[attr-defined]
            aligned,
            source_registry=registry,
            extend_categories=True,
            allow_missing_labels=True,
            **registry["setup_args"],
        )
        model: Any = cls(aligned, registry=registry, **reference.init_params_["non_kwargs"])  # type: ignore[call-arg]
        adopt(model.module, reference.module)
        if freeze:
            model.module.freeze()
        model.module.eval()
        model.from_reference_ = True
        model.is_trained_ = not query_parameters(model.module)
        model.to_device(torch_device)
        return model

    def _check_encoder(self: Any) -> None:
        """Refuse to encode cells before training, unless it leaves the encoder of a reference as it is."""
        module = self.module
        if not module.frozen or query_parameters(module.encoder) or query_parameters(module.posterior):
            self._check_if_trained(warn=False)

    def _check_trainable(self: Any) -> None:
        """Refuse to train where nothing is left to be trained, or the data are no longer what they were."""
        self._check_own_data()
        if self.module.frozen and not query_parameters(self.module):
            raise error(
                "The query must have new batches or categories to train",
                got="none: all weights are those of the reference",
                fix="Use the model as it is, or load_query_data(..., freeze=False).",
            )


def _reference(cls: Any, reference_model: Any) -> Any:
    """Return a trained model of ``cls``, loaded without data if it was saved."""
    if isinstance(reference_model, str | PathLike):
        path = Path(reference_model)
        if not path.is_dir():
            raise error("reference_model must be a model or the directory of one", got=repr(str(path)))
        reference_model = cls.load(str(path), adata=False, accelerator="cpu")
    if type(reference_model) is not cls:
        raise error(
            f"reference_model must be a {cls.__name__} or the directory of one",
            got=type(reference_model).__name__,
            kind=TypeError,
        )
    if not reference_model.is_trained_:
        raise error("reference_model must be trained", got="a model that was never trained")
    return reference_model
