"""Models saved by one version of distaff, which later ones must load; run as a script to make those of a release.

``python tests/model/make_saved_models.py`` writes ``tests/model/saved_models/<version>``: a folder for each model
of ``MODELS``, and ``expected.safetensors`` with the latent of ``tiny_data()`` under each. They are made once and
never changed; of a version that was not released they may be made anew.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
from safetensors.numpy import save_file
from scipy import sparse

import distaff as ds

SAVED = Path(__file__).parent / "saved_models"
N_CELLS, N_GENES = 24, 12
TRAINING = {"batch_size": 12, "seed": 0, "accelerator": "cpu", "enable_progress_bar": False}
SMALL = {"n_hidden": 4}
SETS = {"low": slice(0, 5), "middle": slice(3, 9)}


def tiny_data() -> anndata.AnnData:
    """Counts by a formula: no random numbers, which may change."""
    i, j = np.arange(N_CELLS)[:, None], np.arange(N_GENES)[None, :]
    counts = ((3 * i + 5 * j + i * j) % 7 + (j == 0)).astype(np.float32)
    obs = pd.DataFrame(
        {
            "batch": pd.Categorical(["first", "second"] * (N_CELLS // 2)),
            "donor": pd.Categorical([f"d{n % 3}" for n in range(N_CELLS)]),
            "age": np.linspace(-1, 1, N_CELLS),
        },
        index=[f"cell{n}" for n in range(N_CELLS)],
    )
    var = pd.DataFrame(index=[f"gene{n}" for n in range(N_GENES)])
    adata = anndata.AnnData(sparse.csr_matrix(counts), obs=obs, var=var)
    sets = {name: adata.var_names[genes] for name, genes in SETS.items()}
    ds.pp.gene_sets(adata, sets, min_genes=1)
    return adata


def fitted(cls: Any, adata: anndata.AnnData | None = None, **arguments: Any) -> Any:
    """Trained model of all covariates that its class takes."""
    adata = tiny_data() if adata is None else adata
    setup: dict[str, Any] = {"batch_key": "batch"}
    if cls is not ds.model.FSCLVM:
        setup |= {"categorical_covariate_keys": ["donor"], "continuous_covariate_keys": ["age"]}
    cls.setup_anndata(adata, **setup)
    model = cls(adata, **arguments)
    model.train(2, **TRAINING)
    return model


def query_with_new_terms() -> Any:
    """Annotated model whose query brought terms and a batch of its own."""
    query = tiny_data()
    query.obs["batch"] = pd.Categorical(["third"] * N_CELLS)
    ds.pp.gene_sets(query, {"high": query.var_names[7:]}, set_key="new", min_genes=1)
    model = ds.model.AnnotatedVAE.load_query_data(
        query,
        fitted(ds.model.AnnotatedVAE, **SMALL),
        new_set_key="new",
        n_new_sparse=1,
        n_new_dense=1,
        accelerator="cpu",
    )
    model.train(2, **TRAINING)
    return model


def minified() -> Any:
    """Model of data without counts."""
    model = fitted(ds.model.BetaVAE, n_latent=2, **SMALL)
    model.minify_adata()
    return model


MODELS: dict[str, Callable[[], Any]] = {
    "AnnotatedVAE": lambda: fitted(ds.model.AnnotatedVAE, n_sparse=1, n_dense=1, **SMALL),
    "AnnotatedVAE_query": query_with_new_terms,
    "Autoencoder": lambda: fitted(ds.model.Autoencoder, layers=(4, 3), n_latent=2),
    "BetaVAE": lambda: fitted(ds.model.BetaVAE, n_latent=2, capacity=3.0, **SMALL),
    "BetaVAE_hub": lambda: fitted(ds.model.BetaVAE, n_latent=2, **SMALL),
    "BetaVAE_minified": minified,
    "FSCLVM": lambda: fitted(ds.model.FSCLVM, n_dense=1),
    "FactorVAE": lambda: fitted(ds.model.FactorVAE, n_latent=2, decoder="additive", prior="vamp", **SMALL),
    "LinearVAE": lambda: fitted(ds.model.LinearVAE, n_latent=2, latent="logistic_normal", **SMALL),
    "ProgramVAE": lambda: fitted(ds.model.ProgramVAE, n_latent=2, **SMALL),
    "SparseVAE": lambda: fitted(ds.model.SparseVAE, n_latent=2, prior="pseudo_input", **SMALL),
}
HUB = "_hub"  # these keep model.pt alone, the others all but it


def class_of(name: str) -> Any:
    """Class of a saved model."""
    return getattr(ds.model, name.split("_")[0])


def cells_of(name: str) -> anndata.AnnData:
    """Cells that the model knows."""
    adata = tiny_data()
    if name.endswith("_query"):
        adata.obs["batch"] = pd.Categorical(["third"] * N_CELLS)
    return adata


def make(folder: Path) -> None:
    """Write all models and what is expected of them."""
    latents = {}
    for name, build in MODELS.items():
        model = build()
        model.run_name_ = ""  # the time
        model.save(folder / name)
        for path in (folder / name).iterdir():
            if (path.suffix == ".pt") != name.endswith(HUB):
                path.unlink()
        latents[name] = class_of(name).load(folder / name, cells_of(name)).get_latent_representation()
        same = np.allclose(latents[name], model.get_latent_representation(), rtol=1e-5, atol=1e-6)
        assert same, f"{name} is not what was saved"
    save_file(latents, folder / "expected.safetensors")


if __name__ == "__main__":
    target = SAVED / ds.__version__
    shutil.rmtree(target, ignore_errors=True)
    make(target)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    sys.stdout.write(f"{target}: {len(MODELS)} models, {size / 1024:.0f} KB\n")
