"""How dense the cells of each sample are around each cell, in the latent space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from torch import Tensor, distributions

from distaff._checks import check_int, check_number, check_obs_column, error
from distaff._keys import ABUNDANCE
from distaff.train import cell_positions, isolated_rng

__all__ = ["AbundanceMixin"]

LEAST_DOF = 0.01  # float32 has no density of fewer
MOST_NUMBERS = 2**22  # in memory at once, for some cells, all components and all dimensions


class AbundanceMixin:
    """Aggregated posteriors, and the density of samples by them.

    These take the place of scvi-tools' methods, which up to 1.4 take the variance of a cell's posterior for
    its standard deviation, and count a missing sample as all cells.
    """

    @torch.inference_mode()
    def get_aggregated_posterior(
        self: Any,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        dof: float | None = 3.0,
    ) -> distributions.MixtureSameFamily:
        """Mixture of the posteriors of cells, each with its mean and standard deviation.

        Parameters
        ----------
        adata
            Cells with the genes of the model, in its order; None for the cells it was trained on.
        indices
            Which cells; None for all.
        batch_size
            Cells a minibatch.
        dof
            Degrees of freedom of Student's t as the form of each posterior; None for normal ones.

        Returns
        -------
        Distribution over the latent space.

        Raises
        ------
        ValueError
            If there are no cells, or the latent is one point a cell, which has no spread.
        """
        if dof is not None:
            dof = check_number("dof", dof, minimum=LEAST_DOF)
        means, variances = (
            torch.as_tensor(values, device=self.device)
            for values in self.get_latent_representation(
                adata, indices, batch_size=batch_size, return_dist=True
            )
        )
        return _mixture(means, variances, dof)

    @torch.inference_mode()
    def differential_abundance(
        self: Any,
        adata: AnnData | None = None,
        sample_key: str | None = None,
        batch_size: int | None = None,
        num_cells_posterior: int | None = None,
        dof: float | None = None,
        *,
        seed: int = 0,
    ) -> None:
        """Log density of each sample's aggregated posterior at each cell.

        Writes ``obsm["da_log_probs"]``: DataFrame (cells, samples).

        Parameters
        ----------
        adata
            Cells with the genes of the model, in its order; None for the cells it was trained on.
        sample_key
            Column of ``adata.obs`` with the sample of each cell. Cells without one get densities, and belong
            to no sample.
        batch_size
            Cells a minibatch.
        num_cells_posterior
            Cells of a sample that its posterior is made of, drawn at random, at most; None for all.
        dof
            Degrees of freedom of Student's t as the form of each posterior; None for normal ones.
        seed
            Seed of the draw of cells.

        Raises
        ------
        KeyError
            If there is no such column.
        ValueError
            If no cell has a sample, a number is out of its range, or the latent is one point a cell.
        """
        adata = self._validate_anndata(adata)
        samples = check_obs_column(adata, sample_key, name="sample_key")
        if dof is not None:
            dof = check_number("dof", dof, minimum=LEAST_DOF)
        if num_cells_posterior is not None:
            check_int("num_cells_posterior", num_cells_posterior, minimum=1)
        names = samples.dropna().unique()
        if not len(names):
            raise error(f"adata.obs[{sample_key!r}] must name samples", got="missing values only")
        found = self.get_latent_representation(adata, batch_size=batch_size, return_dist=True)
        means, variances = (torch.as_tensor(values, device=self.device) for values in found)
        columns = {}
        with isolated_rng(seed):
            for name in names:
                cells = cell_positions((samples == name).fillna(value=False).to_numpy(bool), adata.n_obs)
                if num_cells_posterior is not None and num_cells_posterior < len(cells):
                    cells = np.random.choice(cells, num_cells_posterior, replace=False)  # noqa: NPY002
                columns[str(name)] = _log_density(_mixture(means[cells], variances[cells], dof), means)
        adata.obsm[ABUNDANCE] = pd.DataFrame(columns, index=adata.obs_names)


def _mixture(means: Tensor, variances: Tensor, dof: float | None) -> distributions.MixtureSameFamily:
    if not (variances > 0).all():
        raise error("The posterior of a cell must have a spread", got="a latent of one point a cell")
    spread = variances.sqrt()
    own = distributions.Normal(means, spread) if dof is None else distributions.StudentT(dof, means, spread)
    even = distributions.Categorical(logits=torch.zeros(len(means), device=means.device))
    return distributions.MixtureSameFamily(even, distributions.Independent(own, 1))


def _log_density(mixture: distributions.MixtureSameFamily, points: Tensor) -> np.ndarray:
    size = max(1, MOST_NUMBERS // mixture.component_distribution.mean.numel())
    return torch.cat([mixture.log_prob(block) for block in points.split(size)]).cpu().numpy()
