"""pl.loadings: which genes are named, and that names keep apart."""

from __future__ import annotations

import numpy as np
import pytest

from distaff import pl


def test_longest_vectors_are_named(stored_factors) -> None:
    ax = pl.loadings(stored_factors, ["C", "D"], n_genes=4)
    L = stored_factors.varm["distaff_loadings"]
    x = L["C"].mean() - L["C"]  # turned and centred; "D" is sparse
    expected = np.column_stack([x, L["D"]])
    np.testing.assert_allclose(ax.collections[0].get_offsets(), expected)
    assert ax.collections[0].get_rasterized()
    length = np.hypot(*(expected / np.sqrt((expected**2).mean(axis=0))).T)
    longest = [f"gene{i}" for i in np.argsort(-length)[:4]]
    assert {text.get_text() for text in ax.texts} == set(longest) >= {"gene5", "gene0"}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("C", "D")


@pytest.mark.parametrize("factors", [["B", "C"], ["D", "HALLMARK_A"]])
def test_names_do_not_overlap(factored, factors) -> None:
    ax = pl.loadings(factored, factors, n_genes=10)
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == 10
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_twice_the_same(factored) -> None:
    first, second = ([text.get_position() for text in pl.loadings(factored).texts] for _ in range(2))
    assert first == second


def test_genes_without_loadings_are_not_named(factored) -> None:
    adata = factored.copy()
    loadings = adata.varm["distaff_loadings"].copy()
    loadings["E"] = loadings["D"]
    adata.varm["distaff_loadings"] = loadings
    assert len(pl.loadings(adata, ["D", "E"]).texts) == 3
    adata.varm["distaff_loadings"] = loadings.assign(D=0.0, E=0.0)
    assert len(pl.loadings(adata, ["D", "E"]).texts) == 0


def test_bad_input(factored) -> None:
    with pytest.raises(ValueError, match="n_genes must be >= 1"):
        pl.loadings(factored, n_genes=0)
