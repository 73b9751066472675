"""Options that say which model is trained on which cells, and what is made of them."""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import distaff as ds
from distaff._checks import error
from distaff._keys import Slots
from distaff.cli._arguments import names, number, train_epochs, whole_number
from distaff.cli._data import check_columns, check_counts, choose_genes
from distaff.cli._quiet import log

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = [
    "GENE_SETS",
    "MODEL",
    "MODELS",
    "SETUP",
    "TRAINING",
    "add_data_arguments",
    "add_model_arguments",
    "add_training_arguments",
    "check_options",
    "given",
    "prepare",
]

MODELS: dict[str, Any] = {
    "beta": ds.model.BetaVAE,
    "linear": ds.model.LinearVAE,
    "sparse": ds.model.SparseVAE,
    "annotated": ds.model.AnnotatedVAE,
    "program": ds.model.ProgramVAE,
}
GENE_SETS = "gene_sets"
REAL_FIX = " Or pass --likelihood normal, if the values are meant to be so."
SETUP = ("layer", "batch_key", "labels_key", "categorical_covariate_keys", "continuous_covariate_keys")
MODEL = ("n_latent", "beta", "capacity", "capacity_steps", "init", "target_active", "likelihood")
TRAINING = ("max_epochs", "lr", "batch_size", "seed", "accelerator")


def add_data_arguments(group: argparse._ArgumentGroup) -> None:
    """Add what says how to read the cells."""
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


def add_model_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the model and its own options, but for the weight of the KL and the capacity."""
    group.add_argument("--model", choices=tuple(MODELS), required=True)
    group.add_argument(
        "--gene-sets", metavar="FILE.gmt", type=Path, help="sets of the annotated model, one factor each"
    )
    group.add_argument("--n-latent", metavar="N", type=whole_number(1), help="latent dimensions")
    group.add_argument(
        "--capacity-steps", metavar="N", type=whole_number(1), help="steps over which the capacity rises"
    )
    group.add_argument("--init", choices=("nmf", "nmf_kl", "ica", "pca"), help="start of a linear decoder")
    group.add_argument(
        "--target-active", metavar="N", type=number(above=0), help="dimensions on in a cell, sparse model"
    )
    group.add_argument("--likelihood", choices=("nb", "zinb", "poisson", "normal"))


def add_training_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the options of the training."""
    group.add_argument(
        "--max-epochs",
        metavar="N",
        type=train_epochs,
        help='epochs, or "1e6/N" (default: by the number of cells)',
    )
    group.add_argument("--lr", type=number(above=0), help="learning rate")
    group.add_argument("--batch-size", metavar="N", type=whole_number(2), help="cells a minibatch")


def check_options(args: argparse.Namespace) -> None:
    """Refuse an option that the chosen model does not have: it would say nothing about the result."""
    taken = inspect.signature(MODELS[args.model]).parameters
    for name in given(args, MODEL):
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


def given(args: argparse.Namespace, wanted: tuple[str, ...]) -> dict[str, Any]:
    """Arguments that the user gave: the model's own defaults hold for the others."""
    return {name: value for name in wanted if (value := getattr(args, name)) is not None}


def prepare(adata: AnnData, args: argparse.Namespace) -> AnnData:
    """Check the cells, mark the genes to model, and return a copy of those that is set up."""
    _forget(adata, Slots(args.key))
    model_class = MODELS[args.model]
    setup = {**given(args, SETUP), "allow_non_integer": args.likelihood == "normal"}
    log("checking the data")
    check_counts(
        adata,
        layer=args.layer,
        allow_non_integer=setup["allow_non_integer"],
        real_fix="" if args.model == "program" else REAL_FIX,  # which starts from counts
    )
    check_columns(adata, model_class, setup, args.factors)
    chosen = choose_genes(adata, args.n_top_genes, setup)
    adata.var[Slots(args.key).genes] = chosen
    prepared = adata[:, chosen].copy()
    if args.gene_sets is not None:
        ds.pp.gene_sets(prepared, args.gene_sets)
        log(f"keeping {prepared.varm[GENE_SETS].shape[1]:,} gene sets")
    model_class.setup_anndata(prepared, **setup)
    return prepared


def _forget(adata: AnnData, slots: Slots) -> None:
    """Remove the results of an earlier model under this key: none shall pass for those of this one."""
    adata.uns.pop(slots.uns, None)
    for slot in (slots.loadings, slots.traversal):
        adata.varm.pop(slot, None)
    for slot in (slots.latent, slots.inclusion, slots.umap, slots.tsne):
        adata.obsm.pop(slot, None)
