import numpy as np
import pytest

import distaff as ds
from distaff.model import AnnotatedVAE

FAST = {"seed": 0, "batch_size": 64, "accelerator": "cpu", "enable_progress_bar": False}


@pytest.fixture(scope="module")
def simulated():
    """Simulated programs as gene sets, with two random sets that mean nothing."""
    adata = ds.datasets.simulate_gep(600, 300, random_state=0)
    effects = adata.varm["program_effects"]
    sets = {name: adata.var_names[effects[name] > 1.5] for name in effects}
    rng = np.random.default_rng(0)
    sets |= {f"random {i}": rng.choice(adata.var_names, 15, replace=False) for i in range(2)}
    ds.pp.gene_sets(adata, {name: list(genes) for name, genes in sets.items()}, min_genes=3)
    AnnotatedVAE.setup_anndata(adata)
    return adata


@pytest.fixture(scope="module")
def model(simulated):
    model = AnnotatedVAE(simulated, n_sparse=1, n_dense=1, init="nmf", lambda_group=0.5)
    model.train(60, **FAST)
    return model


def test_zeros_are_exact_and_survive_saving(model, simulated, tmp_path):
    loadings = model.get_loadings().to_numpy()
    mask = simulated.varm["gene_sets"].to_numpy() != 0
    outside = loadings[:, : mask.shape[1]][~mask]
    assert (outside == 0.0).mean() > 0.95
    model.save(tmp_path / "model")
    loaded = AnnotatedVAE.load(tmp_path / "model", adata=False)
    assert np.array_equal(loaded.get_loadings().to_numpy() == 0, loadings == 0)
    assert loaded.factor_names == model.factor_names
    assert np.array_equal(loaded.get_latent_representation(simulated), model.get_latent_representation())


@pytest.mark.parametrize("prox", ["metric", "paper"])
def test_zeros_are_exact_after_every_step(simulated, monkeypatch, prox):
    from distaff.train import FactorTrainingPlan

    shares = []
    after = FactorTrainingPlan._after_step

    def record(self, optimiser, *, penalised):
        after(self, optimiser, penalised=penalised)
        decoder = self.module.decoder
        outside = decoder.weights.raw[decoder.l1 > 0]
        small = (outside != 0) & (outside.abs() < 1e-12)
        assert not small.any()
        shares.append(float((outside == 0).float().mean()))

    monkeypatch.setattr(FactorTrainingPlan, "_after_step", record)
    model = AnnotatedVAE(simulated, prox=prox)
    model.train(2, **FAST)
    assert len(shares) == model.module.objective.step
    assert min(shares) > 0.5


def test_the_papers_form_is_kept(simulated, tmp_path):
    model = AnnotatedVAE(simulated, prox="paper")
    model.train(1, **FAST)
    model.save(tmp_path / "model")
    loaded = AnnotatedVAE.load(tmp_path / "model", adata=simulated)
    query = AnnotatedVAE.load_query_data(simulated, model, freeze=False, accelerator="cpu")
    for other in (loaded, query):
        assert not other.module.decoder.proximal()[0].in_metric
        assert other.get_loadings().equals(model.get_loadings())
    assert ds.tl.latent(simulated, loaded, copy=True).uns["distaff"]["params"]["prox"] == "paper"
    assert AnnotatedVAE(simulated).module.decoder.proximal()[0].in_metric


def test_an_unknown_prox(simulated):
    with pytest.raises(ValueError, match="prox must be one of 'metric', 'paper', got 'expimap'"):
        AnnotatedVAE(simulated, prox="expimap")


def test_terms(model, simulated):
    terms = model.get_terms()
    mask = simulated.varm["gene_sets"].to_numpy() != 0
    n_sets = mask.shape[1]
    assert list(terms["kind"]) == ["annotated"] * n_sets + ["sparse", "dense"]
    loadings = model.get_loadings().to_numpy()
    assert np.array_equal(terms["n_genes"], (loadings != 0).sum(0))
    assert np.array_equal(terms["n_kept"] + terms["n_added"], terms["n_genes"])
    assert np.array_equal((terms["n_kept"] + terms["n_dropped"])[:n_sets], mask.sum(0))
    np.testing.assert_allclose(terms["l2_norm"], np.linalg.norm(loadings, axis=0), rtol=1e-5)
    assert set(terms["direction"]) <= {-1, 1}
    assert model.active_terms == terms.index[terms["active"]].to_list()


