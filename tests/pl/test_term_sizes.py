"""pl.term_sizes: both sizes of each set, whatever the terms are called now."""

from __future__ import annotations

import anndata
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from distaff import pl, tl

N_GENES = 60


def annotated(n_terms: int = 12) -> anndata.AnnData:
    """Terms with 5, 8, 11, ... genes; every third is off, others lose a gene or take one more."""
    rng = np.random.default_rng(0)
    names = [f"REACTOME_SET_{i}" for i in range(n_terms)]
    mask, L = np.zeros((N_GENES, n_terms)), np.zeros((N_GENES, n_terms))
    for i in range(n_terms):
        n = 5 + 3 * i
        mask[:n, i] = 1
        if i % 3:
            L[: n + (1 if i % 2 else -1), i] = rng.normal(size=n + (1 if i % 2 else -1)) + 0.1
    adata = anndata.AnnData(np.ones((20, N_GENES), dtype=np.float32))
    adata.var_names = [f"gene{i}" for i in range(N_GENES)]
    adata.varm["gene_sets"] = pd.DataFrame(mask, index=adata.var_names, columns=names)
    L = np.column_stack([L, np.ones(N_GENES)])
    factors = [*names, "Dense 1"]
    adata.varm["distaff_loadings"] = pd.DataFrame(L, index=adata.var_names, columns=factors)
    adata.obsm["X_distaff"] = rng.normal(size=(20, n_terms + 1))
    kinds = [*["annotated"] * n_terms, "dense"]
    table = pd.DataFrame({"kind": kinds, "active": (L != 0).any(axis=0), "kl": 1.0}, index=factors)
    adata.uns["distaff"] = {"factors": table}
    tl.factors(adata)
    return adata


@pytest.fixture(scope="module", params=["memory", "h5ad", "zarr"])
def stored(request, tmp_path_factory) -> anndata.AnnData:
    """Read only."""
    adata = annotated()
    if request.param == "memory":
        return adata
    path = tmp_path_factory.mktemp("sizes") / f"a.{request.param}"
    getattr(adata, f"write_{request.param}")(path)
    return getattr(anndata, f"read_{request.param}")(path)


def drawn(ax) -> tuple[np.ndarray, np.ndarray]:
    """Points of the terms that are on and of those that are off."""
    on, off = ax.collections[:2]
    return np.asarray(on.get_offsets()), np.asarray(off.get_offsets())


def test_sizes(stored) -> None:
    ax = pl.term_sizes(stored)
    on, off = drawn(ax)
    sizes = 5 + 3 * np.arange(12)
    up = sizes + np.where(np.arange(12) % 2, 1, -1)
    used = np.arange(12) % 3 > 0
    norms = stored.uns["distaff"]["factors"]["l2_norm"].to_numpy()[:12][used]
    order = np.argsort(norms)
    np.testing.assert_array_equal(on, np.column_stack([sizes, up])[used][order])
    np.testing.assert_array_equal(off, np.column_stack([sizes, 0 * sizes])[~used])
    np.testing.assert_allclose(ax.collections[0].get_array(), norms[order])  # the largest on top
    assert ax.collections[0].get_zorder() > ax.collections[1].get_zorder()
    assert ax.collections[0].get_sizes()[0] < ax.collections[1].get_sizes()[0]  # arms beside the point


def test_names_of_the_largest(stored) -> None:
    ax = pl.term_sizes(stored, n_terms=3)
    norm = stored.uns["distaff"]["factors"]["l2_norm"].drop("Dense 1")
    texts = [text.get_text() for text in ax.figure.legends[0].get_texts()]
    assert texts == ["switched off", *norm.nlargest(3).index]
    assert [text.get_text() for text in ax.texts] == ["1", "2", "3"]
    assert not pl.term_sizes(stored, n_terms=0).texts


def test_numbers_do_not_overlap(stored) -> None:
    ax = pl.term_sizes(stored)
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == 8
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])
    figure = ax.figure.legends[0].get_window_extent()
    assert not figure.overlaps(ax.get_tightbbox())


def test_renamed_terms_keep_their_sets(stored) -> None:
    adata = stored.copy()
    tl.rename_factors(adata, {"REACTOME_SET_4": "interferon"})
    for expected, found in zip(drawn(pl.term_sizes(stored)), drawn(pl.term_sizes(adata)), strict=True):
        np.testing.assert_array_equal(found, expected)
    adata.varm["gene_sets"] = adata.varm["gene_sets"].iloc[:, ::-1]
    with pytest.raises(ValueError, match="must hold the gene sets of the factors, got none for 'interferon'"):
        pl.term_sizes(adata)


def test_sets_in_another_order(stored) -> None:
    adata = stored.copy()
    adata.varm["gene_sets"] = adata.varm["gene_sets"].iloc[:, ::-1]
    np.testing.assert_array_equal(drawn(pl.term_sizes(adata))[0], drawn(pl.term_sizes(stored))[0])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_on_and_all_off(share) -> None:
    adata = annotated()
    on = np.full((N_GENES, 13), 1 - share)
    adata.varm["distaff_loadings"] = pd.DataFrame(
        on, index=adata.var_names, columns=adata.varm["distaff_loadings"].columns
    )
    basic = adata.uns["distaff"]["factors"][["kind", "kl"]]  # what tl.loadings leaves of the table
    adata.uns["distaff"]["factors"] = basic.assign(active=share == 0)
    tl.factors(adata)
    ax = pl.term_sizes(adata)
    ax.figure.canvas.draw()
    n_off = sum(len(c.get_offsets()) for c in ax.collections if c.get_label() == "switched off")
    assert n_off == 12 * share


def test_own_axes_and_files(stored, tmp_path) -> None:
    ax = plt.figure(layout="constrained").subplots()
    assert pl.term_sizes(stored, ax=ax, save=tmp_path / "a") is ax
    assert ax.get_legend() is not None
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "a.pdf"}


def test_missing_slots(stored) -> None:
    adata = stored.copy()
    with pytest.raises(KeyError, match="set_key must name a slot of adata.varm, got 'nope'. Run distaff.pp"):
        pl.term_sizes(adata, set_key="nope")
    with pytest.raises(KeyError, match=r"Run distaff.tl.factors\(adata, key='nope'\)"):
        pl.term_sizes(adata, key="nope")
    table = adata.uns["distaff"]["factors"]
    adata.uns["distaff"]["factors"] = table.drop(columns="n_genes")
    with pytest.raises(KeyError, match="must hold 'n_genes'.*for a model with loadings"):
        pl.term_sizes(adata)
    adata.uns["distaff"]["factors"] = table.assign(kind="latent")
    with pytest.raises(ValueError, match="of kind 'annotated', got none"):
        pl.term_sizes(adata)
    with pytest.raises(ValueError, match="n_terms must be >= 0"):
        pl.term_sizes(adata, n_terms=-1)
