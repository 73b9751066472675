"""With the same weights and the same draws our module is scVI's, to the last bit."""

import pytest
import scvi
import torch

from distaff.model import BetaVAE

N_CELLS, N_GENES, HIDDEN, LATENT = 40, 15, 16, 4


@pytest.fixture
def adata(make_adata):
    return make_adata(N_CELLS, N_GENES, covariates=True)


def copy_mlp(ours, theirs):
    """Copy weights of an scVI ``FCLayers``: one matrix there is features, continuous and one table a covariate here."""
    for linear, norm, layers in zip(ours.linears, ours.norms, theirs.fc_layers, strict=True):
        source, batch_norm = layers[0], layers[1]
        tables = [table.rows for table in linear.shift.categorical if table.n_rows]
        n_in = linear.linear.in_features
        widths = [n_in, len(linear.shift.continuous), *[len(table) for table in tables]]
        parts = torch.split(source.weight, widths, dim=1)
        linear.linear.weight.copy_(parts[0])
        linear.linear.bias.copy_(source.bias)
        linear.shift.continuous.copy_(parts[1].T)
        for table, part in zip(tables, parts[2:], strict=True):
            table.copy_(part.T)
        norm.load_state_dict(batch_norm.state_dict())


def copy_posterior(ours, theirs):
    ours.mean.load_state_dict(theirs.mean_encoder.state_dict())
    ours.log_variance.load_state_dict(theirs.var_encoder.state_dict())


@torch.no_grad()
def copy_weights(ours, theirs):
    copy_mlp(ours.encoder.body, theirs.z_encoder.encoder)
    copy_posterior(ours.posterior, theirs.z_encoder)
    copy_mlp(ours.decoder.body, theirs.decoder.px_decoder)
    heads = {"scale": theirs.decoder.px_scale_decoder[0], "dropout": theirs.decoder.px_dropout_decoder}
    heads["dispersion"] = theirs.decoder.px_r_decoder
    for name, head in ours.decoder.heads.items():
        head.load_state_dict(heads[name].state_dict())
    dispersion = getattr(ours.likelihood, "dispersion", None)
    if dispersion is not None and hasattr(dispersion, "log_value"):
        log_value = getattr(dispersion.log_value, "rows", dispersion.log_value)
        log_value.copy_(theirs.px_r.T if theirs.px_r.ndim == 2 else theirs.px_r)
    if hasattr(ours.library, "encoder"):
        copy_mlp(ours.library.encoder.body, theirs.l_encoder.encoder)
        copy_posterior(ours.library.posterior, theirs.l_encoder)


def losses(adata, beta=1.0, training=False, **options):
    """Loss outputs of our module and of scVI's on one minibatch with the same weights and random draws."""
    keys = options.pop("keys", {})
    kl_weight = options.pop("kl_weight", 1.0)
    BetaVAE.setup_anndata(adata, **keys)
    ours = BetaVAE(
        adata, n_latent=LATENT, n_hidden=HIDDEN, dropout_rate=0.2, beta=beta, capacity=None, **options
    )
    scvi.model.SCVI.setup_anndata(adata, **keys)
    with torch.random.fork_rng():
        options["gene_likelihood"] = options.pop("likelihood")
        theirs = scvi.model.SCVI(adata, n_latent=LATENT, n_hidden=HIDDEN, dropout_rate=0.2, **options)
        copy_weights(ours.module, theirs.module)
        outputs = []
        for model, weight in ((ours, 1.0), (theirs, kl_weight)):
            model.module.train(training)
            tensors = next(iter(model._make_data_loader(adata, batch_size=N_CELLS)))
            torch.manual_seed(0)
            outputs.append(model.module(tensors, loss_kwargs={"kl_weight": weight})[2])
    return outputs


COVARIATES = {
    "batch_key": "batch",
    "labels_key": "label",
    "categorical_covariate_keys": ["donor"],
    "continuous_covariate_keys": ["age"],
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dispersion", ["gene", "gene-batch", "gene-label", "gene-cell"])
@pytest.mark.parametrize("likelihood", ["nb", "zinb", "poisson"])
def test_beta_one_is_scvi(adata, likelihood, dispersion, training):
    ours, theirs = losses(
        adata, likelihood=likelihood, dispersion=dispersion, training=training, keys=COVARIATES
    )
    torch.testing.assert_close(ours.loss, theirs.loss, rtol=1e-6, atol=0)
    for name in ("kl_divergence_z", "kl_divergence_l"):
        torch.testing.assert_close(ours.kl_local[name], theirs.kl_local[name])
    torch.testing.assert_close(ours.reconstruction_loss_sum, theirs.reconstruction_loss_sum)


@pytest.mark.parametrize("likelihood", ["nb", "zinb"])
def test_beta_one_is_scvi_to_the_last_bit(adata, likelihood):
    ours, theirs = losses(adata, likelihood=likelihood)
    assert torch.equal(ours.loss, theirs.loss)


@pytest.mark.parametrize("encode_covariates", [False, True])
def test_learned_library_is_scvis(adata, encode_covariates):
    ours, theirs = losses(
        adata,
        likelihood="nb",
        use_observed_lib_size=False,
        encode_covariates=encode_covariates,
        keys=COVARIATES,
    )
    assert ours.kl_local["kl_divergence_l"].detach().abs().sum() > 0
    torch.testing.assert_close(ours.loss, theirs.loss, rtol=1e-6, atol=0)


def test_size_factor_is_scvis(adata):
    ours, theirs = losses(adata, likelihood="nb", keys={"size_factor_key": "size"})
    torch.testing.assert_close(ours.loss, theirs.loss, rtol=1e-6, atol=0)


@pytest.mark.parametrize("n_layers", [2, 3])
def test_deeper_networks_are_scvis(adata, n_layers):
    ours, theirs = losses(
        adata, likelihood="zinb", n_layers=n_layers, encode_covariates=True, keys=COVARIATES
    )
    torch.testing.assert_close(ours.loss, theirs.loss, rtol=1e-6, atol=0)


@pytest.mark.parametrize("beta", [0.0, 0.5, 10.0])
def test_beta_is_scvis_max_kl_weight(adata, beta):
    ours, theirs = losses(adata, likelihood="nb", beta=beta, kl_weight=beta)
    assert torch.equal(ours.loss, theirs.loss)


def test_scvis_own_plan_weighs_our_kl_as_its_own(adata):
    """The route by plan: max_kl_weight of scvi-tools' plan on our module equals beta in ours."""
    from scvi.train import TrainingPlan

    BetaVAE.setup_anndata(adata)
    model = BetaVAE(adata, n_latent=LATENT, n_hidden=HIDDEN, beta=1.0)
    plan = TrainingPlan(model.module, max_kl_weight=7.0, n_epochs_kl_warmup=None)
    weighted = BetaVAE(adata, n_latent=LATENT, n_hidden=HIDDEN, beta=7.0)
    weighted.module.load_state_dict(model.module.state_dict())
    tensors = next(iter(model._make_data_loader(adata, batch_size=N_CELLS)))
    kl_weight = plan.loss_kwargs["kl_weight"]
    values = []
    for module, kwargs in ((model.module, {"kl_weight": kl_weight}), (weighted.module, {})):
        module.eval()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            values.append(module(tensors, loss_kwargs=kwargs)[2].loss.item())
    assert float(kl_weight) == 7.0
    assert values[0] == pytest.approx(values[1], rel=1e-6)
