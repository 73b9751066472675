"""A path over the strength of the group lasso, judged on held-out cells."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from distaff._checks import check_int, check_number, error
from distaff.model._held_out import largest_lambda_group, negative_elbo
from distaff.train import draw_seed

__all__ = ["LambdaGroupMixin"]

N_LAMBDAS = 7  # of the default grid, beside 0
GRID_SPAN = 1000.0  # from the largest to the smallest of them
SHARE_OF_EPOCHS = 0.1  # of the first run, for each fit and refit
OFF = 1e30  # strength that no gradient overcomes


@dataclass(frozen=True)
class Fit:
    """A fit at one strength.

    Parameters
    ----------
    lambda_group
        Strength.
    state
        Weights and steps taken.
    history
        Training curves so far.
    negative_elbo
        Of each held-out cell, nats.
    refitted
        The same of its active terms without their penalty.
    active_terms
        Number of gene sets with a loading.
    zeros_off_mask
        Share of exact zeros among the loadings of genes outside their set.
    """

    lambda_group: float
    state: dict[str, Tensor]
    history: dict[str, pd.DataFrame]
    negative_elbo: np.ndarray
    refitted: np.ndarray
    active_terms: int
    zeros_off_mask: float


class LambdaGroupMixin:
    """``select_lambda_group`` of annotated models."""

    lambda_group_path_: pd.DataFrame | None = None  # its table; saved with the model

    def select_lambda_group(
        self: Any,
        lambdas: Sequence[float] | None = None,
        *,
        max_epochs: int | None = None,
        max_epochs_per_value: int | None = None,
        batch_size: int = 128,
        train_size: float | None = None,
        accelerator: str = "auto",
        devices: int | list[int] | str = "auto",
        lr: float | None = None,
        seed: int | None = None,
        **trainer_kwargs: Any,
    ) -> pd.DataFrame:
        """Train the model, with the strength of the group lasso that held-out cells speak for.

        Trains at the smallest value first. From this fit every value, the smallest one too, trains on with
        the same cells, minibatches and number of epochs: no value looks better for having trained longer,
        and a term is off because this value switched it off. The group lasso also shrinks the terms that it
        keeps, which costs more likelihood than terms without meaning do; so what is compared are refits, in
        which the terms that are off stay off and the others train on without it :cite:p:`Meinshausen07`.

        Selected is the largest value whose negative ELBO on the validation cells is within one standard
        error, paired by cell, of the lowest one: the fewest terms that cannot be told from the best. The
        model is left with the fit at this value, before the refit. If this is interrupted or fails, the
        model is as it was.

        Parameters
        ----------
        lambdas
            Values of ``lambda_group`` to compare. None for 0 and seven values from a thousandth of the
            smallest strength at which no term can leave zero, found from the first fit, up to it.
        max_epochs
            Number of epochs at the smallest value, as in :meth:`train`.
        max_epochs_per_value
            Number of further epochs at each value, and of its refit; None for a tenth of those at the
            smallest.
        batch_size
            Cells a minibatch.
        train_size
            Share of the cells to train on; None for 0.9. All others are validation cells.
        accelerator
            ``"cpu"``, ``"gpu"``, ``"mps"`` or ``"auto"``.
        devices
            Devices of the accelerator.
        lr
            Learning rate of Adam; None for 1e-3.
        seed
            Seed of all that is random, as in :meth:`train`.
        **trainer_kwargs
            Further arguments of :meth:`train`, the same for every value.

        Returns
        -------
        DataFrame with one row a value, ``lambda_group`` in increasing order as index:

        - ``negative_elbo``: mean over the validation cells, nats a cell, without penalties and whatever the
          weight of the KL in training; ten draws from each posterior, the same ones for every value. Of a
          deterministic latent it is the reconstruction error, which cannot charge a term for what its code
          says of a cell: expect less to be switched off.
        - ``refitted``: the same after the refit
        - ``standard_error``: of ``refitted``
        - ``difference``: of ``refitted`` to the lowest one, paired by cell
        - ``difference_error``: standard error of the difference
        - ``active_terms``: number of gene sets with a loading
        - ``zeros_off_mask``: share of exact zeros among loadings outside the sets
        - ``selected``: whether the model was left with this value

        It is kept in ``lambda_group_path_`` and saved with the model.

        Raises
        ------
        ValueError
            If the model was trained, the values are no two different numbers >= 0, there are fewer than two
            validation cells, or ``lambdas`` is None with ``prox="paper"``, whose strengths no loss tells.

        Warns
        -----
        UserWarning
            If the largest value is selected: a larger one may be better.

        Examples
        --------
        >>> import distaff as ds
        >>> adata = ds.datasets.simulate_gep(100, 200, random_state=0)
        >>> sets = {"first": adata.var_names[:20], "second": adata.var_names[15:40]}
        >>> ds.pp.gene_sets(adata, sets)
        >>> ds.model.AnnotatedVAE.setup_anndata(adata)
        >>> model = ds.model.AnnotatedVAE(adata, init=None)
        >>> fast = {"seed": 0, "accelerator": "cpu", "enable_progress_bar": False}
        >>> table = model.select_lambda_group([0, 1e6], max_epochs=20, max_epochs_per_value=10, **fast)
        >>> table["active_terms"].to_dict()
        {0.0: 2, 1000000.0: 0}
        """
        if "checkpoint_dir" in trainer_kwargs:
            raise error("select_lambda_group must have no checkpoint_dir: it trains many times", got="one")
        strengths = self._check_path(lambdas)
        if max_epochs_per_value is not None:
            check_int("max_epochs_per_value", max_epochs_per_value, minimum=1)
        options = {
            "batch_size": batch_size,
            "train_size": train_size,
            "accelerator": accelerator,
            "devices": devices,
            "lr": lr,
            "seed": draw_seed() if seed is None else seed,
            **trainer_kwargs,
        }
        twin = self._twin()  # takes all changes: nothing half done is left behind
        twin._set_lambda_group(0.0 if strengths is None else strengths[0])
        twin.train(max_epochs, **options)
        held_out = _validation_cells(twin)
        if strengths is None:
            top = largest_lambda_group(twin, twin.train_indices, batch_size=batch_size)
            strengths = [0.0, *np.geomspace(top / GRID_SPAN, top, N_LAMBDAS).tolist()]
        n_epochs = max_epochs_per_value or max(1, round(SHARE_OF_EPOCHS * len(twin.history["train_loss"])))
        start = deepcopy(twin.module.state_dict()), twin.history_
        fits = [twin._fit_at(value, start, n_epochs, options, held_out) for value in strengths]
        table = _table(fits)
        twin._adopt(fits[int(table["selected"].to_numpy().argmax())])
        twin.lambda_group_path_ = table
        vars(self).update(vars(twin))
        return table.copy()

    def _check_path(self: Any, lambdas: Sequence[float] | None) -> list[float] | None:
        """Values in increasing order; None for those of the data."""
        if self.is_trained_ or self.from_reference_:
            raise error(
                "select_lambda_group needs a model that was never trained",
                got="a trained one, which may have seen the validation cells",
                fix="Build a new model.",
            )
        if lambdas is None:
            if self._config.decoder.prox == "paper":
                fix = "Its strengths are not in units of the loss; about 0.1 to 10 is a start."
                raise error("lambdas must be given with prox='paper'", got=None, fix=fix)
            return None
        if isinstance(lambdas, str) or not np.iterable(lambdas):
            raise error("lambdas must be a sequence of numbers", got=repr(lambdas), kind=TypeError)
        strengths = sorted({check_number("Each of lambdas", value, minimum=0) for value in lambdas})
        if len(strengths) < 2:
            raise error("lambdas must hold two different values or more", got=strengths)
        return strengths

    def _twin(self: Any) -> Any:
        """Model of the same data with weights and configuration of its own."""
        twin = copy(self)
        twin.module, twin.init_params_ = deepcopy(self.module), deepcopy(self.init_params_)
        return twin

    def _set_lambda_group(self: Any, value: float) -> None:
        """Change the strength in the configuration, which is what is saved, and in the decoder."""
        decoder = replace(self._config.decoder, lambda_group=value)
        self._config = replace(self._config, decoder=decoder)
        self.init_params_["non_kwargs"]["lambda_group"] = value
        self.module.decoder.group[: len(self._annotation_names)] = value
        self._model_summary_string = self._summary()

    def _fit_at(
        self: Any,
        value: float,
        start: tuple[dict[str, Tensor], dict[str, pd.DataFrame]],
        n_epochs: int,
        options: dict[str, Any],
        cells: np.ndarray,
    ) -> Fit:
        """Train on from the start at a strength, and then without it, but for the terms that are off."""
        state, self.history_ = start
        self.module.load_state_dict(state)
        self._set_lambda_group(value)
        self.train(n_epochs, **options)
        kept, history = deepcopy(self.module.state_dict()), self.history_
        elbo = negative_elbo(self, cells, batch_size=options["batch_size"], seed=options["seed"])
        loadings = self.module.decoder.loadings()[:, : len(self._annotation_names)]
        active = (loadings != 0).any(dim=0)
        self.module.decoder.group[: len(active)] = torch.where(active, 0.0, OFF)
        self.train(n_epochs, **options)
        refitted = negative_elbo(self, cells, batch_size=options["batch_size"], seed=options["seed"])
        outside = torch.tensor(self._data_spec.annotation == 0, device=loadings.device)
        zeros = (loadings[outside] == 0).double().mean()
        return Fit(value, kept, history, elbo, refitted, int(active.sum()), float(zeros))

    def _adopt(self: Any, fit: Fit) -> None:
        """Go back to a fit."""
        self.module.load_state_dict(fit.state)
        self.history_ = fit.history
        self._set_lambda_group(fit.lambda_group)


def _validation_cells(model: Any) -> np.ndarray:
    cells = model.validation_indices
    if len(cells) < 2:
        raise error("At least two cells must be held out", got=len(cells), fix="Lower train_size.")
    return cells


def _table(fits: Sequence[Fit]) -> pd.DataFrame:
    """Table of the path, with the largest value within one standard error of the best one selected."""
    refitted = np.stack([fit.refitted for fit in fits])
    excess = refitted - refitted[refitted.mean(axis=1).argmin()]
    difference, difference_error = excess.mean(axis=1), _standard_error(excess)
    chosen = int(np.flatnonzero(difference <= difference_error)[-1])
    if chosen == len(fits) - 1:
        warnings.warn(
            f"The largest lambda_group, {fits[chosen].lambda_group:g}, is selected: a larger one may do too.",
            stacklevel=3,
        )
    return pd.DataFrame(
        {
            "negative_elbo": [fit.negative_elbo.mean() for fit in fits],
            "refitted": refitted.mean(axis=1),
            "standard_error": _standard_error(refitted),
            "difference": difference,
            "difference_error": difference_error,
            "active_terms": [fit.active_terms for fit in fits],
            "zeros_off_mask": [fit.zeros_off_mask for fit in fits],
            "selected": np.arange(len(fits)) == chosen,
        },
        index=pd.Index([fit.lambda_group for fit in fits], name="lambda_group"),
    )


def _standard_error(values: np.ndarray) -> np.ndarray:
    """Standard error of the mean of each row."""
    return values.std(axis=1, ddof=1) / values.shape[1] ** 0.5
