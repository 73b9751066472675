"""pl.rank_factors: what the table says, turned, ordered, with its numbers; errors."""

from __future__ import annotations

import anndata
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from distaff import pl, tl


def ranked_adata(n_factors=6, n_cells=400) -> anndata.AnnData:
    """Factor "b" is higher in treated cells, "c" lower but turned, "still" does not vary."""
    rng = np.random.default_rng(0)
    arm = np.tile([0, 1], n_cells // 2)
    donor = np.repeat(range(8), n_cells // 8)
    obs = pd.DataFrame(
        {"condition": np.array(["ctrl", "stim"])[arm]}, index=[f"c{i}" for i in range(n_cells)]
    )
    obs["donor"] = [f"d{d}" for d in donor]
    obs["cell_type"] = np.array(["T", "B", "Mono"])[rng.integers(0, 3, n_cells)]
    Z = rng.normal(size=(n_cells, n_factors)) * np.linspace(2, 1, n_factors)
    Z[:, 1] += 2 * arm
    Z[:, 2] -= 2 * arm
    Z[:, 5] = 0.0
    adata = anndata.AnnData(np.ones((n_cells, 2), dtype=np.float32), obs=obs)
    names = ["a", "b", "c", "d", "e", "still", *(f"f{i}" for i in range(n_factors - 6))]
    adata.obsm["X_distaff"] = pd.DataFrame(Z, index=obs.index, columns=names)
    tl.factors(adata)
    adata.uns["distaff"]["factors"].loc["c", "direction"] = -1
    tl.rank_factors(adata, "condition", reference="ctrl", sample_key="donor")
    return adata


@pytest.fixture(scope="module")
def tested() -> anndata.AnnData:
    """Read only."""
    return ranked_adata()


@pytest.fixture(scope="module", params=["memory", "h5ad", "zarr"])
def from_file(request, tested, tmp_path_factory) -> anndata.AnnData:
    if request.param == "memory":
        return tested
    path = tmp_path_factory.mktemp("tested") / f"a.{request.param}"
    getattr(tested.copy(), f"write_{request.param}")(path)
    return getattr(anndata, f"read_{request.param}")(path)


def rows(ax) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def beside(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def points(ax) -> np.ndarray:
    return np.asarray(ax.collections[-1].get_offsets())


def test_effects_are_those_of_the_table_turned(from_file) -> None:
    (ax,) = pl.rank_factors(from_file)
    table = from_file.uns["distaff"]["rank_factors"]["table"].astype({"factor": str}).set_index("factor")
    sign = from_file.uns["distaff"]["factors"]["direction"]
    assert sign["c"] == -1
    names = rows(ax)
    assert sorted(names) == list("abcde")
    expected = table["effect"][names] * sign[names]
    assert (np.diff(expected) < 0).all()
    np.testing.assert_allclose(points(ax)[:, 0], expected)
    lines = dict(zip(names, ax.collections[0].get_segments(), strict=True))
    np.testing.assert_allclose(lines["c"][:, 0], sorted(-table.loc["c", ["lower", "upper"]].astype(float)))
    assert ax.get_title() == "stim\n8 pairs of samples"
    assert ax.get_xlabel() == "effect (SD) against ctrl"


def test_numbers_and_marks(tested) -> None:
    (ax,) = pl.rank_factors(tested)
    table = tested.uns["distaff"]["rank_factors"]["table"].set_index("factor")
    sign = tested.uns["distaff"]["factors"]["direction"]
    texts = beside(ax)
    names = rows(ax)
    assert texts[0] == "q"
    assert texts[len(names) + 1] == "log BF"
    factors = table["log_bayes_factor"][names] * sign[names]
    assert texts[len(names) + 2 :] == [f"{value + 0.0:+.1f}" for value in factors.round(1)]
    faces = [to_hex(color) for color in ax.collections[-1].get_facecolors()]
    found = table["q_value"][names] < 0.05
    assert found.sum() >= 2
    expected = np.where(found, np.where(points(ax)[:, 0] > 0, "#0072b2", "#d55e00"), "#ffffff")
    assert faces == list(expected)


def test_number_of_factors(tested) -> None:
    (ax,) = pl.rank_factors(tested, n_factors=2)
    first = tested.uns["distaff"]["rank_factors"]["table"]["factor"].iloc[:2]
    assert sorted(rows(ax)) == sorted(first)
    with pytest.raises(ValueError, match="n_factors must be >= 1"):
        pl.rank_factors(tested, n_factors=0)


def test_a_panel_a_group() -> None:
    adata = ranked_adata()
    tl.rank_factors(adata, "cell_type")
    axes = pl.rank_factors(adata)
    assert [ax.get_title().split("\n")[0] for ax in axes] == ["B", "Mono", "T"]
    assert axes[0].get_title().endswith("cells")
    assert len(pl.rank_factors(adata, groups="Mono")) == 1
    assert pl.rank_factors(adata, n_columns=1)[0].get_gridspec().nrows == 3
    with pytest.raises(KeyError, match="groups must name groups.*'NK'.*'Mono'"):
        pl.rank_factors(adata, groups=["NK"])
    with pytest.raises(ValueError, match="ax must be left out"):
        pl.rank_factors(adata, ax=plt.figure().subplots())


def test_without_a_test_there_are_bayes_factors() -> None:
    adata = ranked_adata()
    adata.obs["donor"] = "d0"
    with pytest.warns(UserWarning, match="two samples"):
        tl.rank_factors(adata, "condition", reference="ctrl", sample_key="donor")
    (ax,) = pl.rank_factors(adata)
    assert "no test" in beside(ax)
    assert rows(ax)[0] in {"b", "c"}
    assert beside(ax).count("-") == 5
    assert beside(pl.rank_factors(adata, compact=True)[0]) == ["no test"]


def test_another_representation_is_not_turned() -> None:
    adata = ranked_adata()
    adata.obsm["other"] = adata.obsm["X_distaff"]
    tl.rank_factors(adata, "condition", reference="ctrl", use_rep="other")
    (ax,) = pl.rank_factors(adata)
    table = adata.uns["distaff"]["rank_factors"]["table"].set_index("factor")
    np.testing.assert_allclose(points(ax)[:, 0], table["effect"][rows(ax)])


@pytest.mark.parametrize("compact", [False, True])
def test_three_hundred_factors(compact, tmp_path) -> None:
    adata = ranked_adata(300)
    renamed = [f"REACTOME_A_RATHER_LONG_NAME_OF_A_PATHWAY_WITH_NUMBER_{i}_IN_IT" for i in range(300)]
    tl.rename_factors(adata, renamed)
    (ax,) = pl.rank_factors(adata, compact=compact, save=tmp_path / "a")
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".pdf"}
    if compact:
        drawn = [len(part.get_offsets()) for part in ax.collections if hasattr(part, "get_sizes")]
        assert max(drawn) == 299
        assert any(text.startswith("(REACTOME)\n1  ") for text in beside(ax))
    else:
        assert len(rows(ax)) == 20
        assert ax.get_ylabel() == "factor (REACTOME)"
        assert len(set(rows(ax))) == 20
    inside = ax.figure.bbox
    renderer = ax.figure.canvas.get_renderer()
    for text in ax.texts:
        box = text.get_window_extent(renderer)
        assert box.x0 >= inside.x0 - 1
        assert box.x1 <= inside.x1 + 1


def test_nothing_is_written_and_missing_is_said(tested) -> None:
    before = tested.uns["distaff"]["rank_factors"]["table"].copy()
    pl.rank_factors(tested)
    pd.testing.assert_frame_equal(tested.uns["distaff"]["rank_factors"]["table"], before)
    with pytest.raises(KeyError, match=r"'rank_factors'.*tl.rank_factors\(adata, groupby, key='nope'\)"):
        pl.rank_factors(tested, key="nope")
