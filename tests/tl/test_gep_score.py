"""tl.gep_score: what it writes, that blocks and files change nothing, and what it says of bad input."""

from __future__ import annotations

import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

from distaff import pp, tl
from distaff.datasets import simulate_gep
from distaff.pp.check_counts import finite_blocks
from distaff.tl import gep_score as module_function

GENES = [f"g{i}" for i in range(100)]
SETS = {"a": GENES[:5], "b/c": [*GENES[3:50], "not there"], "all": GENES}


@pytest.fixture
def adata() -> anndata.AnnData:
    counts = np.random.default_rng(0).poisson(0.4, (600, 100)).astype(np.float32)
    counts[:, 0] += 1  # no empty cell
    data = anndata.AnnData(sparse.csr_matrix(counts), var=pd.DataFrame(index=GENES))
    data.layers["log"] = data.X.log1p()
    data.layers["reversed"] = data.X[:, ::-1].tocsr()
    return data


def scores(adata: anndata.AnnData, sets=None, **options) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "1 names of gene sets cannot be columns")
        done = tl.gep_score(adata, SETS if sets is None else sets, copy=True, **options)
    return done.obsm["gep_score"].to_numpy()


def test_writes_scores_coverage_and_settings(adata) -> None:
    with pytest.warns(UserWarning, match="cannot be columns of a file"):
        assert tl.gep_score(adata, SETS, top=0.2, layer="log") is None
    table, record = adata.obsm["gep_score"], adata.uns["gep_score"]
    assert list(table.columns) == ["a", "b_c", "all"]
    assert table.index.equals(adata.obs_names)
    assert ((table >= 0) & (table <= 1)).all(axis=None)
    np.testing.assert_allclose(table["all"], 1)
    assert {name: record["params"][name] for name in ("variant", "top", "max_rank", "layer", "source")} == {
        "variant": "aucell",
        "top": 0.2,
        "max_rank": 20,
        "layer": "log",
        "source": "dict",
    }
    assert record["coverage"].loc["b/c"].to_list() == ["b_c", 48, 47, 47 / 48]
    assert record["n_empty_cells"] == 0
    assert record["n_cells_with_ranked_zeros"] == ((adata.X > 0).sum(axis=1) < 19).sum() == 0


def test_extremes() -> None:
    values = np.tile(np.arange(100.0, 0, -1), (3, 1))
    data = anndata.AnnData(values, var=pd.DataFrame(index=GENES))
    tl.gep_score(data, {"top": GENES[:4], "rank at the threshold": GENES[9:30]}, top=0.1)
    np.testing.assert_array_equal(data.obsm["gep_score"], [[1.0, 0.0]] * 3)
    tl.gep_score(data, {"top": GENES[:4]}, top=0.1, variant="pyscenic")
    np.testing.assert_allclose(data.obsm["gep_score"], 30 / 40)


def test_only_ranks_count(adata) -> None:
    np.testing.assert_array_equal(scores(adata), scores(adata, layer="log"))
    assert not np.array_equal(scores(adata), scores(adata, layer="reversed"))


def test_seed(adata) -> None:
    np.testing.assert_array_equal(scores(adata, random_state=3), scores(adata, random_state=3))
    assert not np.array_equal(scores(adata, random_state=3), scores(adata, random_state=4))
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    scores(adata)
    np.testing.assert_array_equal(before, np.random.get_state()[1])


def test_form_of_the_matrix_changes_nothing(adata) -> None:
    expected = scores(adata)
    for form in (sparse.csc_matrix, sparse.csr_array, lambda X: X.toarray()):
        other = adata.copy()
        other.X = form(adata.X)
        np.testing.assert_array_equal(scores(other), expected)


def test_blocks_change_nothing(adata, monkeypatch) -> None:
    expected = scores(adata)
    monkeypatch.setitem(module_function.__globals__, "BLOCK_CELLS", 7)
    np.testing.assert_array_equal(scores(adata), expected)


@pytest.mark.parametrize("dense", [True, False])
def test_backed(adata, tmp_path, monkeypatch, dense) -> None:
    monkeypatch.setitem(finite_blocks.__globals__, "CHUNK_VALUES", 100 * 37)  # blocks of 37 cells
    expected = scores(adata, {"a": GENES[:5]})
    if dense:
        adata.X = adata.X.toarray()
    adata.write_h5ad(tmp_path / "a.h5ad")
    backed = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
    tl.gep_score(backed, {"a": GENES[:5]})
    np.testing.assert_array_equal(backed.obsm["gep_score"], expected)
    backed.file.close()


