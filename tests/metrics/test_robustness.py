"""One extreme cell, rare classes, and speed, over all scores and summaries of a latent."""

from __future__ import annotations

import time
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest

from distaff import metrics
from distaff.metrics._contract import constant_columns

SCORES = {
    "max_spearman": metrics.max_spearman,
    "single_dimension_accuracy": metrics.single_dimension_accuracy,
    "mig": metrics.mig,
    "smi": metrics.smi,
    "spn": metrics.spn,
    "lms": lambda Z, Y: metrics.lms(metrics.smi(Z, Y)),
    "msas": lambda Z, Y: metrics.msas(metrics.max_spearman(Z, Y)),
    "msgs": lambda Z, Y: metrics.msgs(metrics.spn(Z, Y)),
}
SUMMARIES = {
    "total_correlation": metrics.total_correlation,
    "factor_correlation": metrics.factor_correlation,
    "variance_explained": metrics.variance_explained,
    "active_units": metrics.active_units,
}
N = 1200


@pytest.fixture(scope="module")
def labels() -> pd.DataFrame:
    cell_type = np.array(["B", "NK", "T"])[np.arange(N) % 3]
    condition = np.random.default_rng(2).permutation(np.repeat(["ctrl", "stim"], N // 2))
    return pd.DataFrame({"cell_type": cell_type, "condition": condition})


@pytest.fixture(scope="module")
def latent(labels) -> np.ndarray:
    Z = np.random.default_rng(1).normal(size=(N, 4))
    Z[:, 1] += 3 * (labels["cell_type"] == "T")
    Z[:, 0] += 1.5 * (labels["condition"] == "stim")
    return Z


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("value", [1e3, -1e9, 1e15])
def test_extreme_cell(name, value, latent, labels) -> None:
    clean = SCORES[name](latent, labels)
    for columns in (slice(1, 2), slice(None)):
        Z = latent.copy()
        Z[7, columns] = value
        score = SCORES[name](Z, labels)
        np.testing.assert_allclose(score.per_factor, clean.per_factor, atol=0.02)
        assert score.value == pytest.approx(clean.value, abs=0.02)


def test_extreme_cell_makes_no_dimension_constant() -> None:
    Z = np.random.default_rng(0).normal(size=(300, 3))
    Z[0, 0] = 1e12
    Z[:, 2] *= 1e-9
    assert constant_columns(Z).tolist() == [False, False, True]
    sparse = np.zeros((300, 3))
    sparse[:5, 0] = 1.0  # nothing but extreme cells
    sparse[:, 1] = 1e-9 * (np.arange(300) < 5)
    assert constant_columns(sparse).tolist() == [False, True, True]


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.filterwarnings("ignore:Too few cells:UserWarning")
def test_class_in_one_cell(name, latent, labels) -> None:
    Y = labels[["cell_type"]].copy()
    Y.loc[5, "cell_type"] = "alone"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        score = SCORES[name](latent, Y)
    undefined = score.per_factor.isna()
    rest = SCORES[name](latent, labels[["cell_type"]])
    shared = score.per_factor.index.intersection(rest.per_factor.index)
    np.testing.assert_allclose(score.per_factor[shared], rest.per_factor[shared], atol=0.02)
    assert undefined.sum() <= 1
    if undefined.any():
        assert undefined["cell_type: alone"]
        assert any("'cell_type: alone'" in str(w.message) for w in caught)
    assert np.isfinite(score.value)


@pytest.mark.parametrize("name", SCORES)
def test_one_cell(name) -> None:
    with pytest.warns(UserWarning, match="NaN"):
        assert np.isnan(SCORES[name](np.ones((1, 2)), ["a"]).value)


@pytest.mark.parametrize("name", SUMMARIES)
def test_summaries_do_not_depend_on_order(name, latent) -> None:
    order = np.random.default_rng(0).permutation(N)
    one, other = SUMMARIES[name](latent), SUMMARIES[name](latent[order][:, [2, 0, 3, 1]])
    as_number = int if name == "active_units" else float
    assert as_number(one) == pytest.approx(as_number(other))


def test_fast_enough() -> None:
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(10_000, 32))
    Y = pd.DataFrame(rng.integers(0, 3, (10_000, 20)) == 0, columns=[f"f{i}" for i in range(20)])
    start = time.process_time()
    smi, spn = metrics.smi(Z, Y), metrics.spn(Z, Y)
    for base in (smi, spn, metrics.max_spearman(Z, Y)):
        metrics.lms(base), metrics.msas(base), metrics.msgs(base)
    metrics.mig(Z, Y)
    for summary in SUMMARIES.values():
        summary(Z)
    assert time.process_time() - start < 5  # 1 s on a quiet core


@pytest.mark.slow
@pytest.mark.parametrize("name", ["smi", "mig", "spn", "max_spearman", *SUMMARIES])
def test_memory(name) -> None:
    rng = np.random.default_rng(0)
    Z, Y = rng.normal(size=(100_000, 32)), rng.random((100_000, 20)) < 0.3
    metric = SUMMARIES.get(name, SCORES.get(name))
    tracemalloc.start()
    metric(Z) if name in SUMMARIES else metric(Z, Y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * Z.nbytes
