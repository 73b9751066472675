"""Does tl.rank_factors find differences where labels are permuted, and interferon where they are not?

Run from the root: ``DISTAFF_DATA=... OMP_NUM_THREADS=1 python benchmarks/group_tests.py``.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from itertools import compress, product

import anndata
import numpy as np
import pandas as pd
import scanpy as sc
from _data import DATA, one_thread

import distaff as ds

ARGUMENTS = {"groupby": "condition", "reference": "ctrl", "sample_key": "donor"}
MODELS = {"LinearVAE": ds.model.LinearVAE, "AnnotatedVAE": ds.model.AnnotatedVAE}


def main() -> None:
    """Print the first factors with the true labels, then error rates over permutations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--permutations", type=int, default=300)
    parser.add_argument("--seed", type=int, default=20_000)
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    adata = sc.read_h5ad(DATA / "kang_pbmc_2k.h5ad")
    sc.pp.highly_variable_genes(adata, n_top_genes=options.genes, flavor="seurat_v3", subset=True)
    sc.pp.filter_cells(adata, min_counts=1)
    ds.pp.gene_sets(adata, DATA / "reactome_c2cp_v4.0.symbols.gmt")
    one_thread()
    for name in options.models:
        MODELS[name].setup_anndata(adata)
        model = MODELS[name](adata)
        model.train(options.epochs, seed=0, accelerator="cpu", enable_progress_bar=False)
        ds.tl.latent(adata, model)
        ds.tl.loadings(adata, model)
        ds.tl.factors(adata, model)
        first_factors(adata, name)
        for way in ("samples", "cells"):
            print(name, way, error_rates(adata, way, options), flush=True)


def first_factors(adata: anndata.AnnData, name: str) -> None:
    """The three factors of the smallest p-values, with the genes that go up with the effect."""
    ds.tl.rank_factors(adata, **ARGUMENTS)
    table = adata.uns["distaff"]["rank_factors"]["table"].set_index("factor").head(3)
    for factor, row in table.iterrows():
        up = (adata.varm["distaff_loadings"][factor] * np.sign(row["effect"])).nlargest(12).index
        numbers = {
            column: float(f"{row[column]:.3g}") for column in ("effect", "q_value", "log_bayes_factor")
        }
        print(name, factor, numbers, *up, flush=True)


def error_rates(adata: anndata.AnnData, way: str, options: argparse.Namespace) -> dict[str, float]:
    """Share of tests with q < 0.05 and with p < 0.05, and of tables with a q < 0.05.

    The two samples of a donor change their conditions, in all ways but the true one and its mirror image; or
    the cells of a donor do at random.
    """
    true = adata.obs["condition"].astype(str)
    donor = adata.obs["donor"].astype(str)
    tests, tables, p_values = [], [], []
    ways = exchanged(true, donor) if way == "samples" else shuffled(true, donor, options)
    for labels in ways:
        adata.obs["condition"] = labels
        ds.tl.rank_factors(adata, **ARGUMENTS)
        table = adata.uns["distaff"]["rank_factors"]["table"].dropna(subset="p_value")
        tests.append((table["q_value"] < 0.05).mean())
        tables.append((table["q_value"] < 0.05).any())
        p_values.append((table["p_value"] < 0.05).mean())
    adata.obs["condition"] = true.to_numpy()
    rates = {"q < 0.05": tests, "p < 0.05": p_values, "tables": tables}
    return {rate: round(float(np.mean(values)), 4) for rate, values in rates.items()}


def exchanged(true: pd.Series, donor: pd.Series) -> Iterator[pd.Series]:
    """All ways to exchange the conditions of some donors; exchanging those of the others is the same test."""
    others = donor.unique()[1:]
    other = true.map({"ctrl": "stim", "stim": "ctrl"})
    for choice in list(product((False, True), repeat=len(others)))[1:]:
        yield true.where(~donor.isin(list(compress(others, choice))), other)


def shuffled(true: pd.Series, donor: pd.Series, options: argparse.Namespace) -> Iterator[pd.Series]:
    rng = np.random.default_rng(options.seed)
    for _ in range(options.permutations):
        yield true.groupby(donor).transform(lambda part: rng.permutation(part.to_numpy()))


if __name__ == "__main__":
    main()
