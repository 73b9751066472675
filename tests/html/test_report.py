"""What the page holds, read back from the file."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from importlib.resources import files

import anndata
import numpy as np
import pandas as pd
import pytest

import distaff as ds
from distaff.tl._scoring import METRICS


def data_of(path):
    """Data of a page."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])


@pytest.fixture(scope="module")
def shown(full, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    ds.report(full, path)
    return data_of(path)


def values_of(shown, i):
    entry = shown["cells"]["values"][i]
    share = np.frombuffer(base64.b64decode(entry["bytes"]), dtype=np.uint8) / 255
    return entry["low"] + share * (entry["high"] - entry["low"])


def test_values_are_those_of_the_latent_in_its_direction(full, shown):
    table = full.uns["distaff"]["factors"]
    cells = np.random.default_rng(0).permutation(full.n_obs)
    for i in (0, 1):
        Z = full.obsm["X_distaff"].iloc[:, i].to_numpy() * table["direction"].iloc[i]
        clipped = np.clip(Z, *np.percentile(Z, (1, 99)))[cells]
        np.testing.assert_allclose(values_of(shown, i), clipped, atol=np.ptp(clipped) / 255)
    assert table["direction"].iloc[1] == -1


def test_direction_turns_genes_tests_and_sets(full, shown):
    """Factor 2 falls in treated cells and with its genes: in its direction both go up."""
    up, values = shown["genes"]["up"][1]
    assert {shown["genes"]["names"][gene] for gene in up[:8]} <= {f"GENE{i}" for i in range(10, 20)}
    assert min(values) > 0
    ranked = shown["ranked"]
    row = ranked["factor"].index(1)
    stored = full.uns["distaff"]["rank_factors"]["table"].set_index("factor").loc["Factor 2"]
    assert stored["effect"] < -1
    assert ranked["effect"][row] == pytest.approx(-stored["effect"], rel=1e-3)
    assert ranked["lower"][row] == pytest.approx(-stored["upper"], rel=1e-3)
    assert ranked["upper"][row] == pytest.approx(-stored["lower"], rel=1e-3)
    assert ranked["bayes"][row] == pytest.approx(-stored["log_bayes_factor"], rel=1e-3)
    enriched = shown["enriched"]
    row = enriched["factor"].index(1)
    assert enriched["sets"][enriched["set"][row]] == "INTERFERON_RESPONSE"
    assert enriched["statistic"][row] > 3
    assert enriched["n_significant"][1] == 1


def test_the_strongest_test_of_a_factor_comes_first(shown):
    q = [value for value in shown["ranked"]["q"] if value is not None]
    assert q == sorted(q)


def test_quantiles_are_of_all_cells_of_the_group(full, shown):
    group = next(group for group in shown["groups"] if group["name"] == "condition")
    assert group["classes"] == ["control", "treated"]
    treated = -full.obsm["X_distaff"]["Factor 2"][full.obs["condition"] == "treated"]
    expected = np.quantile(treated, (0.05, 0.25, 0.5, 0.75, 0.95))
    np.testing.assert_allclose(group["quantiles"][1][5:], expected, rtol=1e-3)


def test_groups_are_those_of_the_tests_and_scores(shown):
    assert [group["name"] for group in shown["groups"]] == ["condition", "cell_type"]


def test_scores_name_the_best_factor(shown):
    scores = shown["scores"]
    place = scores["known"].index("condition")
    assert scores["metrics"]["smi"]["best"][place] == 1
    assert scores["metrics"]["smi"]["score"][place] > 0.5


def test_same_input_same_bytes_and_nothing_changed(full, tmp_path):
    before = full.copy()
    state = np.random.get_state()[1].copy()
    for name in ("a", "b"):
        ds.report(full, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    assert list(full.obs) == list(before.obs)
    assert list(full.uns["distaff"]) == list(before.uns["distaff"])
    pd.testing.assert_frame_equal(full.uns["distaff"]["factors"], before.uns["distaff"]["factors"])
    pd.testing.assert_frame_equal(full.obsm["X_distaff"], before.obsm["X_distaff"])


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_file_from_disk_gives_the_same_page(full, kind, tmp_path):
    getattr(full.copy(), f"write_{kind}")(tmp_path / f"a.{kind}")
    read = getattr(anndata, f"read_{kind}")(tmp_path / f"a.{kind}")
    ds.report(full, tmp_path / "memory.html")
    ds.report(read, tmp_path / "disk.html")
    assert data_of(tmp_path / "disk.html") == data_of(tmp_path / "memory.html")


def test_latent_alone_is_enough(tmp_path):
    adata = anndata.AnnData(obsm={"X_pca": np.random.default_rng(0).normal(size=(50, 3))})
    ds.report(adata, tmp_path / "a.html", key="pca")
    data = data_of(tmp_path / "a.html")
    assert data["factors"] == {"names": ["Factor 1", "Factor 2", "Factor 3"], "order": [0, 1, 2]}
    assert data["cells"]["basis"] == ["Factor 1", "Factor 2"]
    absent = ("run", "genes", "ranked", "enriched", "scores")
    assert [data[part] for part in absent] == [None] * 5
    assert data["missing"]["enriched"] == "ds.tl.enrich(adata, key='pca')"


def test_traversal_stands_in_for_loadings(simulate, tmp_path):
    adata = simulate(4)
    adata.varm["distaff_traversal"] = adata.varm.pop("distaff_loadings")
    ds.report(adata, tmp_path / "a.html")
    assert data_of(tmp_path / "a.html")["genes"]["source"] == "traversal"


def test_genes_outside_of_the_model_are_left_out(simulate, tmp_path):
    adata = simulate(4)
    adata.varm["distaff_loadings"].loc["GENE0"] = np.nan
    ds.report(adata, tmp_path / "a.html")
    data = data_of(tmp_path / "a.html")
    assert "GENE0" not in data["genes"]["names"]
    assert (data["n_modelled"], data["n_genes"]) == (59, 60)


def test_number_of_modelled_genes_of_a_fit(simulate, tmp_path):
    adata = simulate(4)
    del adata.varm["distaff_loadings"]
    ds.report(adata, tmp_path / "a.html")
    assert data_of(tmp_path / "a.html")["n_modelled"] == 60
    adata.var["distaff_genes"] = np.arange(60) < 25
    ds.report(adata, tmp_path / "a.html")
    assert data_of(tmp_path / "a.html")["n_modelled"] == 25


def test_tests_of_another_latent_are_left_out(full, tmp_path):
    adata = full.copy()
    adata.obsm["X_other"] = adata.obsm["X_distaff"].to_numpy()
    ds.tl.rank_factors(adata, "cell_type", use_rep="X_other")
    ds.report(adata, tmp_path / "a.html")
    assert data_of(tmp_path / "a.html")["ranked"] is None


def test_fewer_cells_are_drawn_where_factors_are_many(many, tmp_path):
    ds.report(many, tmp_path / "a.html")
    data = data_of(tmp_path / "a.html")
    assert (data["cells"]["n"], data["n_cells"]) == (12_000, 13_000)
    assert (tmp_path / "a.html").stat().st_size < 15e6


def test_choice_of_cells(full, tmp_path):
    ds.report(full, tmp_path / "a.html", n_cells=50, random_state=1, basis="distaff", groupby="donor")
    data = data_of(tmp_path / "a.html")
    assert data["cells"]["n"] == 50
    assert len(base64.b64decode(data["cells"]["xy"])) == 50 * 4
    assert [len(base64.b64decode(group["codes"])) for group in data["groups"]] == [50]
    assert sum(data["groups"][0]["counts"]) == full.n_obs


def test_numbers_of_numpy(full, tmp_path):
    pages = [tmp_path / "plain.html", tmp_path / "numpy.html"]
    for path, kind in zip(pages, (int, np.int64), strict=True):
        ds.report(full, path, n_cells=kind(50), random_state=kind(2))
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_largest_groups_of_many(full, tmp_path):
    adata = full.copy()
    adata.obs["clone"] = pd.Categorical([f"c{i // 4}" for i in range(adata.n_obs)])
    adata.obs.loc[adata.obs_names[:8], "clone"] = np.nan
    ds.report(adata, tmp_path / "a.html", groupby="clone")
    (group,) = data_of(tmp_path / "a.html")["groups"]
    assert (len(group["classes"]), group["n_classes"], group["n_missing"]) == (40, 148, 8)


BAD = {
    "no latent": (lambda a: a.obsm.pop("X_distaff"), {}, KeyError, "latent 'X_distaff'"),
    "no such key": (lambda a: ds.tl.factors(a), {"key": "x"}, KeyError, "the keys 'distaff'"),
    "not finite": (lambda a: a.obsm["X_distaff"].iloc.__setitem__((3, 1), np.nan), {}, ValueError, "'cell3'"),
    "embedding not finite": (
        lambda a: a.obsm["X_distaff_umap"].__setitem__(0, np.inf),
        {},
        ValueError,
        "X_distaff_umap.* must be finite",
    ),
    "other loadings": (
        lambda a: a.varm.__setitem__("distaff_loadings", np.ones((60, 3))),
        {},
        ValueError,
        "distaff_loadings.* must have 4 columns, got 3",
    ),
    "repeated name": (
        lambda a: setattr(a.obsm["X_distaff"], "columns", ["a", "b", "a", "c"]),
        {},
        ValueError,
        "Names of factors must differ, got 'a'",
    ),
    "column": (lambda a: None, {"groupby": "lane"}, KeyError, "groupby must name a column"),
    "numbers": (
        lambda a: a.obs.__setitem__("age", np.linspace(0, 1, a.n_obs)),
        {"groupby": "age"},
        ValueError,
        "groupby must name columns with groups",
    ),
    "basis": (lambda a: None, {"basis": "tsne"}, KeyError, "basis must name a slot"),
    "no cells": (lambda a: None, {"n_cells": 0}, ValueError, "n_cells must be >= 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_and_leaves_nothing(case, simulate, tmp_path):
    change, options, kind, words = BAD[case]
    adata = simulate(4)
    change(adata)
    with pytest.raises(kind, match=words):
        ds.report(adata, tmp_path / "a.html", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "no/folder/a.html"])
def test_bad_path(full, name, tmp_path):
    with pytest.raises(ValueError, match="path must"):
        ds.report(full, tmp_path / name)


def test_old_page_stays_until_the_new_one_is_written(full, tmp_path, monkeypatch):
    path = tmp_path / "a.html"
    path.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        ds.report(full, path)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.html"]


def test_page_may_run_its_own_script_only(full, tmp_path):
    ds.report(full, tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    script = re.search(r"<script>(.*?)</script>", text, re.S)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)


def test_script_builds_no_markup_from_text():
    code = "".join(
        file.read_text(encoding="utf-8")
        for file in files("distaff.html").joinpath("assets").iterdir()
        if file.name.endswith(".js")
    )
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser"
    assert re.findall(forbidden, code) == []
    assert len(code) > 10_000


def test_all_metrics_have_words():
    texts = json.loads(files("distaff.html").joinpath("assets", "texts.json").read_text(encoding="utf-8"))
    assert set(texts["metrics"]) == set(METRICS)
    for metric in texts["metrics"].values():
        assert set(metric) == {"label", "question", "read", "fooled"}
