"""tl.disentanglement: what it writes, that it survives a file, and what it says of bad input."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from distaff import metrics, tl

DEFAULT = [
    *("max_spearman", "single_dimension_accuracy", "mig", "smi", "lms", "msgs", "spn", "sap", "modularity"),
    "irs",
]
SLOW = ("dci", "infomec", "explicitness", "beta_vae_score", "factor_vae_score")
CELL_TYPES = np.array(["B", "CD4 T/NK", "Mono"])


WRITTEN = {
    *("scores", "noise", "ceiling", "p_value", "lower", "upper", "means", "best_dimension", "matrices"),
    *("details", "dimensions", "summary", "latent", "latent_correlation", "dependence", "factors", "params"),
}
SMALL = {"n_random": 1, "n_permutations": 1, "n_bootstrap": 2}


@pytest.fixture
def adata() -> anndata.AnnData:
    rng = np.random.default_rng(0)
    n = 1500
    cell_type = rng.integers(0, 3, n)
    usage = rng.random((n, 2))
    Z = rng.normal(size=(n, 5))
    Z[:, 1] += 6 * (cell_type == 1)
    Z[:, 3] = usage[:, 0] ** 2
    obs = pd.DataFrame(index=[f"cell{i}" for i in range(n)])
    obs["cell_type"] = pd.Categorical(CELL_TYPES[cell_type], categories=CELL_TYPES)
    obs["condition"] = rng.choice(["ctrl", "stim"], n)
    obs.loc[obs.index[:100], "condition"] = None
    data = anndata.AnnData(np.ones((n, 2), dtype=np.float32), obs=obs)
    data.obsm["X_distaff"] = Z.astype(np.float32)
    data.obsm["usage"] = pd.DataFrame(usage, index=obs.index, columns=["cycle/S", "stress"])
    data.uns["distaff"] = {"params": {"model": "BetaVAE"}}
    return data


def run(adata: anndata.AnnData, **options) -> dict:
    tl.disentanglement(adata, options.pop("factors", ["cell_type", "condition", "usage"]), **options)
    return adata.uns[options.get("key", "distaff")]["disentanglement"]


def test_scores_are_those_of_the_metrics(adata) -> None:
    result = run(adata)
    scores, best = result["scores"], result["best_dimension"]
    rows = [
        "cell_type",
        "cell_type: B",
        "cell_type: CD4 T_NK",
        "cell_type: Mono",
        "condition",
        "cycle_S",
        "stress",
    ]
    assert list(scores.index) == list(best.index) == list(result["factors"].index) == rows
    assert list(scores.columns) == DEFAULT
    expected = metrics.mig(adata.obsm["X_distaff"], adata.obs["cell_type"].to_numpy())
    assert scores.loc["cell_type", "mig"] == pytest.approx(expected.value)
    assert np.isnan(scores.loc["cell_type", "smi"])  # scored class by class
    assert np.isnan(scores.loc["cycle_S", "single_dimension_accuracy"])  # not a class
    by_class = ["single_dimension_accuracy", "spn"]
    assert (best.loc["cycle_S", by_class] == "").all()
    assert (best.loc["cycle_S"].drop(by_class) == "Factor 4").all()
    assert best.loc["cell_type: CD4 T_NK", "single_dimension_accuracy"] == "Factor 2"
    accuracy = metrics.single_dimension_accuracy(adata.obsm["X_distaff"], adata.obs["cell_type"])
    np.testing.assert_allclose(
        result["matrices"]["single_dimension_accuracy"].iloc[:, :3], accuracy.matrix, rtol=1e-12
    )
    for name, matrix in result["matrices"].items():
        assert list(matrix.index) == [f"Factor {i}" for i in range(1, 6)]
        assert scores.loc[matrix.columns, name].notna().all()
    assert result["summary"]["smi"] == pytest.approx(scores["smi"].mean())


def test_references_are_those_of_assess(adata) -> None:
    result = run(adata, n_random=2, n_permutations=3)
    Y = adata.obs[["cell_type", "condition"]].join(adata.obsm["usage"])
    for name, metric in (("mig", metrics.mig), ("lms", lambda Z, Y: metrics.lms(metrics.smi(Z, Y)))):
        expected = metrics.assess(
            metric, adata.obsm["X_distaff"].astype(float), Y, n_random=2, n_permutations=3
        )
        found = expected.per_factor.rename(lambda label: label.replace("/", "_"))
        for column in ("noise", "ceiling", "p_value"):
            np.testing.assert_allclose(result[column].loc[found.index, name], found[column], rtol=1e-12)
        np.testing.assert_allclose(
            result["means"].loc[name, ["score", "noise", "ceiling", "p_value"]].astype(float),
            expected.mean[["score", "noise", "ceiling", "p_value"]],
        )
    slow = result["noise"]["single_dimension_accuracy"]
    assert slow.isna().all()  # on request only
    assert "lower" not in result
    assert result["params"]["truth"]["mig"] in ("classes", "numbered")


def test_references_of_chosen_metrics(adata) -> None:
    options = {"factors": "condition", "n_random": 1}
    result = run(adata, metrics=["mig", "single_dimension_accuracy"], references="all", **options)
    assert 0.5 < result["noise"].loc["condition", "single_dimension_accuracy"] < 0.6
    assert result["ceiling"].loc["condition"].tolist() == [1.0, 1.0]
    none = run(adata, metrics="mig", references=None, **options)
    assert not {"noise", "ceiling", "means"} & set(none)
    assert none["scores"].equals(run(adata, metrics="mig", **options)["scores"])


def test_threads_change_nothing(adata) -> None:
    one, two = (run(adata, n_random=2, n_jobs=n) for n in (1, 2))
    for name in ("scores", "noise", "ceiling"):
        pd.testing.assert_frame_equal(one[name], two[name])


def test_progress(adata, capfd) -> None:
    run(adata, metrics="mig", factors="condition")
    assert capfd.readouterr().err == ""
    run(adata, metrics="mig", factors="condition", progress=True)
    assert "mig" in capfd.readouterr().err


def test_scores_of_dimensions(adata) -> None:
    result = run(adata, metrics=["modularity", "dci"])
    expected = metrics.modularity(
        adata.obsm["X_distaff"], adata.obs[["cell_type", "condition"]].join(adata.obsm["usage"])
    )
    table = result["dimensions"]["modularity"]
    np.testing.assert_allclose(table["score"], expected.per_dimension["score"])
    assert table.loc["Factor 4", "best_factor"] == "cycle_S"
    assert result["summary"]["modularity"] == pytest.approx(expected.value)
    assert result["summary"]["modularity_all_dimensions"] == pytest.approx(expected.summary["all_dimensions"])
    assert result["details"]["dci"].loc["cycle_S", "completeness"] > 0.8


def test_independence_of_the_dimensions(adata) -> None:
    adata.obsm["X_distaff"][:, 4] = 0
    adata.obsm["X_distaff"][:, 0] += adata.obsm["X_distaff"][:, 2]
    result = run(adata, metrics="mig")
    expected = metrics.total_correlation(adata.obsm["X_distaff"].astype(float))
    assert result["latent"]["total_correlation"] == pytest.approx(expected.value)
    assert result["latent"]["n_varying"] == 4
    assert result["latent_correlation"].loc["Factor 1", "Factor 3"] == pytest.approx(0.5**0.5, abs=0.05)


def test_dependence_of_the_factors(adata) -> None:
    adata.obs["T cell"] = adata.obs["cell_type"] == "CD4 T/NK"
    result = run(adata, factors=["cell_type", "T cell", "usage"], metrics="mig")
    table = result["factors"]
    assert table.loc["T cell", "depends_on"] == "cell_type"
    assert table.loc["T cell", "dependence"] == pytest.approx(1, abs=0.01)
    assert table.loc["cell_type", "depends_on"] == "T cell"
    # what the other factor takes away is missing from the gap that the truth itself has
    assert result["ceiling"].loc["cell_type", "mig"] <= 1 - table.loc["cell_type", "dependence"] + 0.01
    assert result["dependence"].loc["cycle_S", "cycle_S"] == 1
    assert "cell_type: B" not in result["dependence"]
    alone = run(adata, factors="condition", metrics="mig")["factors"].loc["condition"]
    assert np.isnan(alone["dependence"])
    assert alone["depends_on"] == ""


@pytest.mark.parametrize("metric", ["lms", "msas", "msgs"])
def test_aggregations_bring_the_matrix_of_smi(adata, metric) -> None:
    result = run(adata, metrics=metric, references=None)
    assert list(result["matrices"]) == ["smi"]
    aggregate = getattr(metrics, metric)(result["matrices"]["smi"])
    np.testing.assert_allclose(result["scores"].loc[aggregate.per_factor.index, metric], aggregate.per_factor)


def test_model_that_uses_no_dimension(adata) -> None:
    names = [f"Factor {i}" for i in range(1, 6)]
    adata.uns["distaff"]["factors"] = pd.DataFrame({"active": [False] * 5}, index=names)
    with pytest.warns(UserWarning, match="uses none of the dimensions of X_distaff.*active_only=False"):
        result = run(adata, factors="usage", metrics="mig")
    assert result["scores"].loc["cycle_S", "mig"] == 0
    assert result["latent"]["n_varying"] == 0


def test_a_latent_of_another_tool(adata) -> None:
    from sklearn.decomposition import PCA

    adata.obsm["X_pca"] = PCA(3, random_state=0).fit_transform(adata.obsm["X_distaff"])
    result = run(adata, use_rep="X_pca")
    assert list(result["scores"].columns) == DEFAULT
    assert result["latent"]["mean_correlation"] == pytest.approx(0, abs=1e-5)


def test_sources_and_counts(adata) -> None:
    table = run(adata)["factors"]
    row = table.loc["cell_type: CD4 T_NK"]
    assert row["label"] == "cell_type: CD4 T/NK"
    assert (row["slot"], row["name"], row["class"], row["kind"]) == ("obs", "cell_type", "CD4 T/NK", "binary")
    assert table.loc["condition", ["n_cells", "n_missing"]].tolist() == [1400, 100]
    assert table.loc["condition", "class"] == "stim"
    assert table.loc["cycle_S", ["slot", "name", "column"]].tolist() == ["obsm", "usage", "cycle/S"]


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_round_trip(adata, tmp_path, kind) -> None:
    result = run(adata, active_only=False, metrics="all", references=["mig", "lms"], **SMALL)
    del adata.obsm["usage"]  # "/" in the user's own table is not ours to repair
    path = tmp_path / f"a.{kind}"
    getattr(adata, f"write_{kind}")(path)
    back = getattr(anndata, f"read_{kind}")(path).uns["distaff"]["disentanglement"]
    assert set(back) == set(result) == WRITTEN
    for name, entry in result.items():
        if isinstance(entry, pd.DataFrame):
            pd.testing.assert_frame_equal(back[name], entry, check_dtype=False)
    for name in ("matrices", "details", "dimensions"):
        assert set(back[name]) == set(result[name])
        for metric, table in result[name].items():
            pd.testing.assert_frame_equal(back[name][metric], table, check_dtype=False)
    assert set(back["dimensions"]) == {"modularity", "irs", "dci", "infomec"}
    assert set(back["matrices"]) == {*DEFAULT, *SLOW} - {"lms", "msgs"}
    for name in ("summary", "latent"):
        assert back[name] == pytest.approx(result[name], nan_ok=True)
    assert back["params"] == result["params"]


def test_only_the_documented_slot_changes(adata) -> None:
    before = adata.copy()
    assert tl.disentanglement(adata, ["cell_type", "usage"]) is None
    assert set(adata.uns) == {"distaff"}
    assert set(adata.uns["distaff"]) == {"params", "disentanglement"}
    assert adata.uns["distaff"]["params"] == {"model": "BetaVAE"}
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    np.testing.assert_array_equal(adata.obsm["X_distaff"], before.obsm["X_distaff"])
    pd.testing.assert_frame_equal(adata.obsm["usage"], before.obsm["usage"])
    assert set(adata.obsm) == set(before.obsm)


def test_copy(adata) -> None:
    other = tl.disentanglement(adata, "condition", copy=True)
    assert "disentanglement" in other.uns["distaff"]
    assert "disentanglement" not in adata.uns["distaff"]


def test_other_key_and_representation(adata) -> None:
    adata.obsm["X_other"] = pd.DataFrame(
        adata.obsm["X_distaff"][:, :2], index=adata.obs_names, columns=["u", "v"]
    )
    result = run(adata, factors="cell_type", key="second", use_rep="X_other", metrics="mig")
    assert list(result["matrices"]["mig"].index) == ["u", "v"]
    assert result["params"]["use_rep"] == "X_other"
    assert "disentanglement" not in adata.uns["distaff"]


def test_names_and_activity_of_the_models_table(adata) -> None:
    table = pd.DataFrame({"active": [True, True, True, False, True]}, index=[f"set {c}" for c in "abcde"])
    adata.uns["distaff"]["factors"] = table
    result = run(adata, factors="usage", metrics=["max_spearman", "mig"])
    assert list(result["matrices"]["mig"].index) == list(table.index)
    assert (result["matrices"]["max_spearman"].loc["set d"] == 0).all()
    assert result["params"]["n_inactive"] == 1
    everything = run(adata, factors="usage", active_only=False)
    assert everything["best_dimension"].loc["cycle_S", "mig"] == "set d"
    # the table describes the model's own latent, no other
    other = run(adata, factors="usage", use_rep="X_distaff")
    assert other["best_dimension"].loc["cycle_S", "mig"] == "Factor 4"


def test_missing_labels_equal_the_subset(adata) -> None:
    whole = run(adata, factors="condition")
    part = anndata.AnnData(obs=adata.obs[100:], obsm={"X_distaff": adata.obsm["X_distaff"][100:]})
    pd.testing.assert_frame_equal(run(part, factors="condition")["scores"], whole["scores"])


def test_metrics_that_do_not_apply(adata) -> None:
    assert "single_dimension_accuracy" not in run(adata, factors="usage")["scores"]
    with pytest.raises(ValueError, match="classes only"):
        run(adata, factors="usage", metrics=["single_dimension_accuracy"])


def test_names_that_collide_without_slash(adata) -> None:
    adata.obsm["usage"].columns = ["a/b", "a_b"]
    result = run(adata, factors="usage", metrics="mig")
    assert list(result["scores"].index) == ["a_b", "a_b (2)"]
    assert list(result["factors"]["label"]) == ["a/b", "a_b"]


def test_plain_and_sparse_tables(adata) -> None:
    from scipy.sparse import csr_matrix

    adata.obsm["array"] = adata.obsm["usage"].to_numpy()
    adata.obsm["sparse"] = csr_matrix(adata.obsm["array"])
    a = run(adata, factors="array", metrics="mig")["scores"]
    b = run(adata, factors="sparse", metrics="mig")["scores"]
    assert list(a.index) == ["array 1", "array 2"]
    np.testing.assert_array_equal(a, b)


def test_constant_factor(adata) -> None:
    adata.obs["same"] = "x"
    with pytest.warns(UserWarning, match="'same'"):
        result = run(adata, factors=["same", "condition"], metrics="mig")
    assert np.isnan(result["scores"].loc["same", "mig"])
    assert result["best_dimension"].loc["same", "mig"] == ""


def test_counts_must_be_declared(adata) -> None:
    adata.obs["n_counts"] = np.arange(adata.n_obs)
    with pytest.raises(ValueError, match="'n_counts' must be declared"):
        run(adata, factors="n_counts")
    result = run(adata, factors="n_counts", kinds={"n_counts": "continuous"}, metrics="mig")
    assert result["factors"].loc["n_counts", "kind"] == "continuous"


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (
            {"factors": "celltype"},
            KeyError,
            "'celltype'.*columns are 'cell_type', 'condition'.*tables are 'X_distaff'",
        ),
        ({"factors": []}, ValueError, "at least one"),
        ({"factors": ["condition", "condition"]}, ValueError, "'condition' more than once"),
        ({"use_rep": "X_pca"}, KeyError, "'X_pca'.*there are 'X_distaff', 'usage'"),
        ({"key": "nope"}, KeyError, "'X_nope'.*Run tl.latent first"),
        ({"metrics": "gap"}, ValueError, "one of 'max_spearman'.*got 'gap'"),
        ({"metrics": []}, ValueError, "at least one metric"),
        ({"references": "slow"}, ValueError, "references must be one of .*'fast'.*got 'slow'"),
        ({"metrics": ["mig", "all"]}, ValueError, "got 'all'"),
        ({"n_random": -1}, ValueError, "n_random must be >= 0"),
        ({"n_jobs": "all"}, TypeError, "n_jobs must be an integer"),
        ({"random_state": 0.5}, TypeError, "random_state must be an integer"),
        ({"kinds": {"nope": "binary"}}, ValueError, "'nope'"),
    ],
)
def test_bad_input(adata, options, kind, message) -> None:
    with pytest.raises(kind, match=message):
        run(adata, **options)
    assert set(adata.uns) == {"distaff"}
    assert set(adata.uns["distaff"]) == {"params"}


def test_latent_that_is_not_finite(adata) -> None:
    adata.obsm["X_distaff"][7, 2] = np.nan
    with pytest.raises(
        ValueError, match=r"obsm\['X_distaff'\] must be finite, got nan for cell 'cell7' in 'Factor 3'"
    ):
        run(adata)


@pytest.mark.parametrize("name", ["", ".", "_index", "a\0b"])
@pytest.mark.parametrize("what", ["factors", "dimensions"])
def test_names_that_no_file_can_hold(adata, name, what) -> None:
    if what == "factors":
        adata.obs[name] = adata.obs["condition"]
    else:
        names = [name, "b", "c", "d", "e"]
        adata.uns["distaff"]["factors"] = pd.DataFrame({"active": True}, index=names)
    chosen = name if what == "factors" else "condition"
    with pytest.raises(ValueError, match=f"Names of {what} must be names that files can hold, got"):
        tl.disentanglement(adata, chosen)
    assert "disentanglement" not in adata.uns["distaff"]


def test_a_warning_of_several_metrics_is_given_once(adata) -> None:
    few = adata[:40].copy()
    few.obs["rare"] = pd.Categorical(["a", "b", "c", *["d"] * 37])
    with pytest.warns(UserWarning, match="Too few cells for so many bins") as caught:
        tl.disentanglement(few, "rare", metrics=["smi", "lms", "msas"], references=None)
    assert len(caught) == len({str(one.message) for one in caught})
    assert {one.filename for one in caught} == {__file__}


def test_seed(adata) -> None:
    adata.obs["random"] = np.random.default_rng(1).choice(["u", "v"], adata.n_obs, p=[0.2, 0.8])
    options = {"factors": "random", "metrics": "single_dimension_accuracy"}
    first, second, third = run(adata, **options), run(adata, **options), run(adata, random_state=1, **options)
    pd.testing.assert_frame_equal(first["scores"], second["scores"])
    assert not first["matrices"]["single_dimension_accuracy"].equals(
        third["matrices"]["single_dimension_accuracy"]
    )


def test_real_data(data_dir) -> None:
    adata = anndata.read_h5ad(data_dir / "kang_pbmc_2k.h5ad")
    genes = adata.var_names.get_indexer(["ISG15", "IFI6", "CD74", "LYZ"])
    adata.obsm["X_distaff"] = np.log1p(adata.X.toarray()[:, genes])
    result = run(
        adata, factors=["condition", "cell_type"], metrics=["max_spearman", "single_dimension_accuracy"]
    )
    # interferon genes tell the condition almost by themselves
    assert result["scores"].loc["condition", "single_dimension_accuracy"] > 0.85
    assert result["factors"].loc["condition", "class"] == "stim"


def test_scores_that_are_1_for_a_single_factor(adata):
    assert "modularity" not in run(adata, factors="condition", references=None)["scores"]
    with pytest.warns(UserWarning, match="dci of a single factor, here 'condition', is 1"):
        result = run(adata, factors="condition", metrics="dci", references=None)
    assert result["summary"]["dci"] == pytest.approx(1.0)
