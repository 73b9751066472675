"""All of ``pp`` and the simulators: odd matrices, names and sets, in every format."""

from __future__ import annotations

import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from property_kit import (
    DTYPES,
    FORMATS,
    ODD_NAMES,
    SEEDS,
    examples,
    generators,
    names,
    outcome,
    snapshot,
    unchanged,
)
from scipy import sparse

from distaff import datasets, pp

TESTED = {"align_query", "check_counts", "gene_sets"}
SIMULATORS = {
    "simulate_factors": {
        "n_factors": st.integers(1, 4),
        "n_batches": st.integers(1, 3),
        "n_decoys": st.integers(0, 2),
    },
    "simulate_gep": {"n_identities": st.integers(1, 4), "n_active_identities": st.integers(1, 4)},
    "simulate_splat": {"dropout_type": st.sampled_from(["none", "experiment", "cell"])},
}


def test_every_public_name_has_a_test() -> None:
    assert set(pp.__all__) == TESTED
    loaders = {"kang", "pbmc3k", "sc_mixology"}  # tests/datasets/test_public.py
    assert set(datasets.__all__) == set(SIMULATORS) | loaders


FAULTS = {
    "none": lambda X, i: X,
    "missing": lambda X, i: np.where(i == 0, np.nan, X.astype(float)),
    "infinite": lambda X, i: np.where(i == i.max(), np.inf, X.astype(float)),
    "negative": lambda X, i: np.where(i == 0, -1, X.astype(np.int64)),
    "fraction": lambda X, i: np.where(i == 0, 0.5, X.astype(float)),
    "empty cell": lambda X, i: np.where(i < X.shape[1], 0, X),
    "all zero": lambda X, i: np.zeros_like(X),
    "huge": lambda X, i: np.where(i == 0, 2**30, X.astype(np.int64)),
}


@st.composite
def counts(draw: st.DrawFn, faults: tuple[str, ...] = tuple(FAULTS)) -> tuple[anndata.AnnData, str]:
    """Counts in any format, perhaps with a fault, in ``X`` and in a layer."""
    rng = np.random.default_rng(draw(SEEDS))
    shape = draw(st.sampled_from([1, 2, 3, 9])), draw(st.sampled_from([1, 2, 5, 11]))
    X = (rng.poisson(1.0, shape) + 1).astype(draw(st.sampled_from(DTYPES)))
    fault = draw(st.sampled_from(faults))
    X = FAULTS[fault](X, np.arange(X.size).reshape(shape))
    if draw(st.booleans()):
        X = X.astype(np.result_type(X.dtype, np.float32))
    odd = draw(st.booleans())
    adata = anndata.AnnData(
        FORMATS[draw(st.sampled_from(list(FORMATS)))](X),
        obs=pd.DataFrame(
            {"batch": rng.choice(["a", "b"], shape[0])}, index=names(rng, shape[0], "cell", odd=odd)
        ),
        var=pd.DataFrame(
            {"length": rng.integers(1, 9, shape[1])}, index=names(rng, shape[1], "gene", odd=odd)
        ),
    )
    adata.layers["raw"] = adata.X.copy()
    adata.obsm["table"] = rng.normal(size=(shape[0], 2))
    adata.uns["mine"] = {"a": 1}
    return adata, fault


@given(case=counts(), layer=st.sampled_from([None, "raw", "absent"]), any_real=st.booleans())
@examples(60)
def test_counts_are_checked_alike_in_every_format(case, layer, any_real) -> None:
    adata, fault = case
    fine = []
    dense = adata.X.toarray() if sparse.issparse(adata.X) else np.asarray(adata.X)
    for form in FORMATS.values():
        one = adata.copy()
        one.X = one.layers["raw"] = form(dense)
        with unchanged(one):
            done = outcome(
                lambda one=one: pp.check_counts(one, layer=layer, allow_non_integer=any_real) or True,
                pp.check_counts,
            )
        fine.append(done is not None)
    assert len(set(fine)) == 1, dict(zip(FORMATS, fine, strict=True))
    bad = (
        {"missing", "infinite"}
        if any_real
        else {"missing", "infinite", "negative", "fraction", "empty cell", "all zero"}
    )
    assert fine[0] == (fault not in bad and layer != "absent" and adata.n_obs > 1)


