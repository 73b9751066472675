"""assess: noise, ceilings, p-values and intervals against direct computation and simulation."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest

from distaff.metrics import assess, lms, max_spearman, mig, single_dimension_accuracy, smi, spn


def make(n_cells: int, seed: int, effect: float = 1.2) -> tuple[np.ndarray, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    usage, group = rng.normal(size=n_cells), rng.random(n_cells) < 0.3
    Z = rng.normal(size=(n_cells, 3))
    Z[:, 0] += effect * usage
    Z[:, 1] += 1.5 * group
    return Z, pd.DataFrame({"usage": usage, "group": group})


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, pd.DataFrame]:
    return make(400, 0)


def test_score_is_the_metrics(data) -> None:
    result = assess(partial(mig, n_bins=10), *data)
    score = mig(*data, n_bins=10)
    assert float(result) == result.mean["score"] == score.value
    pd.testing.assert_series_equal(result.per_factor["score"], score.per_factor, check_names=False)
    assert result.score.params["n_bins"] == 10
    assert result.per_factor[["p_value", "lower", "upper"]].isna().all(axis=None)
    assert result.name == result.mean.name == "mig"


def test_noise_rises_with_the_dimensions_that_vary() -> None:
    y = np.random.default_rng(0).normal(size=300)
    wide, narrow = np.random.default_rng(1).normal(size=(300, 50)), np.zeros((300, 50))
    narrow[:, 0] = wide[:, 0]
    noise = {name: assess(max_spearman, Z, y).mean["noise"] for name, Z in (("wide", wide), ("one", narrow))}
    assert noise["wide"] == pytest.approx(np.sqrt(2 * np.log(50) / 300), rel=0.2)
    assert noise["one"] < 0.12
    assert np.isnan(assess(max_spearman, wide, y, n_random=0).mean["noise"])


class TestCeiling:
    cell_type = np.array(["B", "NK", "T", "T"])[np.arange(400) % 4]
    Z = np.random.default_rng(0).normal(size=(400, 3))

    @pytest.mark.parametrize("metric", [max_spearman, smi, spn, lambda Z, Y: lms(smi(Z, Y))])
    def test_classes_one_against_the_rest(self, metric) -> None:
        result = assess(metric, self.Z, self.cell_type)
        assert result.params["truth"] == "classes"
        np.testing.assert_allclose(result.per_factor["ceiling"], 1.0, atol=0.01)

    def test_accuracy(self) -> None:
        result = assess(single_dimension_accuracy, self.Z, self.cell_type)
        np.testing.assert_allclose(result.per_factor["ceiling"], 1.0)

    def test_gap_on_a_whole_factor_takes_numbered_classes(self) -> None:
        result = assess(partial(mig, n_bins=10), self.Z, self.cell_type)
        assert result.params["truth"] == "numbered"
        assert result.mean["ceiling"] == pytest.approx(1.0)

    def test_gap_on_classes_that_exclude_each_other_stays_below_one(self) -> None:
        Y = pd.get_dummies(pd.Series(self.cell_type))
        result = assess(partial(mig, n_bins=10), self.Z, Y)
        expected = mig(Y.to_numpy(dtype=float), Y).per_factor
        np.testing.assert_allclose(result.per_factor["ceiling"], expected)
        assert 0.3 < result.mean["ceiling"] < 0.8

    def test_missing_labels_take_nothing_away(self) -> None:
        Y = pd.DataFrame({"cell_type": self.cell_type, "usage": self.Z[:, 0]}).astype({"cell_type": object})
        Y.iloc[::3, 0] = None
        Y.iloc[1::5, 1] = np.nan
        result = assess(max_spearman, self.Z, Y)
        np.testing.assert_allclose(result.per_factor["ceiling"], 1.0)


class TestPermutations:
    def test_signal_and_noise(self, data) -> None:
        Z, Y = data
        Y = Y.assign(noise=np.random.default_rng(6).normal(size=400))
        table = assess(max_spearman, Z, Y, n_permutations=99).per_factor
        assert table.loc[["usage", "group"], "p_value"].tolist() == [0.01, 0.01]
        assert table.loc["noise", "p_value"] > 0.05

    @pytest.mark.slow
    def test_p_values_of_noise_are_uniform(self) -> None:
        found = []
        for seed in range(25):
            rng = np.random.default_rng(seed)
            Y = pd.DataFrame(rng.normal(size=(40, 10)))
            Y[rng.random(Y.shape) < 0.2] = np.nan  # missing in other cells for each factor
            table = assess(max_spearman, rng.normal(size=(40, 3)), Y, n_random=0, n_permutations=19)
            found.extend(table.per_factor["p_value"])
        assert np.mean(found) == pytest.approx(0.525, abs=0.06)
        assert np.mean(np.array(found) <= 0.1) == pytest.approx(0.1, abs=0.045)

    def test_labels_stay_in_their_cells(self) -> None:
        # unlabelled cells lie elsewhere: shuffled into the labelled ones they would change the null
        seen = []

        def spy(Z, Y):
            seen.append((Z, Y))
            return max_spearman(Z, Y)

        Y = pd.DataFrame({"a": np.arange(20.0), "b": list("uv") * 10, "c": np.arange(20.0)})
        Y.loc[12:, "a"] = np.nan
        Y.loc[:3, "b"] = None
        Z = np.random.default_rng(0).normal(size=(20, 2))
        assess(spy, Z, Y, n_random=0, n_permutations=5)
        for other, table in seen[-5:]:
            np.testing.assert_array_equal(other, Z)
            for name in Y:
                pd.testing.assert_series_equal(table[name].isna(), Y[name].isna())
                assert sorted(table[name].dropna()) == sorted(Y[name].dropna())
            assert (table["c"] != Y["c"]).any()
        kept = [(table["a"] == table["c"]).sum() for _, table in seen[-5:]]
        assert np.mean(kept) > 4  # factors move together where both are labelled

    def test_undefined_factor(self, data) -> None:
        Z, Y = data
        with pytest.warns(UserWarning, match="'bad'"):
            result = assess(max_spearman, Z, Y.assign(bad="x"), n_permutations=9, n_bootstrap=10)
        assert result.per_factor.loc["bad"].isna().all()
        assert result.mean.notna().all()


class TestInterval:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("metric", "columns"),
        [(max_spearman, ["usage", "group"]), (partial(mig, n_bins=10), ["usage"]), (spn, ["group"])],
        ids=["max_spearman", "mig", "spn"],
    )
    def test_coverage(self, metric, columns) -> None:
        Z, Y = make(100_000, 99)
        truth = metric(Z, Y[columns]).per_factor
        inside = []
        for seed in range(30):
            Z, Y = make(400, seed)
            table = assess(metric, Z, Y[columns], n_random=0, n_bootstrap=50, random_state=seed).per_factor
            inside.extend((table["lower"] <= truth) & (truth <= table["upper"]))
        assert np.mean(inside) >= 0.87  # 0.95 up to three standard errors of 30 trials and of 50 halves

    def test_bias_of_information_is_removed(self) -> None:
        # 20 x 20 bins of 1,000 cells: the plug-in score is far above the truth
        rng = np.random.default_rng(0)
        y = rng.normal(size=1000)
        Z = y[:, None] + rng.normal(size=(1000, 1))
        big = rng.normal(size=200_000)
        truth = smi(big[:, None] + rng.normal(size=(200_000, 1)), big, n_bins=20).value
        result = assess(partial(smi, n_bins=20), Z, y, n_random=0, n_bootstrap=100)
        assert result.mean["score"] > result.mean["upper"] > truth > result.mean["lower"]

    def test_narrower_with_more_cells(self) -> None:
        few, many = (assess(max_spearman, *make(n, 1), n_random=0, n_bootstrap=50).mean for n in (200, 3200))
        ratio = (few["upper"] - few["lower"]) / (many["upper"] - many["lower"])
        assert ratio == pytest.approx(4, rel=0.5)

    def test_class_that_a_half_may_lack(self) -> None:
        Z, y = make(100, 0)[0], ["rare"] * 2 + ["a", "b"] * 49
        table = assess(max_spearman, Z, y, n_bootstrap=30).per_factor
        assert table.loc["y1: rare", ["lower", "upper"]].isna().all()
        assert table.loc["y1: a", ["score", "noise"]].notna().all()


def test_reproducible_whatever_the_threads(data) -> None:
    options = {"n_permutations": 7, "n_bootstrap": 7, "random_state": 3}
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    one = assess(smi, *data, **options)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    pd.testing.assert_frame_equal(one.per_factor, assess(smi, *data, n_jobs=2, **options).per_factor)
    other = assess(smi, *data, **{**options, "random_state": 4})
    assert (one.per_factor[["noise", "lower"]] != other.per_factor[["noise", "lower"]]).all(axis=None)
    more = assess(smi, *data, **{**options, "n_random": 9})
    np.testing.assert_array_equal(more.per_factor["lower"], one.per_factor["lower"])


def test_declared_kinds_reach_the_metric() -> None:
    counts = np.random.default_rng(0).poisson(200, 500)
    Z = counts[:, None] + np.random.default_rng(1).normal(size=(500, 2))
    result = assess(max_spearman, Z, counts, kinds="continuous", n_bootstrap=10, n_permutations=9)
    assert result.score.details["kind"]["y1"] == "continuous"
    assert result.mean["ceiling"] == pytest.approx(1.0)
    with pytest.raises(ValueError, match="must be declared"):
        assess(max_spearman, Z, counts)


def test_progress(data, capsys) -> None:
    assess(smi, *data, n_random=3)
    assert capsys.readouterr().err == ""
    assess(smi, *data, n_random=3, progress=True)
    assert "3/3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("metric", "options", "kind", "message"),
    [
        (smi, {"n_random": -1}, ValueError, "n_random must be >= 0"),
        (smi, {"n_permutations": 1.5}, TypeError, "n_permutations must be an integer"),
        (smi, {"random_state": -1}, ValueError, "random_state must be >= 0"),
        (lambda Z, Y: 0.5, {}, TypeError, "metric must return a Score, got float"),
    ],
)
def test_bad_input(data, metric, options, kind, message) -> None:
    with pytest.raises(kind, match=message):
        assess(metric, *data, **options)


def test_too_few_cells_for_halves() -> None:
    with pytest.raises(ValueError, match="at least 4 cells to draw halves, got 3"):
        assess(max_spearman, np.arange(3.0)[:, None], np.arange(3.0), n_bootstrap=2)
