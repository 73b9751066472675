"""``distaff fit``: a model of the user's cells, with scores and figures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

import distaff as ds
from distaff._keys import DEFAULT_KEY, Slots
from distaff.cli._arguments import common, number, slot_key
from distaff.cli._data import read
from distaff.cli._errors import input_stage
from distaff.cli._model import (
    GENE_SETS,
    MODEL,
    MODELS,
    SETUP,
    TRAINING,
    add_data_arguments,
    add_model_arguments,
    add_training_arguments,
    check_options,
    given,
    prepare,
)
from distaff.cli._output import check_apart, check_target, output_folder, write_record
from distaff.cli._quiet import log
from distaff.cli._results import (
    agreement_table,
    draw,
    embed,
    save_factors,
    save_tables,
    score,
    scores_table,
    train,
)
from distaff.cli._table import format_table

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["add_parser"]

LINEAR = ("linear", "annotated", "program")  # models with loadings
RECORDED = ("data", "model", "gene_sets", "key", "factors", "n_top_genes", *SETUP, *MODEL, *TRAINING)


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add ``fit`` to the commands."""
    parser = commands.add_parser(
        "fit",
        parents=[common(output=None)],
        help="train a model on the cells of an .h5ad file",
        description="Train a model on raw counts; write its latent, tables of its factors (factors.csv), "
        "genes (loadings.csv, or traversal.csv of a model without loadings, for which each factor is moved "
        "over its range in up to 1,000 cells: some seconds) and gene sets (terms.csv), its scores for known "
        "factors, figures and the model itself. An option that is left out takes the model's own default.",
    )
    parser.add_argument("data", metavar="DATA.h5ad", type=Path, help="cells with raw counts")
    group = parser.add_argument_group("data")
    add_data_arguments(group)
    group.add_argument(
        "--key", type=slot_key, default=DEFAULT_KEY, help="prefix of the slots (default: %(default)s)"
    )
    group = parser.add_argument_group("model")
    add_model_arguments(group)
    group.add_argument("--beta", type=number(minimum=0), help="weight of the KL")
    group.add_argument(
        "--capacity", metavar="NATS", type=number(minimum=0), help="capacity of the latent; 0: none"
    )
    add_training_arguments(parser.add_argument_group("training"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> str:
    """Run the command and return its report."""
    with input_stage():
        check_options(args)
        check_target(args.output, overwrite=args.overwrite)
        adata = read(args.data)
        check_apart(args.data, args.output)
        model = MODELS[args.model](prepare(adata, args), **given(args, MODEL))
    with output_folder(args.output, overwrite=args.overwrite) as folder:
        train(model, type(model).__name__, **given(args, TRAINING))
        _store(adata, model, args)
        embed(adata, key=args.key, seed=args.seed)
        factors = args.factors or []
        curves = score(adata, factors, key=args.key, seed=args.seed) if factors else None
        color = next((name for name in factors if name in adata.obs), None)
        draw(folder / "figures", adata, key=args.key, scored=bool(factors), color=color)
        save_factors(folder, adata, model, key=args.key)
        save_tables(folder, scores=scores_table(adata, args.key) if factors else None, agreement=curves)
        model.save(str(folder / "model"))
        log("writing the cells")
        adata.write_h5ad(folder / "adata.h5ad", compression="gzip")
        write_record(folder, "fit", {name: getattr(args, name) for name in RECORDED})
    return _report(adata, curves, args)


def _store(adata: AnnData, model: Any, args: argparse.Namespace) -> None:
    """Put into ``adata``, which has all genes, what ``tl`` writes for those of the model."""
    ds.tl.latent(model.adata, model, key=args.key)
    if args.model in LINEAR:
        ds.tl.loadings(model.adata, model, key=args.key)
    else:
        ds.tl.traverse(model.adata, model, key=args.key, random_state=args.seed)
    ds.tl.factors(model.adata, model, key=args.key)
    slots = Slots(args.key)
    for slot in (slots.latent, slots.inclusion):
        if slot in model.adata.obsm:
            adata.obsm[slot] = model.adata.obsm[slot]
    adata.uns[slots.uns] = model.adata.uns[slots.uns]
    for table in (slots.loadings, slots.traversal, GENE_SETS):
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
    name, genes = MODELS[args.model].__name__, Slots(key).genes
    is_linear = args.model in LINEAR
    varm = Slots(key).loadings if is_linear else Slots(key).traversal
    files = [
        f"Written to {args.output}:",
        f"  adata.h5ad   {args.data.name} with obsm {Slots(key).latent}, varm {varm}, uns {key}, var {genes}",
        f"               ({adata.var[genes].sum():,} of {adata.n_vars:,} genes modelled)",
        f"  model/       ds.model.{name}.load(path, adata=adata[:, adata.var[{genes!r}]].copy())",
        f"  figures/     history, embedding{', top_genes' if is_linear else ''}"
        + (", disentanglement, latent" if args.factors else ""),
    ]
    written = ", ".join(sorted(path.name for path in args.output.glob("*.csv")))
    return "\n".join([*tables, *files, f"  {written}", "  run.json     what was run, with which versions"])
