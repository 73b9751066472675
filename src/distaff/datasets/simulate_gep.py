"""Kimmel's simulated experiment: cell identities and an activity that some of them share."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from distaff._checks import check_int, error, listing
from distaff._keys import SIMULATION
from distaff.datasets import _splat as splat
from distaff.datasets._counts import sample_counts
from distaff.datasets._parameters import check_group_prob, check_parameters, check_seed
from distaff.datasets._truth import numbered, record, warn_empty_cells

__all__ = ["simulate_gep"]

PROG_GENE_SHARE = 0.04  # scsim's 400 of 10,000 genes


def simulate_gep(
    n_cells: int = 10_000,
    n_genes: int = 25_000,
    *,
    n_identities: int = 5,
    n_active_identities: int = 3,
    group_prob: Sequence[float] | None = None,
    n_prog_genes: int | None = None,
    prog_cell_frac: float = 0.35,
    min_prog_usage: float = 0.1,
    max_prog_usage: float = 0.7,
    prog_down_prob: float = 0.0,
    prog_fac_loc: float = 2.0,
    prog_fac_scale: float = 1.0,
    de_prob: float = 0.025,
    de_down_prob: float = 0.0,
    de_fac_loc: float = 2.0,
    de_fac_scale: float = 1.0,
    mean_shape: float = 0.34,
    mean_rate: float = 7.68,
    lib_loc: float = 7.64,
    lib_scale: float = 0.78,
    out_prob: float = 0.00286,
    out_fac_loc: float = 6.15,
    out_fac_scale: float = 0.49,
    bcv_common: float = 0.448,
    bcv_df: float = 22.087,
    random_state: int = 0,
) -> AnnData:
    r"""Simulate cells that use one identity program each and may use a shared activity program.

    This is the simulated experiment of :cite:p:`Kimmel20`: every cell type is defined by a gene-expression
    program (GEP), and cells of ``n_active_identities`` types may use an activity program as well. The model
    is Splatter's :cite:p:`Zappia17` as extended by scsim :cite:p:`Kotliar19`:

    .. math::
        m_{ig} &= L_i \, \bigl[(1 - u_i) \, p_{g}^{\mathrm{identity}(i)}
            + u_i \, p_{g}^{\mathrm{activity}}\bigr], \\
        b_{ig} &= (\phi + m_{ig}^{-1/2}) \sqrt{\nu / \chi^2_{\nu, g}}, \\
        \lambda_{ig} &\sim \mathrm{Gamma}(b_{ig}^{-2}, \; m_{ig} b_{ig}^2), \qquad
            x_{ig} \sim \mathrm{Poisson}(\lambda_{ig}),

    where :math:`L_i` is the library size, :math:`u_i` the usage of the activity (0 in cells without it), and
    :math:`p^k \propto` base mean :math:`\times D^k` the profile of program :math:`k` with fold changes
    :math:`D`. Base means are gamma with a few highly expressed outliers.

    Defaults are those of scsim's ``run_scsim.py``, fitted to real data, with :math:`\log D \sim N(2, 1)` from
    :cite:p:`Kimmel20`; numbers of cells, genes and programs are Kimmel's too.

    Parameters
    ----------
    n_cells
        Number of cells.
    n_genes
        Number of genes.
    n_identities
        Number of cell types, and so of identity programs.
    n_active_identities
        The first so many identities have cells that use the activity program. 0: there is no such program.
    group_prob
        Probability of each identity, shape (identities,). ``None``: all equal.
    n_prog_genes
        Number of genes in the activity program. ``None``: 4 % of the genes (scsim: 400 of 10,000), at least
        one.
    prog_cell_frac
        Probability that a cell of these identities uses the activity program.
    min_prog_usage
        Lower end of the uniform distribution of the activity's usage in the cells that use it.
    max_prog_usage
        Upper end of this distribution.
    prog_down_prob
        Probability that a gene of the activity program goes down.
    prog_fac_loc
        Mean of :math:`\log D` in the activity program.
    prog_fac_scale
        Standard deviation of :math:`\log D` in the activity program.
    de_prob
        Probability that a gene belongs to an identity program. Genes of the activity program belong to none.
    de_down_prob
        Probability that a gene of an identity program goes down.
    de_fac_loc
        Mean of :math:`\log D` in the identity programs. A draw below 1 is inverted, so that
        ``de_down_prob`` alone decides the direction.
    de_fac_scale
        Standard deviation of :math:`\log D` in the identity programs.
    mean_shape
        Shape of the gamma distribution of base means.
    mean_rate
        Rate of the gamma distribution of base means. Profiles are normalised, so it sets only their unit.
    lib_loc
        Mean of the logarithm of library sizes (counts).
    lib_scale
        Standard deviation of the logarithm of library sizes. 0: all cells have the same.
    out_prob
        Probability that a gene is a highly expressed outlier.
    out_fac_loc
        Mean of the logarithm of an outlier's mean relative to the median gene.
    out_fac_scale
        Standard deviation of this logarithm.
    bcv_common
        Coefficient of variation :math:`\phi` that all genes share.
    bcv_df
        Degrees of freedom :math:`\nu` of the genes' dispersions, above 2. ``inf``: all genes have the same.
    random_state
        Seed. The same seed gives the same data; the global generators are neither read nor changed.

    Returns
    -------
    Counts as a CSR matrix of float32 with whole values, shape (cells, genes), and the truth in

    - ``obs["cell_type"]``: identity of each cell, categorical with all identities as categories;
    - ``obs["library_size"]``: expected total count :math:`L_i`;
    - ``obsm["program_usage"]``: DataFrame (cells, programs), share of each program, rows sum to 1;
      columns are ``identity_1``, ... and ``activity_1``;
    - ``varm["program_effects"]``: DataFrame (genes, programs), fold change :math:`D`, 1 where the gene is
      not in the program;
    - ``var["base_mean"]``: mean of each gene without any program, in an arbitrary unit;
    - ``var["is_outlier"]``: whether the gene is an outlier;
    - ``var["dispersion_factor"]``: :math:`\sqrt{\nu / \chi^2_{\nu, g}}`;
    - ``uns["simulation"]``: ``simulator``, ``params``, ``random_state`` and ``version``.

    Raises
    ------
    TypeError
        If an argument is not of its type.
    ValueError
        If an argument is out of range.

    Warns
    -----
    UserWarning
        If a cell has no counts, or if a program got no genes although ``de_prob`` is above 0.

    Notes
    -----
    Usage is a trade: a cell with usage :math:`u_i` loses this share of its identity program, as in scsim.

    The :math:`m^{-1/2}` in :math:`b` adds a second Poisson-like variance: with ``bcv_common=0`` the variance
    of a count is about twice its mean. This is a property of Splatter.

    Unlike in scsim, the genes of the activity program are chosen at random, so that the order of the genes
    tells nothing. Cells are in random order too.

    Many genes have tiny means and no counts in any cell, as in real data. Cells without counts are kept,
    because replacing them would change the distribution; they do not occur near the default library sizes,
    and a warning tells how to remove them.

    Most cells have usage 0 of a program. With a share :math:`s` of such ties the Spearman correlation of the
    usage with a score without ties cannot exceed :math:`\sqrt{1 - s^3}`, about 0.7 at the defaults.

    Examples
    --------
    >>> from distaff.datasets import simulate_gep
    >>> adata = simulate_gep(300, 1000, random_state=0)
    >>> adata.shape
    (300, 1000)
    >>> list(adata.obsm["program_usage"].columns)
    ['identity_1', 'identity_2', 'identity_3', 'identity_4', 'identity_5', 'activity_1']
    >>> int((adata.varm["program_effects"]["activity_1"] != 1).sum())
    40
    """
    params = _check(locals())
    genes, effects, cells, dispersion, counts = np.random.SeedSequence(params["random_state"]).spawn(5)
    var, fold = _genes(np.random.default_rng(genes), np.random.default_rng(effects), params)
    obs, usage = _cells(np.random.default_rng(cells), params)
    factor = splat.dispersion_factors(
        np.random.default_rng(dispersion), params["n_genes"], df=params["bcv_df"]
    )

    base = var[SIMULATION.base_mean].to_numpy()
    profiles = np.stack([splat.profile(base, fold_k) for fold_k in fold.to_numpy().T])
    library, weights = obs[SIMULATION.library].to_numpy(), usage.to_numpy()
    X = sample_counts(
        counts,
        lambda block: splat.mixture_means(library[block], weights[block], profiles),
        splat.bcv_scale(params["bcv_common"], factor),
        n_cells=params["n_cells"],
        n_genes=params["n_genes"],
    )
    _warn_empty_programs(fold, params)
    warn_empty_cells(X, fix="raise lib_loc")
    return AnnData(
        X,
        obs=obs,
        var=var.assign(**{SIMULATION.dispersion: factor}),
        obsm={SIMULATION.usage: usage},
        varm={SIMULATION.effects: fold},
        uns={SIMULATION.uns: record("simulate_gep", params)},
    )


def _check(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments checked, with defaults that depend on others filled in."""
    n_cells, n_genes, n_identities = (
        check_int(name, arguments[name], minimum=1) for name in ("n_cells", "n_genes", "n_identities")
    )
    n_active = check_int("n_active_identities", arguments["n_active_identities"], minimum=0)
    if n_active > n_identities:
        raise error("n_active_identities must be <= n_identities", got=f"{n_active} > {n_identities}")
    real = check_parameters(arguments)
    low, high = real["min_prog_usage"], real["max_prog_usage"]
    if low > high:
        raise error("min_prog_usage must be <= max_prog_usage", got=f"{low} > {high}")
    return real | {
        "n_cells": n_cells,
        "n_genes": n_genes,
        "n_identities": n_identities,
        "n_active_identities": n_active,
        "n_prog_genes": _n_prog_genes(arguments["n_prog_genes"], n_genes=n_genes, n_active=n_active),
        "group_prob": check_group_prob(arguments["group_prob"], n_groups=n_identities, groups="n_identities"),
        "random_state": check_seed(arguments["random_state"]),
    }


