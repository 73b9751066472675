"""compare_runs against scipy and worked examples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind

from distaff.metrics import compare_runs


@pytest.fixture
def runs() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"beta": np.repeat([1, 10, 50], [4, 5, 3])})
    table["GEP 1"] = rng.normal(0.4, 0.05, 12) + 0.3 * (table["beta"] == 10)
    table["GEP 2"] = rng.normal(0.4, 0.05, 12)
    return table


@pytest.mark.parametrize("equal", [True, False])
def test_against_scipy(runs, equal) -> None:
    table = compare_runs(runs, setting="beta", baseline=1, equal_variances=equal)
    assert table[["setting", "score"]].to_numpy().tolist() == [
        [beta, score] for beta in (1, 10, 50) for score in ("GEP 1", "GEP 2")
    ]
    found = table.set_index(["setting", "score"])
    for beta in (10, 50):
        for score in ("GEP 1", "GEP 2"):
            a, b = runs.loc[runs["beta"] == beta, score], runs.loc[runs["beta"] == 1, score]
            expected = ttest_ind(a, b, equal_var=equal)
            row = found.loc[(beta, score)]
            assert row["t"] == pytest.approx(expected.statistic)
            assert row["p"] == pytest.approx(expected.pvalue)
            assert row["difference"] == pytest.approx(a.mean() - b.mean())
            assert (row["n"], row["mean"], row["sd"]) == (
                len(a),
                pytest.approx(a.mean()),
                pytest.approx(a.std()),
            )


def test_q_values_over_all_tests(runs) -> None:
    table = compare_runs(runs, setting="beta", baseline=1).dropna()
    p = np.sort(table["p"])
    expected = [min(p[j] * 4 / (j + 1) for j in range(i, 4)) for i in range(4)]
    np.testing.assert_allclose(np.sort(table["q"]), expected)
    assert table.loc[(table["setting"] == 10) & (table["score"] == "GEP 1"), "q"].item() < 0.05


def test_baseline_row(runs) -> None:
    table = compare_runs(runs, setting="beta", baseline=1)
    own = table[table["setting"] == 1]
    assert (own["difference"] == 0).all()
    assert own[["t", "p", "q"]].isna().all(axis=None)


def test_named_scores_leave_the_rest_alone(runs) -> None:
    named = compare_runs(runs.assign(seed=1, note="x"), setting="beta", baseline=1, scores=["GEP 1"])
    pd.testing.assert_frame_equal(
        named, compare_runs(runs[["beta", "GEP 1"]], setting="beta", baseline=1), check_dtype=False
    )


def test_order_of_runs_does_not_matter(runs) -> None:
    shuffled = runs.sample(frac=1, random_state=0)
    by = ["setting", "score"]
    one, other = (
        compare_runs(t, setting="beta", baseline=1).sort_values(by, ignore_index=True)
        for t in (runs, shuffled)
    )
    pd.testing.assert_frame_equal(one, other)


def test_categorical_setting_with_unused_levels(runs) -> None:
    runs["beta"] = pd.Categorical(
        runs["beta"].map({1: "low", 10: "mid", 50: "high"}), ["none", "low", "mid", "high"]
    )
    table = compare_runs(runs, setting="beta", baseline="low")
    assert table["setting"].unique().tolist() == ["low", "mid", "high"]


def test_runs_that_do_not_vary() -> None:
    runs = pd.DataFrame({"model": ["nmf"] * 3 + ["ica"] * 3 + ["vae"] * 3})
    runs["mig"] = [0.3] * 3 + [0.5] * 3 + [0.2, 0.25, 0.21]
    with pytest.warns(UserWarning, match="No test of 'ica' for 'mig'") as caught:
        table = compare_runs(runs, setting="model", baseline="nmf").set_index("setting")
    assert caught[0].filename == __file__
    assert np.isnan(table.loc["ica", "q"])
    assert table.loc["vae", "q"] == table.loc["vae", "p"] < 0.05


def test_rounding_is_no_variation() -> None:
    runs = pd.DataFrame({"model": ["nmf"] * 3 + ["ica"] * 3, "mig": [0.3, 0.1 + 0.2, 0.3, 0.5, 0.5, 0.5]})
    with pytest.warns(UserWarning, match="No test of 'ica' for 'mig'"):
        table = compare_runs(runs, setting="model", baseline="nmf").set_index("setting")
    assert np.isnan(table.loc["ica", "t"])
    assert table.loc["ica", "difference"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("change", "options", "kind", "message"),
    [
        (lambda t: t.iloc[:10], {}, ValueError, "at least 2 runs, got a single one for '50'.*more seeds"),
        (lambda t: t, {"baseline": 2}, ValueError, "baseline must be .* got 2.*'1', '10', '50'"),
        (lambda t: t.replace({10: np.nan}), {}, ValueError, "'beta' must name a setting.* 5 missing"),
        (lambda t: t.assign(u=np.inf), {}, ValueError, "'u' must be finite in each run, got inf in row 0"),
        (lambda t: t.assign(u=[0.5] * 11 + [np.nan]), {}, ValueError, "got nan in row 11"),
        (lambda t: t.assign(note="x"), {}, TypeError, "'note' must hold numbers.*in scores"),
        (lambda t: t, {"setting": "C"}, KeyError, "'C'.*'beta', 'GEP 1', 'GEP 2'"),
        (lambda t: t, {"scores": ["mig"]}, KeyError, "'mig'"),
        (lambda t: t[["beta"]], {}, ValueError, "at least one column"),
        (lambda t: t.to_numpy(), {}, TypeError, "DataFrame.*ndarray"),
    ],
)
def test_bad_input(runs, change, options, kind, message) -> None:
    with pytest.raises(kind, match=message):
        compare_runs(change(runs), **{"setting": "beta", "baseline": 1, **options})
