from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import anndata
import numpy as np
import pandas as pd
import pytest

import distaff as ds
from distaff.cli import main


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Folder of one run, and what it said on stdout and on stderr."""
    output = tmp_path_factory.mktemp("demo") / "out"
    sizes = ["--n-cells", "150", "--n-genes", "200", "--max-epochs", "2", "--accelerator", "cpu"]
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        assert main(["demo", *sizes, "--output", str(output)]) == 0
    return output, out.getvalue(), err.getvalue()


@pytest.fixture
def done(run):
    return run[0]


def test_files(done):
    files = {path.relative_to(done).as_posix() for path in done.rglob("*") if path.is_file()}
    names = ("history", "embedding", "disentanglement", "latent")
    assert files == {
        "adata.h5ad",
        "report.html",
        "scores.csv",
        "cluster_agreement.csv",
        "run.json",
        *(
            f"models/{key}/model.{end}"
            for key in ("beta_1", "beta_10")
            for end in ("json", "pt", "safetensors")
        ),
        *(f"figures/{name}_{key}.png" for name in names for key in ("beta_1", "beta_10")),
    }


def test_both_models_live_in_one_adata_and_load(done):
    adata = anndata.read_h5ad(done / "adata.h5ad")
    for key, beta in (("beta_1", 1), ("beta_10", 10)):
        assert adata.uns[key]["params"]["beta"] == beta
        model = ds.model.BetaVAE.load(str(done / "models" / key), adata=adata.copy(), accelerator="cpu")
        latent = model.get_latent_representation()
        np.testing.assert_allclose(latent, adata.obsm[f"X_{key}"], rtol=1e-5, atol=1e-6)
    assert not np.allclose(adata.obsm["X_beta_1"], adata.obsm["X_beta_10"])


def test_scores(done):
    scores = pd.read_csv(done / "scores.csv", index_col=["model", "factor"])
    programs = [f"identity_{i}" for i in range(1, 6)] + ["activity_1"]
    for model in ("beta_1", "beta_10"):
        assert scores.loc[model].loc[programs, "max_spearman"].between(0, 1).all()
        assert scores.loc[model].loc["cell_type: identity_1", "single_dimension_accuracy"] > 0
    agreement = pd.read_csv(done / "cluster_agreement.csv")
    assert set(agreement["model"]) == {"beta_1", "beta_10"}


def test_table_of_programs_ends_with_the_mean(run):
    folder, out, err = run
    lines = out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.split() == ["beta=1", "beta=10"])
    rows = [line.split()[0] for line in lines[start + 2 : start + 10]]
    assert rows[:6] == [f"identity_{i}" for i in range(1, 6)] + ["activity_1"]
    assert rows[7] == "mean"
    assert f"Written to {folder}:" in lines
    assert all(line.startswith("distaff: ") for line in err.splitlines())
