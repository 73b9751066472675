import sys

import anndata
import numpy as np
import pytest
from scipy import sparse

from distaff.pp import check_counts


def test_blocks_of_a_dense_matrix_count_cells_from_the_start(monkeypatch):
    monkeypatch.setattr(sys.modules["distaff.pp.check_counts"], "CHUNK_VALUES", 20)
    X = np.ones((50, 10), dtype=np.float32)
    X[37, 4] = -1
    with pytest.raises(ValueError, match="got -1.0 for cell '37', gene '4'"):
        check_counts(anndata.AnnData(X))


def test_the_first_of_several_faults_is_named_and_all_are_counted():
    X = np.ones((5, 4), dtype=np.float32)
    X[2, 1] = X[4, 0] = 0.25
    with pytest.raises(ValueError, match=r"got 0.25 for cell '2', gene '1' \(2 such values\)"):
        check_counts(anndata.AnnData(sparse.csr_matrix(X)))


def test_text_is_refused():
    adata = anndata.AnnData(obs={"a": [1, 2]}, var={"b": [1, 2]})
    adata.layers["text"] = np.array([["a", "b"], ["c", "d"]], dtype=object)
    with pytest.raises(ValueError, match=r"adata.layers\['text'\] must hold numbers, got dtype object"):
        check_counts(adata, layer="text")


def test_booleans_and_explicit_zeros_are_counts():
    check_counts(anndata.AnnData(np.ones((3, 2), dtype=bool)))
    X = sparse.csr_matrix(np.ones((3, 2), dtype=np.float32))
    X.data[1] = 0
    check_counts(anndata.AnnData(X))


def test_the_scan_changes_nothing_and_draws_nothing():
    adata = anndata.AnnData(sparse.csc_matrix(np.ones((3, 2), dtype=np.float32)))
    state = np.random.get_state()[1].copy()
    check_counts(adata)
    assert sparse.issparse(adata.X)
    assert adata.X.format == "csc"
    assert np.array_equal(np.random.get_state()[1], state)