@st.composite
def sources(draw: st.DrawFn, adata: anndata.AnnData):
    """Gene sets as a dict or a net, with odd names, repeats and weights."""
    rng = np.random.default_rng(draw(SEEDS))
    genes = [*adata.var_names, "other", "GENE0", ""]
    titles = draw(st.lists(st.sampled_from([*ODD_NAMES, "A", "B", 1, None]), max_size=4, unique=True))
    kind = draw(st.sampled_from(["lists", "weights", "net"]))
    chosen = {
        title: list(rng.choice(genes[: len(genes) - draw(st.integers(0, 1))], draw(st.integers(0, 8))))
        for title in titles
    }
    chosen = {title: [str(gene) for gene in found] for title, found in chosen.items()}
    if kind == "lists":
        return chosen
    weights = draw(st.sampled_from([[1.0], [0.5, -2.0], [0.0, 1.0], [np.nan, 1.0], [1e-50, 1.0]]))
    if kind == "weights":
        return {
            title: {gene: float(rng.choice(weights)) for gene in found} for title, found in chosen.items()
        }
    rows = [(title, gene, float(rng.choice(weights))) for title, found in chosen.items() for gene in found]
    return pd.DataFrame(rows, columns=["source", "target", "weight"])


@given(data=st.data())
@examples(60)
def test_gene_sets(data) -> None:
    adata, _ = data.draw(counts())
    source = data.draw(sources(adata))
    options = {"min_genes": data.draw(st.sampled_from([1, 2])), "ignore_case": data.draw(st.booleans())}
    with unchanged(adata):
        copied = outcome(lambda: pp.gene_sets(adata, source, copy=True, **options), pp.gene_sets)
    with unchanged(adata, but=("varm/gene_sets", "uns/gene_sets") if copied is not None else ()):
        outcome(lambda: pp.gene_sets(adata, source, **options), pp.gene_sets)
    if copied is not None:
        assert snapshot(copied) == snapshot(adata)
        mask = adata.varm["gene_sets"].to_numpy()
        assert np.isfinite(mask).all()
        assert mask.any(axis=0).all()


@given(data=st.data())
@examples(40)
def test_align_query(data) -> None:
    adata, _ = data.draw(counts(("none",)))
    wanted = data.draw(st.lists(st.sampled_from([*adata.var_names, "other", "more", ""]), max_size=8))
    share = data.draw(st.sampled_from([0.0, 0.5, 1.0]))
    with unchanged(adata):
        aligned = outcome(lambda: pp.align_query(adata, wanted, min_coverage=share), pp.align_query)
    if aligned is None:
        return
    assert list(aligned.var_names) == wanted
    dense = [m.toarray() if sparse.issparse(m) else np.asarray(m) for m in (adata.X, aligned.X)]
    for i, gene in enumerate(wanted):
        expected = dense[0][:, adata.var_names.get_loc(gene)] if gene in adata.var_names else 0
        np.testing.assert_array_equal(dense[1][:, i], np.broadcast_to(expected, adata.n_obs))
    assert type(aligned.X) is type(adata.X)
    assert aligned.X.dtype == adata.X.dtype
    aligned.obs["batch"] = "changed"  # what came out shares nothing with what went in
    assert "changed" not in set(adata.obs["batch"])


@pytest.mark.parametrize("name", SIMULATORS)
@given(data=st.data())
@examples(5)
def test_simulators(name, data) -> None:
    options = {option: data.draw(values, option) for option, values in SIMULATORS[name].items()}
    n_cells, n_genes = data.draw(st.sampled_from([1, 2, 30])), data.draw(st.sampled_from([1, 3, 60]))
    seed, states = data.draw(st.integers(0, 2**31)), generators()
    simulate = getattr(datasets, name)
    first, second = (
        outcome(lambda: simulate(n_cells, n_genes, random_state=seed, **options), simulate) for _ in range(2)
    )
    assert generators() == states
    if first is None:
        return
    assert snapshot(first) == snapshot(second)
    values = first.X.toarray() if sparse.issparse(first.X) else first.X
    assert np.isfinite(values).all()
    assert (values >= 0).all()
    assert (values == np.rint(values)).all()


def test_the_checker_sees_a_generator() -> None:
    adata = anndata.AnnData(np.ones((2, 2)))
    with pytest.raises(AssertionError, match="random generator"), unchanged(adata):
        np.random.rand()
    with pytest.raises(AssertionError, match=r"changed: \['uns/x'\]"), unchanged(adata, but=["obsm"]):
        adata.uns["x"] = 1
    with warnings.catch_warnings(), pytest.raises(AssertionError, match="not in our style"):
        outcome(lambda: int("x"), pp.check_counts)
