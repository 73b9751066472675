"""Continuous gene programs with known truth: overlap, batches, an annotation with errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.special import ndtr

from distaff._checks import check_int, check_number, error
from distaff._keys import SIMULATION
from distaff.datasets import _splat as splat
from distaff.datasets._annotation import annotate, coverage_report
from distaff.datasets._counts import Floats, Integers, Scale, sample_counts
from distaff.datasets._parameters import check_parameters, check_seed
from distaff.datasets._truth import numbered, record, warn_empty_cells

__all__ = ["simulate_factors"]

PROG_GENE_SHARE = 0.05  # 100 of 2,000 genes


def simulate_factors(
    n_cells: int = 3_000,
    n_genes: int = 2_000,
    *,
    n_factors: int = 8,
    n_prog_genes: int | None = None,
    overlap: float = 0.0,
    prog_cell_frac: float = 1.0,
    correlation: float = 0.0,
    prog_fac_loc: float = 1.0,
    prog_fac_scale: float = 0.5,
    n_batches: int = 1,
    confounding: float = 0.0,
    batch_fac_scale: float = 0.2,
    false_positive_rate: float = 0.0,
    false_negative_rate: float = 0.0,
    n_decoys: int = 0,
    mean_shape: float = 0.6,
    lib_loc: float = 7.6,
    lib_scale: float = 0.4,
    overdispersion_loc: float = -1.6,
    overdispersion_scale: float = 0.5,
    random_state: int = 0,
) -> AnnData:
    r"""Simulate cells that use continuous gene programs to different degrees.

    With usages :math:`u_{ik} \in [0, 1]` and log-scale loadings :math:`W_{gk} \ge 0` the counts are

    .. math::
        m_{ig} &= L_i \, \frac{\mu_g \, B_{g b(i)} \exp \sum_k u_{ik} W_{gk}}
            {\sum_h \mu_h \, B_{h b(i)} \exp \sum_k u_{ik} W_{hk}}, \\
        x_{ig} &\sim \mathrm{NB}(\text{mean } m_{ig}, \text{ variance } m_{ig} + a_g m_{ig}^2),

    with log-normal library sizes :math:`L_i`, gamma base means :math:`\mu_g`, log-normal batch factors
    :math:`B_{gb}` and log-normal overdispersions :math:`a_g`. Usages come from normal variables
    :math:`z_i \sim N(0, R)`, where all off-diagonal entries of :math:`R` are ``correlation``, and a share
    :math:`s` (``prog_cell_frac``) of the cells that use a program:

    .. math:: u_{ik} = \max\bigl(0, \; 1 - (1 - \Phi(z_{ik})) / s\bigr),

    uniform between 0 and 1 in the cells that use the program and 0 in others.

    Parameters
    ----------
    n_cells
        Number of cells.
    n_genes
        Number of genes.
    n_factors
        Number of programs.
    n_prog_genes
        Number of genes in each program. ``None``: 5 % of the genes, at least one.
    overlap
        Share of its genes that a program has in common with the next one. The genes of the programs are
        windows on one random order of genes, so that above 0.5 a program meets the one after next as well.
    prog_cell_frac
        Probability that a cell uses a program.
    correlation
        Correlation :math:`\rho` of the normal variables of any two programs, above -1 / (programs - 1) and
        below 1. The Spearman correlation of the usages is :math:`(6 / \pi) \arcsin(\rho / 2)` if all cells
        use all programs.
    prog_fac_loc
        Mean of a normal variable whose absolute value is the loading of a gene of the program.
    prog_fac_scale
        Standard deviation of this variable.
    n_batches
        Number of batches, equally likely.
    confounding
        Probability that a cell is in the batch that belongs to its usage of the first program: the first
        batch holds the lowest usages, the last the highest. Other cells are in a random batch; 0: all are.
    batch_fac_scale
        Standard deviation of the logarithm of the batch factors; a single batch has none.
    false_positive_rate
        Probability that a gene outside a program is in its gene set.
    false_negative_rate
        Probability that a gene of a program is missing in its gene set.
    n_decoys
        Number of gene sets that belong to no program: random genes, as many as in the sets of the programs.
    mean_shape
        Shape of the gamma distribution of base means.
    lib_loc
        Mean of the logarithm of library sizes (counts).
    lib_scale
        Standard deviation of this logarithm. 0: all cells have the same.
    overdispersion_loc
        Mean of :math:`\log a_g`.
    overdispersion_scale
        Standard deviation of :math:`\log a_g`. 0: all genes have the same.
    random_state
        Seed. The same seed gives the same data; the global generators are neither read nor changed.

    Returns
    -------
    Counts as a CSR matrix of float32 with whole values, shape (cells, genes), and the truth in

    - ``obsm["program_usage"]``: DataFrame (cells, programs), :math:`u`; columns are ``program_1``, ...;
      unlike those of ``simulate_gep`` rows do not sum to 1;
    - ``varm["program_loadings"]``: DataFrame (genes, programs), :math:`W`, 0 outside the program: the
      log-scale effect of one unit of usage;
    - ``varm["program_genes"]``: DataFrame (genes, programs) bool, the true members;
    - ``varm["gene_sets"]`` and ``uns["gene_sets"]``: the annotation of the programs with its errors, and
      decoys ``decoy_1``, ..., as :func:`distaff.pp.gene_sets` writes them;
    - ``varm["batch_factors"]``: DataFrame (genes, batches), :math:`B`;
    - ``obs["batch"]``: categorical with all batches as categories;
    - ``obs["library_size"]``: expected total count :math:`L_i`;
    - ``var["base_mean"]`` and ``var["overdispersion"]``: :math:`\mu_g`, in an arbitrary unit, and
      :math:`a_g`;
    - ``uns["simulation"]``: ``simulator``, ``params``, ``random_state`` and ``version``.

    Raises
    ------
    TypeError
        If an argument is not of its type.
    ValueError
        If an argument is out of range, the programs need more genes than there are, or a gene set is empty.

    Warns
    -----
    UserWarning
        If a cell has no counts.

    Notes
    -----
    Counts add up to a library size whatever the programs do, so a cell that uses a program expresses other
    genes a little less. Many genes of a program are too low to be seen, as in real data.

    At the defaults programs can be seen, but not easily: of 9 components of a non-negative matrix
    factorisation of the log-normalised counts the best for each program has a mean Spearman correlation of
    0.9 with its usage, and the scaled mutual information of a one-to-one matching is 0.33.

    Each part has a random stream of its own: other rates of annotation errors, for example, leave the
    counts as they are.

    Examples
    --------
    >>> from distaff.datasets import simulate_factors
    >>> adata = simulate_factors(200, 500, n_factors=3, n_decoys=1, false_negative_rate=0.2)
    >>> adata.obsm["program_usage"].shape
    (200, 3)
    >>> list(adata.varm["gene_sets"].columns)
    ['program_1', 'program_2', 'program_3', 'decoy_1']
    >>> adata.varm["program_genes"].sum().to_dict()
    {'program_1': 25, 'program_2': 25, 'program_3': 25}
    """
    params = _check(locals())
    *seeds, counts = np.random.SeedSequence(params["random_state"]).spawn(6)
    genes, programs, cells, batches, annotation = map(np.random.default_rng, seeds)
    var = _genes(genes, params)
    loadings = _loadings(programs, var.index, params)
    obs, usage, z = _cells(cells, params)
    obs[SIMULATION.batch] = _batch(batches, ndtr(z[:, 0]), params)
    factors = _batch_factors(batches, var.index, params)

    X = sample_counts(
        counts,
        _CellMeans(obs, usage, var, loadings, factors),
        _overdispersed(var[SIMULATION.overdispersion].to_numpy()),
        n_cells=len(obs),
        n_genes=len(var),
    )
    warn_empty_cells(X, fix="raise lib_loc")
    members = loadings > 0
    rates = {name: params[name] for name in ("false_positive_rate", "false_negative_rate", "n_decoys")}
    gene_sets = annotate(annotation, members, **rates)
    return AnnData(
        X,
        obs=obs,
        var=var,
        obsm={SIMULATION.usage: usage},
        varm={
            SIMULATION.loadings: loadings,
            SIMULATION.members: members,
            SIMULATION.batch_factors: factors,
            SIMULATION.gene_sets: gene_sets,
        },
        uns={
            SIMULATION.gene_sets: coverage_report(gene_sets, "simulate_factors"),
            SIMULATION.uns: record("simulate_factors", params),
        },
    )


def _check(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments checked, with defaults that depend on others filled in."""
    least = {"n_cells": 1, "n_genes": 1, "n_factors": 1, "n_batches": 1, "n_decoys": 0}
    params: dict[str, Any] = check_parameters(arguments)
    params |= {name: check_int(name, arguments[name], minimum=minimum) for name, minimum in least.items()}
    n_factors = params["n_factors"]
    params["correlation"] = check_number(
        "correlation", arguments["correlation"], above=-1 / max(1, n_factors - 1), below=1.0
    )
    params["random_state"] = check_seed(arguments["random_state"])
    params["n_prog_genes"] = _n_prog_genes(arguments["n_prog_genes"], params)
    if params["confounding"] > 0 and params["n_batches"] == 1:
        rule = "n_batches must be >= 2 for batches that are confounded with a program"
        raise error(rule, got=f"1 with confounding={params['confounding']}")
    return params


