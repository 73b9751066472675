"""Tools and figures on the wrong things: no model, no latent, other cells and genes, values that are none."""

import numpy as np
import pandas as pd
import pytest

import distaff as ds
from distaff import pl, pp, tl

OF_A_LATENT = {
    "cluster_agreement": ("label",),
    "disentanglement": ("label",),
    "factors": (),
    "rank_factors": ("label",),
    "regress_out_factors": ("Factor 1",),
    "tsne": (),
    "umap": (),
}
OF_OTHERS = {"collect_scores": (), "enrich": (), "gep_score": ({"a": ["gene1"]},), "rename_factors": (["a"],)}
OF_A_MODEL = ["factors", "latent", "loadings", "traverse"]
FIGURES = [
    "consensus", "correlation", "density", "disentanglement", "embedding", "enrichment", "history", "latent",
    "loadings", "rank_factors", "term_sizes", "terms", "top_genes", "traversal", "variance",
]  # fmt: skip


@pytest.fixture(scope="module")
def shared(trained):
    """Data with latent and loadings of a linear model; every test takes a copy."""
    model = trained("LinearVAE")
    adata = model.adata.copy()
    for tool in (tl.latent, tl.loadings, tl.factors):
        tool(adata, model)
    return adata


@pytest.fixture
def adata(shared):
    return shared.copy()


# --- not what it should be ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*OF_A_LATENT, *OF_OTHERS])
def test_no_anndata(name):
    arguments = (OF_A_LATENT | OF_OTHERS)[name]
    with pytest.raises(TypeError, match="adata must be an AnnData, got str"):
        getattr(tl, name)("data.h5ad", *arguments)


@pytest.mark.parametrize("name", FIGURES)
def test_no_anndata_for_a_figure(name):
    with pytest.raises(TypeError, match="adata must be an AnnData, got str"):
        getattr(pl, name)("data.h5ad", show=False)


def test_no_anndata_for_the_rest(trained, tmp_path):
    calls = [
        lambda thing: pp.check_counts(thing),
        lambda thing: pp.gene_sets(thing, {"a": ["b"]}),
        lambda thing: pp.align_query(thing, trained("LinearVAE")),
        lambda thing: ds.report(thing, tmp_path / "report.html"),
        lambda thing: tl.latent(thing, trained("LinearVAE")),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="adata must be an AnnData, got DataFrame"):
            call(pd.DataFrame(np.ones((3, 3))))


@pytest.mark.parametrize("name", OF_A_LATENT)
def test_no_latent(cells, name):
    with pytest.raises(
        KeyError, match="must name a slot of adata.obsm, got 'X_distaff'. Run tl.latent first"
    ):
        getattr(tl, name)(cells(), *OF_A_LATENT[name])


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_to_draw(cells, name):
    with pytest.raises(KeyError, match="must hold .*, got .*Run distaff.tl.[a-z_]+"):
        getattr(pl, name)(cells(), show=False)


@pytest.mark.parametrize("name", OF_A_LATENT)
@pytest.mark.parametrize(
    ("key", "error"), [(3, TypeError), (None, TypeError), ("", ValueError), ("a/b", ValueError)]
)
def test_keys_that_are_no_names(adata, name, key, error):
    with pytest.raises(error, match=f"key must be a text.*, got {key!r}"):
        getattr(tl, name)(adata, *OF_A_LATENT[name], key=key)


@pytest.mark.parametrize("name", OF_A_MODEL)
@pytest.mark.parametrize("key", ["", "a/b"])
def test_keys_that_are_no_names_for_a_model(adata, trained, name, key):
    with pytest.raises(ValueError, match=f"key must be a text.*, got {key!r}"):
        getattr(tl, name)(adata, trained("LinearVAE"), key=key)


@pytest.mark.parametrize("name", OF_A_MODEL)
def test_no_model(adata, name):
    with pytest.raises(TypeError, match="model must have .*, got str"):
        getattr(tl, name)(adata, "model")


@pytest.mark.parametrize("name", ["latent", "loadings", "traverse"])
def test_an_untrained_model(adata, build, cells, name):
    model = build("LinearVAE", cells())
    with pytest.raises((RuntimeError, ValueError), match="untrained model|model must be trained"):
        getattr(tl, name)(adata, model)


@pytest.mark.parametrize("name", ["latent", "traverse"])
def test_data_of_other_genes(cells, trained, name):
    adata = cells()
    with pytest.raises(ValueError, match="genes of the model in its order"):
        getattr(tl, name)(adata[:, ::-1].copy(), trained("LinearVAE"))
    adata.var_names = [f"other{i}" for i in range(20)]
    with pytest.raises(ValueError, match="20 of the model's missing"):
        getattr(tl, name)(adata, trained("LinearVAE"))
    with pytest.raises(
        ValueError, match="Genes of adata must be in the model, got 20 that are not: 'other0'"
    ):
        tl.loadings(adata, trained("LinearVAE"))


