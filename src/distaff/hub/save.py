"""Save a model as scvi-tools' hub has them."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any, Literal

from distaff._checks import error, listing
from distaff._keys import DEFAULT_KEY
from distaff.hub._folder import check_model, check_save_anndata, new_folder, write_shared
from distaff.hub.model_card import settled_card

__all__ = ["save"]


def save(
    model: Any,
    path: str | PathLike[str],
    *,
    save_anndata: Literal["minified", "full", False] = "minified",
    description: str | None = None,
    license: str | None = None,
    key: str = DEFAULT_KEY,
) -> None:
    """Save a model to a folder that others can load: by :func:`load`, and by :class:`scvi.hub.HubModel`.

    The folder is there at the end, whole, or not at all. The model and its data stay as they are.

    Parameters
    ----------
    model
        Trained model of :mod:`distaff.model`.
    path
        The folder; it must be new or empty.
    save_anndata
        Which data go with it: ``"minified"``, the posterior of each cell in place of its counts;
        ``"full"``, with counts; False for none. **Both hold ``obs`` with all its columns**, and the model
        itself the names of its batches and covariates: look at them before you publish.
    description
        What the model is of, and for; Markdown for the card.
    license
        Licence of the model, as Hugging Face writes it, such as "cc-by-4.0" or "mit".
    key
        Prefix of the slots whose scores and names of factors the card tells.

    Raises
    ------
    TypeError
        If the model is no model of distaff, or a text is none.
    ValueError
        If the folder is taken, the model is not trained, its data cannot be saved so, or Hugging Face does
        not know the licence.

    Examples
    --------
    >>> import distaff as ds
    >>> from tempfile import TemporaryDirectory
    >>> adata = ds.datasets.simulate_gep(100, 200, random_state=0)
    >>> ds.model.LinearVAE.setup_anndata(adata)
    >>> model = ds.model.LinearVAE(adata, n_latent=4)
    >>> model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
    >>> with TemporaryDirectory() as folder:
    ...     ds.hub.save(model, f"{folder}/shared", description="Simulated cells.", license="cc0-1.0")
    ...     loaded = ds.hub.load(f"{folder}/shared")
    >>> loaded.adata.n_obs
    100
    """
    check_model(model)
    check_save_anndata(model, save_anndata)
    target = free_target(path)
    has_cells = save_anndata is not False
    card = settled_card(model, description=description, license=license, key=key, has_cells=has_cells)
    with new_folder(target) as folder:
        write_shared(model, folder, card=card, save_anndata=save_anndata)


def free_target(path: str | PathLike[str]) -> Path:
    """Absolute path, if nothing is there but an empty folder."""
    if not isinstance(path, str | PathLike) or not str(path):
        raise error("path must be that of a folder", got=repr(path), kind=TypeError)
    target = Path(path).expanduser().absolute()
    fix = "Choose another, or delete it."
    if target.exists() and not target.is_dir():
        raise error(f"{target} must be a new folder", got="a file", fix=fix)
    if target.is_dir() and any(target.iterdir()):
        names = sorted(child.name for child in target.iterdir())
        raise error(f"{target} must be a new or empty folder", got=f"one with {listing(names)}", fix=fix)
    return target