def test_sets_from_everywhere(adata, tmp_path) -> None:
    sets = {"a": GENES[:20], "b": GENES[30:60]}
    expected = scores(adata, sets)
    pp.gene_sets(adata, sets)
    np.testing.assert_array_equal(scores(adata, "gene_sets"), expected)
    adata.varm["array"] = adata.varm["gene_sets"].to_numpy() > 0
    np.testing.assert_array_equal(scores(adata, "array"), expected)
    adata.varm["sparse"] = sparse.csr_matrix(adata.varm["gene_sets"].to_numpy())
    np.testing.assert_array_equal(scores(adata, "sparse"), expected)
    path = tmp_path / "sets.gmt"
    path.write_text("".join("\t".join([name, "na", *genes]) + "\n" for name, genes in sets.items()))
    np.testing.assert_array_equal(scores(adata, path), expected)
    np.testing.assert_array_equal(scores(adata, str(path)), expected)
    net = pd.DataFrame(
        [(name, gene, 0.5) for name in sets for gene in sets[name]], columns=["source", "target", "weight"]
    )
    np.testing.assert_array_equal(scores(adata, net), expected)


def test_empty_cells(adata) -> None:
    expected = scores(adata, {"a": GENES[:5]})
    keep = np.arange(600) < 599  # the last is empty: cells before it keep their streams
    adata.X = sparse.diags(keep.astype(np.float32)).tocsr() @ adata.X
    with pytest.warns(UserWarning, match="Every cell should have counts, got 1 cells without any."):
        tl.gep_score(adata, {"a": GENES[:5]})
    result = adata.obsm["gep_score"].to_numpy()
    assert np.isnan(result[599]).all()
    np.testing.assert_array_equal(result[:599], expected[:599])
    assert adata.uns["gep_score"]["n_empty_cells"] == 1


def test_cells_with_few_genes_are_counted(adata) -> None:
    adata.X = sparse.csr_matrix(
        np.where(np.arange(600)[:, None] < 100, np.eye(100)[np.zeros(600, int)], adata.X.toarray())
    )
    tl.gep_score(adata, {"a": GENES[:5]}, top=0.1)
    assert adata.uns["gep_score"]["n_cells_with_ranked_zeros"] == 100


def test_mean_of_a_random_set() -> None:
    # cells whose values have nothing to do with the set
    data = anndata.AnnData(np.random.default_rng(0).poisson(0.2, (4000, 200)) + 0.0)
    tl.gep_score(data, {"random": data.var_names[:20]})
    result = data.obsm["gep_score"]["random"]
    assert result.mean() == pytest.approx(0.1, abs=4 * result.std() / np.sqrt(4000))


def test_true_programs_of_the_simulation() -> None:
    adata = simulate_gep(800, 2000, random_state=0)
    effects = adata.varm["program_effects"]
    tl.gep_score(adata, {name: effects.index[effects[name] > 1] for name in effects})
    result = adata.obsm["gep_score"]
    for name in adata.obs["cell_type"].cat.categories:
        own = adata.obs["cell_type"] == name
        assert (
            stats.mannwhitneyu(result[name][own], result[name][~own]).statistic
            > 0.9 * own.sum() * (~own).sum()
        )
    users = adata.obsm["program_usage"]["activity_1"] > 0
    usage = adata.obsm["program_usage"]["activity_1"][users]
    assert stats.spearmanr(result["activity_1"][users], usage).statistic > 0.5


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_round_trip(adata, tmp_path, kind) -> None:
    tl.gep_score(adata, {"a": GENES[:5]}, layer="log")
    path = tmp_path / f"scored.{kind}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anndata's and zarr's own
        getattr(adata, f"write_{kind}")(path)
        back = getattr(anndata, f"read_{kind}")(path)
    pd.testing.assert_frame_equal(back.obsm["gep_score"], adata.obsm["gep_score"])
    assert back.uns["gep_score"]["params"] == adata.uns["gep_score"]["params"]


