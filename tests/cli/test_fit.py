import json
import shutil

import anndata
import numpy as np
import pandas as pd
import pytest

import distaff as ds
from distaff.cli import main


@pytest.fixture(scope="module")
def done(cells, tmp_path_factory):
    """Folder of one run on 25 of the 40 genes, with the input beside it."""
    folder = tmp_path_factory.mktemp("fit")
    cells.write_h5ad(folder / "cells.h5ad")
    options = (
        "--model beta --layer counts --batch-key batch --categorical-covariate-keys condition "
        "--continuous-covariate-keys age --factors condition,cell_type,age --n-top-genes 25 --n-latent 4 "
        "--beta 2 --lr 0.01 --batch-size 32 --max-epochs 3 --seed 7 --accelerator cpu"
    )
    code = main(["fit", str(folder / "cells.h5ad"), *options.split(), "--output", str(folder / "out")])
    assert code == 0
    return folder / "out"


@pytest.fixture(scope="module")
def result(done):
    return anndata.read_h5ad(done / "adata.h5ad")


def test_folder_holds_all_and_nothing_else(done):
    files = {path.relative_to(done).as_posix() for path in done.rglob("*") if path.is_file()}
    figures = {f"figures/{name}.png" for name in ("history", "embedding", "disentanglement", "latent")}
    tables = {"scores.csv", "cluster_agreement.csv", "factors.csv", "traversal.csv", "run.json", "adata.h5ad"}
    assert files == figures | tables | {f"model/model.{end}" for end in ("json", "pt", "safetensors")}
    assert sorted(path.name for path in done.parent.iterdir()) == ["cells.h5ad", "out"]


def test_input_is_kept(result, cells):
    assert result.shape == cells.shape
    assert (result.X != cells.X).nnz == 0
    assert result.uns["note"] == "mine"
    np.testing.assert_array_equal(result.obsm["X_pca"], cells.obsm["X_pca"])
    assert list(result.obs) == list(cells.obs)
    np.testing.assert_array_equal(result.obs["cell_type"].isna(), cells.obs["cell_type"].isna())


def test_slots(result):
    assert result.obsm["X_distaff"].shape == (120, 4)
    assert result.obsm["X_distaff_umap"].shape == (120, 2)
    assert result.var["distaff_genes"].sum() == 25
    assert set(result.uns["distaff"]) >= {"params", "history", "disentanglement", "cluster_agreement"}
    assert result.uns["distaff"]["params"]["beta"] == 2


def test_first_label_keeps_its_agreement(result):
    assert result.uns["distaff"]["cluster_agreement"]["params"]["label_key"] == "condition"


def test_missing_labels_are_left_out_of_the_scores(result):
    factors = result.uns["distaff"]["disentanglement"]["factors"]
    assert factors.loc["condition", ["n_cells", "n_missing"]].tolist() == [120, 0]
    assert factors.loc["cell_type: B", ["n_cells", "n_missing"]].tolist() == [108, 12]


def test_tables(done):
    scores = pd.read_csv(done / "scores.csv", index_col="factor")
    assert {"condition", "cell_type: T/NK", "age"} <= set(scores.index)
    assert np.isfinite(scores.loc["condition", "max_spearman"])
    agreement = pd.read_csv(done / "cluster_agreement.csv")
    assert list(agreement["label"].unique()) == ["condition", "cell_type"]


def test_tables_of_factors_and_genes(done, result):
    factors = pd.read_csv(done / "factors.csv", index_col="factor")
    assert list(factors.index) == list(result.uns["distaff"]["factors"].index)
    assert sorted(factors["rank"]) == [1, 2, 3, 4]
    genes = pd.read_csv(done / "traversal.csv", index_col="gene")
    modelled = result.var["distaff_genes"].to_numpy()
    np.testing.assert_allclose(genes, result.varm["distaff_traversal"][modelled], rtol=1e-5)
    assert result.varm["distaff_traversal"][~modelled].isna().all(axis=None)


def test_embedding_has_a_panel_of_the_first_factor_in_obs(write, fit, monkeypatch):
    colors = []
    draw = ds.pl.embedding

    def spy(*args, **kwargs):
        colors.append(kwargs["color"])
        return draw(*args, **kwargs)

    monkeypatch.setattr(ds.pl, "embedding", spy)
    assert fit(write(), "--factors", "X_pca,cell_type,condition") == 0
    assert fit(write(), "--overwrite") == 0
    assert colors == ["cell_type", None]


def test_model_loads_and_gives_the_same_latent(done, result):
    adata = result[:, result.var["distaff_genes"]].copy()
    model = ds.model.BetaVAE.load(str(done / "model"), adata=adata, accelerator="cpu")
    np.testing.assert_allclose(
        model.get_latent_representation(), result.obsm["X_distaff"], rtol=1e-5, atol=1e-6
    )
    assert model.module.objective is not None
    assert model.seed_ == 7


def test_record(done):
    record = json.loads((done / "run.json").read_text())
    assert record["command"] == "fit"
    assert record["arguments"]["factors"] == ["condition", "cell_type", "age"]
    assert record["versions"]["distaff"] == ds.__version__