def test_genes_of_a_term(model, simulated):
    terms, loadings = model.get_terms(), model.get_loadings()
    for name in model.factor_names:
        genes = model.get_term_genes(name)
        counts = genes["status"].value_counts().reindex(["kept", "added", "dropped"], fill_value=0)
        assert counts.tolist() == terms.loc[name, ["n_kept", "n_added", "n_dropped"]].tolist()
        assert genes["loading"].abs().is_monotonic_decreasing
        assert genes["loading"].equals(loadings.loc[genes.index, name].rename("loading"))
        assert ((genes["loading"] == 0) == (genes["status"] == "dropped")).all()
        if name in simulated.varm["gene_sets"]:
            in_set = simulated.varm["gene_sets"][name] != 0
            assert set(genes.index[genes["in_set"]]) == set(in_set.index[in_set])
        else:
            assert genes["in_set"].all()
    with pytest.raises(ValueError, match="term must be one of .*, got 'none'"):
        model.get_term_genes("none")


def test_true_programs_outweigh_random_sets(model):
    norm = model.get_terms()["l2_norm"]
    programs = norm[[name for name in norm.index if name.startswith(("identity", "activity"))]]
    assert programs.median() > 1.25 * norm[["random 0", "random 1"]].max()  # 1.5 to 2.7 over five seeds


def test_a_factor_follows_its_program(model, simulated):
    Z = model.get_latent_representation()
    usage = simulated.obsm["program_usage"]
    scores = ds.metrics.max_spearman(Z, usage)
    assert scores.value > 0.55


def test_group_lasso_switches_terms_off(simulated):
    model = AnnotatedVAE(simulated, lambda_group=30.0)
    model.train(10, **FAST)
    assert len(model.active_terms) < len(model.factor_names)
    off = model.get_terms().query("~active")
    assert (off["l2_norm"] == 0).all()
    assert np.isfinite(model.get_latent_representation()).all()


def test_a_hard_mask_keeps_the_annotation(simulated):
    model = AnnotatedVAE(simulated, mask="hard", n_dense=1)
    model.train(2, **FAST)
    mask = simulated.varm["gene_sets"].to_numpy() != 0
    loadings = model.get_loadings().to_numpy()
    assert (loadings[:, : mask.shape[1]][~mask] == 0).all()
    assert (loadings[:, -1] != 0).any()


def test_the_papers_autoencoder(simulated):
    adata = simulated.copy()
    adata.layers["log1p"] = adata.X.multiply(1e4 / adata.X.sum(axis=1)).tocsr().log1p()
    AnnotatedVAE.setup_anndata(adata, layer="log1p", allow_non_integer=True)
    model = AnnotatedVAE(adata, latent="deterministic", likelihood="normal", dispersion="fixed")
    model.train(5, **FAST)
    assert "loss_latent_norm_train" in model.history
    fit = model.history["reconstruction_loss_train"].iloc[:, 0]
    assert fit.iloc[-1] < fit.iloc[0]
    assert np.array_equal(model.get_latent_representation(), model.get_latent_representation())
    assert (model.get_loadings() == 0).to_numpy().any()


def test_models_of_one_anndata_keep_their_own_sets(simulated, tmp_path):
    adata = simulated.copy()
    adata.varm["fewer"] = adata.varm["gene_sets"].iloc[:, :2]
    AnnotatedVAE.setup_anndata(adata)
    first, second = AnnotatedVAE(adata), AnnotatedVAE(adata, set_key="fewer")
    for i, model in enumerate((first, second)):
        model.is_trained_ = True
        model.save(tmp_path / f"{i}")
        loaded = AnnotatedVAE.load(tmp_path / f"{i}", adata=False)
        assert loaded.factor_names == model.factor_names
        loaded.adata = adata
        assert loaded.registry["distaff_gene_sets"] == model.registry["distaff_gene_sets"]
    assert "distaff_gene_sets" not in first.adata_manager.registry


def test_missing_gene_sets(make_adata):
    adata = make_adata()
    AnnotatedVAE.setup_anndata(adata)
    with pytest.raises(
        KeyError, match=r"set_key must name a table of gene sets .*, got 'gene_sets'. Run distaff.pp"
    ):
        AnnotatedVAE(adata)


def test_sets_that_lost_genes_since_they_were_stored(make_adata):
    adata = make_adata()
    ds.pp.gene_sets(adata, {"first": adata.var_names[:12], "last": adata.var_names[-12:]})
    AnnotatedVAE.setup_anndata(adata)
    AnnotatedVAE(adata)
    variable = adata[:, :15].copy()
    AnnotatedVAE.setup_anndata(variable)
    with pytest.warns(UserWarning, match="12 genes or more, as when .* got fewer for 1 of 2: 'last'. Run"):
        AnnotatedVAE(variable)


def test_an_empty_set(make_adata):
    import pandas as pd

    adata = make_adata()
    adata.varm["gene_sets"] = pd.DataFrame({"full": 1.0, "none": 0.0}, index=adata.var_names)
    AnnotatedVAE.setup_anndata(adata)
    with pytest.raises(ValueError, match="must have genes, got 1 empty sets: 'none'"):
        AnnotatedVAE(adata)
