"""What the scores of factors by dimensions, classifiers and draws have in common."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest

from distaff import metrics

FEW = {"n_train": 1500, "n_test": 600}
SCORES = {
    "beta_vae_score": partial(metrics.beta_vae_score, **FEW),
    "dci": metrics.dci,
    "explicitness": metrics.explicitness,
    "factor_vae_score": partial(metrics.factor_vae_score, **FEW),
    "infomec": metrics.infomec,
    "irs": metrics.irs,
    "modularity": metrics.modularity,
    "sap": metrics.sap,
}
OF_DIMENSIONS = ("dci", "infomec", "irs", "modularity")
EXACT = ("irs", "modularity", "sap")  # nothing is drawn or fitted
BY_RANK = ("dci", "modularity", "sap")
# of a latent that tells nothing, with two factors
NOTHING = dict.fromkeys(SCORES, 0.0) | {"beta_vae_score": 0.5, "explicitness": 0.5}


@pytest.fixture(params=SCORES)
def name(request) -> str:
    return request.param


@pytest.fixture(params=OF_DIMENSIONS)
def dimension_score(request):
    return SCORES[request.param]


@pytest.fixture(scope="module")
def latent() -> np.ndarray:
    """Dimensions: cell type, amount, condition with a part of the amount, noise."""
    rng = np.random.default_rng(1)
    Z = rng.normal(size=(1200, 4)) * [0.3, 0.3, 0.3, 1.0]
    Z[:, 0] += np.arange(1200) % 3
    Z[:, 1] += factors()["amount"]
    Z[:, 2] += 1.5 * (factors()["condition"] == "stim") + 0.3 * factors()["amount"]
    return Z


def factors() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "cell_type": np.array(["B", "NK", "T"])[np.arange(1200) % 3],
            "amount": rng.normal(size=1200),
            "condition": rng.permutation(np.repeat(["ctrl", "stim"], [800, 400])),
        }
    )


@pytest.fixture(scope="module")
def labels() -> pd.DataFrame:
    return factors()


@pytest.fixture(scope="module")
def results(latent, labels) -> dict:
    return {name: score(latent, labels) for name, score in SCORES.items()}


def assert_same(score, other, atol=0.0, rtol=1e-9) -> None:
    """All numbers of two results, whatever the order of their rows."""
    assert other.value == pytest.approx(score.value, abs=atol, rel=rtol)
    for table, again in (
        (score.matrix, other.matrix),
        (score.per_factor, other.per_factor),
        (score.per_dimension.select_dtypes("number"), other.per_dimension.select_dtypes("number")),
    ):
        again = again.loc[table.index]
        if table.ndim == 2:
            again = again[table.columns]
        np.testing.assert_allclose(
            again.to_numpy(dtype=float), table.to_numpy(dtype=float), atol=atol, rtol=rtol
        )


# --- values ----------------------------------------------------------------------------------------


def test_the_example_is_understood(name, results) -> None:
    score = results[name]
    assert score.best_dimension.tolist() == [0, 1, 2]
    assert 0.4 < score.value <= 1.0
    assert score.value > NOTHING[name] + 0.2
    assert score.params
    assert score.name == name


def test_value_is_the_weighted_mean(dimension_score, latent, labels) -> None:
    score = dimension_score(latent, labels)
    table = score.per_dimension
    assert (table["score"] * table["weight"]).sum() / table["weight"].sum() == pytest.approx(score.value)
    weights = table.groupby("best_factor")["weight"].sum()
    told = (score.per_factor[weights.index] * weights).sum() / weights.sum()
    assert told == pytest.approx(score.value)


@pytest.mark.parametrize("name", sorted(set(SCORES) - set(OF_DIMENSIONS)))
def test_value_is_the_mean_over_factors(name, results) -> None:
    assert float(results[name]) == pytest.approx(results[name].per_factor.mean())


def test_missed_factor_scores_nothing(dimension_score, latent, labels) -> None:
    score = dimension_score(latent[:, :2], labels[["cell_type", "amount"]].assign(missed=labels["condition"]))
    assert score.per_factor["missed"] == 0.0
    assert score.n_factors_used == 3


@pytest.mark.parametrize("kind", ["identity", "zeros", "twice"])
@pytest.mark.filterwarnings("ignore:Too few cells")
def test_published_reference_values(kind) -> None:
    Y = np.random.default_rng(0).integers(1, 11, size=(3000, 10))
    Z = {"identity": Y, "zeros": np.zeros_like(Y), "twice": np.hstack([Y, Y])}[kind]
    got = {name: SCORES[name](Z, Y) for name in ("sap", "modularity", "irs", "factor_vae_score")}
    if kind == "zeros":
        assert got["sap"].value <= 0.2
        assert got["irs"].value <= 0.1
        assert got["factor_vae_score"].value <= 0.2
    elif kind == "identity":
        assert min(got[name].value for name in ("modularity", "irs", "factor_vae_score")) > 0.9
        assert got["sap"].value == pytest.approx(0.9, abs=0.03)  # the ceiling: 1 - 1 / 10 classes
    else:
        assert got["sap"].value == pytest.approx(0.0, abs=1e-12)
        assert got["modularity"].value > 0.9
        score = metrics.dci(Z, Y)
        assert score.value > 0.9
        assert score.summary["completeness"] == pytest.approx(1 - np.log(2) / np.log(20), abs=0.03)


# --- labels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", ["cell_type", "amount", "condition"])
def test_missing_labels_equal_the_subset(name, factor, latent, labels) -> None:
    rows = np.sort(np.random.default_rng(0).choice(1200, 900, replace=False))
    gaps = labels.astype(object)
    gaps.loc[gaps.index.difference(rows), factor] = None
    other = "condition" if factor == "cell_type" else "cell_type"
    kinds = {"amount": "continuous"} if factor == "amount" else None
    score = SCORES[name](latent, gaps[[factor]], kinds=kinds)
    assert_same(SCORES[name](latent[rows], labels[[factor]].iloc[rows].reset_index(drop=True)), score)
    assert score.n_cells[factor] == 900
    assert score.n_missing[factor] == 300
    # beside a factor with all labels
    both = SCORES[name](latent, gaps[[factor, other]], kinds=kinds)
    assert both.n_missing.to_dict() == {factor: 300, other: 0}
    assert np.isfinite(both.value)
    atol = 0.03 if name.endswith("vae_score") else 0.0  # there the factors share the draws
    np.testing.assert_allclose(both.matrix[factor], score.matrix[factor], atol=atol)


@pytest.mark.parametrize("bad", [["x"] * 1200, [None] * 1200, ["x"] + [None] * 1199])
def test_undefined_factor_is_left_out(name, latent, labels, bad) -> None:
    Y = labels[["cell_type", "condition"]]
    alone = SCORES[name](latent, Y)
    with pytest.warns(UserWarning, match=r"NaN\) for 'bad'") as caught:
        score = SCORES[name](latent, Y.assign(bad=bad))
    assert caught[0].filename.endswith((".py",))
    assert np.isnan(score.per_factor["bad"])
    assert score.matrix["bad"].isna().all()
    assert score.n_factors_used == 2
    assert score.value == pytest.approx(alone.value, abs=1e-12)
    with pytest.warns(UserWarning, match="NaN"):
        nothing = SCORES[name](latent, np.asarray(bad, dtype=object))
    assert np.isnan(nothing.value)
    assert nothing.n_factors_used == 0


@pytest.mark.filterwarnings("ignore:Too few cells")
def test_class_of_one_cell(name, latent, labels) -> None:
    Y = labels[["cell_type", "condition"]].copy()
    Y.loc[7, "cell_type"] = "rare"
    score = SCORES[name](latent, Y)
    assert np.isfinite(score.matrix).all(axis=None)
    assert score.value == pytest.approx(SCORES[name](latent, labels[Y.columns]).value, abs=0.12)
    lonely = SCORES[name](latent, pd.DataFrame({"f": ["rare"] + ["all"] * 1199, "g": Y["condition"]}))
    assert np.isfinite(lonely.matrix["g"]).all()


@pytest.mark.filterwarnings("ignore")
def test_labels_of_their_own(name) -> None:
    score = SCORES[name](np.random.default_rng(0).normal(size=(30, 2)), [f"cell {i}" for i in range(30)])
    assert np.isnan(score.value) or 0 <= score.value <= 1


# --- degenerate latents ----------------------------------------------------------------------------


def test_constant_latent(name, labels) -> None:
    chance = {"explicitness": 0.5}.get(name, 0.0)
    Y = labels[["cell_type", "condition"]]
    score = SCORES[name](np.full((1200, 3), 0.1), Y)
    assert score.value == pytest.approx(NOTHING[name], abs=1e-12)
    expected = [1 / 3, 1 / 2] if name == "sap" else [chance, chance]
    np.testing.assert_allclose(score.matrix, np.tile(expected, (3, 1)))
    assert score.best_dimension.isna().all()
    assert np.isfinite(list(score.per_factor)).all()


def test_constant_dimensions_tell_nothing(name, latent, labels) -> None:
    Y = labels[["cell_type", "condition"]]
    Z = np.column_stack([latent, np.full(1200, 7.1), 3 + 1e-9 * latent[:, 0]])
    score = SCORES[name](Z, Y)
    expected = [1 / 3, 1 / 2] if name == "sap" else [0.5 * (name == "explicitness")] * 2
    np.testing.assert_allclose(score.matrix.loc[[4, 5]], np.tile(expected, (2, 1)))
    if not score.per_dimension.empty:
        assert (score.per_dimension.loc[[4, 5], ["score", "weight"]] == 0).all(axis=None)
    np.testing.assert_allclose(score.matrix.loc[:3], SCORES[name](latent, Y).matrix, atol=0.03)


def test_one_dimension(name, latent, labels) -> None:
    score = SCORES[name](latent[:, [0]], labels)
    assert np.isfinite(score.value)
    assert np.isfinite(score.per_factor).all()


def test_one_factor(name, latent, labels) -> None:
    score = SCORES[name](latent, labels["condition"])
    if name in ("beta_vae_score", "factor_vae_score", "dci", "infomec", "modularity"):
        assert score.value == pytest.approx(1.0)
    assert 0 <= score.value <= 1


@pytest.mark.parametrize("n_cells", [2, 3, 5, 9])
@pytest.mark.filterwarnings("ignore:Too few cells", "ignore:.*is undefined")
def test_few_cells(name, n_cells) -> None:
    rng = np.random.default_rng(n_cells)
    Y = pd.DataFrame({"c": np.arange(n_cells) % 2, "x": rng.normal(size=n_cells)})
    score = SCORES[name](rng.normal(size=(n_cells, 2)), Y)
    assert np.isnan(score.value) or -1 <= score.value <= 1
    assert score.matrix.shape == (2, 2)


# --- invariances -----------------------------------------------------------------------------------


def test_order_of_dimensions_and_factors(name, latent, labels, results) -> None:
    Z = pd.DataFrame(latent)[[3, 1, 0, 2]]
    other = SCORES[name](Z, labels[["condition", "cell_type", "amount"]])
    # a fit ends within its tolerance, and majorities are drawn
    assert_same(results[name], other, atol=0.02 if name.endswith("vae_score") else 1e-4)
    if name in (*EXACT, "dci"):
        assert_same(results[name], other, rtol=1e-9)


def test_order_of_cells(name, latent, labels, results) -> None:
    order = np.random.default_rng(3).permutation(1200)
    other = SCORES[name](latent[order], labels.iloc[order].reset_index(drop=True))
    assert_same(results[name], other, atol=1e-12)


@pytest.mark.parametrize("name", ["factor_vae_score", "irs"])
def test_of_equal_factors_the_first_gets_the_dimensions(name, latent, labels) -> None:
    twice = pd.DataFrame({"one": labels["cell_type"], "two": labels["cell_type"]})
    found = SCORES[name](latent, twice).per_factor
    assert found["one"] > found["two"] == 0


@pytest.mark.parametrize("name", [*SCORES, "svm"])
def test_order_of_cells_that_are_alike(name, latent, labels) -> None:
    """Cells with the same latent may have different labels."""
    score = partial(metrics.sap, classifier="svm") if name == "svm" else SCORES[name]
    Z = latent[:, :2].round()
    order = np.random.default_rng(3).permutation(1200)
    one, other = score(Z, labels), score(Z[order], labels.iloc[order])
    assert_same(one, other)
    assert other.summary == pytest.approx(one.summary)


def test_sign_and_scale(name, latent, labels, results) -> None:
    other = SCORES[name](latent * [-1.0, 2.0, -0.5, 1.5] + 5, labels)
    if name == "irs":  # weighs dimensions by their range
        np.testing.assert_allclose(other.per_dimension["score"], results[name].per_dimension["score"])
    else:
        assert other.value == pytest.approx(results[name].value, abs=0.01 if name == "dci" else 1e-3)


@pytest.mark.parametrize("name", BY_RANK)
def test_monotone_transform(name, latent, labels, results) -> None:
    assert_same(results[name], SCORES[name](np.exp(latent), labels.assign(amount=labels["amount"] ** 3)))


@pytest.mark.parametrize("cell", [0, 700])
@pytest.mark.parametrize("dimension", [0, 1, 2, 3, "all"])
def test_one_outlier_moves_nothing(name, cell, dimension, latent, labels, results) -> None:
    Z = latent.copy()
    Z[cell, slice(None) if dimension == "all" else dimension] = 1e6 if cell else -1e6
    score = SCORES[name](Z, labels)
    assert score.value == pytest.approx(results[name].value, abs=0.02)
    for part, value in results[name].summary.items():
        assert score.summary[part] == pytest.approx(value, abs=0.02)


def test_outlier_in_a_factor_moves_nothing(name, latent, labels, results) -> None:
    Y = labels.copy()
    Y.loc[5, "amount"] = -1e7
    assert SCORES[name](latent, Y).value == pytest.approx(results[name].value, abs=0.02)


def test_seeds_agree(name, latent, labels, results) -> None:
    if name in EXACT[:2]:
        return
    other = SCORES[name](latent, labels, random_state=7)
    assert other.value == pytest.approx(results[name].value, abs=0.03)


# --- state and input -------------------------------------------------------------------------------


def test_nothing_outside_is_touched(name, latent, labels, results) -> None:
    Z, Y = latent.copy(), labels.copy()
    Z.setflags(write=False)
    before = np.random.get_state()[1].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(results[name], SCORES[name](Z, Y), rtol=0)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    pd.testing.assert_frame_equal(Y, labels)


@pytest.mark.parametrize("name", ["dci", "explicitness", "infomec", "sap"])
def test_threads_change_nothing(name, latent, labels, results) -> None:
    assert_same(results[name], SCORES[name](latent, labels, n_jobs=2), rtol=0)


def test_bad_input(name, latent, labels) -> None:
    with pytest.raises(ValueError, match="Z must be finite, got nan in cell 3"):
        SCORES[name](np.where(np.arange(1200)[:, None] == 3, np.nan, latent), labels)
    with pytest.raises(ValueError, match="1199 rows for 1200 cells"):
        SCORES[name](latent, labels.iloc[1:].reset_index(drop=True))
    with pytest.raises(ValueError, match="'y1' must be declared"):
        SCORES[name](latent, np.arange(1200))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "dci",
            {"learner": "forest"},
            "learner must be one of 'extra_trees', 'gradient_boosting', got 'forest'",
        ),
        ("dci", {"n_jobs": 1.5}, "n_jobs must be an integer"),
        ("sap", {"classifier": "tree"}, "'thresholds', 'svm'"),
        ("sap", {"accuracy": "best"}, "'balanced', 'plain'"),
        ("sap", {"correlation": "kendall"}, "'spearman', 'pearson'"),
        ("modularity", {"strategy": "width"}, "'quantile', 'uniform'"),
        ("explicitness", {"cv": 1}, "cv must be >= 2"),
        ("explicitness", {"clip": 0.5}, "clip must be < 0.5"),
        ("irs", {"diff_quantile": 1.1}, "diff_quantile must be <= 1"),
        ("irs", {"n_bins": 1}, "n_bins must be >= 2"),
        ("infomec", {"estimator": "kde"}, "'quantile', 'knn'"),
        ("infomec", {"threshold": 1.0}, "threshold must be < 1"),
        ("beta_vae_score", {"n_pairs": 0}, "n_pairs must be >= 1"),
        ("factor_vae_score", {"pruning": "none"}, "'relative', 'absolute'"),
        ("factor_vae_score", {"batch_size": 1}, "batch_size must be >= 2"),
        ("factor_vae_score", {"random_state": -1}, "random_state must be >= 0"),
    ],
)
def test_bad_options(name, options, message, latent, labels) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        getattr(metrics, name)(latent, labels, **options)
