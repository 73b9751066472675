"""tl.consensus: recovers what the runs share, in any order and with any signs, and reads back."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

import distaff as ds
from distaff import tl

FAST = {"batch_size": 64, "accelerator": "cpu", "enable_progress_bar": False}
KEYS = ["a", "b", "c", "d"]


def runs_data(*, positive=False, noise=0.3, n=400, n_genes=30):
    """Four runs of three shared factors in other orders and signs, each with one of its own."""
    rng = np.random.default_rng(0)
    adata = anndata.AnnData(np.ones((n, n_genes), dtype=np.float32))
    truth, effect = rng.normal(size=(n, 3)), rng.normal(size=(n_genes, 3))
    truth, effect = (np.exp(truth), np.exp(effect)) if positive else (truth, effect)
    adata.obsm["truth"], adata.varm["truth"] = truth, effect
    for key in KEYS:
        order = rng.permutation(3)
        sign = np.ones(3) if positive else rng.choice([-1, 1], 3)
        scale = np.array([1.0, 5.0, 0.2])
        Z = np.hstack([truth[:, order] * sign * scale, rng.normal(size=(n, 1))])
        L = np.hstack([effect[:, order] * sign / scale, rng.normal(size=(n_genes, 1))])
        Z[:, :3] += noise * Z[:, :3].std(0) * rng.normal(size=(n, 3))
        adata.obsm[f"X_{key}"] = np.abs(Z) if positive else Z
        adata.varm[f"{key}_loadings"] = np.abs(L) if positive else L
    return adata


def crossed(A, B):
    return np.corrcoef(np.asarray(A).T, np.asarray(B).T)[: A.shape[1], A.shape[1] :]


@pytest.mark.parametrize("by", ["scores", "loadings"])
@pytest.mark.parametrize("positive", [False, True])
def test_recovers_what_runs_share(by, positive) -> None:
    adata = runs_data(positive=positive)
    assert tl.consensus(adata, KEYS, by=by) is None
    entry = adata.uns["consensus"]
    table = entry["consensus"]
    assert table["n_runs"].tolist() == [4, 4, 4]
    assert table["stable"].all()
    Z, L = adata.obsm["X_consensus"], adata.varm["consensus_loadings"]
    assert Z.dtype == np.float32
    scores, genes = crossed(Z, adata.obsm["truth"]), crossed(L, adata.varm["truth"])
    assert (np.abs(scores).max(axis=1) > 0.95).all()
    assert sorted(np.abs(scores).argmax(axis=1)) == [0, 1, 2]
    assert (np.sign(scores) == np.sign(genes))[np.abs(scores) > 0.9].all()
    assert ((Z >= 0).all() and (L >= 0).all(axis=None)) == positive
    single = np.abs(crossed(adata.obsm["X_a"], adata.obsm["truth"])).max(axis=0)
    assert np.abs(scores).max(axis=0).mean() > single.mean()
    assert list(entry["factors"].index) == list(L) == list(table.index)
    assert (entry["factors"]["direction"] == 1).all()
    members = entry["consensus_members"]
    assert (members["consensus"] == "").sum() == 4
    for name in table.index:
        own = members[members["consensus"] == name]
        assert dict(zip(own["run"], own["factor"], strict=True)) == {
            key: table.loc[name, f"factor_{key}"] for key in KEYS
        }


def test_scores_are_means_of_aligned_members() -> None:
    adata = runs_data()
    tl.consensus(adata, KEYS)
    members = adata.uns["consensus"]["consensus_members"]
    R = adata.uns["consensus"]["consensus_correlation"]
    for k, name in enumerate(adata.uns["consensus"]["consensus"].index):
        rows = members["consensus"].to_numpy() == name
        own = members[rows]
        Z = np.stack(
            [
                sign * adata.obsm[f"X_{run}"][:, int(factor.split()[1]) - 1]
                for run, factor, sign in zip(own["run"], own["factor"], own["sign"], strict=True)
            ]
        )
        z = (Z - Z.mean(1, keepdims=True)) / Z.std(1, keepdims=True)
        np.testing.assert_allclose(adata.obsm["X_consensus"][:, k], z.mean(0), atol=1e-5)
        expected = np.corrcoef(Z)
        signs = own["sign"].to_numpy()
        np.testing.assert_allclose(R[np.ix_(rows, rows)], expected * np.outer(signs, signs), atol=1e-5)
        pairs = expected[np.triu_indices(4, 1)].mean()
        assert adata.uns["consensus"]["consensus"].loc[name, "stability"] == pytest.approx(pairs)
        np.testing.assert_allclose(own["similarity"], (expected.sum(0) - 1) / 3)


def test_order_of_runs_does_not_matter() -> None:
    adata = runs_data(noise=1.0)
    tl.consensus(adata, KEYS, threshold=0.3)
    first = adata.obsm["X_consensus"].copy(), adata.uns["consensus"]["consensus"]
    tl.consensus(adata, KEYS[::-1], threshold=0.3)
    np.testing.assert_allclose(adata.obsm["X_consensus"], first[0], atol=1e-5)
    again = adata.uns["consensus"]["consensus"][first[1].columns]
    columns = [column for column in again if column != "chance"]  # draws go by the order of the runs
    pd.testing.assert_frame_equal(again[columns], first[1][columns])


def test_the_same_twice_and_a_copy() -> None:
    adata = runs_data()
    state = np.random.get_state()[1].copy()
    copies = [tl.consensus(adata, KEYS, copy=True) for _ in range(2)]
    assert "X_consensus" not in adata.obsm
    assert "consensus" not in adata.uns
    np.testing.assert_array_equal(copies[0].obsm["X_consensus"], copies[1].obsm["X_consensus"])
    tables = [copy.uns["consensus"]["consensus"] for copy in copies]
    pd.testing.assert_frame_equal(*tables)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_axes_that_say_nothing_are_not_stable() -> None:
    rng = np.random.default_rng(0)
    adata = anndata.AnnData(np.ones((500, 2), dtype=np.float32))
    space = rng.normal(size=(500, 8))
    for key in KEYS:
        adata.obsm[f"X_{key}"] = space @ np.linalg.qr(rng.normal(size=(8, 8)))[0]
    tl.consensus(adata, KEYS)
    table = adata.uns["consensus"]["consensus"]
    assert (table["stability"] > 0.5).sum() > 4
    assert table["stable"].mean() <= 0.2


def test_models_and_their_keys_give_the_same() -> None:
    adata = ds.datasets.simulate_gep(150, 200, random_state=0)
    ds.model.ProgramVAE.setup_anndata(adata)
    models = []
    for seed, n_latent in enumerate((3, 4)):
        model = ds.model.ProgramVAE(adata, n_latent=n_latent)
        model.train(10, seed=seed, **FAST)
        tl.latent(adata, model, key=f"run {seed + 1}")
        tl.loadings(adata, model, key=f"run {seed + 1}")
        models.append(model)
    tl.consensus(adata, models, threshold=0.05)
    tl.consensus(adata, ["run 1", "run 2"], threshold=0.05, key="stored")
    np.testing.assert_array_equal(adata.obsm["X_consensus"], adata.obsm["X_stored"])
    pd.testing.assert_frame_equal(adata.uns["consensus"]["consensus"], adata.uns["stored"]["consensus"])
    pd.testing.assert_frame_equal(adata.varm["consensus_loadings"], adata.varm["stored_loadings"])
    n_active = sum(adata.uns[f"run {i}"]["factors"]["active"].sum() for i in (1, 2))
    assert len(adata.uns["consensus"]["consensus_members"]) == n_active >= 2
    assert (adata.obsm["X_consensus"] >= 0).all()


def test_inactive_factors_have_no_part() -> None:
    adata = runs_data()
    adata.uns["a"] = {"factors": pd.DataFrame({"active": [True, True, True, False]}, index=list("wxyz"))}
    adata.obsm["X_b"][:, 3] = 2.0
    tl.consensus(adata, KEYS)
    members = adata.uns["consensus"]["consensus_members"]
    assert set(members.loc[members["run"] == "a", "factor"]) == set("wxy")
    assert members["run"].value_counts().to_dict() == {"a": 3, "b": 3, "c": 4, "d": 4}


def test_gene_sets_keep_their_name() -> None:
    adata = runs_data()
    for key in KEYS:
        best = np.abs(crossed(adata.obsm[f"X_{key}"], adata.obsm["truth"])).argmax(axis=1)
        names = ["INTERFERON", "CYCLE", "STRESS"]
        index = [*[names[i] for i in best[:3]], "Dense 1"]
        kinds = ["annotated"] * 3 + ["dense"]
        adata.uns[key] = {"factors": pd.DataFrame({"kind": kinds, "active": True}, index=index)}
    tl.consensus(adata, KEYS)
    table = adata.uns["consensus"]["factors"]
    assert set(table.index) == {"INTERFERON", "CYCLE", "STRESS"}
    assert (table["kind"] == "annotated").all()


def test_without_loadings_there_are_none() -> None:
    adata = runs_data()
    tl.consensus(adata, KEYS)
    del adata.varm["c_loadings"]
    tl.consensus(adata, KEYS)  # those of another consensus do not stay
    assert "consensus_loadings" not in adata.varm
    assert "l2_norm" not in adata.uns["consensus"]["factors"]
    with pytest.raises(ValueError, match="Runs must have loadings.*got none for 'c'"):
        tl.consensus(adata, KEYS, by="loadings")


@pytest.mark.parametrize("form", ["h5ad", "zarr"])
def test_round_trip_renaming_and_other_tools(tmp_path, form) -> None:
    adata = runs_data()
    adata.obs["condition"] = np.repeat(["x", "y"], 200)
    path = tmp_path / f"a.{form}"
    getattr(adata, f"write_{form}")(path)
    adata = getattr(anndata, f"read_{form}")(path)
    tl.consensus(adata, KEYS)
    tl.rank_factors(adata, "condition", key="consensus")
    getattr(adata, f"write_{form}")(path)
    back = getattr(anndata, f"read_{form}")(path)
    for name in ("consensus", "consensus_members", "factors"):
        pd.testing.assert_frame_equal(
            back.uns["consensus"][name],
            adata.uns["consensus"][name],
            check_index_type=False,
            check_dtype=False,
        )
    tl.rename_factors(back, {"Consensus 2": "stress"}, key="consensus")
    assert list(back.uns["consensus"]["consensus"].index) == ["Consensus 1", "stress", "Consensus 3"]
    assert set(back.uns["consensus"]["consensus_members"]["consensus"]) == {
        "Consensus 1",
        "stress",
        "Consensus 3",
        "",
    }
    assert "stress" in set(back.uns["consensus"]["rank_factors"]["table"]["factor"])


@pytest.mark.parametrize(
    ("models", "options", "kind", "message"),
    [
        ("ab", {}, TypeError, "models must be a list of models or keys, got 'ab'"),
        (["a"], {}, ValueError, "models must hold 2 runs or more, got 1"),
        (["a", "a"], {}, ValueError, "name each key once, got 'a' more than once"),
        (["a", "nope"], {}, KeyError, "'X_nope'"),
        (["a", 3], {}, TypeError, r"get_latent_representation\(\), got int"),
        (["a", "b"], {"key": "a"}, ValueError, "key must differ from those of the runs, got 'a'"),
        (["a", "b"], {"by": "cells"}, ValueError, "by must be one of 'scores', 'loadings'"),
        (["a", "b"], {"threshold": 1}, ValueError, "threshold must be < 1"),
        (["a", "noise"], {}, ValueError, "share a factor with a correlation above 0.5, got none"),
        (["a", "still"], {}, ValueError, "must have an active factor, got none in 'still'"),
    ],
)
def test_bad_input_changes_nothing(models, options, kind, message) -> None:
    adata = runs_data()
    adata.obsm["X_noise"] = np.random.default_rng(5).normal(size=(400, 2))
    adata.obsm["X_still"] = np.ones((400, 2))
    with pytest.raises(kind, match=message):
        tl.consensus(adata, models, **options)
    assert "consensus" not in adata.uns
    assert "X_consensus" not in adata.obsm
