"""Counts that stay on a device. Here it is the CPU, on which the same operations run."""

import numpy as np
import pytest
import torch
from scipy import sparse

from distaff.model import AnnotatedVAE, LinearVAE
from distaff.train import CellLoader, sources
from distaff.train.resident import Resident, ResidentCounts, fits_on

CPU = torch.device("cpu")


def matrix(kind=sparse.csr_matrix, dtype=np.float32):
    return kind(np.random.default_rng(0).poisson(0.4, (50, 13)).astype(dtype))


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array, np.asarray])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("positions", [[3], [7, 7, 2], [], list(range(50))])
def test_rows(kind, dtype, positions):
    counts, positions = matrix(kind, dtype), np.array(positions, dtype=np.int64)
    rows = ResidentCounts(counts, CPU).rows(positions)
    assert rows.dtype is torch.float32
    dense = counts if kind is np.asarray else counts.toarray()
    assert np.array_equal(rows.numpy(), dense[positions])


def test_a_cell_without_counts():
    counts = sparse.csr_matrix((4, 5), dtype=np.float32)
    assert not ResidentCounts(counts, CPU).rows(np.array([0, 3])).any()


def test_minibatches_are_those_from_memory(make_adata):
    adata = make_adata(70, 9, covariates=True)
    LinearVAE.setup_anndata(adata, batch_key="batch", continuous_covariate_keys=["age"])
    manager = LinearVAE(adata, n_latent=2).adata_manager
    loaders = [
        CellLoader(manager, batch_size=32, shuffle=True, source=source)
        for source in (None, Resident(adata.X, CPU))
    ]
    passes = []
    for loader in loaders:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            passes.append(list(loader))
    for one, other in zip(*passes, strict=True):
        assert one.keys() == other.keys()
        assert torch.equal(one.pop("X").to_dense(), other.pop("X"))
        assert all(torch.equal(value, other[key]) for key, value in one.items())


def test_only_a_gpu_with_room_keeps_them(monkeypatch):
    counts = matrix()
    needed = 8 * counts.nnz + 16 * counts.shape[0]
    assert not fits_on(counts, CPU)
    for free, fits in ((2 * needed, True), (2 * needed - 2, False)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 10 * free))
        assert fits_on(counts, torch.device("cuda")) is fits
        assert fits_on(counts.toarray(), torch.device("cuda")) is fits


@pytest.mark.parametrize("model_class", [LinearVAE, AnnotatedVAE])
def test_training_is_the_same(make_adata, monkeypatch, model_class):
    adata = make_adata(100, 30, covariates=True)
    sets = np.random.default_rng(0).random((30, 3)) < 0.3
    adata.varm["gene_sets"] = sets.astype(np.int8)
    model_class.setup_anndata(adata, batch_key="batch")
    curves = []
    for resident in (False, True):
        monkeypatch.setattr(sources, "fits_on", lambda counts, device, resident=resident: resident)
        options = {} if model_class is LinearVAE else {"init": None}
        model = model_class(adata, dropout_rate=0.0, **options)
        model.train(
            2, seed=0, batch_size=32, check_val_every_n_epoch=1, accelerator="cpu", enable_progress_bar=False
        )
        kept = model.trainer.datamodule.source
        assert isinstance(kept, Resident) is resident
        curves.append(model.history)
    for name, curve in curves[0].items():
        np.testing.assert_allclose(curves[1][name], curve, rtol=1e-3, atol=1e-4, err_msg=name)
