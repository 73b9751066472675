"""``save`` and ``load`` of all models."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from pprint import pprint
from typing import Any, Literal, Self

import anndata
from anndata import AnnData
from torch import Tensor

from distaff._checks import check_flag, error, reason
from distaff._compat import registered_genes
from distaff._disk import is_on_disk
from distaff.model._plain import ARRAY_NAME, Packer, unpack
from distaff.model._saved_document import corrupt
from distaff.model._saved_folder import TRUST, SavedFiles, read_model, saved_adata, write_model
from distaff.model._saved_forms import check_forms
from distaff.model._saved_limits import BuildLimit, check_claims
from distaff.train import chosen_device

__all__ = ["SavingMixin"]

PACKAGES = ("distaff", "scvi-tools", "torch", "anndata", "numpy", "pandas")


class SavingMixin:
    """``save`` and ``load`` of all models."""

    def save(
        self: Any,
        dir_path: str | PathLike[str],
        prefix: str | None = None,
        overwrite: bool = False,  # noqa: FBT001, FBT002 - scvi's signature
        save_anndata: bool = False,  # noqa: FBT001, FBT002 - scvi's signature
    ) -> None:
        """Save the model to a folder: tensors, and all else as JSON, with checksums.

        A process that is killed at any moment leaves the model that was there before, or the new one, whole.
        Several processes may save to one folder: one waits for the other.

        Writes ``model.safetensors`` (weights and arrays), ``model.json`` (all else) and ``model.pt``, which
        :class:`scvi.hub.HubModel` asks for and which holds the same once more.

        Parameters
        ----------
        dir_path
            The folder; it is created if it is not there.
        prefix
            What the names of the files begin with: several models fit in one folder.
        overwrite
            Replace a model that is there.
        save_anndata
            Save the data too, as ``adata.h5ad``.

        Raises
        ------
        ValueError
            If a model is there and ``overwrite`` is False; or if ``save_anndata`` is True and there are no
            data, or they are on disk.
        TypeError
            If an attribute that is saved (its name ends with ``_``) is not plain data.

        Examples
        --------
        >>> import distaff as ds
        >>> from tempfile import TemporaryDirectory
        >>> adata = ds.datasets.simulate_gep(100, 200, random_state=0)
        >>> ds.model.BetaVAE.setup_anndata(adata)
        >>> model = ds.model.BetaVAE(adata, n_latent=4)
        >>> with TemporaryDirectory() as folder:
        ...     model.save(folder)
        ...     loaded = ds.model.BetaVAE.load(folder, adata=adata)
        >>> loaded.module.posterior.n_latent
        4
        """
        check_flag("overwrite", overwrite)
        check_flag("save_anndata", save_anndata)
        files = SavedFiles.of(dir_path, prefix)
        if files.there() and not overwrite:
            raise error(
                f"{files.folder} must hold no model",
                got=f"one ({', '.join(files.there())})",
                fix="Choose another folder or prefix, or pass overwrite=True.",
            )
        if save_anndata:
            _check_can_be_saved(self)
        state = self.module.state_dict()
        packer = Packer()
        attributes = {name: packer.pack(value, f"model.{name}") for name, value in _attributes(self).items()}
        content = {
            "class": type(self).__name__,
            "versions": {package: version(package) for package in PACKAGES},
            "var_names": [str(gene) for gene in registered_genes(self.registry_)],
            "attributes": attributes,
        }
        payload = {
            "model_state_dict": {name: tensor.detach().cpu() for name, tensor in state.items()},
            "var_names": content["var_names"],
            "attr_dict": unpack(attributes, dict(packer.arrays)),
        }
        write_model(
            files,
            content,
            {**state, **packer.arrays},
            payload,
            (lambda path: _write_adata(self.adata, path)) if save_anndata else None,
        )

    @classmethod
    def load(
        cls,
        dir_path: str | PathLike[str],
        adata: AnnData | Literal[False] | None = None,
        accelerator: str = "auto",
        device: int | str = "auto",
        prefix: str | None = None,
        *,
        trust_pickle: bool = False,
    ) -> Self:
        """Load a model from its folder; no code of the folder is run, and nothing is unpickled.

        Parameters
        ----------
        dir_path
            The folder.
        adata
            Data with the genes of the model, in its order; ``setup_anndata`` need not be called. None takes
            the data saved with the model, if there are any; False loads the model without data.
        accelerator
            ``"cpu"``, ``"gpu"``, ``"mps"`` or ``"auto"``.
        device
            Device of the accelerator.
        prefix
            What the names of the files begin with.
        trust_pickle
            Where the folder holds nothing but the ``model.pt`` of scvi-tools' own ``save``, unpickle it. **A
            pickle runs any code that its author put into it**, on this machine and with your rights: pass
            True only if you trust the author and the way the file came to you. Files that
            :meth:`save` wrote never need it.

        Returns
        -------
        The model.

        Raises
        ------
        FileNotFoundError
            If there is no model.
        ValueError
            If a file is corrupt or missing, holds a model of another class, was written by a later version or
            needs ``trust_pickle=True``; or if genes of ``adata`` are missing or in another order.
        """
        check_flag("trust_pickle", trust_pickle)
        torch_device = chosen_device(accelerator, device)
        files = SavedFiles.of(dir_path, prefix)
        saved = read_model(files)
        if saved is None:
            if not trust_pickle:
                raise _foreign(files)
            return super().load(dir_path, adata, accelerator, device, prefix)  # type: ignore[misc,no-any-return]
        document, tensors = saved
        if document["class"] != cls.__name__:
            raise error(
                f"The saved model must be a {cls.__name__}",
                got=f"another class, {document['class']}",
                fix=f"Use {document['class']}.load.",
            )
        state = {name: tensor for name, tensor in tensors.items() if not name.startswith(ARRAY_NAME)}
        attributes, model = _bare_model(cls, document, tensors, state, files)
        if adata is None:
            adata = saved_adata(files, document.get("anndata"))
        if adata is not None and adata is not False:
            model = _model_of(cls, adata, attributes, state, files)
        model.to_device(torch_device)
        model.module.eval()
        if model.adata is not None:
            model._validate_anndata(adata)
        return model  # type: ignore[no-any-return]

    @staticmethod
    def load_registry(dir_path: str | PathLike[str], prefix: str | None = None) -> dict[str, Any]:
        """Return the registry of a saved model: how its data were set up.

        Parameters
        ----------
        dir_path
            The folder.
        prefix
            What the names of the files begin with.

        Returns
        -------
        The registry.

        Raises
        ------
        FileNotFoundError
            If there is no model.
        ValueError
            If a file is corrupt or missing, or a pickle.
        """
        files = SavedFiles.of(dir_path, prefix)
        saved = read_model(files)
        if saved is None:
            raise _foreign(files)
        document, tensors = saved
        return _unpacked(document, tensors, files)["registry_"]  # type: ignore[no-any-return]

    @classmethod
    def view_setup_args(cls, dir_path: str | PathLike[str], prefix: str | None = None) -> None:
        """Print how the data of a saved model were set up.

        Parameters
        ----------
        dir_path
            The folder.
        prefix
            What the names of the files begin with.
        """
        pprint(cls.load_registry(dir_path, prefix)["setup_args"], sort_dicts=False)

    @classmethod
    def convert_legacy_save(cls, dir_path: str | PathLike[str], output_dir_path: str | PathLike[str]) -> None:
        """Refuse: no model of this package was ever saved in the format of scvi-tools before 0.15.

        Parameters
        ----------
        dir_path
            Folder of the model.
        output_dir_path
            Folder to convert it to.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError(
            f"No {cls.__name__} was ever saved in the format of scvi-tools before 0.15."
        )


