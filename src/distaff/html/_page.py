"""The page as text: what the slots hold, and the script and style that show it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from importlib.metadata import version
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

from distaff._keys import DEFAULT_KEY
from distaff.html._cells import choose_cells, drawn_cells
from distaff.html._encode import script_json
from distaff.html._factors import describe, read_factors
from distaff.html._genes import top_genes
from distaff.html._groups import group_columns, grouped_cells
from distaff.html._overview import number_modelled, training_curves, what_was_run
from distaff.html._scores import known_scores
from distaff.html._tests import enriched_sets, ranked_groups

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["page", "page_data"]

SCRIPTS = (
    "dom",
    "data",
    "colors",
    "parts",
    "table",
    "charts",
    "cells",
    "overview",
    "factor",
    "tables",
    "app",
)
STYLES = ("parts", "page")


def page(data: dict[str, Any]) -> str:
    """Return the page that shows ``data``.

    The browser runs no other script than ours, whose digest the page names, and may load nothing.
    """
    script = "\n".join(_asset(f"{name}.js") for name in SCRIPTS)
    script = f'\n"use strict";\n(() => {{\n{script}}})();\n'
    style = "\n" + "\n".join(_asset(f"{name}.css") for name in STYLES)
    return Template(_asset("page.html")).substitute(
        title=escape(f"{data['title']}: factor report"),
        script_digest=_digest(script),
        style_digest=_digest(style),
        data=script_json(data),
        texts=_asset("texts.json").replace("<", "\\u003c"),
        script=script,
        style=style,
    )


def page_data(
    adata: AnnData,
    *,
    key: str,
    groupby: str | Sequence[str] | None,
    basis: str | None,
    n_cells: int,
    random_state: int,
) -> dict[str, Any]:
    """Gather all that the page shows, ready for JSON."""
    columns = group_columns(adata, key, groupby)
    factors = read_factors(adata, key)
    drawn = choose_cells(adata.n_obs, len(factors.names), n_cells=n_cells, random_state=random_state)
    run = what_was_run(adata, key)
    data = {
        "title": (run or {}).get("model") or key,
        "key": key,
        "version": version("distaff"),
        "n_cells": adata.n_obs,
        "n_genes": adata.n_vars,
        "n_modelled": number_modelled(adata, key),
        "run": run,
        "curves": training_curves(adata, key),
        "factors": describe(factors),
        "genes": top_genes(adata, key, factors),
        "cells": drawn_cells(adata, key, factors, drawn, basis=basis),
        "groups": [grouped_cells(adata, column, factors, drawn) for column in columns],
        "ranked": ranked_groups(adata, key, factors),
        "enriched": enriched_sets(adata, key, factors),
        "scores": known_scores(adata, key, factors),
    }
    return {**data, "random_state": random_state, "missing": _calls(key)}


def _calls(key: str) -> dict[str, str]:
    """For each section the call that writes what it shows."""
    named = "" if key == DEFAULT_KEY else f", key={key!r}"
    return {
        "run": f"ds.tl.latent(adata, model{named})",
        "factors": f"ds.tl.factors(adata, model{named})",
        "loadings": f"ds.tl.loadings(adata, model{named})",
        "traversal": f"ds.tl.traverse(adata, model{named})",
        "umap": f"ds.tl.umap(adata{named})",
        "ranked": f"ds.tl.rank_factors(adata, groupby, sample_key=...{named})",
        "enriched": f"ds.tl.enrich(adata{named})",
        "scores": f"ds.tl.disentanglement(adata, factors{named})",
        "groups": f"ds.report(adata, path, groupby=...{named})",
    }


def _asset(name: str) -> str:
    return files("distaff.html").joinpath("assets", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """SHA-256 of the content of an element, as a content security policy names it."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
