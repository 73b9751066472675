"""The Python blocks of the pages run, one after the other, as a reader would run them."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scvi.model.base import BaseModelClass

import distaff as ds

DOCS = Path(__file__).parents[1] / "docs"
N_CELLS = 600


@pytest.fixture
def adata() -> anndata.AnnData:
    """Two factors, each with a dimension, and one dimension that is not used."""
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {
            "cell_type": rng.choice(["B", "NK", "T"], N_CELLS),
            "condition": rng.choice(["ctrl", "stim"], N_CELLS),
        },
        index=[f"cell{i}" for i in range(N_CELLS)],
    ).astype("category")
    Z = rng.normal(size=(N_CELLS, 3)) * [1.0, 1.0, 0.001]
    Z[:, :2] += 8 * np.column_stack([obs["cell_type"].cat.codes, obs["condition"].cat.codes])
    return anndata.AnnData(obs=obs, obsm={"X_distaff": Z})


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.skipif(not DOCS.is_dir(), reason="the source distribution has no docs")
def test_page_on_scores(adata) -> None:
    rng = np.random.default_rng(1)
    Z = adata.obsm["X_distaff"]
    latents = {
        (beta, seed): Z + noise * rng.normal(size=Z.shape)
        for beta, noise in ((1, 9), (5, 1))
        for seed in range(3)
    }
    names = {"adata": adata, "latents": latents}
    blocks = python_blocks(DOCS / "scores.md")
    assert len(blocks) == 4
    values = [run(block, names) for block in blocks]
    assert "condition" in values[0].index
    assert names["result"].mean["score"] > names["result"].mean["noise"]
    assert values[2].set_index("setting").loc[5, "q"] < 0.05
    assert names["active"].tolist() == [True, True, False]


@pytest.mark.slow
@pytest.mark.skipif(not DOCS.is_dir(), reason="the source distribution has no docs")
def test_page_on_models(make_adata, tmp_path, monkeypatch) -> None:
    adata, query = make_adata(128, 60, covariates=True), make_adata(64, 60, covariates=True, seed=1)
    query.obs["batch"] = pd.Categorical(["new"] * query.n_obs)
    programs, gene_sets, new_cells = python_blocks(DOCS / "models.md")
    names = {"adata": adata, "query": query}
    assert len(run(programs, names)) == 20
    run(new_cells, names)
    assert names["mapped"].is_trained
    monkeypatch.chdir(tmp_path)
    lines = ["\t".join([name, "", *adata.var_names[i : i + 15]]) for i, name in enumerate(("A", "B"))]
    Path("reactome.gmt").write_text("\n".join(lines), encoding="utf-8")
    path_of_fits = "table = pathways.select_lambda_group(seed=0)"  # too long here
    assert path_of_fits in gene_sets
    assert set(run(gene_sets.replace(path_of_fits, "pathways.train(2, seed=0)"), names).index) <= {"A", "B"}


@pytest.mark.slow
@pytest.mark.skipif(not DOCS.is_dir(), reason="the source distribution has no docs")
def test_page_on_repeating_a_run(make_adata) -> None:
    adata = make_adata(100, 30)
    ds.model.LinearVAE.setup_anndata(adata)
    model = ds.model.LinearVAE(adata, n_latent=2)
    (block,) = python_blocks(DOCS / "reproducibility.md")
    adata.obsm["X_distaff"] = np.random.default_rng(0).normal(size=(100, 2))
    run(block.replace("train(", "train(2, accelerator='cpu', "), {"ds": ds, "adata": adata, "model": model})
    assert model.seed_ == 0
    assert adata.obsm["X_distaff_umap"].shape == (100, 2)


@pytest.mark.slow
@pytest.mark.skipif(not DOCS.is_dir(), reason="the source distribution has no docs")
def test_page_on_the_report(make_adata, tmp_path, monkeypatch) -> None:
    adata = make_adata(600, 60, covariates=True)
    adata.obs["condition"] = pd.Categorical(np.where(np.arange(600) // 4 % 2, "stim", "ctrl"))
    adata.obs["cell_type"] = adata.obs["label"]
    ds.pp.gene_sets(adata, {"A": adata.var_names[:12], "B": adata.var_names[12:30]})
    ds.model.LinearVAE.setup_anndata(adata)
    model = ds.model.LinearVAE(adata, n_latent=3)
    model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
    monkeypatch.chdir(tmp_path)
    write, rename = python_blocks(DOCS / "report.md")
    names = {"ds": ds, "adata": adata, "model": model}
    run(write, names)
    assert "interferon response" not in Path("report.html").read_text(encoding="utf-8")
    run(rename, names)
    assert "interferon response" in Path("report.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(not DOCS.is_dir(), reason="the source distribution has no docs")
def test_page_on_reading_factors(tmp_path, monkeypatch) -> None:
    adata = ds.datasets.simulate_gep(240, 80, random_state=0)
    adata.obs["donor"] = [f"d{i % 4}" for i in range(240)]
    adata.obs["condition"] = pd.Categorical(np.where(np.arange(240) // 4 % 2, "stim", "ctrl"))
    monkeypatch.chdir(tmp_path)
    sets = {"A": adata.var_names[:12], "B": adata.var_names[12:30]}
    lines = ["\t".join([name, "", *genes]) for name, genes in sets.items()]
    Path("hallmark.gmt").write_text("\n".join(lines), encoding="utf-8")
    names = {"ds": ds, "adata": adata}
    blocks = [block.replace("train(seed", "train(60, seed") for block in python_blocks(DOCS / "reading.md")]
    values = [run(block, names) for block in blocks]  # 400 epochs are too long here
    assert values[0]["rank"].tolist() == list(range(1, 11))
    assert "cytotoxicity" in adata.uns["distaff"]["factors"].index
    assert len(values[5]) == len(adata.obsm["X_consensus"].T)
    assert Path("report.html").is_file()


@pytest.mark.slow
@pytest.mark.skipif(not DOCS.is_dir(), reason="the source distribution has no docs")
def test_page_on_training(make_adata, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    kept, diverging = python_blocks(DOCS / "training.md")
    names = {"adata": make_adata(100, 30, covariates=True)}
    run(kept.replace("train(", "train(2, accelerator='cpu', enable_progress_bar=False, "), names)
    assert Path("run_1/run.json").is_file()
    run(diverging.replace("train(5", "train(5, accelerator='cpu', enable_progress_bar=False"), names)
    assert names["where"].terms[0] == "reconstruction"


@pytest.mark.slow
@pytest.mark.skipif(not DOCS.is_dir(), reason="the source distribution has no docs")
def test_page_on_devices(make_adata, tmp_path, monkeypatch) -> None:
    adata = make_adata(100, 30, covariates=True)
    monkeypatch.chdir(tmp_path)
    adata.write_h5ad("cells.h5ad")
    one, script, _ = python_blocks(DOCS / "devices.md")
    few = "train(2, accelerator='cpu', enable_progress_bar=False, "  # epochs
    run(one.replace('accelerator="cpu"', "").replace("train(", few), {"adata": adata})
    two = ', devices=2, strategy="ddp"'  # tests/train/test_processes.py trains so
    assert two in script
    run(script.replace(two, "").replace("train(", few), {"__name__": "__main__"})
    assert ds.model.LinearVAE.load("model", adata).is_trained


@pytest.mark.filterwarnings("ignore:`var_names` for the loaded `model`")
@pytest.mark.skipif(not DOCS.is_dir(), reason="the source distribution has no docs")
def test_page_on_saving(make_adata, tmp_path, monkeypatch) -> None:
    adata = make_adata(100, 30)
    ds.model.ProgramVAE.setup_anndata(adata)
    model = ds.model.ProgramVAE(adata, n_latent=3)
    model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
    monkeypatch.chdir(tmp_path)
    BaseModelClass.save(model, "from_colleague")
    names = {"ds": ds, "adata": adata, "model": model, "other": adata[:, ::-1].copy()}
    save, genes, with_data, look, pickle = python_blocks(DOCS / "saving.md")
    run(save, names)
    assert np.array_equal(names["model"].get_latent_representation(), model.get_latent_representation())
    run(genes, names)
    assert names["model"].adata.var_names.equals(adata.var_names)
    run(with_data, names)
    assert names["model"].adata.n_obs == 100
    assert run(look, names) == "ProgramVAE"
    run(pickle, names)
    assert sorted(path.name for path in Path("safe").iterdir()) == [
        "model.json",
        "model.pt",
        "model.safetensors",
    ]


@pytest.mark.skipif(not DOCS.is_dir(), reason="the source distribution has no docs")
def test_page_on_own_parts(make_adata) -> None:
    adata = make_adata(100, 30, covariates=True)
    names = {"adata": adata}
    few = "train(2, accelerator='cpu', enable_progress_bar=False, "
    for block in python_blocks(DOCS / "extending.md"):
        curve = run(block.replace("train(", few), names)
    assert len(curve) == 2
    assert adata.obsm["X_distaff"].shape == (100, 10)


@pytest.mark.skipif(not DOCS.is_dir(), reason="the source distribution has no docs")
@pytest.mark.filterwarnings("ignore:Maximum number of iterations", "ignore:Too few cells")
def test_page_on_migration(make_adata) -> None:
    adata = make_adata(100, 30, covariates=True)
    adata.obs["cell_type"] = adata.obs["label"]
    adata.obs["condition"] = pd.Categorical(np.where(np.arange(100) % 2, "stim", "ctrl"))
    adata.layers["lognorm"] = np.log1p(adata.X)
    (block,) = python_blocks(DOCS / "migration.md")
    run(block, {"ds": ds, "adata": adata})
    assert len(adata.uns["nmf"]["factors"]) == 5
    assert "cell_type" in adata.uns["nmf"]["disentanglement"]["scores"].index


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of huggingface_hub
@pytest.mark.skipif(not DOCS.is_dir(), reason="the source distribution has no docs")
def test_page_on_sharing(make_adata, tmp_path, monkeypatch, capsys) -> None:
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
    server = pytest.importorskip("moto.server", reason="moto is not installed").ThreadedMotoServer
    adata, query = make_adata(100, 30, covariates=True), make_adata(40, 30, covariates=True, seed=1)
    query.obs["batch"] = pd.Categorical(["new"] * query.n_obs)
    ds.pp.gene_sets(adata, {"A": adata.var_names[:12], "B": adata.var_names[12:30]})
    ds.model.AnnotatedVAE.setup_anndata(adata, batch_key="batch")
    model = ds.model.AnnotatedVAE(adata, n_hidden=4)
    model.train(2, seed=0, accelerator="cpu", enable_progress_bar=False)
    monkeypatch.chdir(tmp_path)
    foreign_model(make_adata(100, 30), Path("from_scvi"))
    *before, push, to_s3, load, query_block, hub, foreign = python_blocks(DOCS / "hub.md")
    names = {"ds": ds, "model": model, "query": query}
    for block in before:
        run(block, names)
    assert "# AnnotatedVAE of 100 cells" in capsys.readouterr().out
    assert "lab/kang_pbmc" in push  # tests/hub/huggingface_child.py runs it
    run(load.replace("lab/kang_pbmc", "kang", 1), names)
    assert names["model"].adata.n_obs == 100
    table = run(query_block.replace("train(20", "train(2, accelerator='cpu'"), names)
    assert list(table.index) == ["A", "B"]
    assert run(hub, names)[1].n_obs == 100
    run(foreign, names)
    assert type(names["other"]).__name__ == "SCVI"
    store = server(ip_address="127.0.0.1", port=0)
    store.start()
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*store.get_host_and_port()))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            monkeypatch.setenv(name, "us-east-1")
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        boto3.client("s3").create_bucket(Bucket="models")
        run(to_s3, names)
        run(load.replace("lab/", "s3://models/"), names)
    finally:
        store.stop()
    assert names["model"].adata.n_obs == 100


def foreign_model(adata: anndata.AnnData, folder: Path) -> None:
    """Save a model of scvi-tools as its hub has them."""
    import scvi
    from scvi.hub import HubMetadata

    scvi.model.SCVI.setup_anndata(adata)
    model = scvi.model.SCVI(adata, n_latent=2, n_hidden=4)
    model.train(1, accelerator="cpu", enable_progress_bar=False)
    model.save(str(folder), save_anndata=True)
    metadata = HubMetadata(scvi.__version__, anndata.__version__, "SCVI")
    metadata.save(str(folder / "_scvi_required_metadata.json"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray
@pytest.mark.skipif(not DOCS.is_dir(), reason="the source distribution has no docs")
def test_sweep_with_ray(make_adata, tmp_path, monkeypatch) -> None:
    for package in ("ray.tune", "hyperopt", "muon", "scib_metrics"):
        pytest.importorskip(package, reason=f"{package} of scvi-tools[autotune] is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("scvi.settings._logging_dir", tmp_path)
    block = python_blocks(DOCS / "devices.md")[-1].replace('"max_epochs": 100', '"max_epochs": 2')
    try:
        table = run(block, {"ds": ds, "adata": make_adata(100, 30)})
    finally:
        import ray

        ray.shutdown()
    assert sorted(table["config/model_params/beta"]) == [1.0, 4.0]
    assert np.isfinite(table["elbo_validation"]).all()
    assert table["elbo_validation"].nunique() == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray
@pytest.mark.skipif(not DOCS.is_dir(), reason="the source distribution has no docs")
def test_page_on_sweeps(make_adata, tmp_path) -> None:
    pytest.importorskip("ray.tune", reason="ray[tune] is not installed")
    adata = make_adata(100, 30, covariates=True)
    adata.obs["cell_type"] = adata.obs["label"]
    adata.obs["condition"] = pd.Categorical(np.where(np.arange(100) % 2, "stim", "ctrl"))
    names = {"adata": adata}
    first, restore = (
        block.replace("train(100", "train(2").replace("/shared/sweeps", str(tmp_path))
        for block in python_blocks(DOCS / "sweeps.md")
    )
    try:
        assert len(run(first, names)) == 2
        assert len(names["runs"]) == 8
        assert names["runs"]["max_spearman"].between(0, 1).all()
        assert not names["results"].errors
        run(restore, names)
        assert len(names["results"].get_dataframe()) == 8
    finally:
        import ray

        ray.shutdown()


@pytest.mark.filterwarnings(
    "ignore:zarr v3 autosharding", "ignore:Consolidated metadata is currently not part"
)
def test_page_on_atlases(make_adata, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    full = make_adata(512, 40, covariates=True)
    full.write_h5ad("atlas.h5ad")
    blocks = [
        block.replace("seed=0", "seed=0, max_epochs=2").replace("size = 50_000", "size = 200")
        for block in python_blocks(DOCS / "atlas.md")
    ]
    names: dict = {}
    *on_disk, collection = blocks
    assert len(on_disk) == 3
    for block in on_disk:
        run(block, names)
    assert np.isfinite(names["adata"].obsm["X_distaff"]).all()
    assert (names["stored"].X[:] != full.X).nnz == 0
    assert names["stored"].obs["_scvi_batch"].tolist() == full.obs["batch"].cat.codes.tolist()
    pytest.importorskip("annbatch", reason="annbatch is not installed; it needs Python 3.12")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of annbatch and zarr
        run(collection, names)
    assert names["latent"].shape == (512, 10)


def run(block: str, names: dict) -> object:
    """Run a block; return the value of its last line, if that is an expression."""
    *body, last = block.strip().split("\n")
    try:
        expression = compile(last, "last line", "eval")
    except SyntaxError:
        exec(block, names)
        return None
    exec("\n".join(body), names)
    return eval(expression, names)
