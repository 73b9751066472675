"""Models to share, and a watch that nothing is unpickled."""

from __future__ import annotations

import pickle
import sys
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import torch

import distaff as ds

sys.path.insert(0, str(Path(__file__).parent))  # tests are not a package
from hub_kit import SAVED, SETS, cells_of, class_of, fitted, tiny_data


@pytest.fixture(scope="session")
def saved():
    """Trained model by its name, with data, as the fixtures of saved models hold it."""

    def get(name: str):
        return class_of(name).load(SAVED / ds.__version__ / name, cells_of(name), accelerator="cpu")

    return get


@pytest.fixture
def annotated(tmp_path):
    """Model of gene sets from a file, with all that a user may have written of it."""
    adata = tiny_data()
    lines = ["\t".join([name, "", *adata.var_names[genes]]) for name, genes in SETS.items()]
    file = tmp_path / "someone" / "programs.gmt"
    file.parent.mkdir()
    file.write_text("\n".join(lines), encoding="utf-8")
    ds.pp.gene_sets(adata, file, min_genes=1)
    model = fitted(ds.model.AnnotatedVAE, adata, n_dense=1, n_hidden=4, lambda_latent=0.0)
    ds.tl.latent(adata, model)
    ds.tl.loadings(adata, model)
    ds.tl.factors(adata, model)
    ds.tl.rename_factors(adata, {"low": "interferon | response"})
    return model


@pytest.fixture
def query():
    """New cells of a batch that no model knows."""
    adata = tiny_data()
    adata.obs["batch"] = pd.Categorical(["new"] * adata.n_obs)
    adata.obs_names = [f"new{i}" for i in range(adata.n_obs)]
    return adata


@pytest.fixture
def no_pickle(monkeypatch):
    """Context in which reading a pickle in any way fails."""

    def refuse(*_, **__):
        raise AssertionError("a pickle was read")

    readers = [
        (pickle, "load"),
        (pickle, "loads"),
        (pickle, "Unpickler"),
        (torch, "load"),
        (pd, "read_pickle"),
    ]

    @contextmanager
    def context():
        with monkeypatch.context() as patch:
            for module, name in readers:
                patch.setattr(module, name, refuse)
            yield

    return context
