"""MIG, SMI and LMS against worked examples, scikit-learn and brute force."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency
from sklearn.metrics import mutual_info_score

from distaff.metrics import lms, mig, smi
from distaff.metrics._contract import parse
from distaff.metrics._information import Information, bin_values, entropy, information, mutual_information

# two binary factors: the first dimension is the first factor, the second tells most of the other
FACTORS = np.array([[0, 0]] * 4 + [[0, 1]] * 4 + [[1, 0]] * 4 + [[1, 1]] * 4)
CODES = np.array(
    [[0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 1], [0, 1, 1]]
    + [[1, 0, 1]] * 4
    + [[1, 1, 0]] * 4
)
MIG = 0.7282177784002017
STRATEGIES = pytest.mark.parametrize("strategy", ["quantile", "uniform"])


class TestBins:
    def test_uniform_is_the_published_rule(self) -> None:
        values = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
        assert bin_values(values, 3, "uniform").tolist() == [0, 0, 1, 1, 2, 2]
        assert bin_values(np.full(4, 2.0), 5, "uniform").tolist() == [2, 2, 2, 2]

    def test_quantile_bins_are_equally_full(self) -> None:
        values = np.random.default_rng(0).lognormal(2, 3, 1003)
        counts = np.bincount(bin_values(values, 10, "quantile"))
        assert len(counts) == 10
        assert np.ptp(counts) <= 1

    def test_quantile_keeps_ties_together(self) -> None:
        values = np.concatenate([np.zeros(700), np.random.default_rng(0).random(300)])
        bins = bin_values(values, 10, "quantile")
        assert len(np.unique(bins[:700])) == 1
        assert bins[0] not in bins[700:]

    @pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
    def test_few_values_are_their_own_bins(self, share) -> None:
        values = (np.arange(1000) < 1000 * share).astype(float)
        np.testing.assert_array_equal(bin_values(values, 20, "quantile"), values)

    def test_outlier(self) -> None:
        values = np.append(np.random.default_rng(0).normal(size=999), 1e6)
        assert len(np.unique(bin_values(values, 20, "uniform"))) == 2
        assert len(np.unique(bin_values(values, 20, "quantile"))) == 20


def test_mutual_information_against_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 7, 500)
    b = (a + rng.integers(0, 3, 500)) % 5
    assert mutual_information(a, b) == pytest.approx(mutual_info_score(a, b), abs=1e-12)
    assert entropy(a) == pytest.approx(mutual_info_score(a, a), abs=1e-12)


def information_of(Z: np.ndarray, Y: np.ndarray | pd.DataFrame, strategy: str = "quantile") -> Information:
    return information(parse(Z, Y, None, one_vs_rest=False), n_bins=20, strategy=strategy)


def classes(kind: str, n: int) -> np.ndarray:
    """(cells,) labels, or an amount."""
    if kind == "amount":
        return np.arange(n) / n
    if kind == "2 %":
        return np.arange(n) < n // 50
    if kind == "unequal":
        return np.repeat(np.arange(25), np.random.default_rng(1).multinomial(n, 0.78 ** np.arange(25) * 0.22))
    return np.arange(n) % int(kind)


@pytest.mark.filterwarnings("ignore:Too few cells")
class TestSignificance:
    """The test holds its level, 0.001: 1,000 dimensions that know nothing, and one false positive expected."""

    @pytest.mark.parametrize("kind", ["2", "5", "20", "25", "40", "2 %", "unequal", "amount"])
    @pytest.mark.parametrize("n", [100, 300, 1000])
    def test_noise(self, kind, n) -> None:
        Z = np.random.default_rng(n).normal(size=(n, 1000))
        assert information_of(Z, classes(kind, n)).significant.sum() <= 5

    @pytest.mark.parametrize("kind", ["25", "2 %", "unequal", "amount"])
    @pytest.mark.parametrize("n", [100, 1000])
    def test_dimensions_of_zeros(self, kind, n) -> None:
        rng = np.random.default_rng(n)
        Z = rng.lognormal(size=(n, 1000)) * (rng.random((n, 1000)) < 0.1)
        assert information_of(Z, classes(kind, n)).significant.sum() <= 5

    def test_bins_of_equal_width(self) -> None:
        Z = np.random.default_rng(0).lognormal(0, 1.5, size=(1000, 1000))
        for kind in ("25", "2 %", "unequal", "amount"):
            assert information_of(Z, classes(kind, 1000), "uniform").significant.sum() <= 5

    @pytest.mark.parametrize(
        ("kind", "n", "noise"),
        [
            ("2", 100, 0.5),
            ("2 %", 1000, 0.05),
            ("25", 300, 3.0),
            ("unequal", 1000, 3.0),
            ("amount", 300, 0.2),
        ],
    )
    def test_what_there_is_is_found(self, kind, n, noise) -> None:
        y = classes(kind, n)
        Z = y[:, None] + noise * np.random.default_rng(0).normal(size=(n, 100))
        assert information_of(Z, y).significant.mean() > 0.95

    def test_level_is_that_of_all_factors(self) -> None:
        rng = np.random.default_rng(0)
        found = information_of(rng.normal(size=(1000, 1000)), rng.integers(0, 5, size=(1000, 20)))
        assert found.significant.any(axis=1).sum() <= 5

    def test_pearson_is_scipys(self) -> None:
        rng = np.random.default_rng(0)
        Z, y = rng.integers(0, 4, size=(200, 1)), rng.integers(0, 3, 200)
        expected = chi2_contingency(pd.crosstab(Z[:, 0], y), correction=False).statistic
        assert information_of(Z, y).pearson[0, 0] == pytest.approx(expected)

    def test_corrected(self) -> None:
        y = np.arange(1000) % 25
        Z = np.column_stack([y == 3, np.random.default_rng(0).normal(size=1000), np.zeros(1000)])
        found = information_of(Z, y)
        assert found.corrected[0, 0] == pytest.approx(found.share[0, 0] - 24 / (2000 * np.log(25)))
        assert found.share[1, 0] > 0.05
        assert found.corrected[1:, 0].tolist() == [0.0, 0.0]

    @pytest.mark.filterwarnings("ignore:.*undefined")
    def test_constant_factor_has_none(self) -> None:
        found = information_of(CODES, FACTORS * [1, 0])
        assert np.isnan(found.corrected[:, 1]).all()
        assert not found.significant[:, 1].any()


class TestMIG:
    @STRATEGIES
    def test_small_example(self, strategy) -> None:
        score = mig(CODES, FACTORS, strategy=strategy)
        assert score.value == pytest.approx(MIG, abs=1e-9)
        information = score.matrix.to_numpy() * score.details["entropy"].to_numpy()
        expected = [[0.6931471805599453, 0.0], [0.0, 0.3163770193035085], [0.0, 0.0]]
        np.testing.assert_allclose(information, expected, atol=1e-9)
        assert score.best_dimension.tolist() == [0, 1]
        assert mig(-CODES[:, [2, 0, 1]], FACTORS, strategy=strategy).value == pytest.approx(MIG, abs=1e-9)

    @STRATEGIES
    def test_duplicated_dimensions_leave_no_gap(self, strategy) -> None:
        assert mig(np.hstack([CODES, CODES]), FACTORS, strategy=strategy).value == pytest.approx(
            0.0, abs=1e-12
        )

    def test_constant_latent(self) -> None:
        assert mig(np.zeros((16, 3)), FACTORS).value == 0.0

    def test_constant_factor_is_dropped(self) -> None:
        Y = FACTORS * [1.0, 0.0]
        with pytest.warns(UserWarning, match="'y2'"):
            assert mig(CODES, Y).value == pytest.approx(1.0, abs=1e-9)

    def test_single_dimension(self) -> None:
        score = mig(CODES[:, [1]], FACTORS)
        assert score.per_factor["y2"] == pytest.approx(0.3163770193035085 / np.log(2), abs=1e-9)

    def test_continuous_factors(self) -> None:
        Z = np.random.default_rng(0).random((5000, 3))
        assert mig(Z, Z[:, :2] ** 3).value > 0.95
        assert mig(Z, np.random.default_rng(1).random(5000)).value < 0.01

    @pytest.mark.parametrize(("n_cells", "bias"), [(200, 0.19), (1000, 0.038)])
    def test_bias_is_told(self, n_cells, bias) -> None:
        rng = np.random.default_rng(0)
        Z, y = rng.random((n_cells, 1)), np.arange(n_cells) % 5
        if bias / np.log(5) > 0.1:
            with pytest.warns(UserWarning, match="biased upwards by up to 12%"):
                score = mig(Z, y, n_bins=20)
        else:
            score = mig(Z, y, n_bins=20)
        assert score.details["bias"]["y1"] * np.log(5) == pytest.approx(bias, abs=1e-9)
        assert score.matrix["y1"][0] == pytest.approx(score.details["bias"]["y1"], rel=0.4)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"n_bins": 1}, "n_bins must be >= 2"),
            ({"strategy": "width"}, "'quantile', 'uniform', got 'width'"),
        ],
    )
    def test_bad_options(self, options, message) -> None:
        with pytest.raises(ValueError, match=message):
            mig(CODES, FACTORS, **options)


class TestSMI:
    @pytest.mark.filterwarnings("ignore:Too few cells")
    def test_small_example(self) -> None:
        z = np.array([0.1, 0.2, 0.3, 0.9, 1.0, 1.9, 0.25, 1.95, 2.1, 1.2])[:, None]
        score = smi(z, [0, 0, 0, 1, 1, 1, 1, 2, 2, 2], n_bins=10, strategy="uniform")
        np.testing.assert_allclose(score.per_factor, [0.6317773733202857, 0.6657798536434141, 1.0], atol=1e-9)

    @pytest.mark.filterwarnings("ignore:Too few cells")
    def test_missing_label_is_no_class(self) -> None:
        score = smi(np.arange(3.0)[:, None], ["A", None, "B"])
        assert list(score.per_factor.index) == ["y1"]
        assert score.n_missing["y1"] == 1

    def test_identity(self) -> None:
        Z = np.random.default_rng(0).random((2000, 4))
        score = smi(Z, Z)
        np.testing.assert_allclose(np.diag(score.matrix), 1.0)
        assert score.best_dimension.tolist() == [0, 1, 2, 3]


class TestLMS:
    R = np.array([[0.9, 0.1, 1.0], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9], [0.1, 0.9, 0.1]])

    def test_small_example(self) -> None:
        score = lms(self.R)
        assert score.value == pytest.approx(0.9, abs=1e-12)
        assert score.best_dimension[0] == 0
        assert score.best_dimension[2] == 2

    def test_brute_force(self) -> None:
        R = np.random.default_rng(0).random((6, 4))
        best = max(R[list(rows), range(4)].mean() for rows in permutations(range(6), 4))
        assert lms(R).value == pytest.approx(best)

    def test_factors_left_over_count_nothing(self) -> None:
        score = lms(pd.DataFrame([[0.4, 0.8]], columns=["u", "v"], index=["only"]))
        assert score.value == pytest.approx(0.4)
        assert score.per_factor["u"] == 0.0
        assert score.best_dimension.tolist() == [None, "only"]

    def test_undefined_factors_are_left_out(self) -> None:
        score = lms(np.array([[np.nan, 0.8], [np.nan, 0.1]]))
        assert score.value == pytest.approx(0.8)
        assert score.n_factors_used == 1
        assert np.isnan(lms(np.array([[np.nan]])).value)

    def test_of_a_score(self) -> None:
        Z = np.random.default_rng(0).random((2000, 4))
        base = smi(Z[:, [0, 1]], Z[:, :3])
        score = lms(base)
        assert score.value == pytest.approx(2 / 3, abs=0.02)
        assert score.params["matched"] == "smi"
        pd.testing.assert_series_equal(score.n_cells, base.n_cells)

    def test_empty(self) -> None:
        with pytest.raises(ValueError, match=r"shape \(0, 2\)"):
            lms(np.zeros((0, 2)))
