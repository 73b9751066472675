"""Text of a model card: Markdown below a header that Hugging Face reads."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from inspect import getdoc
from typing import Any

import pandas as pd

from distaff._compat import categories_per_covariate
from distaff.hub._factors import Description, describe
from distaff.model._annotation import REGISTRY_KEY as GENE_SETS
from distaff.model._saving import PACKAGES
from distaff.model._terms import REGISTRY_KEY as NEW_TERMS

__all__ = ["card_text"]

ESCAPED = "\\`*_{}[]<>|#~$"  # they mean something in Markdown
CURVES = ("train_loss", "validation_loss", "elbo_train", "elbo_validation")  # whose last values are told
FIRST_COLUMNS = ("rank", "kind", "active", "variance_explained")
LOADING = """\
With distaff, which runs no code of the files:

```python
import distaff as ds

model = ds.hub.load({place})
```

Through scvi-tools, with distaff installed; it unpickles models that distaff did not save:

```python
from scvi.hub import HubModel

hub = {hub}
hub.load_model({arguments})
model = hub.model
```
{note}"""
WITHOUT_CELLS = """
No cells come with the model: pass yours as `adata=...`, in both, or load it without any, as above.
"""


def card_text(
    model: Any,
    *,
    key: str,
    description: str | None = None,
    license: str | None = None,
    place: str | None = None,
    has_cells: bool = True,
) -> str:
    """Model card; ``place`` is where the model will be, ``has_cells`` whether its data come with it."""
    known = describe(model, key)
    stats = model.summary_stats
    name = type(model).__name__
    sections = {
        f"{name} of {stats.n_cells:,} cells and {stats.n_vars:,} genes": _summary(model),
        "Description": description.strip() if description else "None was given.",
        "How to load it": _loading(place, has_cells=has_cells),
        "Factors": _factors(known),
        "Gene sets": _gene_sets(model.registry_),
        "Scores": _scores(known),
        "Training": _training(model),
        "Model": _pairs(_given(model.init_params_)),
        "Data": _data(model),
        "Versions": _pairs({package: version(package) for package in PACKAGES}),
        "Licence": f"`{license}`" if license else "None was given: ask the authors before you use the model.",
    }
    text = [
        f"{'##' if i else '#'} {title}\n\n{body}" for i, (title, body) in enumerate(sections.items()) if body
    ]
    return "\n\n".join([_header(model, license), *text]) + "\n"


def _header(model: Any, license: str | None) -> str:
    """YAML between lines of dashes; tags as those of scvi-tools."""
    tags = [
        *("biology", "genomics", "single-cell", "distaff"),
        f"model_cls_name:{type(model).__name__}",
        f"scvi_version:{version('scvi-tools')}",
        f"anndata_version:{version('anndata')}",
        f"distaff_version:{version('distaff')}",
    ]
    lines = [f"license: {license}"] if license else []
    lines += ["library_name: scvi-tools", "tags:", *(f"- {tag}" for tag in tags)]
    return "\n".join(["---", *lines, "---"])


def _summary(model: Any) -> str:
    first = (getdoc(type(model)) or "").split("\n\n")[0]
    first = re.sub(r",?\s*:cite:\w:`\w+`", "", first)  # roles of Sphinx mean nothing here
    first = re.sub(r":\w+:`~?(?:\w+\.)*(\w+)`", r"\1", first)
    return f"A model of [distaff](https://pypi.org/project/distaff). {_plain(first)}"


def _loading(place: str | None, *, has_cells: bool) -> str:
    where = json.dumps(place or "folder or repository")
    if place is None:
        hub = 'HubModel("folder")  # or HubModel.pull_from_huggingface_hub("repository")'
    elif place.startswith("s3://"):
        bucket, _, path = place.removeprefix("s3://").partition("/")
        cells = "" if has_cells else ", pull_anndata=False"
        hub = f"HubModel.pull_from_s3({json.dumps(bucket)}, {json.dumps(path)}{cells})"
    else:
        hub = f"HubModel.pull_from_huggingface_hub({where})"
    note, arguments = ("", "") if has_cells else (WITHOUT_CELLS, "adata=False")
    return LOADING.format(place=where, hub=hub, arguments=arguments, note=note).strip()


def _factors(known: Description) -> str:
    first = [column for column in FIRST_COLUMNS if column in known.factors]
    table = known.factors[[*first, *known.factors.columns.difference(first, sort=False)]]
    return f"{_table(table, 'factor')}\n\nWhat the columns mean: `distaff.tl.factors`."


def _gene_sets(registry: Mapping[str, Any]) -> str:
    """What each group of gene sets was read from."""
    groups = [registry[GENE_SETS]] if GENE_SETS in registry else []
    groups += [block["gene_sets"] for block in registry.get(NEW_TERMS, []) if block["gene_sets"]["names"]]
    rows = [
        {
            "sets": len(group["names"]),
            "source": group.get("provenance", {}).get("source", "not known"),
            "sha256": group.get("provenance", {}).get("sha256", "not known"),
        }
        for group in groups
    ]
    index = ["reference", *(f"query {i}" for i in range(1, len(rows)))][: len(rows)]
    return _table(pd.DataFrame(rows, index=index), "terms of") if rows else ""


def _scores(known: Description) -> str:
    if known.scores is None:
        return ""
    of = ", ".join(_plain(name) for name in known.scored)
    return (
        f"{_table(known.scores, 'metric')}\n\nOf {of}. What each score means: `distaff.tl.disentanglement`."
    )


def _training(model: Any) -> str:
    history = model.history or {}
    known = dict(getattr(model, "training_", {}))
    if "train_loss" in history:
        known["epochs that were run"] = len(history["train_loss"])
    for name in ("train", "validation"):
        indices = getattr(model, f"{name}_indices_", None)
        if indices is not None:
            known[f"{name} cells"] = len(indices)
    for name in CURVES:
        values = history[name].iloc[:, 0].dropna().tolist() if name in history else []
        if values:
            known[f"{name}, last value"] = float(values[-1])
    return _pairs(known)


def _given(init_params: Mapping[str, Any]) -> dict[str, Any]:
    further = {name: value for part in init_params["kwargs"].values() for name, value in part.items()}
    return {**init_params["non_kwargs"], **further}


def _data(model: Any) -> str:
    """How the data were set up; of categories only how many there are, since they may name people."""
    registry, stats = model.registry_, model.summary_stats
    known = dict(registry["setup_args"])
    known |= {"cells": stats.n_cells, "genes": stats.n_vars, "batches": stats.n_batch}
    categories = categories_per_covariate(registry)
    if categories:
        known["categories of each covariate"] = list(categories)
    known["minified"] = model.minified_data_type if hasattr(model, "minified_data_type") else None
    return _pairs(known)


def _pairs(values: Mapping[str, Any]) -> str:
    """Table of those that are something."""
    shown = {name: value for name, value in values.items() if value is not None and value != []}
    return _table(pd.DataFrame({"value": pd.Series(shown, dtype=object)}), "")


def _table(table: pd.DataFrame, corner: str) -> str:
    head = [corner, *table.columns]
    rows = [[name, *row] for name, row in zip(table.index, table.itertuples(index=False), strict=True)]
    lines: Sequence[Sequence[Any]] = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return value if value == "---" else _plain(str(value))


def _plain(text: str) -> str:
    """Text that Markdown and HTML take for nothing but text, on one line."""
    escaped = "".join(f"\\{c}" if c in ESCAPED else c for c in text)
    return " ".join(escaped.split())
