"""Sparse matrices that point outside of themselves: refused before any loop reads foreign memory."""

import warnings

import anndata
import h5py
import numpy as np
import pytest
from scipy import sparse

from distaff import pp
from distaff.train.rows import take_rows
from distaff.train.sources import cell_totals, row_source


def put(attribute, position, value):
    def damage(X):
        getattr(X, attribute)[position] = value

    return damage


def cut(attribute, n):
    def damage(X):
        setattr(X, attribute, getattr(X, attribute)[:-n])

    return damage


def grow(X):
    X.indptr[-1] += 100


def float_indices(X):
    X.indices = X.indices.astype(float)


POINTS = "that points to its own values, got"
ANEW = "The matrix is damaged: make it anew"
DAMAGES = {
    "beyond the last": (put("indices", 5, 1000), f"number its {{}} from 0 to {{}}, got 1000. {ANEW}"),
    "far beyond": (put("indices", 0, 2**31 - 1), "number its {} from 0 to {}, got 2147483647"),
    "negative": (put("indices", 5, -3), "number its {} from 0 to {}, got -3"),
    "fractions": (float_indices, "number its {}, got dtype float64"),
    "wild pointer": (put("indptr", 3, 10**7), f"{POINTS} .* pointers that do not rise from 0. {ANEW}"),
    "negative pointer": (put("indptr", 3, -5), f"{POINTS} .* pointers that do not rise from 0"),
    "first pointer": (put("indptr", 0, 4), f"{POINTS} .* pointers that do not rise from 0"),
    "last pointer": (grow, f"{POINTS} .* pointers up to [0-9]+ for [0-9]+ values"),
    "fewer pointers": (cut("indptr", 4), f"{POINTS} [0-9]+ .* pointers for [0-9]+"),
    "fewer values": (cut("data", 4), f"{POINTS} .* pointers up to [0-9]+ for [0-9]+ values"),
    "fewer numbers": (cut("indices", 4), f"{POINTS} .* pointers up to [0-9]+ for [0-9]+ values"),
}