def _foreign(files: SavedFiles) -> Exception:
    return error(
        f"{files.copy} must be a model that distaff saved", got="a pickle, or a damaged file", fix=TRUST
    )


def _attributes(model: Any) -> dict[str, Any]:
    """What scvi-tools saves of a model beside its weights: attributes whose names end with ``_``."""
    names = [name for name in dir(model) if name.endswith("_") and not name.startswith("_")]
    return {name: getattr(model, name) for name in names}


def _unpacked(
    document: Mapping[str, Any], tensors: Mapping[str, Tensor], files: SavedFiles
) -> dict[str, Any]:
    """Attributes as values again."""
    try:
        arrays = {name: tensor for name, tensor in tensors.items() if name.startswith(ARRAY_NAME)}
        attributes: dict[str, Any] = unpack(document["attributes"], arrays)
        check_forms(attributes)
        check_claims(attributes, tensors)
    except Exception as exception:  # whatever a made-up content leads to
        raise corrupt(files.document, f"{type(exception).__name__}: {reason(exception)}") from exception
    return attributes


def _bare_model(
    cls: Any,
    document: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    files: SavedFiles,
) -> tuple[dict[str, Any], Any]:
    """Attributes, and a model without data: nothing of the user's is touched for a file that is refused."""
    attributes = _unpacked(document, tensors, files)
    try:
        with BuildLimit(tensors):
            model = cls(None, registry=attributes["registry_"], **attributes["init_params_"]["non_kwargs"])
        _fill(model, attributes, state)
    except Exception as exception:  # whatever a made-up content leads to
        raise error(
            f"{files.document} must describe a {cls.__name__} that this version of distaff can build",
            got=f"{type(exception).__name__}: {reason(exception)}",
            fix=f"It says that distaff {document['versions'].get('distaff')} wrote it: load it with that. "
            "Parts of its author's own must be registered first (distaff.extend).",
        ) from exception
    return attributes, model


def _model_of(
    cls: Any, adata: AnnData, attributes: Mapping[str, Any], state: Mapping[str, Tensor], files: SavedFiles
) -> Any:
    """Return the model with its data."""
    registry = attributes["registry_"]
    try:
        cls.setup_anndata(adata, source_registry=registry, **registry["setup_args"])
        model = cls(adata, registry=registry, **attributes["init_params_"]["non_kwargs"])
        _fill(model, attributes, state)
    except Exception as exception:
        if ", got " in str(exception):  # a check of ours, of the data
            raise
        got = f"{type(exception).__name__}: {reason(exception)}"
        raise error(f"{files.document} must describe data such as these", got=got) from exception
    return model


def _fill(model: Any, attributes: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
    """Give a model that was just built what was saved of it; the registry it has already."""
    for name, value in attributes.items():
        if not name.endswith("_") or name.startswith("_"):
            raise ValueError(f"{name!r} is no name of an attribute that is saved")
        if name != "registry_":
            setattr(model, name, value)
    model.module.load_state_dict(state)


def _check_can_be_saved(model: Any) -> None:
    if model.adata is None:
        raise error("The model must have data to save them", got="none", fix="Pass save_anndata=False.")
    slots = [model.adata.X, *model.adata.layers.values()]
    if model.adata.isbacked or any(is_on_disk(matrix) for matrix in slots):
        raise error(
            "Data must be in memory to be saved with the model",
            got="data on disk",
            fix="Pass save_anndata=False, and load the model with adata=...",
        )


def _write_adata(adata: AnnData, path: Path) -> None:
    """Write the data; anndata makes categories of their strings, which is undone."""
    obs, var = adata.obs.copy(), adata.var.copy()
    try:
        anndata.io.write_h5ad(path, adata)
    finally:
        adata.obs, adata.var = obs, var