def _n_prog_genes(n_prog_genes: int | None, params: Mapping[str, Any]) -> int:
    n_genes, n_factors = params["n_genes"], params["n_factors"]
    if n_prog_genes is None:
        n = max(1, round(PROG_GENE_SHARE * n_genes))
    else:
        n = check_int("n_prog_genes", n_prog_genes, minimum=1)
    needed = n + (n_factors - 1) * _step(n, params["overlap"])
    if needed > n_genes:
        raise error(
            "n_genes must be enough for all programs",
            got=f"{n_genes}, but {n_factors} programs of {n} genes need {needed}",
            fix="Lower n_factors or n_prog_genes, or raise overlap.",
        )
    return n


def _step(n_prog_genes: int, overlap: float) -> int:
    """Number of genes by which the window of a program lies behind that of the one before."""
    return n_prog_genes - round(overlap * n_prog_genes)


def _genes(rng: np.random.Generator, params: Mapping[str, Any]) -> pd.DataFrame:
    """Base means and overdispersions (genes, ...)."""
    n_genes = params["n_genes"]
    means = rng.gamma(params["mean_shape"], 1.0, n_genes)
    overdispersion = rng.lognormal(params["overdispersion_loc"], params["overdispersion_scale"], n_genes)
    columns = {SIMULATION.base_mean: means, SIMULATION.overdispersion: overdispersion}
    return pd.DataFrame(columns, index=numbered("gene", n_genes))


