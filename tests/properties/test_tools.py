"""All of ``tl`` but what needs a model, on odd latents, labels and names: documented slots or a documented error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from property_kit import (
    DTYPES,
    FORMATS,
    LABELS,
    LATENT_FORMS,
    ODD_NAMES,
    SEEDS,
    examples,
    label_column,
    names,
    outcome,
    snapshot,
    survives,
    unchanged,
)
from scipy import sparse

from distaff import tl

WITHOUT_TEST = {
    "latent": "needs a model: test_models",
    "loadings": "needs a model: test_models",
    "traverse": "needs a model: test_models",
}
OWN = "uns/distaff"


class Case(NamedTuple):
    """A call, the slots it may write, what must be there before, and how often to try it."""

    call: Callable[..., Any]
    writes: tuple[str, ...] = ()
    before: Callable[[Any], None] | None = None
    n: int = 16


def scored(adata: Any) -> None:
    outcome(
        lambda: tl.disentanglement(adata, ["first"], metrics="max_spearman", references=None),
        tl.disentanglement,
    )


def described(adata: Any) -> None:
    outcome(lambda: tl.factors(adata), tl.factors)


def latent_names(adata: Any) -> list[str]:
    stored = adata.obsm["X_distaff"]
    return [str(c) for c in stored] if isinstance(stored, pd.DataFrame) else ["Factor 1"]


SCORED = ["max_spearman", "mig", "smi", "lms", "spn", "modularity", "irs", "single_dimension_accuracy"]
CASES = {
    "cluster_agreement": Case(
        lambda adata, **o: tl.cluster_agreement(adata, "first", resolutions=[0.5], **o), (f"{OWN}",), n=6
    ),
    "collect_scores": Case(lambda adata, copy=False: tl.collect_scores(adata), before=scored, n=5),
    "consensus": Case(
        lambda adata, **o: tl.consensus(adata, ["distaff", "other"], threshold=0.1, **o),
        ("obsm/X_consensus", "varm/consensus_loadings", "uns/consensus"),
        n=4,
    ),
    "consensus by loadings": Case(
        lambda adata, **o: tl.consensus(adata, ["distaff", "other"], by="loadings", threshold=0.1, **o),
        ("obsm/X_consensus", "varm/consensus_loadings", "uns/consensus"),
        n=4,
    ),
    "disentanglement": Case(
        lambda adata, **o: tl.disentanglement(
            adata, ["first", "table"], metrics=SCORED, references="mig", n_random=1, **o
        ),
        (OWN,),
        n=7,
    ),
    "enrich": Case(lambda adata, **o: tl.enrich(adata, min_genes=1, **o), (OWN,)),
    "factors": Case(lambda adata, **o: tl.factors(adata, **o), (OWN,)),
    "gep_score": Case(
        lambda adata, **o: tl.gep_score(adata, "gene_sets", top=0.5, **o), ("obsm/gep_score", "uns/gep_score")
    ),
    "rank_factors": Case(lambda adata, **o: tl.rank_factors(adata, "first", **o), (OWN,)),
    "regress_out_factors": Case(
        lambda adata, **o: tl.regress_out_factors(adata, latent_names(adata)[0], layer_added="rest", **o),
        (
            "obsm/X_distaff_regressed",
            "varm/distaff_regressed_loadings",
            "uns/distaff_regressed",
            "layers/rest",
        ),
    ),
    "rename_factors": Case(
        lambda adata, **o: tl.rename_factors(adata, {latent_names(adata)[0]: "cell cycle"}, **o),
        (OWN, "varm/distaff_loadings", "obsm/X_distaff"),
        before=described,
    ),
    "tsne": Case(lambda adata, **o: tl.tsne(adata, **o), ("obsm/X_distaff_tsne",), n=5),
    "umap": Case(lambda adata, **o: tl.umap(adata, **o), ("obsm/X_distaff_umap",), n=4),
}


def test_every_public_name_has_a_test() -> None:
    assert set(tl.__all__) == {*(name.split()[0] for name in CASES), *WITHOUT_TEST}


@st.composite
def cells(draw: st.DrawFn) -> anndata.AnnData:
    """Cells with a latent of any form, labels of any kind, loadings, gene sets and slots of the user's own."""
    rng = np.random.default_rng(draw(SEEDS))
    n, n_genes = draw(st.sampled_from([1, 2, 3, 5, 20, 40])), draw(st.sampled_from([1, 2, 5, 12]))
    counts = rng.poisson(2.0, (n, n_genes)).astype(draw(st.sampled_from(DTYPES)))
    if counts.dtype.kind == "f" and draw(st.booleans()):
        counts = np.log1p(counts)
    odd = draw(st.booleans())
    adata = anndata.AnnData(
        FORMATS[draw(st.sampled_from(list(FORMATS)))](counts),
        obs=pd.DataFrame(index=names(rng, n, "cell", odd=odd)),
        var=pd.DataFrame(index=names(rng, n_genes, "gene", odd=odd)),
    )
    adata.obs["first"] = label_column(draw(st.sampled_from(list(LABELS))), rng, n).array
    adata.obs[draw(st.sampled_from(ODD_NAMES))] = rng.normal(size=n)
    adata.obsm["table"] = pd.DataFrame(
        rng.random((n, 2)), index=adata.obs_names, columns=["used", draw(st.sampled_from(["a/b", "β", " "]))]
    )
    _add_latents(adata, rng, draw)
    adata.varm["gene_sets"] = pd.DataFrame(
        (rng.random((n_genes, 2)) < 0.6).astype(np.float32), index=adata.var_names, columns=["A", "B set"]
    )
    adata.layers["mine"] = adata.X.copy()
    adata.uns["mine"] = {"nested": {"array": np.arange(3)}, "distaff": 1}
    adata.obsp["graph"] = sparse.eye(n, format="csr")
    if draw(st.booleans()):
        adata.uns["distaff"] = {"mine": 3, "params": {"model": "mine"}}
    return adata


