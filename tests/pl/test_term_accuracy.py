"""pl.term_accuracy: whose accuracy stands in which line."""

from __future__ import annotations

import anndata
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from distaff import pl, tl

METRIC = "single_dimension_accuracy"


def annotated() -> anndata.AnnData:
    """Two models that share the terms A and B; "two" has switched B off and has a dense factor."""
    rng = np.random.default_rng(0)
    n = 200
    obs = {
        "condition": np.repeat(["ctrl", "stim"], n // 2),
        "cell_type": np.tile(["B", "NK", "T", "T"], n // 4),
    }
    adata = anndata.AnnData(np.ones((n, 2), dtype=np.float32), obs=obs)
    adata.obs["age"] = rng.normal(size=n)
    stim, nk = adata.obs["condition"] == "stim", adata.obs["cell_type"] == "NK"
    for key, names in (("one", ["A", "B", "C"]), ("two", ["B", "A", "Dense 1"])):
        Z = pd.DataFrame(rng.normal(size=(n, 3)), index=adata.obs_names, columns=names)
        Z["A"] += 4 * stim
        Z.iloc[:, 2] += 4 * nk
        if key == "two":
            Z["B"] = 0.0
        adata.obsm[f"X_{key}"] = Z
        active = [name != "B" or key == "one" for name in names]
        adata.uns[key] = {"factors": pd.DataFrame({"kind": "annotated", "active": active}, index=names)}
        tl.disentanglement(
            adata, ["condition", "cell_type"], key=key, metrics=[METRIC, "sap"], references=None
        )
    return adata


@pytest.fixture(scope="module", params=["memory", "h5ad", "zarr"])
def stored(request, tmp_path_factory) -> anndata.AnnData:
    adata = annotated()
    if request.param == "memory":
        return adata
    path = tmp_path_factory.mktemp("terms") / f"a.{request.param}"
    getattr(adata, f"write_{request.param}")(path)
    return getattr(anndata, f"read_{request.param}")(path)


def symbols(ax) -> dict[str, dict[str, float]]:
    """Accuracy of each term by model, of the symbols drawn."""
    terms = [text.get_text() for text in ax.get_yticklabels()]
    drawn = [collection for collection in ax.collections if collection.get_label().startswith("_child")]
    names = [
        collection.get_label() for collection in ax.collections if not collection.get_label().startswith("_")
    ]
    points = [np.ma.filled(c.get_offsets(), np.nan) for c in drawn if len(c.get_offsets()) == len(terms)]
    points = points[-len(names) :]
    return {
        name: {terms[round(y)]: x for x, y in found if np.isfinite(x)}
        for name, found in zip(names, points, strict=True)
    }


def test_accuracies(stored) -> None:
    (ax,) = pl.term_accuracy(stored, "condition", keys={"one": "first", "two": "second"})
    assert ax.get_title() == "condition"
    found = symbols(ax)
    for key, name in (("one", "first"), ("two", "second")):
        matrix = stored.uns[key]["disentanglement"]["matrices"][METRIC]["condition"]
        expected = {term.replace("Dense 1", "Dense 1 (second)"): value for term, value in matrix.items()}
        assert found[name] == pytest.approx(expected)
    assert ax.get_yticklabels()[0].get_text() == "A"
    assert [text.get_text() for text in ax.figure.legends[0].get_texts()] == ["first", "second"]


def test_open_symbols_are_switched_off(stored) -> None:
    (ax,) = pl.term_accuracy(stored, "condition", keys=["one", "two"], terms=["B", "A"])
    faces = [
        [to_hex(face) for face in c.get_facecolors()] for c in ax.collections if len(c.get_facecolors()) == 2
    ]
    assert faces == [["#0072b2", "#0072b2"], ["#ffffff", "#e69f00"]]


def test_panels(stored) -> None:
    axes = pl.term_accuracy(stored, ["cell_type"], keys=["one", "two"], terms=2)
    assert [ax.get_title() for ax in axes] == ["cell_type: B", "cell_type: NK", "cell_type: T"]
    labels = {text.get_text() for text in axes[1].get_yticklabels()}
    assert labels == {"C", "Dense 1 (two)"}
    figure = axes[0].figure
    figure.canvas.draw()
    boxes = [*(ax.get_tightbbox() for ax in axes), figure.legends[0].get_window_extent()]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_one_model_has_no_legend_and_its_own_names(stored, tmp_path) -> None:
    (ax,) = pl.term_accuracy(stored, "condition", keys="two", save=tmp_path / "a")
    assert not ax.figure.legends
    assert {text.get_text() for text in ax.get_yticklabels()} == {"A", "B", "Dense 1"}
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "a.pdf"}


def test_own_axes(stored) -> None:
    ax = plt.figure().subplots()
    assert pl.term_accuracy(stored, "condition", keys=["one", "two"], ax=ax)[0] is ax
    assert ax.get_legend() is not None


@pytest.mark.parametrize(
    ("labels", "options", "kind", "message"),
    [
        ("condition", {"keys": ["nope"]}, KeyError, r"uns\['nope'\] must hold 'disentanglement'.*key='nope'"),
        ("nope", {"keys": ["one"]}, KeyError, "'nope'.*There are 'condition'"),
        ([], {"keys": ["one"]}, ValueError, "at least one class"),
        ("condition", {"keys": []}, ValueError, "keys must name one to 8 models, got 0"),
        ("condition", {"keys": {"one": "a", "two": "a"}}, ValueError, "names that differ"),
        ("condition", {"keys": ["one"], "terms": ["A", "X"]}, KeyError, "terms must name dimensions.*'X'"),
        ("condition", {"keys": ["one"], "terms": 0}, ValueError, "terms must be >= 1"),
        ("condition", {"keys": ["one"], "terms": []}, KeyError, "got none"),
        ("condition", {"keys": ["one"], "terms": "A"}, TypeError, "terms must be an integer"),
    ],
)
def test_bad_input(stored, labels, options, kind, message) -> None:
    with pytest.raises(kind, match=message):
        pl.term_accuracy(stored, labels, **options)


def test_scores_that_do_not_go_together(stored) -> None:
    adata = stored.copy()
    with pytest.raises(ValueError, match="one class if ax is given, got 3"):
        pl.term_accuracy(adata, "cell_type", keys=["one"], ax=plt.figure().subplots())
    tl.disentanglement(adata, "condition", key="two", metrics="sap", references=None)
    with pytest.raises(ValueError, match="metric must be one of 'sap', got 'single_dimension_accuracy'"):
        pl.term_accuracy(adata, "condition", keys=["one", "two"])
    adata = adata[adata.obs["cell_type"] != "NK"].copy()
    tl.disentanglement(adata, "cell_type", key="two", metrics=METRIC, references=None)
    with pytest.raises((ValueError, KeyError), match="cell_type"):
        pl.term_accuracy(adata, "cell_type", keys=["one", "two"])
