"""Every fault that data can have at setup: refused by every model, with the place and the way out."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

RAW = r"Give raw counts: a layer that holds them \(layer=\.\.\.\), or adata.raw"
WHOLE = "whole numbers"


def dense(adata, row, column, value):
    adata.X = adata.X.toarray().astype(np.float64)
    adata.X[row, column] = value


def stored(adata, value):
    """In a sparse matrix: the third value of cell 5, wherever it stands."""
    adata.X.data[adata.X.indptr[5] + 2] = value


def fractions(adata):
    adata.X = adata.X * 0.9


def logs(adata):
    adata.X = adata.X.log1p()


def scaled(adata):
    X = adata.X.toarray()
    adata.X = (X - X.mean(0)) / X.std(0)


def no_cell(adata):
    X = adata.X.toarray()
    X[7] = 0
    adata.X = sparse.csr_matrix(X)


def explicit_zeros(adata):
    """A cell whose counts are stored, and all zero."""
    adata.X.data[adata.X.indptr[7] : adata.X.indptr[8]] = 0


def negative_zeros(adata):
    adata.X = adata.X.toarray()
    adata.X[7] = -0.0


def masked(adata):
    X = adata.X.toarray()
    adata.X = np.ma.masked_array(X, mask=X == 1)


def typed(dtype):
    def fault(adata):
        adata.X = adata.X.toarray().astype(dtype)

    return fault


def half_sparse(adata):
    adata.X.data = adata.X.data.astype(np.float16)


def no_x(adata):
    adata.X = None


def all_zero(adata):
    adata.X = sparse.csr_matrix(adata.shape, dtype=np.float32)


VALUES = {
    "NaN, dense": (lambda a: dense(a, 3, 5, np.nan), "must be finite, got nan for cell 'cell3', gene 'gene5'. Remove or impute"),
    "NaN, sparse": (lambda a: stored(a, np.nan), "must be finite, got nan for cell 'cell5', gene 'gene[0-9]+'"),
    "inf, dense": (lambda a: dense(a, 59, 19, np.inf), "must be finite, got inf for cell 'cell59', gene 'gene19'"),
    "inf, sparse": (lambda a: stored(a, -np.inf), "must be finite, got -inf for cell 'cell5'"),
    "beyond float32": (lambda a: dense(a, 3, 5, 1e39), "must be within float32 .*, got 1e\\+39 for cell 'cell3', gene 'gene5'"),
    "minus five": (lambda a: dense(a, 0, 0, -5), f"must not be negative, got -5.0 for cell 'cell0', gene 'gene0'. {RAW}"),
    "minus a half": (lambda a: dense(a, 30, 7, -0.5), "must not be negative, got -0.5 for cell 'cell30', gene 'gene7'"),
    "minus one, sparse": (lambda a: stored(a, -1), "must not be negative, got -1.0 for cell 'cell5'"),
    "one fraction": (lambda a: dense(a, 59, 19, 0.5), f"{WHOLE}.*, got 0.5 for cell 'cell59', gene 'gene19'. {RAW}.*allow_non_integer"),
    "one fraction, sparse": (lambda a: stored(a, 1.5), f"{WHOLE}.*, got 1.5 for cell 'cell5'"),
    "a hair above one": (lambda a: dense(a, 9, 9, 1.0 + 1e-6), f"{WHOLE}.*for cell 'cell9', gene 'gene9'"),
    "corrected counts": (fractions, rf"{WHOLE}.*\([0-9]+ such values\)"),
    "log1p": (logs, f"{WHOLE}.*{RAW}"),
    "scaled": (scaled, "must not be negative"),
    "a cell without counts": (no_cell, "must have counts, got 1 empty cells, the first 'cell7'. Remove them: sc.pp.filter_cells"),
    "a cell of stored zeros": (explicit_zeros, "got 1 empty cells, the first 'cell7'"),
    "a cell of negative zeros": (negative_zeros, "got 1 empty cells, the first 'cell7'"),
    "zeros only": (all_zero, f"must hold counts, got zeros only. {RAW}"),
    "masked": (masked, r"must have no masked values, got [0-9]+ of them. .*filled\(0\)"),
    "objects": (typed(object), "must hold numbers, got dtype object"),
    "complex": (typed(np.complex64), "must hold real numbers, got dtype complex64"),
    "float16": (typed(np.float16), r"of a type that models read, got dtype float16. Convert them with .astype\('float32'\)"),
    "float16, sparse": (half_sparse, "of a type that models read, got dtype float16"),
    "big-endian floats": (typed(">f4"), "of a type that models read, got dtype >f4. Convert"),
    "big-endian integers": (typed(">i2"), "of a type that models read, got dtype >i2"),
    "no X": (no_x, "must hold counts, got None. Name the layer"),
}  # fmt: skip


def refused(kind, adata, message, error=ValueError, **setup):
    """The message, and not one slot of the data written."""
    before = list(adata.obs), list(adata.obsm), list(adata.uns)
    with pytest.raises(error, match=message):
        kind.setup_anndata(adata, **{"batch_key": "batch", **setup})
    assert (list(adata.obs), list(adata.obsm), list(adata.uns)) == before


@pytest.mark.parametrize("fault", VALUES)
def test_values(kind, cells, fault):
    spoil, message = VALUES[fault]
    adata = cells()
    spoil(adata)
    refused(kind, adata, f"adata.X .*{message}")


@pytest.mark.parametrize(
    "fault", ["NaN, dense", "minus a half", "log1p", "a cell without counts", "float16", "masked"]
)
def test_values_of_a_layer(kind, cells, fault):
    spoil, _ = VALUES[fault]
    adata = cells()
    good = adata.X.copy()
    spoil(adata)
    adata.layers["bad"], adata.X = adata.X, good
    refused(kind, adata, r"adata.layers\['bad'\]", layer="bad")


SHAPES = {
    "a view": (lambda a: a[:20], r"adata must not be a view, got a view of another AnnData. Use adata.copy\(\)"),
    "one cell": (lambda a: a[:1].copy(), "adata must have at least 2 cells, got 1"),
    "no cell": (lambda a: a[:0].copy(), "adata must have at least 2 cells, got 0"),
    "no gene": (lambda a: a[:, :0].copy(), "adata must have at least 1 gene, got 0"),
}  # fmt: skip


@pytest.mark.parametrize("fault", SHAPES)
def test_shapes(kind, cells, fault):
    spoil, message = SHAPES[fault]
    refused(kind, spoil(cells()), message)


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_repeated_genes(kind, cells):
    adata = cells()
    adata.var_names = ["g0", "g0", *adata.var_names[2:]]
    message = (
        r"adata.var_names must be unique, got 1 repeated gene names: 'g0'. Use adata.var_names_make_unique"
    )
    refused(kind, adata, message)


@pytest.mark.parametrize("thing", [None, 3, "data.h5ad", pd.DataFrame(), np.ones((3, 3))])
def test_what_is_no_anndata(kind, thing):
    with pytest.raises(TypeError, match=f"adata must be an AnnData, got {type(thing).__name__}"):
        kind.setup_anndata(thing)


MISSING = r"must have no missing values, got 2 missing, the first for cell 'cell4'. Leave these cells out"
COLUMNS = {  # what is put into obs["x"], the argument that names it, the error
    "NaN, categorical": (pd.Categorical(["a"] * 60), "batch_key", ValueError, MISSING),
    "NaN, text": (np.array(["a"] * 60, dtype=object), "batch_key", ValueError, MISSING),
    "NaN, number": (np.ones(60), "batch_key", ValueError, MISSING),
    "NaN, label": (np.array(["a"] * 60, dtype=object), "labels_key", ValueError, MISSING),
    "NaN, covariate": (np.array(["a"] * 60, dtype=object), "categorical_covariate_keys", ValueError, MISSING),
    "NaN, continuous": (np.ones(60), "continuous_covariate_keys", ValueError, "must be finite, got nan for cell 'cell4'"),
    "NaN, size factor": (np.ones(60), "size_factor_key", ValueError, "must be finite, got nan for cell 'cell4'"),
    "text, continuous": (["1.0"] * 60, "continuous_covariate_keys", ValueError, "must hold numbers, got dtype"),
    "inf, continuous": (np.full(60, np.inf), "continuous_covariate_keys", ValueError, "must be finite, got inf for cell 'cell0'"),
    "beyond float32": (np.full(60, 1e39), "continuous_covariate_keys", ValueError, "must be finite, got 1e\\+39 for cell 'cell0'"),
    "zero size factor": (np.zeros(60), "size_factor_key", ValueError, r"Size factors \(adata.obs\['x'\]\) must be > 0, got 0.0 for cell 'cell0'"),
    "two kinds of values": (np.array([1, "1"] * 30, dtype=object), "batch_key", TypeError, r"one plain kind, got 'int', 'str'. Make them text"),
    "dicts": (np.array([{}] * 60, dtype=object), "batch_key", TypeError, "must hold plain values, got a dict for 'cell0'"),
}  # fmt: skip


@pytest.mark.parametrize("fault", COLUMNS)
def test_columns(kind, cells, fault):
    values, argument, error, message = COLUMNS[fault]
    adata = cells()
    adata.obs["x"] = values
    if fault.startswith("NaN"):
        adata.obs.loc[["cell4", "cell9"], "x"] = np.nan
    value = ["x"] if argument.endswith("keys") else "x"
    refused(kind, adata, message, error, **{argument: value})


NAMES = {
    "no such batch": ({"batch_key": "nope"}, KeyError, "batch_key must name a column of adata.obs, got 'nope'. The columns are 'batch'"),
    "a list for a column": ({"batch_key": ["batch"]}, KeyError, r"batch_key must name a column of adata.obs, got \['batch'\]"),
    "a number for a column": ({"labels_key": 3}, KeyError, "labels_key must name a column of adata.obs, got 3"),
    "no such layer": ({"layer": "nope"}, KeyError, "layer must name a layer of adata, got 'nope'. The layers are none"),
    "a list for a layer": ({"layer": ["counts"]}, KeyError, r"layer must name a layer of adata, got \['counts'\]"),
    "a column for a list": ({"categorical_covariate_keys": "donor"}, TypeError, r"must be a list of columns, got 'donor'. Write \['donor'\]"),
    "a covariate twice": ({"categorical_covariate_keys": ["donor", "donor"]}, ValueError, "must name each column once, got 'donor' more than once"),
    "a number twice": ({"continuous_covariate_keys": ["age", "age"]}, ValueError, "must name each column once, got 'age' more than once"),
    "a slot of scvi-tools": ({"batch_key": "_scvi_batch"}, ValueError, "must name a column of your own, got '_scvi_batch'"),
    "text for a flag": ({"allow_non_integer": "no"}, TypeError, "allow_non_integer must be True or False, got 'no'"),
    "a typo": ({"batchkey": "batch"}, TypeError, "unexpected keyword argument 'batchkey'"),
}  # fmt: skip


@pytest.mark.parametrize("fault", NAMES)
def test_names(kind, cells, fault):
    setup, error, message = NAMES[fault]
    adata = cells()
    adata.obs["_scvi_batch"] = 1
    refused(kind, adata, message, error, **setup)


def test_text_of_numpy_is_text(kind, cells):
    adata = cells()
    adata.obs["x"] = np.array(
        [np.str_("a"), "b"] * 30, dtype=object
    )  # as astype(str) leaves categories with gaps
    kind.setup_anndata(adata, batch_key="x")
    assert set(adata.obs["_scvi_batch"]) == {0, 1}


@pytest.mark.parametrize("as_sparse", [True, False])
@pytest.mark.parametrize("value", [np.inf, -1.0, 0.5])
def test_values_in_a_file(kind, cells, tmp_path, as_sparse, value):
    adata = cells()
    X = adata.X.toarray()
    X[9, 9] = value
    adata.X = sparse.csr_matrix(X) if as_sparse else X
    adata.write_h5ad(tmp_path / "bad.h5ad")
    backed = anndata.read_h5ad(tmp_path / "bad.h5ad", backed="r")
    refused(kind, backed, f"got {value} for cell 'cell9', gene 'gene9'")
    backed.file.close()


@pytest.mark.parametrize("dtype", ["float16", ">f4"])
def test_types_in_a_file(kind, cells, tmp_path, dtype):
    adata = cells()
    adata.X = adata.X.toarray().astype(dtype)
    adata.write_h5ad(tmp_path / "bad.h5ad")
    backed = anndata.read_h5ad(tmp_path / "bad.h5ad", backed="r")
    refused(kind, backed, f"adata.X must hold numbers of a type that models read, got dtype {dtype}")
    backed.file.close()


def test_a_huge_count_is_worth_a_warning(kind, cells):
    adata = cells()
    adata.X.data[0] = 1e12
    with pytest.warns(UserWarning, match=r"adata.X holds counts up to 1e\+12: is this raw data\?"):
        kind.setup_anndata(adata)
