"""The data sets, each with the factors to find; the held-out cells come first."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import anndata
import numpy as np
import pandas as pd
import scanpy as sc
import strangers

import distaff as ds

__all__ = ["HELD_OUT", "SETS", "Problem", "n_held_out"]

DATA = Path(os.environ.get("DISTAFF_DATA", "data"))
HELD_OUT = 0.1
FEWEST = 30  # cells of a class that counts as a factor
FEWEST_COUNTS = 10  # of a gene
TUNE_DONORS, REPORT_DONORS = ("101", "1015", "1016", "1039"), ("107", "1244", "1256", "1488")
KANG_TYPES = ("CD4 T cells", "CD14+ Monocytes", "B cells", "FCGR3A+ Monocytes", "CD8 T cells")


@dataclass(frozen=True)
class Problem:
    """Cells, the factors to find in them, and the column of the batch."""

    adata: anndata.AnnData
    factors: pd.DataFrame
    batch: str | None = None


@dataclass(frozen=True)
class Source:
    """A data set: ``make(seed, n_cells, n_genes)``, and whether defaults were chosen by it.

    Strangers are simulations that were written when all methods and defaults stood.
    """

    make: Callable[[int, int, int], Problem]
    side: Literal["tune", "report", "strangers"] = "report"
    real: bool = False

    @property
    def first_seed(self) -> int:
        """Seeds to choose defaults by start at 0, the others at 2."""
        return 0 if self.side == "tune" else 2


def n_held_out(n_cells: int) -> int:
    """Number of cells, the first ones, that no method is fitted to."""
    return int(n_cells * HELD_OUT)


def gep(seed: int, n_cells: int, n_genes: int, **options: float) -> Problem:
    """Cell types and an activity; factors: whether a cell uses each program."""
    adata = ds.datasets.simulate_gep(n_cells, n_genes, random_state=seed, **options)
    return Problem(adata, adata.obsm["program_usage"].reset_index(drop=True) > 0)


def weak_gep(seed: int, n_cells: int, n_genes: int) -> Problem:
    """The same with small effects and half the depth."""
    small = {f"{kind}_fac_{part}": value for kind in ("de", "prog") for part, value in WEAK.items()}
    return gep(seed, n_cells, n_genes, lib_loc=7.64 - np.log(2.0), **small)


WEAK = {"loc": 1.0, "scale": 0.5}


def programs(seed: int, n_cells: int, n_genes: int, **options: float) -> Problem:
    """Continuous programs in batches; factors: their usages."""
    options = {"prog_fac_loc": 1.5, **options}  # else hardly anything can be told of a cell of 2,000 counts
    adata = ds.datasets.simulate_factors(n_cells, n_genes, random_state=seed, **options)
    return Problem(adata, adata.obsm["program_usage"].reset_index(drop=True), batch="batch")


def programs_a(seed: int, n_cells: int, n_genes: int) -> Problem:
    """Four programs."""
    return programs(seed, n_cells, n_genes, n_factors=4, overlap=0.3, n_batches=2)


def programs_b(seed: int, n_cells: int, n_genes: int) -> Problem:
    """Six programs that go together a little."""
    return programs(seed, n_cells, n_genes, n_factors=6, overlap=0.15, correlation=0.2, n_batches=3)


def splat(seed: int, n_cells: int, n_genes: int) -> Problem:
    """Five groups in two batches."""
    halves = [n_cells // 2, n_cells - n_cells // 2]
    prob = (0.3, 0.25, 0.2, 0.15, 0.1)
    adata = ds.datasets.simulate_splat(halves, n_genes, group_prob=prob, lib_loc=8.0, random_state=seed)
    adata = _held_out_first(adata, seed)
    return Problem(adata, _classes(adata.obs["group"]), batch="batch")


def stranger(
    simulate: Callable[[int, int, int], strangers.Counts], seed: int, n_cells: int, n_genes: int
) -> Problem:
    """Genes with more than ten counts; factors: the usages."""
    counts, usage = simulate(seed, n_cells, n_genes)
    adata = anndata.AnnData(counts[:, np.asarray(counts.sum(axis=0)).ravel() > FEWEST_COUNTS].copy())
    adata.uns["simulation"] = {"name": simulate.__name__}
    return Problem(adata, pd.DataFrame(usage).add_prefix("program "))


def kang(seed: int, n_genes: int, donors: tuple[str, ...]) -> Problem:
    """Labelled cells of some donors; factors: five cell types and the condition."""
    adata = sc.read_h5ad(DATA / "kang_pbmc_2k.h5ad")
    wanted = adata.obs["cell_type"].isin(KANG_TYPES) & adata.obs["donor"].astype(str).isin(donors)
    adata = _held_out_first(_variable(adata[wanted].copy(), n_genes), seed)
    factors = _classes(adata.obs["cell_type"])
    return Problem(adata, factors.assign(condition=(adata.obs["condition"] == "stim").to_numpy()))


def mixology(seed: int, n_cells: int, n_genes: int) -> Problem:
    """Singlets of five cell lines; the protocol is the batch."""
    del n_cells
    adata = sc.read_h5ad(DATA / "sc_mixology_lung_lines.h5ad")
    adata = adata[adata.obs["demuxlet_cls"] == "SNG"].copy()
    adata = _held_out_first(_variable(adata, n_genes), seed)
    return Problem(adata, _classes(adata.obs["cell_type"]), batch="protocol")


def pbmc3k(seed: int, n_cells: int, n_genes: int) -> Problem:
    """Some of the cells that pass the quality control; factors: the larger cell types."""
    adata = sc.read_h5ad(DATA / "pbmc3k.h5ad")
    adata = adata[adata.obs["seurat_qc"].to_numpy(dtype=bool)].copy()
    some = np.random.default_rng(0).permutation(adata.n_obs)[: max(1500, n_cells)]
    adata = _held_out_first(_variable(adata[some].copy(), n_genes), seed)
    return Problem(adata, _classes(adata.obs["cell_type"]))


def _variable(adata: anndata.AnnData, n_genes: int) -> anndata.AnnData:
    """Cells with counts in the most variable genes, and these genes."""
    sc.pp.highly_variable_genes(adata, n_top_genes=n_genes, flavor="seurat_v3", subset=True)
    return adata[np.asarray(adata.X.sum(axis=1)).ravel() > 0].copy()


def _held_out_first(adata: anndata.AnnData, seed: int) -> anndata.AnnData:
    """The same cells in random order, so that the first tenth is a random one."""
    return adata[np.random.default_rng(seed).permutation(adata.n_obs)].copy()


def _classes(labels: pd.Series) -> pd.DataFrame:
    """Each class that is not rare against the others."""
    counts = labels.value_counts()
    return pd.DataFrame({name: (labels == name).to_numpy() for name in counts.index[counts >= FEWEST]})


SETS: dict[str, Source] = {
    "gep": Source(gep, side="tune"),
    "programs A": Source(programs_a, side="tune"),
    "Kang, donors A": Source(lambda seed, _, n: kang(seed, n, TUNE_DONORS), side="tune", real=True),
    "gep, new seeds": Source(gep),
    "gep, weak": Source(weak_gep),
    "programs B": Source(programs_b),
    "splat": Source(splat),
    "Kang, donors B": Source(lambda seed, _, n: kang(seed, n, REPORT_DONORS), real=True),
    "sc_mixology": Source(mixology, real=True),
    "pbmc3k": Source(pbmc3k, real=True),
    "gamma programs": Source(partial(stranger, strangers.gamma_programs), side="strangers"),
    "topics": Source(partial(stranger, strangers.topics), side="strangers"),
    "multiplicative": Source(partial(stranger, strangers.multiplicative), side="strangers"),
}
