"""Splatter's simulated experiment: groups of cells, batches, outlier genes, dropout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from distaff._checks import check_choice, check_int, error
from distaff._keys import SIMULATION
from distaff.datasets import _splat as splat
from distaff.datasets._counts import Floats, Integers, sample_counts
from distaff.datasets._parameters import check_each, check_group_prob, check_parameters, check_seed
from distaff.datasets._truth import numbered, record, warn_empty_cells

__all__ = ["simulate_splat"]

# Parameters that may differ between groups, or between batches.
BY_GROUP = ("de_prob", "de_down_prob", "de_fac_loc", "de_fac_scale")
BY_BATCH = ("batch_fac_loc", "batch_fac_scale")
DROPOUT = ("dropout_mid", "dropout_shape")
DROPOUT_TYPES = ("none", "experiment", "batch", "group", "cell")


def simulate_splat(
    batch_cells: int | Sequence[int] = 100,
    n_genes: int = 10_000,
    *,
    batch_fac_loc: float | Sequence[float] = 0.1,
    batch_fac_scale: float | Sequence[float] = 0.1,
    mean_shape: float = 0.6,
    mean_rate: float = 0.3,
    lib_loc: float = 11.0,
    lib_scale: float = 0.2,
    out_prob: float = 0.05,
    out_fac_loc: float = 4.0,
    out_fac_scale: float = 0.5,
    group_prob: Sequence[float] = (1.0,),
    de_prob: float | Sequence[float] = 0.1,
    de_down_prob: float | Sequence[float] = 0.5,
    de_fac_loc: float | Sequence[float] = 0.1,
    de_fac_scale: float | Sequence[float] = 0.4,
    bcv_common: float = 0.1,
    bcv_df: float = 60.0,
    dropout_type: Literal["none", "experiment", "batch", "group", "cell"] = "none",
    dropout_mid: float | Sequence[float] = 0.0,
    dropout_shape: float | Sequence[float] = -1.0,
    random_state: int = 0,
) -> AnnData:
    r"""Simulate groups of cells with Splatter's splat model :cite:p:`Zappia17`.

    Cell :math:`i` of group :math:`k` and batch :math:`b` has the counts

    .. math::
        m_{ig} &= L_i \, \frac{\mu_g \, B_{gb} \, D_{gk}}{\sum_h \mu_h \, B_{hb} \, D_{hk}}, \\
        b_{ig} &= (\phi + m_{ig}^{-1/2}) \sqrt{\nu / \chi^2_{\nu, g}}, \\
        \lambda_{ig} &\sim \mathrm{Gamma}(b_{ig}^{-2}, \; m_{ig} b_{ig}^2), \qquad
            x_{ig} \sim \mathrm{Poisson}(\lambda_{ig}),

    with log-normal library sizes :math:`L_i`, batch factors :math:`B_{gb}` and group factors :math:`D_{gk}`;
    means :math:`\mu_g` are gamma, those of outliers the median of all times a log-normal factor. With
    dropout a count becomes 0 with probability :math:`1 / (1 + e^{-s (\log \lambda_{ig} - x_0)})`.

    Parameters have Splatter's names, spelt as Python does (``de.downProb`` is ``de_down_prob``,
    ``batchCells`` is ``batch_cells``, ``seed`` is ``random_state``), and Splatter's defaults. All that is
    random here is drawn with numpy, so that a seed gives other data than in R.

    Parameters
    ----------
    batch_cells
        Number of cells of each batch; a number for a single batch. ``batchCells``.
    n_genes
        Number of genes. ``nGenes``.
    batch_fac_loc
        Mean of the logarithm of the batch factors; one for all batches, or one each. ``batch.facLoc``.
    batch_fac_scale
        Standard deviation of this logarithm, likewise. ``batch.facScale``.
    mean_shape
        Shape of the gamma distribution of gene means. ``mean.shape``.
    mean_rate
        Rate of this distribution. Means are scaled to the library, so it sets only their unit. ``mean.rate``.
    lib_loc
        Mean of the logarithm of library sizes (counts). ``lib.loc``.
    lib_scale
        Standard deviation of this logarithm. 0: all cells have the same. ``lib.scale``.
    out_prob
        Probability that a gene is a highly expressed outlier. ``out.prob``.
    out_fac_loc
        Mean of the logarithm of an outlier's mean relative to the median gene. ``out.facLoc``.
    out_fac_scale
        Standard deviation of this logarithm. ``out.facScale``.
    group_prob
        Probability of each group, shape (groups,), summing to 1. ``group.prob``.
    de_prob
        Probability that a gene is differentially expressed in a group; one for all groups, or one each.
        ``de.prob``.
    de_down_prob
        Probability that such a gene goes down, likewise. ``de.downProb``.
    de_fac_loc
        Mean of the logarithm of the group factors, likewise. A draw below 1 is inverted, so that
        ``de_down_prob`` alone decides the direction. ``de.facLoc``.
    de_fac_scale
        Standard deviation of this logarithm, likewise. ``de.facScale``.
    bcv_common
        Coefficient of variation :math:`\phi` that all genes share. ``bcv.common``.
    bcv_df
        Degrees of freedom :math:`\nu` of the genes' dispersions, above 2. ``inf``: all genes have the same.
        ``bcv.df``.
    dropout_type
        Whether counts drop out, and with the same curve in the whole ``"experiment"``, or with one for each
        ``"batch"``, ``"group"`` or ``"cell"``. ``dropout.type``.
    dropout_mid
        Logarithm of the rate at which half of the counts drop out, :math:`x_0`; one for all, or one for each
        batch, group or cell. ``dropout.mid``.
    dropout_shape
        Slope of the curve :math:`s`, likewise. Negative: small counts drop out first. ``dropout.shape``.
    random_state
        Seed. The same seed gives the same data; the global generators are neither read nor changed.

    Returns
    -------
    Counts as a CSR matrix of float32 with whole values, shape (cells, genes), and the truth in

    - ``obs["group"]`` and ``obs["batch"]``: categorical, with all groups and batches as categories;
    - ``obs["library_size"]``: expected total count :math:`L_i` before dropout;
    - ``var["base_mean"]``: mean :math:`\mu_g` (Splatter's ``GeneMean``), in an arbitrary unit;
    - ``var["outlier_factor"]``: an outlier's mean over the median of all genes, 1 for other genes;
    - ``var["dispersion_factor"]``: :math:`\sqrt{\nu / \chi^2_{\nu, g}}`;
    - ``varm["de_factors"]``: DataFrame (genes, groups), :math:`D`, 1 where a gene does not differ;
    - ``varm["batch_factors"]``: DataFrame (genes, batches), :math:`B`;
    - ``layers["true_counts"]``: counts before dropout, if there is any;
    - ``uns["simulation"]``: ``simulator``, ``params``, ``random_state`` and ``version``.

    Raises
    ------
    TypeError
        If an argument is not of its type.
    ValueError
        If an argument is out of range, or has not one entry for each group or batch.

    Warns
    -----
    UserWarning
        If a cell has no counts.

    Notes
    -----
    As in Splatter, a single group has no differential expression and a single batch no batch factors; cells
    stand batch by batch, and groups are in random order.

    The :math:`m^{-1/2}` in :math:`b` adds a second Poisson-like variance: with ``bcv_common=0`` the variance
    of a count is about twice its mean. This is a property of Splatter.

    Dropout is drawn after the counts, from a stream of its own: the same seed without dropout gives the
    ``true_counts``. Splatter's paths are not part of this simulator.

    Examples
    --------
    >>> from distaff.datasets import simulate_splat
    >>> adata = simulate_splat([100, 50], 500, group_prob=[0.7, 0.3], lib_loc=8)
    >>> adata.shape
    (150, 500)
    >>> adata.obs["batch"].value_counts().to_dict()
    {'batch_1': 100, 'batch_2': 50}
    >>> list(adata.varm["de_factors"].columns)
    ['group_1', 'group_2']
    """
    params = _check(locals())
    genes, effects, cells, dispersion, counts, dropout = np.random.SeedSequence(params["random_state"]).spawn(
        6
    )
    var = _genes(np.random.default_rng(genes), np.random.default_rng(dispersion), params)
    group_factors, batch_factors = _effects(np.random.default_rng(effects), var.index, params)
    obs = _cells(np.random.default_rng(cells), params)

    means = _CellMeans(obs, var, group_factors, batch_factors)
    scale = splat.bcv_scale(params["bcv_common"], var[SIMULATION.dispersion].to_numpy())
    X = sample_counts(counts, means, scale, n_cells=len(obs), n_genes=len(var))
    layers = {}
    if params["dropout_type"] != "none":
        layers[SIMULATION.true_counts] = X
        mid, shape = (params[name][_dropout_unit(obs, params)] for name in DROPOUT)
        X = splat.drop_counts(dropout, X, means, scale, mid=mid, shape=shape)
    warn_empty_cells(X, fix="raise lib_loc")
    return AnnData(
        X,
        obs=obs,
        var=var,
        varm={SIMULATION.group_factors: group_factors, SIMULATION.batch_factors: batch_factors},
        layers=layers,
        uns={SIMULATION.uns: record("simulate_splat", params)},
    )


def _check(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments checked; those that may differ have one entry for each group, batch or cell."""
    batch_cells, group_prob = _check_batch_cells(arguments["batch_cells"]), arguments["group_prob"]
    n_groups = np.size(group_prob)
    several = {*BY_GROUP, *BY_BATCH, *DROPOUT}
    params: dict[str, Any] = {
        **check_parameters({name: value for name, value in arguments.items() if name not in several}),
        "batch_cells": batch_cells,
        "n_genes": check_int("n_genes", arguments["n_genes"], minimum=1),
        "group_prob": check_group_prob(group_prob, n_groups=n_groups, groups="the groups"),
        "dropout_type": check_choice("dropout_type", arguments["dropout_type"], DROPOUT_TYPES),
        "random_state": check_seed(arguments["random_state"]),
    }
    sizes = {"batch": len(batch_cells), "group": n_groups, "cell": int(batch_cells.sum())}
    unit = params["dropout_type"] if params["dropout_type"] in sizes else "experiment"
    sizes["experiment"] = 1
    for names, each in ((BY_GROUP, "group"), (BY_BATCH, "batch"), (DROPOUT, unit)):
        for name in names:
            params[name] = check_each(name, arguments[name], n=sizes[each], each=each)
    return params


def _check_batch_cells(batch_cells: int | Sequence[int]) -> Integers:
    if np.ndim(batch_cells) > 1 or np.size(batch_cells) == 0:
        raise error("batch_cells must be a number of cells, or one for each batch", got=repr(batch_cells))
    sizes = batch_cells if isinstance(batch_cells, Sequence | np.ndarray) else [batch_cells]
    return np.array([check_int("batch_cells", n, minimum=1) for n in sizes])


def _genes(
    rng: np.random.Generator, dispersion_rng: np.random.Generator, params: Mapping[str, Any]
) -> pd.DataFrame:
    """Means, outlier factors and dispersion factors (genes, ...)."""
    n_genes = params["n_genes"]
    means, _, factors = splat.gene_means(
        rng,
        n_genes,
        shape=params["mean_shape"],
        rate=params["mean_rate"],
        out_prob=params["out_prob"],
        out_fac_loc=params["out_fac_loc"],
        out_fac_scale=params["out_fac_scale"],
    )
    columns = {
        SIMULATION.base_mean: means,
        SIMULATION.outlier_factor: factors,
        SIMULATION.dispersion: splat.dispersion_factors(dispersion_rng, n_genes, df=params["bcv_df"]),
    }
    return pd.DataFrame(columns, index=numbered("gene", n_genes))


def _effects(
    rng: np.random.Generator, genes: pd.Index, params: Mapping[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Factors of the groups (genes, groups) and of the batches (genes, batches); one alone has none."""
    group_rng, batch_rng = rng.spawn(2)
    n_groups, n_batches = len(params["group_prob"]), len(params["batch_cells"])
    groups = np.ones((len(genes), n_groups))
    for k in range(n_groups if n_groups > 1 else 0):
        prob, down_prob, loc, scale = (params[name][k] for name in BY_GROUP)
        selected = group_rng.random(len(genes)) < prob
        groups[:, k] = splat.lognormal_fold_changes(
            group_rng, selected, down_prob=down_prob, loc=loc, scale=scale
        )
    batches = np.ones((len(genes), n_batches))
    for b in range(n_batches if n_batches > 1 else 0):
        loc, scale = (params[name][b] for name in BY_BATCH)
        batches[:, b] = splat.lognormal_fold_changes(
            batch_rng, np.ones(len(genes), dtype=bool), down_prob=0.5, loc=loc, scale=scale
        )
    return (
        pd.DataFrame(groups, index=genes, columns=numbered("group", n_groups)),
        pd.DataFrame(batches, index=genes, columns=numbered("batch", n_batches)),
    )


def _cells(rng: np.random.Generator, params: Mapping[str, Any]) -> pd.DataFrame:
    """Group, batch and library size (cells, ...)."""
    sizes, group_prob = params["batch_cells"], params["group_prob"]
    n_cells = int(sizes.sum())
    group = rng.choice(len(group_prob), size=n_cells, p=group_prob)
    batch = np.repeat(np.arange(len(sizes)), sizes)
    columns = {
        SIMULATION.splat_group: pd.Categorical.from_codes(group, numbered("group", len(group_prob))),
        SIMULATION.batch: pd.Categorical.from_codes(batch, numbered("batch", len(sizes))),
        SIMULATION.library: splat.library_sizes(
            rng, n_cells, loc=params["lib_loc"], scale=params["lib_scale"]
        ),
    }
    return pd.DataFrame(columns, index=numbered("cell", n_cells))


def _dropout_unit(obs: pd.DataFrame, params: Mapping[str, Any]) -> Integers:
    """Position of each cell's entry in the parameters of dropout, shape (cells,)."""
    columns = {"batch": SIMULATION.batch, "group": SIMULATION.splat_group}
    if params["dropout_type"] in columns:
        return obs[columns[params["dropout_type"]]].cat.codes.to_numpy(dtype=np.int64)
    return np.arange(len(obs)) if params["dropout_type"] == "cell" else np.zeros(len(obs), dtype=np.int64)


class _CellMeans:
    """Mean counts of a slice of cells: library size times the profile of the cell's group and batch."""

    def __init__(
        self, obs: pd.DataFrame, var: pd.DataFrame, groups: pd.DataFrame, batches: pd.DataFrame
    ) -> None:
        group = obs[SIMULATION.splat_group].cat.codes.to_numpy(dtype=np.int64)
        pair = group * batches.shape[1] + obs[SIMULATION.batch].cat.codes.to_numpy()
        present, self.pair = np.unique(pair, return_inverse=True)
        base, fold, batch = var[SIMULATION.base_mean].to_numpy(), groups.to_numpy(), batches.to_numpy()
        pairs = zip(*divmod(present, batches.shape[1]), strict=True)
        self.profiles = np.stack([splat.profile(base, fold[:, k] * batch[:, b]) for k, b in pairs])
        self.library = obs[SIMULATION.library].to_numpy()

    def __call__(self, block: slice) -> Floats:
        return self.library[block, None] * self.profiles[self.pair[block]]
