"""Layers that the networks are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from distaff.nn.covariates import Covariates, CovariateSpec
from distaff.nn.readouts import Readout
from distaff.nn.tables import CategoryTable
from distaff.ops import (
    cell_mean,
    fold_batch_norm,
    gather_cells,
    held_part,
    hidden_layer,
    is_sparse,
    linear_map,
    noise,
)

__all__ = ["MLP", "BatchNorm", "CovariateLinear", "CovariateShift", "join", "readouts_of"]

# scVI's (from its TensorFlow origin): slow running averages and a large floor under the variance
BATCH_NORM_MOMENTUM = 0.01
BATCH_NORM_EPS = 0.001


class CovariateShift(nn.Module):
    r"""What covariates add to each output, :math:`\sum_c E_c[\text{code}_c] + v V^\top`.

    Each category owns one row of :math:`E_c`, so a new batch adds a row and leaves the rest alone. A
    covariate with one category has no row.

    Parameters
    ----------
    n_out
        Number of outputs.
    spec
        Covariates; None for none.
    n_in
        Number of features beside the covariates; sets the scale of the initial weights.
    """

    def __init__(self, n_out: int, spec: CovariateSpec | None, *, n_in: int = 0) -> None:
        super().__init__()
        spec = spec or CovariateSpec()
        n_categories = [n if n > 1 else 0 for n in spec.n_categories]
        self.categorical = nn.ModuleList(CategoryTable(torch.empty(n, n_out)) for n in n_categories)
        self.continuous = nn.Parameter(torch.empty(spec.n_continuous, n_out))
        self.fan_in = n_in + sum(n_categories) + spec.n_continuous
        for values in self.parameters():
            if len(values):  # a covariate that is not there owns an empty table
                nn.init.uniform_(values, -(self.fan_in**-0.5), self.fan_in**-0.5)

    def forward(self, y: Tensor, covariates: Covariates) -> Tensor:
        """Shift (..., cells, n_out)."""
        for table, code in zip(self.categorical, covariates.codes(), strict=False):
            if table.n_rows:
                y = y + nn.functional.embedding(code, table())
        if len(self.continuous):
            y = y + self._continuous(covariates) @ self.continuous
        return y

    def design(self, covariates: Covariates) -> Tensor | None:
        """Columns (cells, columns) whose product with :meth:`table` is the shift; None for no shift."""
        columns = [
            _one_hot(code, n, self.continuous.dtype)
            for table, code in zip(self.tables(), covariates.codes(), strict=False)
            if (n := table.n_rows)
        ]
        if self.continuous.shape[0]:
            columns.append(self._continuous(covariates))
        return _joined(columns)

    def offset(self, covariates: Covariates) -> Tensor | None:
        """Shift (cells, n_out) itself; None for no shift."""
        design, table = self.design(covariates), self.table()
        return None if design is None or table is None else design @ table

    def table(self) -> Tensor | None:
        """What each column of :meth:`design` adds, (columns, n_out); None for no shift."""
        rows = [rows for rows in self._tables() if len(rows)]
        if len(self.continuous):
            rows.append(self.continuous)
        return torch.cat(rows) if rows else None

    def widen(self, weight: Tensor) -> Tensor:
        """Weight (n_out, n_in) of a linear map with the columns of :meth:`design` as further inputs."""
        table = self.table()
        return weight if table is None else torch.cat([weight.T, table]).T  # by factors, as kernels read it

    def tables(self) -> list[CategoryTable]:
        """Tables of the categorical covariates."""
        return list(self.categorical)  # type: ignore[arg-type]

    def _tables(self) -> list[Tensor]:
        return [table() for table in self.categorical]

    def _continuous(self, covariates: Covariates) -> Tensor:
        if covariates.continuous is None:
            raise ValueError("This layer needs continuous covariates, and the minibatch has none.")
        return covariates.continuous


def _one_hot(code: Tensor, n: int, dtype: torch.dtype) -> Tensor:
    """Indicators (cells, n) of codes (cells,); torch looks at all codes first, for which a GPU would wait."""
    empty = torch.zeros(code.shape[0], n, dtype=dtype, device=code.device)
    return empty.scatter_(1, code.unsqueeze(1), 1.0)


def _joined(columns: list[Tensor]) -> Tensor | None:
    if len(columns) < 2:
        return columns[0] if columns else None
    return torch.cat(columns, dim=1)


def join(x: Tensor, design: Tensor | None) -> Tensor:
    """Features (..., cells, n_in) with the columns of a design (cells, columns) beside them."""
    return x if design is None else torch.cat([x, design.expand(*x.shape[:-1], -1)], dim=-1)


class CovariateLinear(nn.Module):
    r"""Linear layer over features and covariates without ever concatenating them.

    .. math:: y = x W^\top + b + \sum_c E_c[\text{code}_c] + v V^\top

    Equal to a linear layer on ``[x; v; one-hot codes]``.

    Parameters
    ----------
    n_in
        Number of features.
    n_out
        Number of outputs.
    spec
        Covariates that enter here; None for none.
    bias
        Whether there is a bias :math:`b`.
    """

    def __init__(
        self, n_in: int, n_out: int, spec: CovariateSpec | None = None, *, bias: bool = True
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(n_in, n_out, bias=bias)
        self.shift = CovariateShift(n_out, spec, n_in=n_in)
        for parameter in self.linear.parameters():  # as torch draws a layer on the concatenation
            nn.init.uniform_(parameter, -(self.shift.fan_in**-0.5), self.shift.fan_in**-0.5)

    def forward(self, x: Tensor, covariates: Covariates) -> Tensor:
        """Map (..., cells, n_in) to (..., cells, n_out)."""
        return self.shift(linear_map(x, self.linear.weight, self.linear.bias), covariates)

    def readout(self, features: Tensor) -> Readout:
        """Return the same in parts, of features that were joined with the covariates."""
        return Readout(features, self.shift.widen(self.linear.weight), self.linear.bias)


def readouts_of(heads: nn.ModuleDict, features: Tensor) -> dict[str, Readout]:
    """Heads that are linear in features, in parts."""
    layers: dict[str, Any] = dict(heads.items())
    return {name: layer.readout(features) for name, layer in layers.items()}


class BatchNorm(nn.BatchNorm1d):
    """Batch norm over cells that also takes (samples, cells, features)."""

    def __init__(self, n_features: int) -> None:
        super().__init__(n_features, momentum=BATCH_NORM_MOMENTUM, eps=BATCH_NORM_EPS)

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - torch's signature
        """Follow the minibatches in training, unless the layer is frozen."""
        return super().train(mode and self.weight.requires_grad)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each feature over all leading dimensions, and over all processes."""
        rows, part = x.flatten(0, -2), held_part()
        if self.training and part is not None:
            return self._normalise_with_others(rows, part.n_cells).view_as(x)
        return super().forward(rows).view_as(x)

    def _normalise_with_others(self, rows: Tensor, n_cells: int) -> Tensor:
        """Normalise the rows of this process by the moments of the rows of all."""
        mean = cell_mean(rows)
        centred = rows - mean
        variance = cell_mean(centred.square())
        self.follow(mean, variance, n_cells)
        return centred * (self.weight * (variance + BATCH_NORM_EPS).rsqrt()) + self.bias

    def folded(self, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias of the linear map that a linear map and its normalisation are together.

        Parameters
        ----------
        x
            Features (..., cells, n_in).
        weight
            Weight (n_features, n_in) of the linear map.
        """
        if not self.training:
            scale = self.weight / (self.running_var + BATCH_NORM_EPS).sqrt()
            return weight * scale.unsqueeze(1), self.bias - self.running_mean * scale
        x = gather_cells(x.flatten(0, -2))
        weight, bias, mean, variance = fold_batch_norm(x, weight, self.weight, self.bias, eps=BATCH_NORM_EPS)
        self.follow(mean, variance, len(x))
        return weight, bias

    @torch.no_grad()
    def follow(self, mean: Tensor, variance: Tensor, n_cells: int) -> None:
        """Move the running averages towards the moments of a minibatch."""
        self.running_mean.lerp_(mean, BATCH_NORM_MOMENTUM)
        self.running_var.lerp_(variance * (n_cells / max(n_cells - 1, 1)), BATCH_NORM_MOMENTUM)
        self.num_batches_tracked.add_(1)

    @torch.no_grad()
    def fit(self, x: Tensor, *, mean: Tensor) -> None:
        """Leave the spread of features ``x`` (cells, features) as it is, and give them this mean."""
        self.running_mean.copy_(x.mean(0))
        self.running_var.copy_(x.var(0, unbiased=False))
        self.weight.copy_((self.running_var + BATCH_NORM_EPS).sqrt())
        self.bias.copy_(mean)

    def evaluation_scale(self) -> Tensor:
        """Factor by which evaluation multiplies each feature, shape (features,)."""
        return self.weight / (self.running_var + BATCH_NORM_EPS).sqrt()


class Dropout(nn.Dropout):
    """Dropout that hides the same units however many processes share the cells."""

    def forward(self, x: Tensor) -> Tensor:
        """Drop units of (..., cells, features) in training."""
        if not self.training or held_part() is None:
            return super().forward(x)
        return x * noise(lambda like: nn.functional.dropout(torch.ones_like(like), self.p), x)


class MLP(nn.Module):
    """Fully connected layers: linear, batch norm, ReLU, dropout.

    Parameters
    ----------
    n_in
        Number of features.
    widths
        Width of each layer.
    spec
        Covariates that enter; None for none. As in scVI, categories enter every layer and continuous
        covariates the first.
    dropout_rate
        Share of units dropped in training.
    """

    def __init__(
        self,
        n_in: int,
        widths: Sequence[int],
        spec: CovariateSpec | None = None,
        *,
        dropout_rate: float = 0.0,
    ) -> None:
        super().__init__()
        deep_spec = None if spec is None else replace(spec, n_continuous=0)
        sizes = [n_in, *widths]
        specs = [spec] + [deep_spec] * (len(widths) - 1)
        self.linears = nn.ModuleList(
            CovariateLinear(n, m, own) for n, m, own in zip(sizes[:-1], widths, specs, strict=True)
        )
        self.norms = nn.ModuleList(BatchNorm(m) for m in widths)
        self.dropout = Dropout(dropout_rate)

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - torch's signature
        """Drop units in training, unless the layers are frozen."""
        super().train(mode)
        self.dropout.train(mode and all(weight.requires_grad for weight in self.norms.parameters()))
        return self

    def is_shifted(self) -> bool:
        """Whether covariates enter."""
        layers: list[Any] = list(self.linears)
        return any(layer.shift.table() is not None for layer in layers)

    def forward(self, x: Tensor, covariates: Covariates) -> Tensor:
        """Map (..., cells, n_in) to (..., cells, width of the last layer)."""
        for layer, norm in zip(self.linears, self.norms, strict=True):
            if is_sparse(x) and norm.training:
                on_sparse = self._on_sparse if held_part() is None else self._part_on_sparse
                x = on_sparse(layer, norm, x, covariates)
            else:
                x = self.dropout(torch.relu(norm(layer(x, covariates))))
        return x

    def _on_sparse(self, layer: Any, norm: Any, x: Tensor, covariates: Covariates) -> Tensor:
        """One layer in training, as one operation."""
        units, mean, variance = hidden_layer(
            x,
            layer.linear.weight,
            layer.linear.bias,
            norm.weight,
            norm.bias,
            offset=layer.shift.offset(covariates),
            eps=BATCH_NORM_EPS,
            dropout_rate=self.dropout.p if self.dropout.training else 0.0,
        )
        norm.follow(mean, variance, len(x))
        return units

    def _part_on_sparse(self, layer: Any, norm: Any, x: Tensor, covariates: Covariates) -> Tensor:
        """One layer in training, on the cells of one of several processes."""
        units = torch.relu(norm(layer(x, covariates)))
        rate = self.dropout.p
        if units.device.type != "cpu" or not self.dropout.training or rate == 0:
            return self.dropout(units)
        return units * (noise(torch.rand_like, units) >= rate) / (1.0 - rate)  # as the compiled loops draw
