"""``distaff fit``: a model of the user's cells, with scores and figures."""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

import distaff as ds
from distaff._checks import error
from distaff._keys import DEFAULT_KEY, Slots
from distaff.cli._arguments import common, names, number, slot_key, train_epochs, whole_number
from distaff.cli._data import check_columns, choose_genes, read
from distaff.cli._errors import input_stage
from distaff.cli._output import check_apart, check_target, output_folder, write_record
from distaff.cli._quiet import log
from distaff.cli._results import agreement_table, draw, embed, save_tables, score, scores_table, train
from distaff.cli._table import format_table

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["add_parser"]

MODELS: dict[str, Any] = {
    "beta": ds.model.BetaVAE,
    "linear": ds.model.LinearVAE,
    "sparse": ds.model.SparseVAE,
    "annotated": ds.model.AnnotatedVAE,
    "program": ds.model.ProgramVAE,
}
LINEAR = ("linear", "annotated", "program")  # models with loadings
GENE_SETS = "gene_sets"
GENES = "_genes"  # var: after the key, whether the model was trained on the gene
SETUP = ("layer", "batch_key", "labels_key", "categorical_covariate_keys", "continuous_covariate_keys")
MODEL = ("n_latent", "beta", "capacity", "capacity_steps", "init", "target_active", "likelihood")
TRAINING = ("max_epochs", "lr", "batch_size", "seed", "accelerator")
RECORDED = ("data", "model", "gene_sets", "key", "factors", "n_top_genes", *SETUP, *MODEL, *TRAINING)


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add ``fit`` to the commands."""
    parser = commands.add_parser(
        "fit",
        parents=[common(output=None)],
        help="train a model on the cells of an .h5ad file",
        description="Train a model on raw counts; write its latent, its scores for known factors, figures "
        "and the model itself. An option that is left out takes the model's own default.",
    )
    parser.add_argument("data", metavar="DATA.h5ad", type=Path, help="cells with raw counts")
    _add_data_arguments(parser.add_argument_group("data"))
    _add_model_arguments(parser.add_argument_group("model"))
    _add_training_arguments(parser.add_argument_group("training"))
    parser.set_defaults(run=run)


def _add_data_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--layer", help="layer with the counts (default: X)")
    group.add_argument("--batch-key", metavar="COLUMN", help="column of obs with the batch")
    group.add_argument("--labels-key", metavar="COLUMN", help="column of obs with labels, for the model")
    for kind in ("categorical", "continuous"):
        flag, what = f"--{kind}-covariate-keys", f"columns of obs with further {kind} covariates"
        group.add_argument(flag, metavar="A,B", type=names, help=what)
    group.add_argument(
        "--factors", metavar="A,B", type=names, help="columns of obs or tables of obsm to score the latent on"
    )
    group.add_argument(
        "--n-top-genes",
        metavar="N",
        type=whole_number(0),
        help="highly variable genes to model (default: 2000; 0: all genes)",
    )
    group.add_argument(
        "--key", type=slot_key, default=DEFAULT_KEY, help="prefix of the slots (default: %(default)s)"
    )


def _add_model_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--model", choices=tuple(MODELS), required=True)
    group.add_argument(
        "--gene-sets", metavar="FILE.gmt", type=Path, help="sets of the annotated model, one factor each"
    )
    group.add_argument("--n-latent", metavar="N", type=whole_number(1), help="latent dimensions")
    group.add_argument("--beta", type=number(minimum=0), help="weight of the KL")
    group.add_argument(
        "--capacity", metavar="NATS", type=number(minimum=0), help="capacity of the latent; 0: none"
    )
    group.add_argument(
        "--capacity-steps", metavar="N", type=whole_number(1), help="steps over which the capacity rises"
    )
    group.add_argument("--init", choices=("nmf", "nmf_kl", "ica", "pca"), help="start of a linear decoder")
    group.add_argument(
        "--target-active", metavar="N", type=number(above=0), help="dimensions on in a cell, sparse model"
    )
    group.add_argument("--likelihood", choices=("nb", "zinb", "poisson", "normal"))


def _add_training_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--max-epochs",
        metavar="N",
        type=train_epochs,
        help='epochs, or "1e6/N" (default: by the number of cells)',
    )
    group.add_argument("--lr", type=number(above=0), help="learning rate")
    group.add_argument("--batch-size", metavar="N", type=whole_number(2), help="cells a minibatch")


def run(args: argparse.Namespace) -> str:
    """Run the command and return its report."""
    with input_stage():
        _check_options(args)
        check_target(args.output, overwrite=args.overwrite)
        adata = read(args.data)
        check_apart(args.data, args.output)
        model = _build(adata, args)
    with output_folder(args.output, overwrite=args.overwrite) as folder:
        train(model, type(model).__name__, **_given(args, TRAINING))
        _store(adata, model, args)
        embed(adata, key=args.key, seed=args.seed)
        factors = args.factors or []
        curves = score(adata, factors, key=args.key, seed=args.seed) if factors else None
        draw(folder / "figures", adata, key=args.key, scored=bool(factors))
        save_tables(folder, scores=scores_table(adata, args.key) if factors else None, agreement=curves)
        model.save(str(folder / "model"))
        log("writing the cells")
        adata.write_h5ad(folder / "adata.h5ad", compression="gzip")
        write_record(folder, "fit", {name: getattr(args, name) for name in RECORDED})
    return _report(adata, curves, args)


def _check_options(args: argparse.Namespace) -> None:
    """Refuse an option that the chosen model does not have: it would say nothing about the result."""
    taken = inspect.signature(MODELS[args.model]).parameters
    for name in _given(args, MODEL):
        if name not in taken:
            have = ", ".join(_flag(option) for option in MODEL if option in taken)
            rule = f"--model {args.model} must be given its own options"
            raise error(rule, got=_flag(name), fix=f"It takes {have}.")
    if (args.gene_sets is not None) != (args.model == "annotated"):
        raise error(
            "--model annotated, and no other, must have --gene-sets",
            got=f"--model {args.model} {'with' if args.gene_sets is not None else 'without'}",
        )


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _given(args: argparse.Namespace, wanted: tuple[str, ...]) -> dict[str, Any]:
    """Arguments that the user gave: the model's own defaults hold for the others."""
    return {name: value for name in wanted if (value := getattr(args, name)) is not None}


