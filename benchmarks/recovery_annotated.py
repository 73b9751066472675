"""Which gene sets stand for interferon and B cells in stimulated blood cells, and which are switched off?

Run from the root: ``DISTAFF_DATA=... OMP_NUM_THREADS=1 python benchmarks/recovery_annotated.py``.
"""

from __future__ import annotations

import argparse
import time
import warnings

import pandas as pd
import scanpy as sc
from _data import DATA, one_thread

import distaff as ds


def main() -> None:
    """Print a block a seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="the model's own number by default")
    parser.add_argument("--lr", type=float)
    parser.add_argument("--init", help="the model's own start by default; 'none' for a random one")
    parser.add_argument("--lambda-group", type=float)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    adata = sc.read_h5ad(DATA / "kang_pbmc_2k.h5ad")
    sc.pp.highly_variable_genes(adata, n_top_genes=options.genes, flavor="seurat_v3", subset=True)
    sc.pp.filter_cells(adata, min_counts=1)
    ds.pp.gene_sets(adata, DATA / "reactome_c2cp_v4.0.symbols.gmt")
    ds.model.AnnotatedVAE.setup_anndata(adata)
    arguments = {} if options.init is None else {"init": None if options.init == "none" else options.init}
    if options.lambda_group is not None:
        arguments["lambda_group"] = options.lambda_group
    one_thread()
    for seed in options.seeds:
        start = time.perf_counter()
        model = ds.model.AnnotatedVAE(adata, **arguments)
        model.train(options.epochs, lr=options.lr, seed=seed, accelerator="cpu", enable_progress_bar=False)
        print(f"\nseed {seed}, {vars(options)}, {time.perf_counter() - start:.0f} s")
        report(model)


def report(model: ds.model.AnnotatedVAE) -> None:
    """Best terms by single-dimension accuracy on labelled cells, exact zeros, terms that are off."""
    adata = model.adata
    terms = model.get_terms()
    outside = adata.varm["gene_sets"].to_numpy() == 0
    zeros = (model.get_loadings().to_numpy()[outside] == 0).mean()
    elbo = float(model.get_elbo(indices=model.validation_indices))
    off = int((~terms["active"]).sum())
    print(f"zeros off the set {zeros:.4f}, terms off {off} of {len(terms)}, held out {elbo:.1f}")
    labelled = adata.obs["cell_type"].notna().to_numpy()
    Z = pd.DataFrame(model.get_latent_representation(), columns=model.factor_names)[labelled]
    Z.loc[:, ~terms["active"].to_numpy()] = 0.0
    Y = {
        "condition": (adata.obs["condition"] == "stim").to_numpy()[labelled],
        "B cells": (adata.obs["cell_type"] == "B cells").to_numpy()[labelled],
    }
    matrix = ds.metrics.single_dimension_accuracy(Z.reset_index(drop=True), pd.DataFrame(Y)).matrix
    for factor in matrix:
        best = matrix[factor].sort_values(ascending=False).round(3)
        named = [name for name in best.index if "B_CELL_RECEPTOR" in name or "INTERFERON" in name]
        print(factor, best.head(4).to_dict(), {name: best[name] for name in named}, flush=True)


if __name__ == "__main__":
    main()
