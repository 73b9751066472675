"""Other libraries change the number of threads for good; a run does not notice."""

import numpy as np
import pytest
import scanpy as sc
import torch
from anndata import AnnData

from distaff._threads import one_thread


@pytest.fixture
def cells():
    return AnnData(np.random.default_rng(0).poisson(2.0, (200, 60)).astype(np.float32))


def test_one_within_and_as_many_as_before_after():
    torch.set_num_threads(2)
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_variable_genes_leave_one_thread(cells):
    with one_thread():
        sc.pp.highly_variable_genes(cells, flavor="seurat_v3", n_top_genes=20)
    assert torch.get_num_threads() == 1