def test_loadings_follow_the_names_of_genes(cells, trained):
    adata = cells()[:, ::-1].copy()
    tl.loadings(adata, trained("LinearVAE"))
    expected = trained("LinearVAE").get_loadings()
    np.testing.assert_array_equal(adata.varm["distaff_loadings"], expected.iloc[::-1])


# --- values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OF_A_LATENT)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_latent_that_is_not_finite(adata, name, value):
    adata.obsm["X_distaff"][3, 1] = value
    message = rf"adata.obsm\['X_distaff'\] must be finite, got {value} for cell 'cell3' in 'Factor 2'"
    with pytest.raises(ValueError, match=message):
        getattr(tl, name)(adata, *OF_A_LATENT[name])


@pytest.mark.parametrize("name", OF_A_LATENT)
def test_a_latent_without_dimensions(adata, name):
    adata.obsm["X_distaff"] = np.zeros((60, 0), np.float32)
    with pytest.raises(
        ValueError, match=r"adata.obsm\['X_distaff'\] must have cells and dimensions, got shape \(60, 0\)"
    ):
        getattr(tl, name)(adata, *OF_A_LATENT[name])


@pytest.mark.parametrize(
    "name", ["cluster_agreement", "disentanglement", "factors", "rank_factors", "regress_out_factors"]
)
@pytest.mark.filterwarnings("ignore:The latent is constant", "ignore:Too few cells for so many bins")
def test_a_constant_latent_is_no_error(adata, name):
    adata.obsm["X_distaff"] = np.zeros((60, 3), np.float32)
    getattr(tl, name)(adata, *OF_A_LATENT[name])
    table = adata.uns["distaff"]
    if name == "disentanglement":
        assert table["disentanglement"]["scores"].loc["label", "mig"] == 0


@pytest.mark.parametrize("n_cells", [0, 1, 3])
@pytest.mark.parametrize("name", ["tsne", "umap"])
def test_too_few_cells_to_embed(adata, name, n_cells):
    with pytest.raises(ValueError, match="(must have|needs) at least [45] cells|must have cells"):
        getattr(tl, name)(adata[:n_cells].copy())


COLUMNS = {
    "no such column": ("nope", (KeyError,), "'nope'"),
    "a number": (3, (KeyError, TypeError), "3|iterable"),
    "a list that is empty": ([], (KeyError, ValueError), r"got \[\]|got none"),
    "a dict": ({"nope": 1}, (KeyError,), "nope"),
}


@pytest.mark.parametrize("name", ["cluster_agreement", "disentanglement", "rank_factors"])
@pytest.mark.parametrize("fault", COLUMNS)
def test_columns(adata, name, fault):
    column, error, message = COLUMNS[fault]
    with pytest.raises(error, match=message):
        getattr(tl, name)(adata, column)


ODD_FACTORS = {
    "complex": (np.full(60, 1j), "complex"),
    "infinite": (np.r_[np.inf, np.arange(59.0)], "inf"),
    "dates": (pd.date_range("2020", periods=60), "datetime"),
}


@pytest.mark.parametrize("fault", ODD_FACTORS)
def test_factors_of_no_use(adata, fault):
    values, message = ODD_FACTORS[fault]
    adata.obs["x"] = values
    with pytest.raises((TypeError, ValueError), match=f"(?s)x.*{message}|{message}.*x"):
        tl.disentanglement(adata, "x", references=None)


@pytest.mark.parametrize("values", ["all the same", np.nan])
def test_a_factor_that_says_nothing_scores_nothing(adata, values):
    adata.obs["x"] = values
    with pytest.warns(UserWarning, match=r"is undefined \(NaN\) for 'x', and left out of the mean"):
        tl.disentanglement(adata, "x", metrics="mig", references=None)
    assert adata.uns["distaff"]["disentanglement"]["scores"].isna().all(axis=None)


