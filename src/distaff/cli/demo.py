"""``distaff demo``: two models on simulated cells, scored on the programs that made them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

import distaff as ds
from distaff._keys import SIMULATION
from distaff.cli._arguments import common, whole_number
from distaff.cli._errors import input_stage
from distaff.cli._output import check_target, output_folder, write_record
from distaff.cli._quiet import log
from distaff.cli._results import agreement_table, draw, embed, save_tables, score, scores_table, train
from distaff.cli._table import format_table

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

__all__ = ["add_parser"]

MODELS = {"beta_1": 1.0, "beta_10": 10.0}  # slots' key: weight of the KL
SHOWN = "beta_10"  # key of the model that the page shows
FACTORS = (SIMULATION.usage, SIMULATION.group)
LABELS = {key: f"beta={beta:g}" for key, beta in MODELS.items()}
METRICS = ("max_spearman", "single_dimension_accuracy")
N_CELLS, N_GENES, MAX_EPOCHS = 2000, 1000, 60  # two models in about two minutes on two cores


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add ``demo`` to the commands."""
    parser = commands.add_parser(
        "demo",
        parents=[common(output="distaff-demo")],
        help="train two models on simulated cells and score them on the true programs",
        description="Simulate cells of five types, some of which share an activity program; train a BetaVAE "
        "with beta=1 and one with beta=10; score single dimensions of both on the true programs.",
    )
    parser.add_argument("--n-cells", type=whole_number(50), default=N_CELLS, help="default: %(default)s")
    parser.add_argument("--n-genes", type=whole_number(50), default=N_GENES, help="default: %(default)s")
    parser.add_argument("--max-epochs", type=whole_number(1), default=MAX_EPOCHS, help="default: %(default)s")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> str:
    """Run the command and return its report."""
    with input_stage():
        check_target(args.output, overwrite=args.overwrite)
    with output_folder(args.output, overwrite=args.overwrite) as folder:
        log(f"simulating {args.n_cells:,} cells x {args.n_genes:,} genes")
        adata = ds.datasets.simulate_gep(args.n_cells, args.n_genes, random_state=args.seed)
        curves = {key: _fit(adata, key, beta, folder, args) for key, beta in MODELS.items()}
        scores = pd.concat({key: scores_table(adata, key) for key in MODELS}, names=["model", "factor"])
        agreement = pd.concat(curves, names=["model"]).reset_index("model")
        save_tables(folder, scores=scores, agreement=agreement.set_index("model"))
        adata.write_h5ad(folder / "adata.h5ad")
        ds.report(adata, folder / "report.html", key=SHOWN)
        arguments = {name: getattr(args, name) for name in ("n_cells", "n_genes", "max_epochs", "seed")}
        write_record(folder, "demo", {**arguments, "key": SHOWN})
    return _report(adata, curves, args.output)


def _fit(adata: AnnData, key: str, beta: float, folder: Path, args: argparse.Namespace) -> pd.DataFrame:
    """Train, score, draw and save one model; return its cluster agreement."""
    ds.model.BetaVAE.setup_anndata(adata)
    model = ds.model.BetaVAE(adata, beta=beta)
    settings = {"max_epochs": args.max_epochs, "seed": args.seed, "accelerator": args.accelerator}
    train(model, f"BetaVAE(beta={beta:g})", **settings)
    ds.tl.latent(adata, model, key=key)
    ds.tl.factors(adata, model, key=key)
    ds.tl.traverse(adata, model, key=key)
    embed(adata, key=key, seed=args.seed)
    curves = score(adata, FACTORS, key=key, seed=args.seed, metrics=METRICS)
    draw(folder / "figures", adata, key=key, factors=SIMULATION.usage, suffix=f"_{key}")
    (folder / "models").mkdir(exist_ok=True)
    model.save(str(folder / "models" / key))
    return curves


def _report(adata: AnnData, curves: dict[str, pd.DataFrame], output: Path) -> str:
    programs = list(adata.obsm[SIMULATION.usage].columns)
    types = [f"{SIMULATION.group}: {name}" for name in adata.obs[SIMULATION.group].cat.categories]
    agreement = pd.DataFrame({LABELS[key]: agreement_table(table).iloc[0] for key, table in curves.items()})
    return "\n".join(
        [
            "True programs: largest |Spearman| of a single dimension with the program's usage",
            "(usage is 0 in most cells, and such ties cap it near 0.7)",
            "",
            format_table(_by_model(adata, "max_spearman", programs)),
            "",
            "Cell types: accuracy of the best single dimension (chance: 0.5)",
            "",
            format_table(_by_model(adata, "single_dimension_accuracy", types)),
            "",
            "Cell types: agreement with clusters of the latent, best of 20 resolutions",
            "",
            format_table(agreement),
            "",
            f"Written to {output}:",
            "  adata.h5ad   cells, truth, both latents (obsm X_beta_1, X_beta_10), scores",
            "  models/      both models: ds.model.BetaVAE.load(path, adata=adata)",
            "  figures/     embedding, latent, disentanglement and history of both",
            "  report.html  all factors of the model with beta=10: open it in a browser",
            "  scores.csv, cluster_agreement.csv, run.json",
        ]
    )


def _by_model(adata: AnnData, metric: str, factors: Sequence[str]) -> pd.DataFrame:
    """Scores (factors, models), with the mean in the last row."""
    table = pd.DataFrame({LABELS[key]: scores_table(adata, key)[metric] for key in MODELS})
    table = table.reindex(factors)  # a tiny simulation may lack a cell type
    table.loc["mean"] = table.mean()
    return table
