"""All metrics on odd latents and labels: a result that is finite where it must be, or a documented error."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from property_kit import LABELS, LATENT_FORMS, SEEDS, examples, generators, label_column, names, outcome
from scipy import sparse

from distaff import metrics

FEW = {"n_train": 300, "n_test": 150}
SCORES = {
    "beta_vae_score": partial(metrics.beta_vae_score, **FEW),
    "dci": metrics.dci,
    "explicitness": metrics.explicitness,
    "factor_vae_score": partial(metrics.factor_vae_score, **FEW),
    "infomec": metrics.infomec,
    "irs": metrics.irs,
    "max_spearman": metrics.max_spearman,
    "mig": metrics.mig,
    "modularity": metrics.modularity,
    "sap": metrics.sap,
    "single_dimension_accuracy": metrics.single_dimension_accuracy,
    "smi": metrics.smi,
    "spn": metrics.spn,
}
OF_LATENTS = ("active_units", "factor_correlation", "total_correlation", "variance_explained")
OF_MATRICES = ("lms", "msas", "msgs")
OTHERS = ("assess", "cluster_agreement", "compare_runs", "factor_dependence")
WITHOUT_TEST = {
    "ActiveUnits": "result of active_units",
    "Assessment": "result of assess",
    "ClusterAgreement": "result of cluster_agreement",
    "FactorCorrelation": "result of factor_correlation",
    "Score": "result of the scores",
    "TotalCorrelation": "result of total_correlation",
    "VarianceExplained": "result of variance_explained",
}
CLASSES_ONLY = ("single_dimension_accuracy", "spn")
DRAWN = ("beta_vae_score", "factor_vae_score")  # their draws depend on the order of the factors
FOLDS = ("single_dimension_accuracy",)  # its folds depend on the order of the cells
DULL = ("three", "two", "real", "gaps", "zero and one", "ties")  # labels that any metric can score


def test_every_public_name_has_a_test() -> None:
    assert set(metrics.__all__) == {*SCORES, *OF_LATENTS, *OF_MATRICES, *OTHERS, *WITHOUT_TEST}


@st.composite
def latents(draw: st.DrawFn, forms: tuple[str, ...] = tuple(LATENT_FORMS)) -> np.ndarray | pd.DataFrame:
    """Latent (cells, dimensions) of any form, read only, also as a table with odd names."""
    rng = np.random.default_rng(draw(SEEDS))
    shape = draw(st.sampled_from([1, 2, 3, 4, 7, 20, 60])), draw(st.integers(1, 5))
    Z = LATENT_FORMS[draw(st.sampled_from(forms))](rng.normal(size=shape))
    if sparse.issparse(Z):
        return Z
    if draw(st.booleans()):
        return pd.DataFrame(Z, columns=names(rng, Z.shape[1], "Z", odd=True))
    Z.setflags(write=False)
    return Z


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray | pd.DataFrame, pd.DataFrame]:
    """Latent of any form and one to three factors of any kind."""
    Z = draw(latents())
    rng = np.random.default_rng(draw(SEEDS))
    kinds = draw(st.lists(st.sampled_from(list(LABELS)), min_size=1, max_size=3))
    columns = names(rng, len(kinds), "factor", odd=draw(st.booleans()))
    table = [
        label_column(kind, rng, Z.shape[0]).rename(name) for kind, name in zip(kinds, columns, strict=True)
    ]
    return Z, pd.concat(table, axis=1)


def check_score(score: metrics.Score, n_dimensions: int) -> None:
    """A score is in its range, or NaN where no factor can be scored, and its parts fit together."""
    assert np.isnan(score.value) == (score.n_factors_used == 0)
    assert not np.isinf(list(score.summary.values())).any()
    most = np.inf if score.name == "modularity" else 1 + 1e-9  # its matrix is in nats
    for values, limit in (([score.value], 1 + 1e-9), (score.per_factor, 1 + 1e-9), (score.matrix, most)):
        known = np.asarray(values, dtype=float)
        known = known[~np.isnan(known)]
        assert np.isfinite(known).all()
        assert ((known >= -limit) & (known <= limit)).all(), values
    assert len(score.matrix) == n_dimensions
    undefined = score.per_factor.isna()
    assert score.matrix.loc[:, ~undefined.to_numpy()].notna().all(axis=None)


@pytest.mark.parametrize("name", SCORES)
@given(problem=problems())
@examples(8)
def test_scores(name, problem) -> None:
    Z, Y = problem
    before, states = Y.copy(), generators()
    score = outcome(lambda: SCORES[name](Z, Y), getattr(metrics, name))
    pd.testing.assert_frame_equal(Y, before)
    assert generators() == states
    if score is not None:
        check_score(score, Z.shape[1])


@pytest.mark.parametrize("name", OF_LATENTS)
@given(Z=latents())
@examples(40)
def test_scores_of_latents(name, Z) -> None:
    result = outcome(lambda: getattr(metrics, name)(Z), getattr(metrics, name))
    if result is None:
        return
    if name == "total_correlation":  # of few cells, or of dimensions that depend on each other
        n_varying = int(result.varies.sum())
        assert np.isnan(result.value) == (result.n_cells <= n_varying)
        assert np.isnan(result.value) or np.isfinite(result.wasserstein)
    else:
        assert np.isfinite(result.value)
    assert not result.value < -1e-9


@pytest.mark.parametrize("name", OF_MATRICES)
@given(Z=latents())
@examples(20)
def test_scores_of_matrices(name, Z) -> None:
    score = outcome(lambda: getattr(metrics, name)(Z), getattr(metrics, name))
    assert score is None or np.isnan(score.value) or np.isfinite(score.value)


@given(problem=problems())
@examples(15)
def test_factor_dependence(problem) -> None:
    table = outcome(lambda: metrics.factor_dependence(problem[1]), metrics.factor_dependence)
    if table is not None:
        known = table.to_numpy()[table.notna().to_numpy()]
        assert ((known >= 0) & (known <= 1)).all()


@given(problem=problems(), random_state=st.integers(0, 2**31))
@examples(6)
def test_cluster_agreement(problem, random_state) -> None:
    Z, Y = problem
    states = generators()
    given = {"resolutions": [0.5], "random_state": random_state}
    found = outcome(lambda: metrics.cluster_agreement(Z, Y.iloc[:, 0], **given), metrics.cluster_agreement)
    assert generators() == states
    if found is not None:
        assert np.isnan(found.value) or -1 <= found.value <= 1
        again = outcome(
            lambda: metrics.cluster_agreement(Z, Y.iloc[:, 0], **given), metrics.cluster_agreement
        )
        np.testing.assert_array_equal(found.clusters, again.clusters)


@given(problem=problems(), random_state=st.integers(0, 2**31))
@examples(6)
def test_assess(problem, random_state) -> None:
    states = generators()
    draws = {"n_random": 2, "n_permutations": 2, "n_bootstrap": 2, "random_state": random_state}
    found = outcome(lambda: metrics.assess(metrics.mig, *problem, **draws), metrics.assess)
    assert generators() == states
    if found is not None:
        check_score(found.score, problem[0].shape[1])
        known = found.per_factor.to_numpy(dtype=float)
        assert np.isfinite(known[~np.isnan(known)]).all()


@st.composite
def run_tables(draw: st.DrawFn) -> pd.DataFrame:
    rng = np.random.default_rng(draw(SEEDS))
    n = draw(st.integers(0, 12))
    table = pd.DataFrame({"beta": rng.choice([1, 5, 10], n)})
    for score in names(rng, draw(st.integers(0, 3)), "score", odd=draw(st.booleans())):
        kind = draw(st.sampled_from(["real", "constant", "gaps", "text"]))
        values = {
            "real": rng.normal(size=n),
            "constant": np.ones(n),
            "text": np.array(["x"] * n, dtype=object),
        }
        table[score] = values.get(kind, np.where(rng.random(n) < 0.2, np.nan, 1.0))
    return table


@given(runs=run_tables(), equal=st.booleans())
@examples(20)
def test_compare_runs(runs, equal) -> None:
    table = outcome(
        lambda: metrics.compare_runs(runs, setting="beta", baseline=1, equal_variances=equal),
        metrics.compare_runs,
    )
    if table is not None and "p_value" in table:
        known = table["p_value"].dropna()
        assert ((known >= 0) & (known <= 1)).all()


# --- invariances -----------------------------------------------------------------------------------


@st.composite
def fair_problems(draw: st.DrawFn, name: str) -> tuple[np.ndarray, pd.DataFrame]:
    """Latent and factors that can be scored, some of them told by a dimension."""
    rng = np.random.default_rng(draw(SEEDS))
    n = draw(st.sampled_from([24, 50, 90]))
    allowed = [kind for kind in DULL if name not in CLASSES_ONLY or kind not in {"real", "ties"}]
    kinds = draw(st.lists(st.sampled_from(allowed), min_size=1, max_size=3))
    Y = pd.concat([label_column(kind, rng, n).rename(f"f{i}") for i, kind in enumerate(kinds)], axis=1)
    Z = rng.normal(size=(n, draw(st.integers(1, 4))))
    column = Y.iloc[:, 0]
    told = (
        column.astype("category").cat.codes if not pd.api.types.is_float_dtype(column) else column.fillna(0)
    )
    Z[:, 0] = 0.5 * Z[:, 0] + told.to_numpy(dtype=float)
    return Z, Y


def same(score, other, *, atol: float = 1e-9) -> None:
    """Values, and matrices whatever their order, agree."""
    assert other.value == pytest.approx(score.value, abs=atol, nan_ok=True)
    again = other.matrix.loc[score.matrix.index, score.matrix.columns]
    np.testing.assert_allclose(again.to_numpy(float), score.matrix.to_numpy(float), atol=atol)


def quietly(name: str, Z, Y):
    """Score, or None where it cannot be had, such as for a factor that needs a declared kind."""
    return outcome(lambda: SCORES[name](Z, Y), getattr(metrics, name))


@pytest.mark.parametrize("name", sorted(set(SCORES) - set(FOLDS)))
@given(data=st.data())
@examples(2)
def test_order_of_cells(name, data) -> None:
    Z, Y = data.draw(fair_problems(name))
    order = np.random.default_rng(data.draw(SEEDS)).permutation(len(Z))
    same(quietly(name, Z, Y), quietly(name, Z[order], Y.iloc[order].reset_index(drop=True)))


@pytest.mark.parametrize("name", sorted(set(SCORES) - set(DRAWN)))
@given(data=st.data())
@examples(2)
def test_order_of_dimensions_and_factors(name, data) -> None:
    Z, Y = data.draw(fair_problems(name))
    table = pd.DataFrame(Z, columns=[f"Z{i}" for i in range(Z.shape[1])])
    other = quietly(name, table[table.columns[::-1]], Y[Y.columns[::-1]])
    same(quietly(name, table, Y), other, atol=1e-3 if name in ("explicitness", "infomec") else 1e-9)


@pytest.mark.parametrize("name", SCORES)
@given(data=st.data())
@examples(2)
def test_missing_labels_equal_the_subset(name, data) -> None:
    Z, Y = data.draw(fair_problems(name))
    Y = Y.iloc[:, :1]
    rows = Y.iloc[:, 0].notna().to_numpy() & (np.random.default_rng(data.draw(SEEDS)).random(len(Z)) < 0.8)
    gaps = Y.astype(object)
    gaps.loc[~rows] = None
    kinds = (
        "continuous" if pd.api.types.is_float_dtype(Y.dtypes.iloc[0]) and Y.iloc[:, 0].nunique() > 2 else None
    )
    score = outcome(lambda: SCORES[name](Z, gaps, kinds=kinds), getattr(metrics, name))
    same(
        score,
        outcome(
            lambda: SCORES[name](Z[rows], Y[rows].reset_index(drop=True), kinds=kinds), getattr(metrics, name)
        ),
    )


@pytest.mark.parametrize("name", SCORES)
@given(data=st.data())
@examples(2)
def test_forms_of_input_and_seeds(name, data) -> None:
    Z, Y = data.draw(fair_problems(name))
    Z = Z.astype(np.float32).astype(np.float64)
    score = quietly(name, Z, Y)
    for form in (Z.astype(np.float32), np.asfortranarray(Z), Z.tolist()):
        same(score, quietly(name, form, Y), atol=0)


@pytest.mark.parametrize("name", ["max_spearman", "mig", "smi", "spn", "sap", "modularity"])
@given(data=st.data())
@examples(4)
def test_sign_and_scale(name, data) -> None:
    """Of ranks these scores are; quantile bins of a flipped dimension may differ where values tie."""
    Z, Y = data.draw(fair_problems(name))
    scale = 2.0 ** data.draw(st.integers(-20, 20))
    same(quietly(name, Z, Y), quietly(name, scale * Z, Y))
    flipped = quietly(name, -Z, Y)
    if name in ("max_spearman", "spn"):
        same(quietly(name, Z, Y), flipped)