ARGUMENTS = {  # tool, arguments, error, message
    "no metric": ("disentanglement", ("label",), {"metrics": []}, ValueError, "metrics must name at least one metric, got none"),
    "unknown metric": ("disentanglement", ("label",), {"metrics": "nope"}, ValueError, "metrics must .*'nope'"),
    "no thread": ("disentanglement", ("label",), {"n_jobs": 0}, ValueError, "n_jobs must not be 0"),
    "text for a flag": ("disentanglement", ("label",), {"active_only": "no"}, TypeError, "active_only must be True or False, got 'no'"),
    "negative draws": ("disentanglement", ("label",), {"n_random": -1}, ValueError, "n_random must be >= 0, got -1"),
    "negative seed": ("umap", (), {"random_state": -1}, ValueError, "random_state must be >= 0, got -1"),
    "one neighbour": ("umap", (), {"n_neighbors": 1}, ValueError, "n_neighbors must be >= 2, got 1"),
    "no perplexity": ("tsne", (), {"perplexity": 0}, ValueError, "perplexity must be .*, got 0"),
    "nine components": ("tsne", (), {"n_components": 9}, ValueError, "n_components must be .*, got 9"),
    "no resolution": ("cluster_agreement", ("label",), {"resolutions": []}, ValueError, "resolutions must"),
    "negative resolution": ("cluster_agreement", ("label",), {"resolutions": [-1.0]}, ValueError, "esolution.* must be .*, got .*-1.0"),
    "no such reference": ("rank_factors", ("label",), {"reference": "nope"}, (KeyError, ValueError), "reference must .*'nope'"),
    "no such sample": ("rank_factors", ("label",), {"sample_key": "nope"}, KeyError, "sample_key must name a column of adata.obs, got 'nope'"),
    "no such factor": ("regress_out_factors", ("nope",), {}, KeyError, "factors must name factors of the latent, got 'nope'. There are 'Factor 1'"),
    "no factor": ("regress_out_factors", ([],), {}, ValueError, "factors must name factors of the latent, got none"),
    "all factors": ("regress_out_factors", (["Factor 1", "Factor 2", "Factor 3"],), {}, ValueError, "A factor must be left, got all 3"),
    "onto itself": ("regress_out_factors", ("Factor 1",), {"key_added": "distaff"}, ValueError, "key_added must differ from key, got 'distaff'"),
    "a key without letters": ("regress_out_factors", ("Factor 1",), {"key_added": ""}, ValueError, "key must be a text"),
    "a layer for nothing": ("regress_out_factors", ("Factor 1",), {"layer": "log"}, ValueError, "layer must be None without layer_added, got 'log'"),
    "counts to correct": ("regress_out_factors", ("Factor 1",), {"layer_added": "x"}, ValueError, "Expression must be log-normalised, got whole numbers only"),
    "too few names": ("rename_factors", (["a"],), {}, ValueError, "names must"),
    "a name twice": ("rename_factors", (["a", "a", "b"],), {}, ValueError, "'a'"),
    "a name that is taken": ("rename_factors", ({"Factor 1": "Factor 2"},), {}, ValueError, "'Factor 2'"),
    "no such name": ("rename_factors", ({"nope": "x"},), {}, (KeyError, ValueError), "'nope'"),
    "a name of no letters": ("rename_factors", ({"Factor 1": ""},), {}, ValueError, "''"),
    "no such table": ("enrich", (), {"set_key": "nope"}, KeyError, "set_key must .*'nope'"),
    "no such loadings": ("enrich", (), {"use_loadings": "nope"}, KeyError, "use_loadings must name a slot of adata.varm, got 'nope'"),
    "unknown test": ("enrich", (), {"method": "nope"}, ValueError, "method must be one of 'moments', 'ulm', got 'nope'"),
    "all ranks": ("gep_score", ({"a": ["gene1"]},), {"top": 2}, ValueError, "top must be .*, got 2"),
    "unknown variant": ("gep_score", ({"a": ["gene1"]},), {"variant": "nope"}, ValueError, "variant must be one of"),
    "one key for many": ("collect_scores", ("distaff",), {}, TypeError, "keys must be a list of names, got 'distaff'"),
    "a number for keys": ("collect_scores", (3,), {}, TypeError, "keys must be a list of names, got 3"),
    "no models": ("consensus", ([],), {}, ValueError, "models must"),
    "unknown keys for models": ("consensus", (["a", "b"],), {}, KeyError, "got 'X_a'"),
}  # fmt: skip


@pytest.mark.parametrize("fault", ARGUMENTS)
def test_arguments(adata, fault):
    name, arguments, changed, error, message = ARGUMENTS[fault]
    before = set(adata.obsm), set(adata.varm), set(adata.uns), set(adata.layers)
    with pytest.raises(error, match=message):
        getattr(tl, name)(adata, *arguments, **changed)
    assert (set(adata.obsm), set(adata.varm), set(adata.uns), set(adata.layers)) == before