def _build(adata: AnnData, args: argparse.Namespace) -> Any:
    """Check the data, choose the genes, and build the model on a copy: ``adata`` stays as it was read."""
    model_class = MODELS[args.model]
    setup = {**_given(args, SETUP), "allow_non_integer": args.likelihood == "normal"}
    log("checking the data")
    ds.pp.check_counts(adata, layer=args.layer, allow_non_integer=setup["allow_non_integer"])
    check_columns(adata, model_class, setup, args.factors)
    chosen = choose_genes(adata, args.n_top_genes, setup)
    adata.var[args.key + GENES] = chosen
    prepared = adata[:, chosen].copy()
    prepared.uns.pop(Slots(args.key).uns, None)  # nothing of an earlier model under this key
    if args.gene_sets is not None:
        ds.pp.gene_sets(prepared, args.gene_sets)
        log(f"keeping {prepared.varm[GENE_SETS].shape[1]:,} gene sets")
    model_class.setup_anndata(prepared, **setup)
    return model_class(prepared, **_given(args, MODEL))


def _store(adata: AnnData, model: Any, args: argparse.Namespace) -> None:
    """Put into ``adata``, which has all genes, what ``tl`` writes for those of the model."""
    ds.tl.latent(model.adata, model, key=args.key)
    if args.model in LINEAR:
        ds.tl.loadings(model.adata, model, key=args.key)
    ds.tl.factors(model.adata, model, key=args.key)
    slots = Slots(args.key)
    for slot in (slots.latent, slots.inclusion):
        if slot in model.adata.obsm:
            adata.obsm[slot] = model.adata.obsm[slot]
    adata.uns[slots.uns] = model.adata.uns[slots.uns]
    for table in (slots.loadings, GENE_SETS):
        if table in model.adata.varm:  # genes that were not modelled have no loading, and count in no set
            fill = 0.0 if table == GENE_SETS else float("nan")
            adata.varm[table] = model.adata.varm[table].reindex(adata.var_names, fill_value=fill)


def _report(adata: AnnData, curves: pd.DataFrame | None, args: argparse.Namespace) -> str:
    key = args.key
    tables = []
    if args.factors:
        tables += ["Scores of single dimensions", "", format_table(scores_table(adata, key)), ""]
    if curves is not None and len(curves):
        title = "Agreement of clusters of the latent with labels, best of all resolutions"
        tables += [title, "", format_table(agreement_table(curves)), ""]
    name, genes = MODELS[args.model].__name__, key + GENES
    loadings = f" varm {Slots(key).loadings}," if args.model in LINEAR else ""
    files = [
        f"Written to {args.output}:",
        f"  adata.h5ad   {args.data.name} with obsm {Slots(key).latent},{loadings} uns {key}, var {genes}",
        f"  model/       ds.model.{name}.load(path, adata=adata[:, adata.var[{genes!r}]].copy())",
        f"  figures/     {'history, disentanglement, latent' if args.factors else 'history'}",
    ]
    if tables:
        files.append(
            "  scores.csv" + (", cluster_agreement.csv" if curves is not None and len(curves) else "")
        )
    return "\n".join([*tables, *files, "  run.json     what was run, with which versions"])