def _loadings(rng: np.random.Generator, genes: pd.Index, params: Mapping[str, Any]) -> pd.DataFrame:
    """Log-scale loadings (genes, programs), above 0 in the genes of the program and 0 elsewhere."""
    n, n_factors = params["n_prog_genes"], params["n_factors"]
    order = rng.permutation(len(genes))
    loadings = np.zeros((len(genes), n_factors))
    for k in range(n_factors):
        start = k * _step(n, params["overlap"])
        draws = np.abs(rng.normal(params["prog_fac_loc"], params["prog_fac_scale"], n))
        # above 0 even without any effect: what is not 0 is a gene of the program
        loadings[order[start : start + n], k] = np.maximum(draws, np.finfo(float).tiny)
    return pd.DataFrame(loadings, index=genes, columns=numbered("program", n_factors))


def _cells(rng: np.random.Generator, params: Mapping[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame, Floats]:
    """Library sizes (cells, ...), usages (cells, programs) and the normal variables behind them."""
    n_cells, n_factors, rho = params["n_cells"], params["n_factors"], params["correlation"]
    noise = rng.standard_normal((n_cells, n_factors))
    mean = noise.mean(axis=1, keepdims=True)
    # the symmetric square root of R: one factor along the mean of the programs, another across
    z = np.sqrt(1 - rho) * (noise - mean) + np.sqrt(1 + (n_factors - 1) * rho) * mean
    share = params["prog_cell_frac"]
    u = np.maximum(0.0, 1 - ndtr(-z) / share) if share > 0 else np.zeros_like(z)

    names = numbered("cell", n_cells)
    library = splat.library_sizes(rng, n_cells, loc=params["lib_loc"], scale=params["lib_scale"])
    obs = pd.DataFrame({SIMULATION.library: library}, index=names)
    return obs, pd.DataFrame(u, index=names, columns=numbered("program", n_factors)), z


def _batch(rng: np.random.Generator, quantile: Floats, params: Mapping[str, Any]) -> pd.Categorical:
    """Batch of each cell: that of its quantile of the first program, or a random one."""
    n_batches = params["n_batches"]
    own = np.minimum((n_batches * quantile).astype(np.int64), n_batches - 1)
    confounded = rng.random(len(own)) < params["confounding"]
    codes = np.where(confounded, own, rng.integers(n_batches, size=len(own)))
    return pd.Categorical.from_codes(codes, numbered("batch", n_batches))


def _batch_factors(rng: np.random.Generator, genes: pd.Index, params: Mapping[str, Any]) -> pd.DataFrame:
    """Factors of the batches (genes, batches); 1 if there is one batch only."""
    n_batches = params["n_batches"]
    scale = params["batch_fac_scale"] if n_batches > 1 else 0.0
    factors = rng.lognormal(0.0, scale, (len(genes), n_batches))
    return pd.DataFrame(factors, index=genes, columns=numbered("batch", n_batches))


def _overdispersed(overdispersion: Floats) -> Scale:
    """Scale of the gamma rates of negative binomial counts: ``a_g m``."""
    return lambda m, gene: overdispersion[gene] * m


class _CellMeans:
    """Mean counts of a slice of cells."""

    def __init__(
        self,
        obs: pd.DataFrame,
        usage: pd.DataFrame,
        var: pd.DataFrame,
        loadings: pd.DataFrame,
        factors: pd.DataFrame,
    ) -> None:
        self.library, self.batch = obs[SIMULATION.library].to_numpy(), obs[SIMULATION.batch].cat.codes
        self.usage = usage.to_numpy()
        W = loadings.to_numpy()
        self.programs: list[tuple[Integers, Floats]] = [
            (members, W[members, k]) for k in range(W.shape[1]) for members in [np.flatnonzero(W[:, k])]
        ]
        self.base = np.stack([var[SIMULATION.base_mean] * factors[name] for name in factors])
        with np.errstate(over="ignore"):  # profile refuses infinite means
            largest = np.exp(W.sum(axis=1))
        for base in self.base:
            splat.profile(base, np.ones(len(base)))
            splat.profile(base, largest)

    def __call__(self, block: slice) -> Floats:
        means = self.base[self.batch[block]]
        for u, (members, w) in zip(self.usage[block].T, self.programs, strict=True):
            means[:, members] *= np.exp(u[:, None] * w)
        means *= (self.library[block] / means.sum(axis=1))[:, None]
        return means