def test_says_what_it_does_on_stderr_and_reports_on_stdout(write, fit, capfd):
    assert fit(write(), "--factors", "condition") == 0
    out, err = capfd.readouterr()
    assert out.startswith("Scores of single dimensions")
    assert "Written to" in out
    assert "40 of 40 genes modelled" in out
    assert "cluster_agreement.csv, factors.csv, scores.csv, traversal.csv" in out
    assert "modelling all 40 genes" in err
    assert all(line.startswith("distaff: ") for line in err.splitlines())


def test_without_factors_there_are_no_scores(write, fit, tmp_path):
    assert fit(write()) == 0
    assert not (tmp_path / "out" / "scores.csv").exists()
    figures = sorted(path.name for path in (tmp_path / "out" / "figures").iterdir())
    assert figures == ["embedding.png", "history.png"]


def test_factor_of_numbers_only_has_no_clusters(write, fit, tmp_path):
    assert fit(write(), "--factors", "age,X_pca") == 0
    assert (tmp_path / "out" / "scores.csv").exists()
    assert not (tmp_path / "out" / "cluster_agreement.csv").exists()


def test_same_seed_same_latent(write, fit, tmp_path):
    latents = []
    for name in ("a", "b"):
        assert fit(write(), "--n-top-genes", "0") == 0
        shutil.move(tmp_path / "out", tmp_path / name)
        latents.append(anndata.read_h5ad(tmp_path / name / "adata.h5ad").obsm["X_distaff"])
    np.testing.assert_array_equal(*latents)


def test_second_model_under_another_key(write, fit, tmp_path):
    assert fit(write()) == 0
    first = str(shutil.move(tmp_path / "out", tmp_path / "first"))
    assert fit(f"{first}/adata.h5ad", "--key", "second", "--seed", "1") == 0
    both = anndata.read_h5ad(tmp_path / "out" / "adata.h5ad")
    assert {"X_distaff", "X_second"} <= set(both.obsm)


def test_same_key_again_leaves_nothing_of_the_first_model(write, fit, tmp_path):
    assert fit(write(), "--factors", "condition", "--model", "sparse") == 0
    first = str(shutil.move(tmp_path / "out", tmp_path / "first"))
    assert fit(f"{first}/adata.h5ad", "--model", "linear") == 0
    second = anndata.read_h5ad(tmp_path / "out" / "adata.h5ad")
    assert "disentanglement" not in second.uns["distaff"]
    assert list(second.varm) == ["distaff_loadings"]
    assert "distaff_inclusion" not in second.obsm
    assert fit(str(shutil.move(tmp_path / "out", tmp_path / "second") / "adata.h5ad")) == 0
    assert list(anndata.read_h5ad(tmp_path / "out" / "adata.h5ad").varm) == ["distaff_traversal"]
    assert not (tmp_path / "out" / "loadings.csv").exists()


def test_real_values_with_the_normal_likelihood(write, fit, capsys):
    def log_normalise(adata):
        adata.X = adata.X.log1p()

    assert fit(write(log_normalise), "--likelihood", "normal") == 0
    assert "modelling all 40 genes" in capsys.readouterr().err


@pytest.fixture
def gene_sets(tmp_path):
    """Two sets, of which one gene is not modelled by ``fit_model``."""
    path = tmp_path / "sets.gmt"
    rows = [("first", range(20)), ("second", range(18, 40))]
    path.write_text(
        "".join("\t".join([name, "", *(f"gene{i}" for i in genes)]) + "\n" for name, genes in rows)
    )
    return path


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("linear", ["--n-latent", "3", "--init", "nmf"]),
        ("sparse", ["--n-latent", "3", "--target-active", "1"]),
        ("program", ["--n-latent", "3"]),
        ("annotated", []),
    ],
)
def test_every_model(model, options, write, gene_sets, tmp_path):
    if model == "annotated":
        options = ["--gene-sets", str(gene_sets)]
    run = [
        "--n-top-genes",
        "38",
        "--max-epochs",
        "2",
        "--accelerator",
        "cpu",
        "--output",
        str(tmp_path / "out"),
    ]
    assert main(["fit", write(), "--model", model, *options, *run]) == 0
    adata = anndata.read_h5ad(tmp_path / "out" / "adata.h5ad")
    modelled = adata.var["distaff_genes"].to_numpy()
    params = adata.uns["distaff"]["params"]
    cls = getattr(ds.model, params["model"])
    again = cls.load(str(tmp_path / "out" / "model"), adata=adata[:, modelled].copy(), accelerator="cpu")
    np.testing.assert_allclose(
        again.get_latent_representation(), adata.obsm["X_distaff"], rtol=1e-5, atol=1e-6
    )
    assert ("distaff_inclusion" in adata.obsm) == (model == "sparse")
    assert ("distaff_loadings" in adata.varm) == (model != "sparse")
    if model != "sparse":
        loadings = adata.varm["distaff_loadings"]
        assert loadings[modelled].notna().all(axis=None)
        assert loadings[~modelled].isna().all(axis=None)
    tables = {"loadings.csv"} if model != "sparse" else {"traversal.csv"}
    tables |= {"factors.csv"} | ({"terms.csv"} if model == "annotated" else set())
    assert {path.name for path in (tmp_path / "out").glob("*.csv")} == tables
    if model == "annotated":
        assert list(pd.read_csv(tmp_path / "out" / "terms.csv")["term"]) == ["first", "second"]
        assert list(adata.varm["distaff_loadings"]) == ["first", "second"]
        assert adata.varm["gene_sets"][~modelled].eq(0).all(axis=None)
