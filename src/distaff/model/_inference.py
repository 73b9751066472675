"""Reading cells minibatch by minibatch, and the likelihoods that need no (cells, genes) matrix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from anndata import AnnData
from scvi.utils import unsupported_if_adata_minified
from torch import Tensor

from distaff._checks import check_flag, error
from distaff.nn.folded import folded
from distaff.train import CellLoader, isolated_rng, on_device

__all__ = ["ENCODED", "InferenceMixin", "stack"]

BATCH_SIZE = 1024  # cells a block where nothing is learned
ENCODED = 8192  # the same where nothing is decoded either


class InferenceMixin:
    """Minibatches for methods that only read, and ELBO and reconstruction error by the kernel of training."""

    def to_device(self, device: str | int) -> None:
        """Move the model.

        Parameters
        ----------
        device
            Device as torch names it, such as ``"cpu"``, ``"cuda:0"`` or ``"mps"``.

        Raises
        ------
        ValueError
            If torch has no such device here.
        """
        try:
            super().to_device(device)  # type: ignore[misc]
        except torch.OutOfMemoryError:
            raise
        except (AssertionError, NotImplementedError, RuntimeError, TypeError) as problem:
            fix = 'Write "cpu", "cuda:0", "mps" or the like.'
            raise error("device must be one that torch has here", got=repr(device), fix=fix) from problem

    def _minibatches(
        self: Any,
        adata: AnnData | None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dataloader: Iterable[dict[str, Tensor]] | None = None,
    ) -> Iterator[dict[str, Tensor]]:
        """Validated cells in order, on the device of the module, with sparse counts."""
        if dataloader is not None:
            if adata is not None or indices is not None:
                raise error("Only one of dataloader and adata (or indices) may be given", got="both")
        else:
            adata = self._validate_anndata(adata)
            manager = self.get_anndata_manager(adata, required=True)
            dataloader = CellLoader(
                manager, indices, batch_size=BATCH_SIZE if batch_size is None else batch_size
            )
        device = self.module.device
        return (on_device(minibatch, device) for minibatch in dataloader)

    @unsupported_if_adata_minified
    def get_elbo(
        self: Any,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dataloader: Iterable[dict[str, Tensor]] | None = None,
        return_mean: bool = True,  # noqa: FBT001, FBT002 - scvi's signature
        *,
        seed: int = 0,
    ) -> Tensor:
        """Evidence lower bound of cells, with the KL at weight 1 whatever was trained; higher is better.

        Parameters
        ----------
        adata
            Cells with the genes of the model, in its order; None for the cells it was trained on.
        indices
            Which cells; None for all.
        batch_size
            Cells a minibatch; None for 1,024.
        dataloader
            Minibatches, in place of ``adata``.
        return_mean
            Return the mean over cells, else one value a cell.
        seed
            Seed of the draw from the posterior.

        Returns
        -------
        Tensor, nats a cell.
        """
        check_flag("return_mean", return_mean)
        losses = self._losses(self._minibatches(adata, indices, batch_size, dataloader), seed)
        elbo = -torch.cat([loss.reconstruction + (loss.kl_library + loss.kl.sum(-1)) for loss in losses])
        return elbo.mean() if return_mean else elbo

    @unsupported_if_adata_minified
    def get_reconstruction_error(
        self: Any,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dataloader: Iterable[dict[str, Tensor]] | None = None,
        return_mean: bool = True,  # noqa: FBT001, FBT002 - scvi's signature
        *,
        seed: int = 0,
    ) -> dict[str, Tensor]:
        """Negative log-likelihood of cells given a draw of their latent.

        Parameters
        ----------
        adata
            Cells with the genes of the model, in its order; None for the cells it was trained on.
        indices
            Which cells; None for all.
        batch_size
            Cells a minibatch; None for 1,024.
        dataloader
            Minibatches, in place of ``adata``.
        return_mean
            Return the mean over cells, else one value a cell.
        seed
            Seed of the draw from the posterior.

        Returns
        -------
        ``{"reconstruction_loss": value}``, nats a cell.
        """
        check_flag("return_mean", return_mean)
        losses = self._losses(self._minibatches(adata, indices, batch_size, dataloader), seed)
        values = torch.cat([loss.reconstruction for loss in losses])
        return {"reconstruction_loss": values.mean() if return_mean else values}

    @torch.inference_mode()
    def _losses(self: Any, minibatches: Iterable[dict[str, Tensor]], seed: int) -> list[Any]:
        """Loss of each minibatch, in evaluation mode."""
        self._check_if_trained(warn=False)
        self.module.eval()
        with isolated_rng(seed), folded(self.module):
            found = [self.module.minibatch_loss(tensors) for tensors in minibatches]
        if not found:
            raise error("There must be at least one cell", got=0)
        return found


def stack(blocks: Iterable[Tensor]) -> np.ndarray:
    """Blocks of cells as one array, which grows: blocks that were kept would leave holes in the memory."""
    found, n = np.empty(0, np.float32), 0
    for block in blocks:
        values = block.cpu().numpy()
        if n == 0:
            found = np.empty(values.shape, values.dtype)  # cells first, whatever the order in ``values``
        if n + len(values) > len(found):
            found.resize((n + max(n, len(values)), *values.shape[1:]), refcheck=False)
        found[n : n + len(values)] = values
        n += len(values)
    if n == 0:
        raise error("There must be at least one cell", got=0)
    found.resize((n, *found.shape[1:]), refcheck=False)
    return found
