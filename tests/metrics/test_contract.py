"""The contract of all metrics: input, missing labels, degenerate cells, invariances, global state."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pandas as pd
import pytest

from distaff import metrics

SCORES = {
    "max_spearman": metrics.max_spearman,
    "single_dimension_accuracy": metrics.single_dimension_accuracy,
    "mig": metrics.mig,
    "smi": metrics.smi,
    "spn": metrics.spn,
}

NUMBER_SCORES = {name: SCORES[name] for name in ("max_spearman", "mig", "smi")}


@pytest.fixture(params=SCORES)
def metric(request):
    return SCORES[request.param]


@pytest.fixture(params=NUMBER_SCORES)
def number_metric(request):
    return NUMBER_SCORES[request.param]


@pytest.fixture(scope="module")
def latent() -> np.ndarray:
    rng = np.random.default_rng(1)
    Z = rng.normal(size=(1200, 4))
    Z[:, 1] += 3 * (np.arange(1200) % 3 == 2)
    return Z


@pytest.fixture(scope="module")
def labels() -> pd.DataFrame:
    condition = np.random.default_rng(2).permutation(np.repeat(["ctrl", "stim"], 600))
    cell_type = np.array(["B", "NK", "T"])[np.arange(1200) % 3]
    return pd.DataFrame({"cell_type": cell_type, "condition": condition})


# --- input -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("Z", "message"),
    [
        (np.zeros(5), r"shape \(5,\)"),
        (np.zeros((0, 3)), r"shape \(0, 3\)"),
        (np.zeros((5, 0)), r"shape \(5, 0\)"),
        (np.array([["a"], ["b"]]), "dtype <U1"),
        (np.array([[0.0], [np.nan], [1.0]]), "nan in cell 1, dimension 0"),
        (
            pd.DataFrame({"u": [0, 1.0], "v": [1, np.inf]}, index=["c1", "c2"]),
            "inf in cell 'c2', dimension 'v'",
        ),
        (pd.DataFrame(np.ones((2, 2)), columns=["u", "u"]), "dimensions must differ"),
    ],
)
def test_bad_latent(metric, Z, message) -> None:
    with pytest.raises(ValueError, match=message):
        metric(Z, np.arange(len(Z)) % 2)


@pytest.mark.parametrize(
    ("Y", "kinds", "message"),
    [
        (np.zeros((3, 1)), None, "3 rows for 100 cells"),
        (np.zeros((100, 1, 1)), None, r"shape \(100, 1, 1\)"),
        (np.zeros((100, 0)), None, "at least one factor"),
        (np.arange(100), None, "'y1' must be declared.*100 different whole numbers.*kinds="),
        (np.full(100, np.inf), None, "infinite value in row 0"),
        (np.arange(100.0), {"nope": "continuous"}, "'nope'.*factors are 'y1'"),
        (np.arange(100.0), "ordinal", "must be one of 'categorical', 'binary', 'continuous', got 'ordinal'"),
        (np.arange(100) % 3, "binary", "two classes, got 3: '0', '1', '2'"),
        (np.repeat(["a", "b"], 50), "continuous", "'y1' must hold numbers"),
        (pd.DataFrame(np.ones((100, 2)), columns=["u", "u"]), None, "'u' more than once"),
        (pd.Series(np.arange(100.0), index=np.arange(1, 101)), None, "same index"),
    ],
)
def test_bad_factors(number_metric, Y, kinds, message) -> None:
    Z = pd.DataFrame(np.random.default_rng(0).normal(size=(100, 2)))
    with pytest.raises(ValueError, match=message):
        number_metric(Z, Y, kinds=kinds)


def test_dates_are_no_factor() -> None:
    with pytest.raises(TypeError, match="datetime64"):
        metrics.mig(np.zeros((3, 1)), pd.Series(pd.date_range("2020", periods=3)))


@pytest.mark.parametrize(
    ("column", "kinds", "expected"),
    [
        (["b", "a", "b", "c"], None, "categorical"),
        (["b", "a", None, "b"], None, "binary"),
        ([True, False, None, True], None, "binary"),
        ([0.0, 1.0, np.nan, 1.0], None, "binary"),
        ([0.0, 0.5, np.nan, 1.0], None, "continuous"),
        ([0.0, 0.0, np.nan, 1.0], "continuous", "continuous"),
        ([0, 1, 2, 2], None, "categorical"),
        ([0, 1, 2, 2], {"f": "continuous"}, "continuous"),
        (pd.array([0, 1, None, 2]), None, "categorical"),
        (pd.array(["u", "v", None, "u"], dtype="string"), None, "binary"),
        (pd.Categorical([1.0, 2.0, None, 3.5]), {"f": "continuous"}, "continuous"),
        (np.array([1.5, "x", 2, 2], dtype=object), None, "categorical"),
    ],
)
@pytest.mark.filterwarnings("ignore:Too few cells")
def test_kind_rule(column, kinds, expected) -> None:
    Y = pd.DataFrame({"f": column})
    score = metrics.mig(np.arange(4.0)[:, None], Y, kinds=kinds)
    assert score.details["kind"]["f"] == expected
    assert score.n_missing["f"] == Y["f"].isna().sum()


def test_class_order_and_names() -> None:
    Z = np.arange(6.0)[:, None]
    ordered = pd.Categorical(list("uvwuvw"), categories=["w", "unused", "v", "u"])
    assert list(metrics.max_spearman(Z, ordered).per_factor.index) == ["y1: w", "y1: v", "y1: u"]
    numbers = pd.Series([10, 9, 1.0, np.nan, 9, 10], name="f")
    got = metrics.max_spearman(Z, numbers, kinds="categorical").per_factor.index
    assert list(got) == ["f: 1", "f: 9", "f: 10"]
    # the later class of a binary factor is the positive one
    condition = ["stim", "ctrl"] * 3
    assert metrics.max_spearman(-Z, condition).details["correlation"]["y1"] > 0
    clash = pd.DataFrame({"f": list("abcabc"), "f: a": list("uvuvuv")})
    with pytest.raises(ValueError, match="'f: a'"):
        metrics.max_spearman(Z, clash)


# --- missing labels, too few cells ----------------------------------------------------------------


def test_missing_labels_equal_the_subset(metric, latent, labels) -> None:
    gaps = labels.astype(object).copy()
    rng = np.random.default_rng(0)
    kept = {
        name: np.sort(rng.choice(1200, n, replace=False))
        for name, n in (("cell_type", 1000), ("condition", 901))
    }
    for name, rows in kept.items():
        gaps.loc[gaps.index.difference(rows), name] = None
    score = metric(latent, gaps)
    for name, rows in kept.items():
        alone = metric(latent[rows], labels[name].iloc[rows].reset_index(drop=True))
        pd.testing.assert_frame_equal(score.matrix[alone.matrix.columns], alone.matrix)
        pd.testing.assert_series_equal(score.per_factor[alone.per_factor.index], alone.per_factor)
        assert (score.n_cells[alone.n_cells.index] == len(rows)).all()
        assert (score.n_missing[alone.n_cells.index] == 1200 - len(rows)).all()


@pytest.mark.parametrize(
    "bad", [["x"] * 1200, [None] * 1200, ["x"] + [None] * 1199], ids=["one", "none", "cell"]
)
def test_undefined_factor_is_left_out(metric, latent, labels, bad) -> None:
    Y = labels[["condition"]].assign(bad=bad)
    alone = metric(latent, labels[["condition"]])
    with pytest.warns(UserWarning, match=r"NaN\) for 'bad'") as caught:
        score = metric(latent, Y)
    assert caught[0].filename == __file__  # points at the caller, not into the package
    assert np.isnan(score.per_factor["bad"])
    assert score.matrix["bad"].isna().all()
    assert score.best_dimension["bad"] is None
    assert score.n_factors_used == 1
    assert score.value == alone.value


def test_no_factor_left(metric) -> None:
    with pytest.warns(UserWarning, match="NaN"):
        score = metric(np.arange(5.0)[:, None], ["x"] * 5)
    assert np.isnan(score.value)
    assert score.n_factors_used == 0


def test_constant_dimensions_tell_nothing(metric, latent, labels) -> None:
    chance = 0.5 if metric is metrics.single_dimension_accuracy else 0.0
    Z = latent.copy()
    Z[:, 0] = 7.1
    Z[:, 2] = 3 + 1e-9 * Z[:, 2]  # rounding errors
    score = metric(Z, labels)
    assert (score.matrix.loc[[0, 2]] == chance).all(axis=None)
    nothing = metric(np.full((1200, 3), 0.1), labels)
    assert (nothing.matrix == chance).all(axis=None)
    assert nothing.value == (0.0 if metric is metrics.mig else chance)
    assert nothing.best_dimension.isna().all()


def test_constant_only_where_labelled(metric) -> None:
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(400, 2))
    Y = pd.Series(rng.choice(["u", "v"], 400).astype(object))
    Y[:100] = None
    Z[100:, 0] = 0.0
    chance = 0.5 if metric is metrics.single_dimension_accuracy else 0.0
    assert metric(Z, Y).matrix.loc[0, "y1"] == chance


# --- invariances -----------------------------------------------------------------------------------


def test_order_of_dimensions_and_factors(metric, latent, labels) -> None:
    Z = pd.DataFrame(latent, columns=list("abcd"))
    score, other = metric(Z, labels), metric(Z[list("cadb")], labels[["condition", "cell_type"]])
    pd.testing.assert_frame_equal(other.matrix.loc[score.matrix.index, score.matrix.columns], score.matrix)
    assert other.value == pytest.approx(score.value)
    assert other.best_dimension[score.best_dimension.index].tolist() == score.best_dimension.tolist()


def test_sign_and_scale(metric, latent, labels) -> None:
    flipped = latent * [-1.0, 2.0, -0.1, 30.0] + 5
    np.testing.assert_allclose(metric(flipped, labels).matrix, metric(latent, labels).matrix, atol=0.01)


@pytest.mark.parametrize("name", ["max_spearman", "mig", "smi", "spn"])
def test_order_of_cells(name, latent, labels) -> None:
    order = np.random.default_rng(0).permutation(len(latent))
    score = SCORES[name](latent, labels)
    other = SCORES[name](latent[order], labels.iloc[order].reset_index(drop=True))
    pd.testing.assert_frame_equal(other.matrix, score.matrix)


@pytest.mark.parametrize("name", ["max_spearman", "mig", "smi", "spn"])
def test_monotone_transform_and_outliers(name, latent, labels) -> None:
    Z = latent.copy()
    Z[Z[:, 1].argmax(), 1] = 1e6
    np.testing.assert_allclose(
        SCORES[name](np.exp(latent), labels).matrix, SCORES[name](latent, labels).matrix
    )
    np.testing.assert_allclose(SCORES[name](Z, labels).matrix, SCORES[name](latent, labels).matrix)


def test_input_forms_agree(metric, latent, labels) -> None:
    score = metric(latent, labels)
    frame = pd.DataFrame(latent, columns=list("abcd"), index=labels.index)
    named = metric(frame, labels.astype("category"))
    np.testing.assert_array_equal(named.matrix, score.matrix)
    best = named.best_dimension
    assert best.get("cell_type: T", best.get("cell_type")) == "b"
    array = metric(latent, labels.to_numpy())
    np.testing.assert_array_equal(array.matrix, score.matrix)
    listed = metric(latent.tolist(), labels["condition"].tolist())
    assert listed.per_factor["y1"] == score.per_factor["condition"]


# --- state -----------------------------------------------------------------------------------------


def test_nothing_outside_is_touched(latent, labels) -> None:
    Z, Y = latent.copy(), labels.copy()
    Z.setflags(write=False)
    np.random.seed(0)
    random.seed(0)
    before = np.random.get_state()[1].copy(), random.getstate()
    for metric in SCORES.values():
        metric(Z, Y)
    metrics.cluster_agreement(Z[:200], Y["cell_type"][:200], resolutions=[0.5])
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert random.getstate() == before[1]
    pd.testing.assert_frame_equal(Y, labels)


def test_same_seed_same_result(metric, latent, labels) -> None:
    first, second = metric(latent, labels), metric(latent, labels)
    pd.testing.assert_frame_equal(first.matrix, second.matrix)


def test_result_reads_as_a_number(metric, latent, labels) -> None:
    score = metric(latent, labels)
    assert float(score) == score.value
    assert score.value == pytest.approx(score.per_factor.mean())


def test_no_warning_on_plain_data(metric, latent, labels) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metric(latent.astype(np.float32), labels)
