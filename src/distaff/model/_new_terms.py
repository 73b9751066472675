"""Query mapping with terms for variation that the reference does not explain."""

from __future__ import annotations

from collections import Counter
from typing import Any, Self

from anndata import AnnData

from distaff._checks import error, listing
from distaff._compat import registered_genes
from distaff.model._terms import TermBlock, term_names
from distaff.train import isolated_rng

__all__ = ["NewTermsMixin"]


class NewTermsMixin:
    """``load_query_data`` of annotated models."""

    @classmethod
    def load_query_data(
        cls,
        adata: AnnData,
        reference_model: Any,
        *,
        new_set_key: str | None = None,
        n_new_sparse: int = 0,
        n_new_dense: int = 0,
        freeze: bool = True,
        min_coverage: float = 0.8,
        accelerator: str = "auto",
        device: int | str = "auto",
    ) -> Self:
        """Map new cells onto a trained model, which stays as it is :cite:p:`Lotfollahi21`.

        Only what belongs to new batches and new categories of covariates is left to be trained: their rows in
        the tables of encoder and decoder, which start at the mean of the known ones, and their dispersion.

        The query may show programs that no term of the reference explains. New terms take them up
        :cite:p:`Lotfollahi23`: gene sets, and sparse or dense factors without annotation. They come after
        those of the reference and are all that is trained beside the above: their part of the encoder's last
        layer, which starts at the prior, and their loadings, which start small, those of a set all positive.
        Mask, penalties and proximal step are those of the reference. Where a likelihood has parameters beside
        the mean that depend on the latent, these read the reference's terms alone.

        Neither changes the latent of the reference's terms by a bit, in cells that the reference knows. What
        the encoder does not tell apart, no new term can: it stays that of the reference.

        A query with neither new categories nor new terms is ready at once. Any other must be trained first.

        Parameters
        ----------
        adata
            New cells with the columns of ``obs`` that the reference was set up with. Genes may be in any
            order, and some may be missing (:func:`distaff.pp.align_query`). It is left as it is: the model
            holds a copy.
        reference_model
            Trained model of this class, or the directory that one was saved to.
        new_set_key
            Slot of ``varm`` with gene sets to add (:func:`distaff.pp.gene_sets`); their genes that the model
            does not have are left out. None for none.
        n_new_sparse
            Number of sparse factors to add.
        n_new_dense
            Number of dense factors to add.
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
            If a column, layer or ``new_set_key`` is missing.
        ValueError
            If the reference was not trained, the data cannot be modelled, too few genes are there, or a new
            gene set is empty or has the name of another term.

        Examples
        --------
        >>> import distaff as ds
        >>> adata = ds.datasets.simulate_gep(100, 200, random_state=0)
        >>> reference, query = adata[:60].copy(), adata[60:].copy()
        >>> ds.pp.gene_sets(reference, {"first": adata.var_names[:20]})
        >>> ds.model.AnnotatedVAE.setup_anndata(reference)
        >>> model = ds.model.AnnotatedVAE(reference, n_sparse=1)
        >>> fast = {"seed": 0, "accelerator": "cpu", "enable_progress_bar": False}
        >>> model.train(2, **fast)
        >>> ds.pp.gene_sets(query, {"second": adata.var_names[15:40]}, set_key="new")
        >>> mapped = ds.model.AnnotatedVAE.load_query_data(
        ...     query, model, new_set_key="new", n_new_sparse=1, accelerator="cpu"
        ... )
        >>> mapped.train(2, **fast)
        >>> mapped.factor_names
        ['first', 'Sparse 1', 'second', 'Sparse 2']
        """

        def add_terms(registry: dict[str, Any], reference: Any) -> None:
            new = TermBlock.of(
                adata,
                registered_genes(registry),
                new_set_key=new_set_key,
                n_sparse=n_new_sparse,
                n_dense=n_new_dense,
            )
            known = reference._terms
            if new.n_factors or len(known) > 1:  # an empty block tells that the others are known
                _check_names([*known, new])
                registry.update(TermBlock.entry([*known[1:], new]))

        return cls._map_query(  # type: ignore[attr-defined,no-any-return]
            adata,
            reference_model,
            freeze=freeze,
            min_coverage=min_coverage,
            accelerator=accelerator,
            device=device,
            extend_registry=add_terms,
        )

    def _draw_weights(self: Any, seed: int) -> None:
        """Draw the weights of a model that has none of value, or those of new terms alone."""
        super()._draw_weights(seed)  # type: ignore[misc]
        if self.from_reference_ and not self.is_trained_:
            with isolated_rng(seed):
                self.module.decoder.draw_added()


def _check_names(blocks: list[TermBlock]) -> None:
    """Refuse new terms that could not be told from others by their names."""
    names = term_names(blocks)
    counts, n_known = Counter(names), len(names) - blocks[-1].n_factors
    repeated = [name for name in dict.fromkeys(names[n_known:]) if counts[name] > 1]
    if repeated:
        raise error(
            "Names of new gene sets must differ from those of all other terms",
            got=listing(repeated),
            fix="Rename the columns of the table, or leave these sets out.",
        )
