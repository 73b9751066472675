"""tl.rename_factors: every place that names a factor, and names that cannot be."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from distaff import model, pl, tl

OLD = ["A", "B", "C"]


@pytest.fixture
def adata():
    rng = np.random.default_rng(0)
    adata = anndata.AnnData(np.ones((200, 10), dtype=np.float32))
    adata.obs["condition"] = np.repeat(["ctrl", "stim"], 100)
    Z = rng.normal(size=(200, 3))
    Z[:100, 1] += 10
    adata.obsm["X_distaff"] = pd.DataFrame(Z, index=adata.obs_names, columns=OLD)
    adata.varm["distaff_loadings"] = pd.DataFrame(
        rng.normal(size=(10, 3)), index=adata.var_names, columns=OLD
    )
    tl.factors(adata)
    adata.uns["distaff"]["kl_per_dimension"] = pd.DataFrame(np.ones((2, 3)), columns=OLD)
    tl.disentanglement(adata, "condition", metrics=["mig", "irs"], references=None)
    tl.rank_factors(adata, "condition")
    sets = np.repeat(np.eye(2), 5, axis=0)
    adata.varm["gene_sets"] = pd.DataFrame(sets, index=adata.var_names, columns=["s", "t"])
    tl.enrich(adata)
    # as tl.traverse leaves them
    adata.varm["distaff_traversal"] = adata.varm["distaff_loadings"].copy()
    ends = pd.DataFrame({"low": 0.0, "high": 1.0}, index=OLD)
    adata.uns["distaff"]["traversal"] = {"range": ends, "params": {"n_cells": 200}}
    return adata


def expect(adata, names):
    entry = adata.uns["distaff"]
    assert list(entry["factors"].index) == names
    assert list(entry["kl_per_dimension"]) == names
    assert list(adata.varm["distaff_loadings"]) == names
    assert list(adata.obsm["X_distaff"]) == names
    assert list(adata.varm["distaff_traversal"]) == names
    assert list(entry["traversal"]["range"].index) == names
    assert entry["rank_factors"]["table"]["factor"].iloc[0] == names[1]  # rows are sorted by effect
    assert set(entry["rank_factors"]["table"]["factor"]) == set(names)
    assert set(entry["enrich"]["table"]["factor"]) == set(names)
    scores = entry["disentanglement"]
    assert scores["best_dimension"].loc["condition", "mig"] == names[1]
    assert list(scores["matrices"]["mig"].index) == names
    assert list(scores["matrices"]["mig"]) == ["condition"]
    assert list(scores["dimensions"]["irs"].index) == names
    assert list(scores["latent_correlation"].index) == names
    assert list(scores["latent_correlation"]) == names


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"B": "interferon"}, ["A", "interferon", "C"]),
        ({"A": "B", "B": "A"}, ["B", "A", "C"]),
        (["x", "y", "z"], ["x", "y", "z"]),
        ({}, OLD),
    ],
)
def test_every_place(adata, names, expected):
    values = adata.varm["distaff_loadings"].to_numpy().copy()
    factors = adata.uns["distaff"]["factors"].copy()
    assert tl.rename_factors(adata, names) is None
    expect(adata, expected)
    np.testing.assert_array_equal(adata.varm["distaff_loadings"], values)
    pd.testing.assert_frame_equal(adata.uns["distaff"]["factors"], factors.set_axis(expected))
    tl.factors(adata)
    pd.testing.assert_frame_equal(adata.uns["distaff"]["factors"], factors.set_axis(expected))
    assert pl.top_genes(adata, expected[1])[0].get_title() == expected[1]


def test_there_and_back(adata):
    before = adata.copy()
    tl.rename_factors(adata, {"A": "x"})
    tl.rename_factors(adata, {"x": "A"})
    expect(adata, OLD)
    pd.testing.assert_frame_equal(adata.uns["distaff"]["factors"], before.uns["distaff"]["factors"])


@pytest.mark.parametrize("form", ["h5ad", "zarr"])
def test_survives_writing(adata, tmp_path, form):
    path = tmp_path / f"a.{form}"
    getattr(adata, f"write_{form}")(path)
    back = getattr(anndata, f"read_{form}")(path)
    tl.rename_factors(back, ["x", "y", "z"])
    getattr(back, f"write_{form}")(path)
    expect(getattr(anndata, f"read_{form}")(path), ["x", "y", "z"])


def test_tables_of_other_origin(adata):
    values = adata.varm["distaff_loadings"].to_numpy()
    adata.varm["distaff_loadings"] = pd.DataFrame(
        values, index=adata.var_names, columns=["Z_0", "Z_1", "Z_2"]
    )
    adata.obsm["X_distaff"] = adata.obsm["X_distaff"].to_numpy()
    tl.rename_factors(adata, {"A": "x"})
    assert list(adata.varm["distaff_loadings"]) == ["x", "B", "C"]
    assert isinstance(adata.obsm["X_distaff"], np.ndarray)


def test_scores_of_another_representation_stay(adata):
    adata.obsm["X_pca"] = np.random.default_rng(0).normal(size=(200, 3))
    tl.disentanglement(adata, "condition", metrics="mig", references=None, use_rep="X_pca")
    before = adata.uns["distaff"]["disentanglement"]["matrices"]["mig"]
    tl.rename_factors(adata, {"A": "x"})
    pd.testing.assert_frame_equal(adata.uns["distaff"]["disentanglement"]["matrices"]["mig"], before)


def test_a_copy_leaves_the_original_alone(adata):
    expect(tl.rename_factors(adata, ["x", "y", "z"], copy=True), ["x", "y", "z"])
    expect(adata, OLD)


@pytest.mark.parametrize(
    ("names", "kind", "message"),
    [
        ({"D": "x"}, KeyError, "names must be of factors, got 'D'. There are 'A', 'B', 'C'"),
        ({"A": "B"}, ValueError, "must differ, got 'B' more than once"),
        ({"A": "x", "B": "x"}, ValueError, "must differ, got 'x' more than once"),
        ({"A": "x/y"}, ValueError, "no \"/\".*got 'x/y'"),
        ({"A": " "}, ValueError, "must hold a letter"),
        ({"A": 1}, TypeError, "A name must be a string, got 1"),
        (["x", "y"], ValueError, "must name all 3 factors, got 2 names"),
        ("xyz", TypeError, "names must be a dict or a list, got 'xyz'"),
    ],
)
def test_bad_names_change_nothing(adata, names, kind, message):
    with pytest.raises(kind, match=message):
        tl.rename_factors(adata, names)
    expect(adata, OLD)


def test_missing_table_and_loadings_of_others(adata):
    with pytest.raises(
        KeyError, match=r"uns\['nope'\] must hold 'factors', got nothing. Run distaff.tl.factors"
    ):
        tl.rename_factors(adata, {}, key="nope")
    adata.varm["distaff_loadings"] = adata.varm["distaff_loadings"].rename(columns={"C": "other"})
    with pytest.raises(ValueError, match="distaff_loadings must have a column for each of the 3 factors"):
        tl.rename_factors(adata, {"A": "x"})
    assert list(adata.uns["distaff"]["factors"].index) == OLD


@pytest.mark.parametrize("prior", ["normal", "vamp"])
def test_a_model_keeps_the_names_that_were_given(make_adata, prior):
    adata = make_adata(60, 12)
    model.FactorVAE.setup_anndata(adata)
    trained = model.FactorVAE(adata, n_latent=3, decoder="linear", prior=prior)
    trained.train(2, batch_size=32, accelerator="cpu", enable_progress_bar=False)
    tl.latent(adata, trained)
    tl.loadings(adata, trained)
    kl = adata.uns["distaff"]["kl_per_dimension"]
    tl.rename_factors(adata, {"Factor 2": "stress"})
    tl.factors(adata, trained)
    names = ["Factor 1", "stress", "Factor 3"]
    assert list(adata.uns["distaff"]["factors"].index) == names
    assert list(adata.varm["distaff_loadings"]) == names
    after = adata.uns["distaff"]["kl_per_dimension"]
    assert list(after) == (names if prior == "normal" else list(kl))
    assert pl.history(adata).shape
    assert len(pl.top_genes(adata, ["stress"])) == 1


def test_a_renamed_factor_answers_to_the_name_that_the_model_gives_it(make_adata):
    adata = make_adata(60, 12)
    model.LinearVAE.setup_anndata(adata)
    trained = model.LinearVAE(adata, n_latent=3)
    trained.train(2, batch_size=32, accelerator="cpu", enable_progress_bar=False)
    tl.latent(adata, trained)
    for name in ("stress", "stress", "shock"):  # a cell of a notebook that runs again
        tl.rename_factors(adata, {"Factor 2": name})
        assert list(adata.uns["distaff"]["factors"].index) == ["Factor 1", name, "Factor 3"]
    with pytest.raises(ValueError, match="names must name a factor once, got two names of 'shock'"):
        tl.rename_factors(adata, {"Factor 2": "a", "shock": "b"})
    tl.rename_factors(adata, {"Factor 1": "Factor 2"})  # a name that is in use means the factor that has it
    tl.rename_factors(adata, {"Factor 2": "first"})
    assert list(adata.uns["distaff"]["factors"].index) == ["first", "shock", "Factor 3"]


@pytest.mark.parametrize("name", [".", "..", "_index", "a\0b", "\ud800"])
def test_names_that_no_file_can_hold(name):
    adata = anndata.AnnData(obsm={"X_distaff": np.random.default_rng(0).normal(size=(9, 3))})
    tl.factors(adata)
    with pytest.raises(ValueError, match="Names of factors must be names that files can hold, got"):
        tl.rename_factors(adata, {"Factor 1": name})


@pytest.mark.parametrize("name", ["", ".", "_index"])
def test_names_that_stay_must_be_ones_of_files(name, tmp_path):
    adata = anndata.AnnData(np.ones((9, 2)))
    names = [name, "b", "c"]
    adata.obsm["X_distaff"] = np.random.default_rng(0).normal(size=(9, 3))
    adata.varm["distaff_loadings"] = pd.DataFrame(np.eye(3)[:2], index=adata.var_names, columns=names)
    adata.uns["distaff"] = {"factors": pd.DataFrame({"kind": "latent", "active": True, "kl": 1.0}, names)}
    with pytest.raises(ValueError, match="must be names that files can hold, got .* Give those others"):
        tl.rename_factors(adata, {"b": "new"})
    assert list(adata.uns["distaff"]["factors"].index) == names
    tl.rename_factors(adata, {name: "new"})
    adata.write_h5ad(tmp_path / "renamed.h5ad")
    back = anndata.read_h5ad(tmp_path / "renamed.h5ad")
    assert list(back.varm["distaff_loadings"]) == ["new", "b", "c"]
