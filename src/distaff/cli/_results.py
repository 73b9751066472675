"""Steps that commands share, from a trained model to tables, figures and files."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from lightning.pytorch import Callback, LightningModule, Trainer

import distaff as ds
from distaff._checks import modelled_genes
from distaff._keys import Slots
from distaff._threads import one_thread
from distaff.cli._quiet import log, show_progress

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = [
    "agreement",
    "agreement_table",
    "draw",
    "embed",
    "save_factors",
    "save_tables",
    "score",
    "scores_table",
    "train",
]


class _EpochLog(Callback):
    """Says every tenth of a run how far it is: in a log file, a bar would be a mess."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say so."""
        done, last = trainer.current_epoch + 1, trainer.max_epochs or 0
        if done * 10 // last > (done - 1) * 10 // last:
            log(f"epoch {done} of {last}")


def train(model: Any, what: str, **settings: Any) -> None:
    """Train ``model``, with a bar where somebody watches."""
    log(f"training {what} on {model.adata.n_obs:,} cells x {model.adata.n_vars:,} genes")
    start = time.monotonic()
    watched = show_progress()
    callbacks = [] if watched else [_EpochLog()]
    with one_thread():
        model.train(enable_progress_bar=watched, callbacks=callbacks, check_val_every_n_epoch=1, **settings)
    log(f"trained for {len(model.history['train_loss'])} epochs in {time.monotonic() - start:.0f} s")


def embed(adata: AnnData, *, key: str, seed: int) -> None:
    """Add the UMAP of the latent for the figures."""
    log("embedding the cells")
    ds.tl.umap(adata, key=key, random_state=seed)


def score(
    adata: AnnData, factors: Sequence[str], *, key: str, seed: int, metrics: Sequence[str] | None = None
) -> pd.DataFrame:
    """Score the latent against ``factors``; return how its clusters agree with those that are labels.

    ``adata`` holds one cluster agreement a key: it keeps that of the first label.
    """
    log(f"scoring the latent against {', '.join(factors)}")
    ds.tl.disentanglement(adata, list(factors), key=key, metrics=metrics, random_state=seed)
    return agreement(adata, key=key, seed=seed)


def agreement(adata: AnnData, *, key: str, seed: int) -> pd.DataFrame:
    """How clusters of the latent agree with those factors that are labels; ``adata`` keeps the first."""
    tables: list[pd.DataFrame] = []
    for label in reversed(_labels(adata, key)):
        ds.tl.cluster_agreement(adata, label, key=key, random_state=seed)
        entry = adata.uns[Slots(key).uns][Slots.cluster_agreement]
        tables.insert(0, entry["curve"].assign(label=label))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _labels(adata: AnnData, key: str) -> list[str]:
    """Columns of ``obs`` that were scored as classes."""
    table = adata.uns[Slots(key).uns][Slots.disentanglement]["factors"]
    of_classes = (table["slot"] == "obs") & (table["kind"] != "continuous")
    return list(dict.fromkeys(table.loc[of_classes, "name"]))


def scores_table(adata: AnnData, key: str) -> pd.DataFrame:
    """Scores (factors, metrics) of a model, by the factors' full names."""
    entry = adata.uns[Slots(key).uns][Slots.disentanglement]
    return entry["scores"].rename(index=dict(entry["factors"]["label"]))


def agreement_table(curves: pd.DataFrame) -> pd.DataFrame:
    """Largest agreement (labels, scores) over the resolutions."""
    return curves.groupby("label", sort=False)[["ari", "nmi"]].max().rename(columns=str.upper)


def draw(
    folder: Path,
    adata: AnnData,
    *,
    key: str,
    scored: bool = True,
    factors: str | None = None,
    color: str | None = None,
    suffix: str = "",
) -> None:
    """Write the figures of a model as PNG files.

    Parameters
    ----------
    folder
        Where to write.
    adata
        Cells with the latent and its embedding.
    key
        Prefix of the slots.
    scored
        Draw the scores too.
    factors
        What to show of the scores; None for all.
    color
        Column of ``obs`` for a panel of the embedding; None for no such panel.
    suffix
        End of the files' names.
    """
    log("drawing figures")
    mpl.use("agg")  # no windows
    folder.mkdir(exist_ok=True)
    figures: dict[str, Callable[..., Any]] = {
        "history": ds.pl.history,
        "embedding": partial(ds.pl.embedding, color=color),
    }
    if Slots(key).loadings in adata.varm:
        figures["top_genes"] = ds.pl.top_genes
    if scored:
        figures |= {
            "disentanglement": ds.pl.disentanglement,
            "latent": partial(ds.pl.latent, factors=factors),
        }
    for name, plot in figures.items():
        axes = plot(adata, key=key, show=False, save=folder / f"{name}{suffix}.png")
        plt.close(np.ravel(axes)[0].figure)


def save_tables(folder: Path, *, scores: pd.DataFrame | None, agreement: pd.DataFrame | None) -> None:
    """Write scores and cluster agreement as CSV, those that there are."""
    if scores is not None:
        scores.rename_axis(scores.index.names if scores.index.nlevels > 1 else "factor").to_csv(
            folder / "scores.csv"
        )
    if agreement is not None and len(agreement):
        agreement.to_csv(folder / "cluster_agreement.csv")


def save_factors(folder: Path, adata: AnnData, model: Any, *, key: str) -> None:
    """Write what is known of factors, modelled genes and terms as CSV, the tables that there are."""
    slots = Slots(key)
    adata.uns[slots.uns][Slots.factors].to_csv(folder / "factors.csv", index_label="factor")
    for name, slot in (("loadings", slots.loadings), ("traversal", slots.traversal)):
        if slot in adata.varm:
            modelled_genes(adata.varm[slot]).to_csv(folder / f"{name}.csv", index_label="gene")
    if hasattr(model, "get_terms"):
        model.get_terms().to_csv(folder / "terms.csv", index_label="term")