@pytest.mark.parametrize("layout", ["csr", "csc"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_in_memory(cells, damage, layout):
    spoil, message = DAMAGES[damage]
    adata = cells()
    adata.X = adata.X.asformat(layout)
    spoil(adata.X)
    within, last = ("genes", 19) if layout == "csr" else ("cells", 59)
    with pytest.raises(ValueError, match="adata.X must .*" + message.format(within, last)):
        pp.check_counts(adata)


@pytest.mark.parametrize("damage", DAMAGES)
def test_after_the_setup(cells, damage):
    """The loops of training take indices on trust: a matrix that was damaged later never reaches them."""
    spoil, _ = DAMAGES[damage]
    X = cells().X
    spoil(X)
    with pytest.raises(ValueError, match=f"The matrix of counts must .*{ANEW}"):
        row_source(X)


@pytest.mark.parametrize("layout", ["csr", "csc"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_of_a_query(cells, damage, layout):
    """Genes are put in order before anything else is done with a query."""
    spoil, _ = DAMAGES[damage]
    adata = cells()
    names = list(adata.var_names)[::-1]
    adata.layers["more"] = adata.X.copy().asformat(layout)
    spoil(adata.layers["more"])
    with pytest.raises(ValueError, match=rf"adata.layers\['more'\] must .*{ANEW}"):
        pp.align_query(adata, names)


def test_a_query_with_masked_values(cells):
    adata = cells()
    X = adata.X.toarray()
    adata.X = np.ma.masked_array(X, mask=X == 1)
    with pytest.raises(ValueError, match="adata.X must have no masked values"):
        pp.align_query(adata, list(adata.var_names))


def test_training_after_the_damage(cells, build, fast):
    adata = cells()
    model = build("BetaVAE", adata)
    adata.X.indices[5] = 10**6
    with pytest.raises(ValueError, match="adata.X must number its genes from 0 to 19, got 1000000"):
        model.train(1, **fast)


@pytest.mark.parametrize(
    ("name", "position", "value", "message"),
    [
        ("indices", 5, 1000, "adata.X must number its genes from 0 to 19, got 1000"),
        ("indices", 5, -1, "adata.X must number its genes from 0 to 19, got -1"),
        ("indptr", 3, 10**6, "row pointers that do not rise from 0"),
        ("indptr", -1, 10**6, "row pointers up to 1000000 for [0-9]+ values"),
        ("data", 5, np.nan, "must be finite, got nan"),
    ],
)
def test_in_a_file(cells, kind_of_model, tmp_path, name, position, value, message):
    cells().write_h5ad(tmp_path / "bad.h5ad")
    with h5py.File(tmp_path / "bad.h5ad", "r+") as file:
        stored = file["X"][name]
        stored[position if position >= 0 else len(stored) - 1] = value
    backed = anndata.read_h5ad(tmp_path / "bad.h5ad", backed="r")
    with pytest.raises(ValueError, match=message):
        kind_of_model.setup_anndata(backed)
    backed.file.close()


@pytest.fixture
def kind_of_model():
    from distaff.model import BetaVAE

    return BetaVAE


def as_stored(X, data, indices, indptr):
    """A matrix of these arrays, as they are: scipy's constructor would look at them."""
    made = sparse.csr_matrix(X.shape, dtype=np.float32)
    made.data, made.indices, made.indptr = data.astype(np.float32), indices, indptr
    return made


def halves(X):
    """Each count in two entries, of which neither is whole."""
    return as_stored(X, np.repeat(X.data / 2, 2), np.repeat(X.indices, 2), X.indptr * 2)


def with_negative_parts(X):
    """Each count as its triple and minus its double."""
    data = np.stack([3 * X.data, -2 * X.data], axis=1).ravel()
    return as_stored(X, data, np.repeat(X.indices, 2), X.indptr * 2)


def backwards(X):
    X = X.copy()
    for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        X.indices[start:stop] = X.indices[start:stop][::-1].copy()
        X.data[start:stop] = X.data[start:stop][::-1].copy()
    return X


def lying(change):
    """The same, but scipy still believes what it knew of the matrix before."""

    def changed(X):
        made = change(X)
        made.has_sorted_indices = True
        made.has_canonical_format = True
        return made

    return changed


def wide_indices(X):
    return as_stored(X, X.data, X.indices.astype(np.int64), X.indptr.astype(np.int64))


def read_only(X):
    X = X.copy()
    for array in (X.data, X.indices, X.indptr):
        array.setflags(write=False)
    return X


def room_to_spare(X):
    """Arrays that are longer than what is used of them."""
    more = np.zeros(7)
    indices = np.concatenate([X.indices, np.full(7, 19, X.indices.dtype)])
    return as_stored(X, np.concatenate([X.data, more]), indices, X.indptr)


ODD = {
    "halves": halves,
    "negative parts": with_negative_parts,
    "backwards": backwards,
    "halves, unknown to scipy": lying(halves),
    "backwards, unknown to scipy": lying(backwards),
    "wide indices": wide_indices,
    "read-only": read_only,
    "room to spare": room_to_spare,
    "explicit zeros": lambda X: as_stored(X, X.data, X.indices, X.indptr) + 0 * X,
    "csr_array": sparse.csr_array,
    "csc_array": sparse.csc_array,
    "csc": lambda X: X.tocsc(),
    "Fortran order": lambda X: np.asfortranarray(X.toarray()),
    "read-only, dense": lambda X: np.broadcast_to(X.toarray(), X.shape),
    "every second of another": lambda X: np.repeat(X.toarray(), 2, axis=0)[::2],
    "nothing masked": lambda X: np.ma.masked_array(X.toarray()),
    "uint16": lambda X: X.astype(np.uint16),
    "int8": lambda X: X.astype(np.int8),
    "int64": lambda X: X.astype(np.int64),
    "float64": lambda X: X.toarray().astype(np.float64),
}


def as_trained_on(adata):
    """Counts of all cells as the loader of minibatches gives them, in two minibatches."""
    source = row_source(adata.X)
    rows, place = source.pool(np.arange(adata.n_obs))
    order = np.random.default_rng(0).permutation(adata.n_obs)
    parts = [take_rows(rows, place[part]).to_dense().numpy() for part in (order[:40], order[40:])]
    return np.concatenate(parts)[np.argsort(order)]


@pytest.mark.parametrize("form", ODD)
def test_odd_forms_are_the_same_counts(cells, kind_of_model, form):
    adata = cells()
    expected = adata.X.toarray()
    adata.X = ODD[form](adata.X)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Training will be faster when sparse matrix is formatted")
        kind_of_model.setup_anndata(adata)
    np.testing.assert_array_equal(as_trained_on(adata), expected)


@pytest.mark.parametrize("form", ["csr_array", "halves, unknown to scipy", "read-only, dense"])
def test_odd_forms_give_the_same_latent(cells, build, fast, trained, form):
    adata = cells()
    adata.X = ODD[form](adata.X)
    model = build("BetaVAE", adata)
    model.train(1, **fast)
    found, expected = (m.get_latent_representation() for m in (model, trained("BetaVAE")))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_int8_counts_do_not_overflow(cells):
    """A total of 20 genes with 120 counts each does not fit into int8."""
    adata = cells()
    adata.X = sparse.csr_matrix(np.full(adata.shape, 120, dtype=np.int8))
    assert as_trained_on(adata).sum() == 120 * 60 * 20
    np.testing.assert_array_equal(cell_totals(adata.X), np.full(60, 2400))