def _add_latents(adata: anndata.AnnData, rng: np.random.Generator, draw: st.DrawFn) -> None:
    n, n_factors = adata.n_obs, draw(st.integers(1, 4))
    Z = LATENT_FORMS[draw(st.sampled_from([form for form in LATENT_FORMS if form != "complex"]))](
        rng.normal(size=(n, n_factors))
    )
    columns = names(rng, n_factors, "Z", odd=draw(st.booleans()))
    columns = [column.replace("/", "|") for column in columns]  # no file holds such a table
    as_table = not sparse.issparse(Z) and draw(st.booleans())
    adata.obsm["X_distaff"] = pd.DataFrame(Z, index=adata.obs_names, columns=columns) if as_table else Z
    other = np.asarray(Z.toarray() if sparse.issparse(Z) else Z, dtype=float)[:, ::-1] + 0.1 * rng.normal()
    adata.obsm["X_other"] = other
    if draw(st.booleans()):
        L = rng.normal(size=(adata.n_vars, n_factors))
        if draw(st.booleans()):
            L[0] = np.nan  # a gene that was not modelled
        columns = columns if as_table else [f"Factor {i + 1}" for i in range(n_factors)]
        adata.varm["distaff_loadings"] = pd.DataFrame(L, index=adata.var_names, columns=columns)
        adata.varm["other_loadings"] = L[:, ::-1]


@pytest.mark.parametrize("name", CASES)
def test_slots_or_a_documented_error(name) -> None:
    case, function = CASES[name], getattr(tl, name.split()[0])

    @given(adata=cells())
    @examples(case.n)
    def check(adata) -> None:
        if case.before is not None:
            case.before(adata)
        with unchanged(adata):
            copied = outcome(lambda: case.call(adata, copy=True), function)
        with unchanged(adata, but=case.writes if copied is not None else ()):
            outcome(lambda: case.call(adata), function)
        if copied is None or not case.writes:
            return
        assert snapshot(copied) == snapshot(adata)
        with TemporaryDirectory() as folder:
            survives(adata, Path(folder), but=case.writes)

    check()
