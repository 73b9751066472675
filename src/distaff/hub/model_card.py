"""What is known of a model, for those who find it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distaff._checks import error
from distaff._keys import DEFAULT_KEY, Slots
from distaff.hub._card import card_text
from distaff.hub._extra import needed
from distaff.hub._folder import check_model
from distaff.hub._licenses import check_license

if TYPE_CHECKING:
    from huggingface_hub import ModelCard

__all__ = ["model_card", "settled_card"]


def model_card(
    model: Any, *, description: str | None = None, license: str | None = None, key: str = DEFAULT_KEY
) -> ModelCard:
    """Write the card of a model: factors, gene sets, scores, training, data, versions, how to load it.

    Factors have the names that :func:`~distaff.tl.rename_factors` gave, and the scores of
    :func:`~distaff.tl.disentanglement` and :func:`~distaff.tl.cluster_agreement` are told, where the model's
    AnnData holds them under ``key`` and they are of this model. Top genes are named where the decoder is
    linear, or :func:`~distaff.tl.traverse` was run. Names of cells, batches and donors are not in the card.

    Parameters
    ----------
    model
        Trained model of :mod:`distaff.model`.
    description
        What the model is of, and for: tissue, species, where the data are; Markdown.
    license
        Licence of the model, as Hugging Face writes it, such as "cc-by-4.0" or "mit".
    key
        Prefix of the slots.

    Returns
    -------
    The card. ``str(card)`` is its text.

    Raises
    ------
    TypeError
        If the model is no model of distaff, or a text is none.
    ValueError
        If the model is not trained, or Hugging Face does not know the licence.
    ImportError
        If huggingface_hub is not installed.

    Examples
    --------
    >>> import distaff as ds
    >>> adata = ds.datasets.simulate_gep(100, 200, random_state=0)
    >>> ds.model.LinearVAE.setup_anndata(adata)
    >>> model = ds.model.LinearVAE(adata, n_latent=4)
    >>> model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
    >>> card = ds.hub.model_card(model, license="MIT")
    >>> card.data.license
    'mit'
    """
    text = settled_card(model, description=description, license=license, key=key)
    return needed("huggingface_hub").ModelCard(text)  # type: ignore[no-any-return]


def settled_card(
    model: Any, *, description: Any, license: Any, key: str, place: str | None = None, has_cells: bool = True
) -> str:
    """Text of the card, once all that it is made of was checked."""
    check_model(model)
    Slots(key)
    if not (description is None or isinstance(description, str)):
        raise error("description must be a text", got=repr(description), kind=TypeError)
    known = check_license(license)
    return card_text(model, key=key, description=description, license=known, place=place, has_cells=has_cells)