def _n_prog_genes(n_prog_genes: int | None, *, n_genes: int, n_active: int) -> int:
    """Number of genes in the activity program; 0 means that there is no such program."""
    if n_prog_genes is None:
        return max(1, round(PROG_GENE_SHARE * n_genes)) if n_active else 0
    n = check_int("n_prog_genes", n_prog_genes, minimum=0)
    if n > n_genes:
        raise error("n_prog_genes must be <= n_genes", got=f"{n} > {n_genes}")
    if (n > 0) != (n_active > 0):
        raise error(
            "n_prog_genes and n_active_identities must both be above 0 or both be 0",
            got=f"{n} and {n_active}",
            fix="n_active_identities=0 alone leaves the activity program out.",
        )
    return n


def _genes(
    rng: np.random.Generator, effects_rng: np.random.Generator, params: Mapping[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Base means (genes, ...) and fold changes (genes, programs)."""
    n_genes = params["n_genes"]
    means, outlier, _ = splat.gene_means(
        rng,
        n_genes,
        shape=params["mean_shape"],
        rate=params["mean_rate"],
        out_prob=params["out_prob"],
        out_fac_loc=params["out_fac_loc"],
        out_fac_scale=params["out_fac_scale"],
    )
    names = numbered("gene", n_genes)
    var = pd.DataFrame({SIMULATION.base_mean: means, SIMULATION.outlier: outlier}, index=names)

    in_activity = np.zeros(n_genes, dtype=bool)
    in_activity[effects_rng.permutation(n_genes)[: params["n_prog_genes"]]] = True
    fold = {
        name: _fold_changes(
            effects_rng, ~in_activity & (effects_rng.random(n_genes) < params["de_prob"]), "de", params
        )
        for name in _identities(params)
    }
    if params["n_active_identities"]:
        fold["activity_1"] = _fold_changes(effects_rng, in_activity, "prog", params)
    return var, pd.DataFrame(fold, index=names)


def _fold_changes(
    rng: np.random.Generator, selected: NDArray[np.bool_], prefix: str, params: Mapping[str, Any]
) -> NDArray[np.float64]:
    return splat.lognormal_fold_changes(
        rng,
        selected,
        down_prob=params[f"{prefix}_down_prob"],
        loc=params[f"{prefix}_fac_loc"],
        scale=params[f"{prefix}_fac_scale"],
    )


def _cells(rng: np.random.Generator, params: Mapping[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Identity and library size (cells, ...) and usages (cells, programs)."""
    n_cells, identities = params["n_cells"], _identities(params)
    identity = rng.choice(len(identities), size=n_cells, p=params["group_prob"])
    library = splat.library_sizes(rng, n_cells, loc=params["lib_loc"], scale=params["lib_scale"])
    uses = (identity < params["n_active_identities"]) & (rng.random(n_cells) < params["prog_cell_frac"])
    activity = uses * rng.uniform(params["min_prog_usage"], params["max_prog_usage"], n_cells)

    names = numbered("cell", n_cells)
    cell_type = pd.Categorical.from_codes(identity, categories=identities)
    obs = pd.DataFrame({SIMULATION.group: cell_type, SIMULATION.library: library}, index=names)
    own = identity[:, None] == np.arange(len(identities))
    usage = pd.DataFrame(own * (1 - activity)[:, None], index=names, columns=identities)
    if params["n_active_identities"]:
        usage["activity_1"] = activity
    return obs, usage


def _identities(params: Mapping[str, Any]) -> list[str]:
    return numbered("identity", params["n_identities"])


def _warn_empty_programs(fold: pd.DataFrame, params: Mapping[str, Any]) -> None:
    empty = [name for name, values in fold.items() if params["de_prob"] > 0 and (values == 1).all()]
    if empty:
        message = error(
            "programs must have genes", got=f"none in {listing(empty)}", fix="Raise n_genes or de_prob."
        )
        warnings.warn(str(message), UserWarning, stacklevel=3)
