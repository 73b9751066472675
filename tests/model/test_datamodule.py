"""Models of cells that come from a data module: one of our own making, annbatch, a Census in TileDB-SOMA."""

import anndata
import numpy as np
import pytest
import torch
from scvi.dataloaders import DataSplitter

from distaff.model import AnnotatedVAE, BetaVAE, LinearVAE, ProgramVAE

N_CELLS, N_GENES = 512, 20
QUIET = {"accelerator": "cpu", "enable_progress_bar": False}

pytestmark = [
    pytest.mark.filterwarnings("ignore:zarr v3 autosharding"),
    pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part"),
]


class CellsOfMemory(DataSplitter):
    """The least that a data module must have: a registry, the number of cells, two loaders."""

    def __init__(self, manager):
        super().__init__(manager, train_size=0.9, batch_size=64)
        self.n_obs = manager.adata.n_obs
        self.registry = {**manager.registry, "setup_method_name": "setup_datamodule", "model_name": "SCVI"}


@pytest.fixture
def adata(make_adata):
    return make_adata(N_CELLS, N_GENES, covariates=True)


@pytest.fixture
def module(adata):
    LinearVAE.setup_anndata(adata, batch_key="batch")
    return CellsOfMemory(LinearVAE(adata, n_latent=2, n_hidden=4).adata_manager)


def test_trains_reads_and_comes_back(module, adata, tmp_path):
    model = LinearVAE(registry=module.registry, n_latent=3)
    model.train(3, datamodule=module, seed=0, check_val_every_n_epoch=1, **QUIET)
    assert model.module.objective.step == 3 * 8  # 461 cells, minibatches of 64
    assert model.history["train_loss"]["train_loss"].is_monotonic_decreasing
    assert len(model.history["validation_loss"]) == 3
    Z = model.get_latent_representation(dataloader=module.train_dataloader())
    assert Z.shape == (461, 3)
    model.save(tmp_path / "model")
    adata = adata.copy()
    again = LinearVAE.load(tmp_path / "model", adata=adata)
    assert again.get_latent_representation().shape == (N_CELLS, 3)
    for name, weights in model.module.state_dict().items():
        assert torch.equal(again.module.state_dict()[name], weights), name


def test_goes_on_after_loading(module, tmp_path):
    model = BetaVAE(registry=module.registry, n_latent=3, n_hidden=8)
    model.train(1, datamodule=module, seed=0, **QUIET)
    model.save(tmp_path / "model")
    again = BetaVAE.load(tmp_path / "model", adata=False)
    again.train(1, datamodule=module, seed=0, **QUIET)
    assert list(again.history["train_loss"].index) == [0, 1]


def test_what_does_not_fit_is_refused(module, adata):
    with pytest.raises(ValueError, match="init must be None for a data module, got 'nmf'. Pass init=None."):
        ProgramVAE(registry=module.registry)
    with pytest.raises(ValueError, match="use_observed_lib_size must be True for a data module"):
        BetaVAE(registry=module.registry, use_observed_lib_size=False)
    model = LinearVAE(registry=module.registry, n_latent=2)
    with pytest.raises(ValueError, match="no data to train on"):
        model.train(1, seed=0, **QUIET)
    with pytest.raises(ValueError, match="train_size and validation_size must be None"):
        model.train(1, datamodule=module, train_size=0.5, seed=0, **QUIET)
    with pytest.raises(ValueError, match="devices must be 1 for a data module, got 2"):
        model.train(1, datamodule=module, devices=2, seed=0, **QUIET)
    own = LinearVAE(adata, n_latent=2)
    with pytest.raises(ValueError, match=r"must be built with its registry, got a model of an AnnData"):
        own.train(1, datamodule=module, seed=0, **QUIET)


def test_other_genes_are_refused(module, make_adata):
    other = make_adata(N_CELLS, N_GENES - 1, covariates=True)
    LinearVAE.setup_anndata(other, batch_key="batch")
    stranger = CellsOfMemory(LinearVAE(other, n_latent=2, n_hidden=4).adata_manager)
    model = LinearVAE(registry=module.registry, n_latent=2)
    with pytest.raises(ValueError, match="datamodule must have the genes of the model, got 19 other genes"):
        model.train(1, datamodule=stranger, seed=0, **QUIET)


def test_gene_sets_need_an_anndata(module):
    with pytest.raises(KeyError, match="set_key must name a table of gene sets in adata.varm"):
        AnnotatedVAE(registry=module.registry)


@pytest.fixture
def collection(adata, tmp_path):
    pytest.importorskip("annbatch", reason="annbatch is not installed; it needs Python 3.12")
    adata.write_h5ad(tmp_path / "cells.h5ad")
    sizes = {"batch_size": 64, "chunk_size": 32, "preload_nchunks": 8, "preload_to_gpu": False}
    return LinearVAE.setup_annbatch(
        collection_path=str(tmp_path / "cells.zarr"),
        paths=[str(tmp_path / "cells.h5ad")],
        batch_key="batch",
        shuffle=False,
        **sizes,
    )


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_annbatch(collection, adata, tmp_path):
    model = LinearVAE(registry=collection.registry, n_latent=3)
    assert list(model.get_var_names()) == list(adata.var_names)
    model.train(2, datamodule=collection, batch_size=64, seed=0, check_val_every_n_epoch=1, **QUIET)
    assert len(model.history["validation_loss"]) == 2
    Z = model.get_latent_representation(dataloader=collection.inference_dataloader())
    model.save(tmp_path / "model")
    adata = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    again = LinearVAE.load(tmp_path / "model", adata=adata)
    np.testing.assert_allclose(again.get_latent_representation(), Z, rtol=1e-4, atol=1e-5)
    elbo = model.get_elbo(dataloader=collection.inference_dataloader(), return_mean=False)
    np.testing.assert_allclose(elbo.mean(), again.get_elbo(), rtol=0.01)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_census(adata, tmp_path):
    soma = pytest.importorskip("tiledbsoma", reason="tiledbsoma is not installed")
    pytest.importorskip("tiledbsoma_ml", reason="tiledbsoma-ml is not installed")
    import tiledbsoma.io
    from scvi.dataloaders import TileDBDataModule

    tiledbsoma.io.from_anndata(str(tmp_path / "cells"), adata, measurement_name="RNA")
    with soma.Experiment.open(str(tmp_path / "cells")) as experiment:
        module = TileDBDataModule(
            experiment.axis_query("RNA"),
            layer_name="data",
            batch_column_names=["batch"],
            continuous_covariate_keys=["age"],
            batch_size=64,
            train_size=0.9,
            dataloader_kwargs={"num_workers": 0},
            accelerator="cpu",
        )
        model = LinearVAE(registry=module.registry, n_latent=3)
        model.train(2, datamodule=module, seed=0, check_val_every_n_epoch=1, **QUIET)
        assert model.history["train_loss"]["train_loss"].is_monotonic_decreasing
        assert len(model.history["validation_loss"]) == 2
        Z = model.get_latent_representation(dataloader=module.inference_dataloader())
    assert Z.shape == (460, 3)  # of the training cells
    assert np.isfinite(Z).all()