def test_copy_and_nothing_else_changes(adata) -> None:
    before = adata.copy()
    done = tl.gep_score(adata, {"a": GENES[:5]}, copy=True)
    assert "gep_score" not in adata.obsm
    tl.gep_score(adata, {"a": GENES[:5]})
    assert adata.obsm["gep_score"].equals(done.obsm["gep_score"])
    assert list(adata.obsm) == list(adata.uns) == ["gep_score"]
    np.testing.assert_array_equal(adata.X.toarray(), before.X.toarray())
    assert list(adata.varm) == list(before.varm)
    pd.testing.assert_frame_equal(adata.obs, before.obs)


def test_set_with_few_of_its_genes(adata) -> None:
    with pytest.warns(UserWarning, match="should have 20 % of its genes in the data, got less of 'far'"):
        tl.gep_score(adata, {"far": ["g1", *(f"x{i}" for i in range(9))], "near": GENES[:3]})


def test_a_set_without_a_gene_in_the_data_is_left_out(adata) -> None:
    tl.gep_score(adata, {"near": GENES[:3], "last": GENES[5:9]})
    expected, coverage = adata.obsm["gep_score"], adata.uns["gep_score"]["coverage"]
    with pytest.warns(UserWarning, match="should have genes .*, got none of 1: 'far'. They are left out"):
        tl.gep_score(adata, {"near": GENES[:3], "far": ["x1", "x2"], "last": GENES[5:9]})
    pd.testing.assert_frame_equal(adata.obsm["gep_score"], expected)
    pd.testing.assert_frame_equal(adata.uns["gep_score"]["coverage"], coverage)


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"variant": "gsva"}, "variant must be one of 'aucell', 'pyscenic', got 'gsva'."),
            ({"top": 0}, "top must be > 0.0, got 0.0."),
            ({"top": 1.5}, "top must be <= 1.0, got 1.5."),
            (
                {"top": 0.01},
                "top must leave a rank below the threshold, got top=0.01 of 100 genes, a threshold of 1.",
            ),
            ({"random_state": -1}, "random_state must be >= 0, got -1."),
            (
                {"gene_sets": {"a": ["y"], "b": ["x"]}},
                "must have genes in adata.var_names, got none of 'a', 'b'. Use gene sets of these genes.",
            ),
            ({"gene_sets": {"a": ["G1", "G2"]}}, "2 names differ in upper and lower case only"),
            ({"gene_sets": {"a": {"g1": 1.0, "g2": -1.0}}}, "must not be negative, got some in 'a'."),
            ({"gene_sets": "empty"}, "got none of '2'. Run distaff.pp.gene_sets on these genes."),
            ({"gene_sets": "signed"}, "must not be negative, got some in 'down'."),
            ({"gene_sets": "missing"}, "adata.varm['missing'] must be finite"),
        ],
    )
    def test_value(self, adata, options, message) -> None:
        adata.varm["empty"] = np.eye(100)[:, :2] * [1, 0]
        adata.varm["signed"] = pd.DataFrame({"up": 1.0, "down": -1.0}, index=GENES)
        adata.varm["missing"] = np.full((100, 1), np.nan)
        options = {"gene_sets": SETS} | options
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            tl.gep_score(adata, **options)
        assert message in str(caught.value)
        assert "gep_score" not in adata.obsm

    def test_no_such_slot_or_file(self, adata) -> None:
        with pytest.raises(
            FileNotFoundError, match="must name a slot of adata.varm or a GMT file, got 'gene_sets'"
        ):
            tl.gep_score(adata, "gene_sets")

    def test_layer(self, adata) -> None:
        with pytest.raises(KeyError, match="layer must name a layer of adata, got 'raw'"):
            tl.gep_score(adata, {"a": GENES[:5]}, layer="raw")

    def test_missing_value(self, adata) -> None:
        adata.X.data[3] = np.nan
        with pytest.raises(ValueError, match=r"adata\.X must be finite, got nan for cell '0', gene"):
            tl.gep_score(adata, {"a": GENES[:5]})

    def test_repeated_genes(self, adata) -> None:
        adata.var_names = ["g0", "g0", *GENES[2:]]
        with pytest.raises(
            ValueError, match="adata.var_names must be unique, got 1 repeated gene names: 'g0'"
        ):
            tl.gep_score(adata, {"a": GENES[:5]})

    def test_view(self, adata) -> None:
        with pytest.raises(ValueError, match="adata must not be a view"):
            tl.gep_score(adata[:10], {"a": GENES[:5]})
        assert tl.gep_score(adata[:10], {"a": GENES[:5]}, copy=True).obsm["gep_score"].shape == (10, 1)
