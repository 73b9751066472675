"""Does tl.enrich find sets that are not enriched, and those that are? Random sets in real loadings; programs.

Run from the root: ``DISTAFF_DATA=... OMP_NUM_THREADS=1 python benchmarks/enrichment.py``.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator

import anndata
import numpy as np
import pandas as pd
import scanpy as sc
from _data import DATA, log_normalised, one_thread
from scipy import sparse
from scipy.stats import false_discovery_control
from sklearn.decomposition import NMF, PCA

import distaff as ds
from distaff.tl.enrich import METHODS

SIZES = (5, 8, 12, 30, 100, 300)
SETS_A_SIZE = 15


def main() -> None:
    """Print errors with random sets, by model and size, then power with known programs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=200, help="tables of random sets a model")
    parser.add_argument("--simulations", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=20_000)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    errors, sizes = [], []
    for name, loadings, sets in models(options.epochs):
        for method in METHODS:
            row, by_size = random_sets(loadings, sets, method, options)
            errors.append({"loadings": name, "method": method, **row})
            sizes.append({"loadings": name, "method": method, **by_size})
            print(errors[-1], flush=True)
    print(pd.DataFrame(errors).round(3).to_string(index=False))
    print("share of p < 0.05 by genes in the set")
    print(pd.DataFrame(sizes).round(3).to_string(index=False))
    table = pd.DataFrame(
        [row for seed in range(options.simulations) for row in programs(options.seed + seed)]
    )
    print(table.groupby(["programs", "method"]).mean().drop(columns="seed").round(3).to_string())


def models(epochs: int) -> Iterator[tuple[str, np.ndarray, sparse.csc_matrix]]:
    """(genes, factors) loadings of models of real cells, and the sets of Reactome on these genes."""
    for data, n_genes in (("kang_pbmc_2k", 2000), ("pbmc3k", 3000)):
        adata = sc.read_h5ad(DATA / f"{data}.h5ad")
        sc.pp.highly_variable_genes(adata, n_top_genes=n_genes, flavor="seurat_v3", subset=True)
        sc.pp.filter_cells(adata, min_counts=1)
        ds.pp.gene_sets(adata, DATA / "reactome_c2cp_v4.0.symbols.gmt", min_genes=5)
        sets = sparse.csc_matrix(adata.varm["gene_sets"].to_numpy(dtype=float))
        X = log_normalised(adata)
        yield f"NMF, {data}", NMF(10, init="nndsvda", random_state=1).fit(X).components_.T, sets
        yield f"PCA, {data}", PCA(10, random_state=1).fit(X).components_.T, sets
        one_thread()
        for cls in (ds.model.LinearVAE, ds.model.AnnotatedVAE):
            cls.setup_anndata(adata)
            model = cls(adata)
            model.train(epochs, seed=1, accelerator="cpu", enable_progress_bar=False)
            loadings = model.get_loadings().to_numpy()
            yield f"{cls.__name__}, {data}", loadings[:, (loadings != 0).any(axis=0)], sets


def random_sets(
    loadings: np.ndarray, sets: sparse.csc_matrix, method: str, options: argparse.Namespace
) -> tuple[dict[str, float], dict[int, float]]:
    """Share of tables with a set of q < 0.05 and of tests with p < 0.05.

    Genes of Reactome's sets are permuted, which keeps their sizes and how they overlap; besides, independent
    sets of a few sizes. Tables are of ten factors.
    """
    rng = np.random.default_rng(options.seed)
    found, small, by_size = [], [], []
    n = len(loadings)
    for _ in range(options.tables):
        profiles = loadings[:, rng.permutation(loadings.shape[1])[:10]]
        _, p = METHODS[method](profiles, sets[rng.permutation(n)])
        found.append((false_discovery_control(p.ravel()) < 0.05).any())
        small.append((p < 0.05).mean())
        _, p = METHODS[method](profiles, independent(n, rng))
        by_size.append((p < 0.05).reshape(len(p), len(SIZES), -1).mean(axis=(0, 2)))
    row = {"tables with q < 0.05": np.mean(found), "p < 0.05": np.mean(small)}
    return row, dict(zip(SIZES, np.mean(by_size, axis=0), strict=True))


def independent(n_genes: int, rng: np.random.Generator) -> sparse.csc_matrix:
    sets = np.zeros((n_genes, len(SIZES) * SETS_A_SIZE))
    for j, size in enumerate(np.repeat(SIZES, SETS_A_SIZE)):
        sets[rng.choice(n_genes, size, replace=False), j] = 1
    return sparse.csc_matrix(sets)


def programs(seed: int) -> list[dict]:
    """Share of programs whose factor has their set at q < 0.05 or first; of random sets that are found."""
    rows = []
    for name, n_prog_genes in (("100 genes", 100), ("20 genes", 20)):
        adata = ds.datasets.simulate_factors(
            1500,
            2000,
            n_prog_genes=n_prog_genes,
            false_positive_rate=0.005,
            false_negative_rate=0.3,
            n_decoys=40,
            random_state=seed,
        )
        rows += [{"programs": name, "seed": seed, **row} for row in recovered(adata, seed)]
    return rows


def recovered(adata: anndata.AnnData, seed: int) -> list[dict]:
    """Results of both methods with the loadings of an NMF."""
    X = log_normalised(adata)
    Z = NMF(9, init="nndsvda", random_state=seed, tol=1e-3).fit_transform(X)
    adata.obsm["X_distaff"] = Z
    # loadings on Z as it is: least squares
    adata.varm["distaff_loadings"] = np.linalg.lstsq(np.c_[Z, np.ones(len(Z))], X, rcond=None)[0][:-1].T
    usage = adata.obsm["program_usage"]
    spearman = np.corrcoef(pd.DataFrame(Z).rank().T, usage.rank().T)[: Z.shape[1], Z.shape[1] :]
    rows = []
    for method in METHODS:
        ds.tl.enrich(adata, method=method, min_genes=5)
        table = adata.uns["distaff"]["enrich"]["table"].set_index(["factor", "gene_set"])
        hits, first = [], []
        for k, program in enumerate(usage.columns):
            factor = f"Factor {spearman[:, k].argmax() + 1}"
            own = table.loc[factor]
            hits.append(own.loc[program, "q_value"] < 0.05 and own.loc[program, "statistic"] > 0)
            first.append(own["statistic"].idxmax() == program)
        decoys = table[table.index.get_level_values("gene_set").str.startswith("decoy")]
        wrong = (decoys["q_value"] < 0.05).mean()
        rows.append({"method": method, "found": np.mean(hits), "first": np.mean(first), "random sets": wrong})
    return rows


if __name__ == "__main__":
    main()
