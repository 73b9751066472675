"""Gene sets of simulated programs with the errors of a real annotation, in the form that models read."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distaff._checks import error, listing
from distaff.datasets._truth import numbered

__all__ = ["annotate", "coverage_report"]


def annotate(
    rng: np.random.Generator,
    members: pd.DataFrame,
    *,
    false_positive_rate: float,
    false_negative_rate: float,
    n_decoys: int,
) -> pd.DataFrame:
    """Mask of gene sets, shape (genes, programs and decoys), float32.

    Parameters
    ----------
    rng
        Source of randomness.
    members
        Whether a gene is in a program, shape (genes, programs).
    false_positive_rate
        Probability that a gene outside the program is in its set.
    false_negative_rate
        Probability that a gene of the program is not in its set.
    n_decoys
        Number of sets of random genes, each as large as the set of one program after the other.
    """
    truth = members.to_numpy()
    draw = rng.random(truth.shape)
    mask = np.where(truth, draw >= false_negative_rate, draw < false_positive_rate)
    decoys = np.zeros((len(mask), n_decoys), dtype=bool)
    for d, size in enumerate(np.resize(mask.sum(0), n_decoys)):
        decoys[rng.permutation(len(mask))[:size], d] = True
    names = [*members.columns, *numbered("decoy", n_decoys)]
    table = pd.DataFrame(np.hstack([mask, decoys]), index=members.index, columns=names)
    empty = table.columns[~table.any()]
    if len(empty):
        raise error(
            "Every gene set must have genes",
            got=f"none in {listing(empty)}",
            fix="Lower false_negative_rate, or raise n_prog_genes.",
        )
    return table.astype(np.float32)


def coverage_report(mask: pd.DataFrame, source: str) -> dict[str, Any]:
    """The report of ``pp.gene_sets`` for sets of which every gene is in the data."""
    sets = {name: dict.fromkeys(mask.index[column > 0], 1.0) for name, column in mask.items()}
    inside = mask.to_numpy() > 0
    sizes = inside.sum(0)
    same_as, nested_in = _overlaps(inside)
    names = np.append(mask.columns.to_numpy(dtype=object), "")  # the last for -1: none
    coverage = {
        "column": mask.columns.to_numpy(),
        "n_genes_total": sizes,
        "n_genes_matched": sizes,
        "coverage": 1.0,
        "kept": True,
        "reason": "kept",
        "same_as": names[same_as],
        "nested_in": names[nested_in],
    }
    return {
        "coverage": pd.DataFrame(coverage, index=pd.Index(mask.columns, name="gene_set")),
        "source": source,
        "sha256": hashlib.sha256(json.dumps(sets, sort_keys=True).encode()).hexdigest(),
        "n_sets": len(sizes),
        "n_kept": len(sizes),
        "n_same": int((same_as >= 0).sum()),
        "n_duplicated_genes": 0,
        "parameters": {"min_genes": 1, "min_coverage": 0.0, "ignore_case": False},
    }


def _overlaps(inside: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First set before with the same genes, and smallest set with all genes and more; -1 for none."""
    sizes = inside.sum(0)
    held = inside.T.astype(np.float32) @ inside.astype(np.float32) == sizes[:, None]
    order = np.lexsort((np.arange(len(sizes)), sizes))  # smallest first
    same_as, nested_in = np.full((2, len(sizes)), -1)
    for k in range(len(sizes)):
        same = np.flatnonzero(held[k, :k] & (sizes[:k] == sizes[k]))
        larger = order[held[k, order] & (sizes[order] > sizes[k])]
        same_as[k], nested_in[k] = np.append(same, -1)[0], np.append(larger, -1)[0]
    return same_as, nested_in