TRAVERSALS = {
    "percentiles that fall": ({"percentiles": (99, 1)}, ValueError, r"percentiles must rise, got \(99, 1\)"),
    "percentiles above 100": ({"percentiles": (-1, 200)}, ValueError, "percentiles must be >= 0, got -1.0"),
    "no cell": ({"n_cells": 0}, ValueError, "n_cells must be >= 1, got 0"),
    "no minibatch": ({"batch_size": 0}, ValueError, "batch_size must be >= 1, got 0"),
    "negative seed": ({"random_state": -1}, ValueError, "random_state must be >= 0, got -1"),
}  # fmt: skip


@pytest.mark.parametrize("fault", TRAVERSALS)
def test_traversals(adata, trained, fault):
    changed, error, message = TRAVERSALS[fault]
    with pytest.raises(error, match=message):
        tl.traverse(adata, trained("LinearVAE"), **changed)


DRAWN = {
    "unknown factor": ("variance", ("nope",), {}, KeyError, "'nope'"),
    "no factor": ("correlation", ([],), {}, KeyError, "factors must name rows of the factor table, got none. There are 'Factor"),
    "no gene": ("top_genes", (), {"n_genes": 0}, ValueError, "n_genes must be >= 1, got 0"),
    "no column": ("top_genes", (), {"n_columns": 0}, ValueError, "n_columns must be >= 1, got 0"),
    "unknown colour": ("density", (), {"color": "nope"}, KeyError, "'nope'"),
    "unknown key": ("variance", (), {"key": "nope"}, KeyError, r"adata.uns\['nope'\] must hold 'factors', got nothing. Run distaff.tl.factors"),
}  # fmt: skip


@pytest.mark.parametrize("fault", DRAWN)
def test_figures(adata, fault):
    name, arguments, changed, error, message = DRAWN[fault]
    with pytest.raises(error, match=message):
        getattr(pl, name)(adata, *arguments, show=False, **changed)


@pytest.mark.parametrize("name", ["lms", "msas", "msgs"])
@pytest.mark.parametrize("matrix", ["text", None, 3.0, np.ones(4), np.ones((2, 2, 2))])
def test_what_is_no_table_of_scores(name, matrix):
    with pytest.raises(
        ValueError, match=r"matrix must be a dense table of real numbers \(dimensions, factors\), got"
    ):
        getattr(ds.metrics, name)(matrix)


@pytest.mark.parametrize("name", [name for name in FIGURES if name not in ("embedding", "history", "latent")])
def test_no_axes(adata, name):
    with pytest.raises(TypeError, match="ax must be axes of matplotlib, got str"):
        getattr(pl, name)(adata, ax="left", show=False)


UNHASHABLE = {"lists": ["x"], "dicts": {"x": 1}, "tuples of lists": (1, ["x"])}


@pytest.mark.parametrize("kind", UNHASHABLE)
def test_labels_that_are_none(adata, trained, kind):
    column = pd.Series([None] * 60, index=adata.obs_names, dtype=object)
    for cell in range(60):
        column.iat[cell] = UNHASHABLE[kind]
    adata.obs["label"] = column
    message = r"must hold plain values, got a (list|dict|tuple) for "
    model, Z = trained("BetaVAE"), adata.obsm["X_distaff"]
    calls = [
        lambda: tl.disentanglement(adata, "label", references=None),
        lambda: tl.rank_factors(adata, "label"),
        lambda: tl.cluster_agreement(adata, "label"),
        lambda: model.differential_expression(adata, groupby="label"),
        lambda: model.differential_abundance(adata, sample_key="label"),
        lambda: ds.metrics.mig(Z, adata.obs["label"]),
        lambda: ds.metrics.compare_runs(pd.DataFrame({"s": column, "x": 1.0}), setting="s", baseline=1),
        lambda: type(model).setup_anndata(adata, batch_key="label"),
    ]
    for call in calls:
        with pytest.raises(TypeError, match=message):
            call()


def test_metrics_of_nothing():
    with pytest.raises(TypeError, match=r"Y must be \(cells,\) or \(cells, factors\), got int"):
        ds.metrics.factor_dependence(3)
    with pytest.raises(ValueError, match="got rows of different lengths"):
        ds.metrics.mig(np.ones((2, 2)), [["a"], ["b", "c"]])
    with pytest.raises(TypeError, match="metric must be a function, such as distaff.metrics.mig, got 'mig'"):
        ds.metrics.assess("mig", np.ones((9, 2)), ["a", "b", "c"] * 3)
    with pytest.raises(ValueError, match="n_jobs must be from -10000 to 10000, got 1000000"):
        ds.metrics.dci(np.ones((9, 2)), ["a", "b", "c"] * 3, n_jobs=10**6)
