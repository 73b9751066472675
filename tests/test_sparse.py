"""Damaged sparse matrices are refused before anything is looked up in them."""

import anndata
import numpy as np
import pytest
from scipy import sparse

from distaff import pp
from distaff._sparse import check_compressed

DAMAGE = {
    "few pointers": ("indptr", np.array([0, 2]), "2 pointers for 4"),
    "falling pointers": ("indptr", np.array([0, 4, 2, 8, 12]), "do not rise"),
    "pointers that start late": ("indptr", np.array([1, 3, 6, 9, 12]), "do not rise from 0"),
    "far pointers": ("indptr", np.array([0, 3, 6, 9, 1000]), "up to 1000 for 12 values"),
    "far indices": ("indices", np.full(12, 9), "from 9 to 9 for a length of 3"),
    "negative indices": ("indices", np.full(12, -1), "from -1 to -1"),
    "few indices": ("indices", np.zeros(2, dtype=int), "up to 12 for 2 values"),
    "few values": ("data", np.ones(1, dtype=np.float32), "up to 12 for 1 values"),
}


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage(damage, form):
    part, value, message = DAMAGE[damage]
    shape = (4, 3) if form is not sparse.csc_matrix else (3, 4)
    matrix = form(np.ones(shape, dtype=np.float32))
    check_compressed(matrix, "adata.X")
    adata = anndata.AnnData(matrix)
    setattr(adata.X, part, value)
    with pytest.raises(ValueError, match=f"adata.X must be a whole sparse matrix, got .*{message}"):
        check_compressed(adata.X, "adata.X")
    with pytest.raises(ValueError, match="whole sparse matrix"):
        pp.check_counts(adata)


def test_anything_else_passes():
    for value in (np.ones((2, 2)), None, sparse.coo_matrix(np.ones((2, 2))), sparse.csr_matrix((0, 3))):
        check_compressed(value, "adata.X")
