"""pl.tradeoff: means and intervals at their settings, and runs that are no repeats."""

from __future__ import annotations

import anndata
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from distaff import pl, tl


def sweep(capacities=(0.0,), n_seeds: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        {"beta": beta, "capacity": capacity, "seed": seed, "mig": rng.random(), "ari": rng.random()}
        for capacity in capacities
        for beta in (1.0, 5.0, 50.0)
        for seed in range(n_seeds)
    ]
    return pd.DataFrame(rows)


def bars(ax, i: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(settings, 2) ends of the bars up, and the means."""
    container = ax.containers[i]
    segments = container.lines[2][-1].get_segments()
    return np.array([segment[:, 1] for segment in segments if len(segment)]), container.lines[
        0
    ].get_ydata().astype(float)


def test_means_and_intervals() -> None:
    runs = sweep()
    axes = pl.tradeoff(runs)
    assert [ax.get_ylabel() for ax in axes] == ["MIG", "ARI"]
    for ax, score in zip(axes, ("mig", "ari"), strict=True):
        ends, means = bars(ax)
        np.testing.assert_allclose(ax.containers[0].lines[0].get_xdata(), [1, 5, 50])
        for beta, end, mean in zip((1, 5, 50), ends, means, strict=True):
            values = runs.loc[runs["beta"] == beta, score]
            interval = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
            np.testing.assert_allclose(end, interval)
            assert mean == pytest.approx(values.mean())
        assert ax.get_xscale() == "log"
        assert list(ax.get_xticks()) == [1, 5, 50]
        low, high = ax.get_ylim()
        assert low < runs[score].min() < runs[score].max() < high


def test_every_run_is_drawn() -> None:
    runs = sweep()
    (ax,) = pl.tradeoff(runs, "mig")
    dashes = ax.lines[0]
    np.testing.assert_allclose(dashes.get_ydata(), runs["mig"])
    np.testing.assert_allclose(dashes.get_xdata(), runs["beta"])


def test_a_single_run_has_no_interval() -> None:
    (ax,) = pl.tradeoff(sweep(n_seeds=1), "mig")
    ends, means = bars(ax)
    assert not np.isfinite(ends).any()
    assert np.isfinite(means).all()


def test_long_bars_do_not_dwarf_the_runs() -> None:
    runs = pd.DataFrame({"beta": [1, 1, 2, 2], "seed": [0, 1, 0, 1], "mig": [0.1, 0.3, 0.2, 0.2]})
    low, high = pl.tradeoff(runs)[0].get_ylim()
    assert high - low < 0.6  # the interval of two runs is 2.5 wide


@pytest.mark.parametrize("active", [[16, 16, 16, 16], [16, 15, 4, 5]])
def test_counts_have_whole_ticks(active) -> None:
    runs = pd.DataFrame({"beta": [1, 1, 4, 4], "seed": [0, 1, 0, 1], "active": active})
    (ax,) = pl.tradeoff(runs, "active")
    low, high = ax.get_ylim()
    shown = [tick for tick in ax.get_yticks() if low <= tick <= high]
    assert len(shown) >= 2
    assert all(tick == round(tick) for tick in shown)


def test_the_other_setting_tells_lines_apart() -> None:
    runs = sweep((0.0, 10.0))
    axes = pl.tradeoff(runs)
    for i, capacity in enumerate((0.0, 10.0)):
        expected = runs[runs["capacity"] == capacity].groupby("beta")["mig"].mean()
        np.testing.assert_allclose(bars(axes[0], i)[1], expected)
    legend = axes[0].figure.legends[0]
    assert legend.get_title().get_text() == "capacity"
    assert [text.get_text() for text in legend.get_texts()] == ["0", "10"]
    first, second = (container.lines[0].get_xdata() for container in axes[0].containers)
    assert (first < second).all()  # side by side
    (ax,) = pl.tradeoff(runs, "mig", x="capacity")
    assert ax.get_xlabel() == "capacity (nats)"
    assert ax.get_xscale() == "linear"
    assert len(ax.containers) == 3


def test_two_scores_against_each_other() -> None:
    runs = sweep()
    (ax,) = pl.tradeoff(runs, against="ari")
    means = runs.groupby("beta")[["ari", "mig"]].mean()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("ARI", "MIG")
    np.testing.assert_allclose(ax.containers[0].lines[0].get_xydata(), means)
    assert {text.get_text() for text in ax.texts} == {"1", "5", "50"}
    across = ax.containers[0].lines[2][0].get_segments()
    assert all(
        segment[0, 0] < mean < segment[1, 0] for segment, mean in zip(across, means["ari"], strict=True)
    )


@pytest.fixture(scope="module")
def scored() -> anndata.AnnData:
    rng = np.random.default_rng(0)
    adata = anndata.AnnData(
        np.ones((60, 2), dtype=np.float32), obs={"cell_type": np.tile(["B", "NK", "T"], 20)}
    )
    for beta in (1.0, 2.0):
        for seed in range(2):
            key = f"b{beta:g}_{seed}"
            adata.obsm[f"X_{key}"] = rng.normal(size=(60, 2))
            adata.uns[key] = {"params": {"beta": beta, "seed": seed}}
            tl.disentanglement(adata, "cell_type", key=key, metrics=["max_spearman", "sap"], references=None)
    return adata


@pytest.mark.parametrize("form", ["memory", "h5ad"])
def test_keys_of_an_adata(scored, tmp_path, form) -> None:
    if form == "h5ad":
        scored.copy().write_h5ad(tmp_path / "a.h5ad")
        adata = anndata.read_h5ad(tmp_path / "a.h5ad")
    else:
        adata = scored
    axes = pl.tradeoff(adata)
    assert [ax.get_ylabel() for ax in axes] == ["|Spearman|", "SAP"]
    expected = tl.collect_scores(adata).groupby("beta")["max_spearman"].mean()
    np.testing.assert_allclose(bars(axes[0])[1], expected)
    (ax,) = pl.tradeoff(adata, "max_spearman", hue="factor")
    labels = [text.get_text() for text in ax.figure.legends[0].get_texts()]
    assert labels == ["cell_type: B", "cell_type: NK", "cell_type: T"]
    assert len(pl.tradeoff(adata, "max_spearman", keys=["b1_0", "b1_1"])[0].get_xticks()) == 1


def test_two_files_and_own_axes(tmp_path) -> None:
    pl.tradeoff(sweep((0.0, 10.0)), save=tmp_path / "a")
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "a.pdf"}
    pl.tradeoff(sweep(), save=tmp_path / "b.svg")
    assert (tmp_path / "b.svg").stat().st_size > 1000
    ax = plt.figure().subplots()
    assert pl.tradeoff(sweep((0.0, 10.0)), "mig", ax=ax)[0] is ax
    assert ax.get_legend().get_title().get_text() == "capacity"


def test_panels_do_not_overlap() -> None:
    runs = sweep((0.0, 10.0)).assign(nmi=0.5, smi=0.4, sap=0.1)
    axes = pl.tradeoff(runs)
    figure = axes[0].figure
    figure.canvas.draw()
    boxes = [*(ax.get_tightbbox() for ax in axes), figure.legends[0].get_window_extent()]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_runs_that_are_no_repeats() -> None:
    runs = sweep((0.0, 10.0))
    with pytest.raises(
        ValueError, match=r"differ in their seed, got several with beta=1.0, model=a, seed=0.*'capacity'"
    ):
        pl.tradeoff(runs.assign(model="a"), hue="model")
    with pytest.raises(ValueError, match="Pass each run once"):
        pl.tradeoff(pd.concat([sweep(), sweep()]))
    assert len(pl.tradeoff(runs.drop(columns="seed"), "mig")[0].containers) == 2


@pytest.mark.parametrize(
    ("change", "options", "kind", "message"),
    [
        (lambda runs: runs, {"x": "alpha"}, ValueError, "x must be one of 'beta', 'capacity'"),
        (
            lambda runs: runs.drop(columns="beta"),
            {},
            KeyError,
            "x must name a column of the runs, got 'beta'",
        ),
        (lambda runs: runs, {"hue": "model"}, KeyError, "hue must name a column of the runs, got 'model'"),
        (lambda runs: runs, {"scores": "nmi"}, KeyError, "scores must name a column of the runs, got 'nmi'"),
        (lambda runs: runs, {"scores": []}, ValueError, "at least one column"),
        (lambda runs: runs.assign(mig="a"), {"scores": "mig"}, TypeError, "'mig' must hold numbers"),
        (lambda runs: runs.assign(beta="a"), {}, TypeError, "'beta' must hold numbers"),
        (lambda runs: runs.assign(beta=np.nan), {}, ValueError, "must have beta, got none"),
        (lambda runs: runs[["beta", "seed"]], {}, ValueError, "a column named as a metric"),
        (lambda runs: runs, {"keys": ["a"]}, ValueError, "keys must be None for a table"),
    ],
)
def test_bad_input(change, options, kind, message) -> None:
    runs = change(sweep())
    with pytest.raises(kind, match=message):
        pl.tradeoff(runs, **options)


def test_too_many_lines_or_panels() -> None:
    runs = pd.DataFrame({"beta": 1.0, "factor": [f"f{i}" for i in range(13)], "mig": 0.5})
    with pytest.raises(ValueError, match="hue must have at most 12 values, got 13"):
        pl.tradeoff(runs, hue="factor")
    with pytest.raises(ValueError, match="one column if ax is given, got 2"):
        pl.tradeoff(sweep(), ax=plt.figure().subplots())


def test_missing_scores() -> None:
    with pytest.raises(KeyError, match="distaff.tl.disentanglement"):
        pl.tradeoff(anndata.AnnData(np.ones((2, 2))))
