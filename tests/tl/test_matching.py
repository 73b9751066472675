"""Matching of factors over runs: the best assignment, signs, and what chance gives."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from distaff.tl._matching import chance_levels, common_signs, correlations, groups, match, stability


def total(surplus, run, labels) -> float:
    same = (labels[:, None] == labels) & (run[:, None] != run)
    return surplus[same].sum() / 2


def partitions(n_runs, n_factors):
    """Labels of all ways to match as many factors of each run one to one."""
    for orders in np.ndindex(*[len(list(permutations(range(n_factors))))] * (n_runs - 1)):
        every = list(permutations(range(n_factors)))
        yield np.concatenate([np.arange(n_factors), *[every[i] for i in orders]])


@pytest.mark.parametrize("seed", range(5))
def test_no_full_matching_is_better(seed) -> None:
    rng = np.random.default_rng(seed)
    run = np.repeat([0, 1, 2], 3)
    similarity = rng.random((9, 9))
    similarity = (similarity + similarity.T) / 2
    labels = match(similarity, run, 0.4)
    for group in groups(labels):
        assert len(set(run[group])) == len(group)
    best = max(total(similarity - 0.4, run, other) for other in partitions(3, 3))
    assert total(similarity - 0.4, run, labels) >= best - 0.15 * abs(best)
    assert total(similarity - 0.4, run, labels) > 0


def test_numbers_of_factors_may_differ_and_strangers_stay_alone() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(500, 4))
    runs = [truth, truth[:, [2, 0]], np.hstack([truth[:, [3, 1, 0]], rng.normal(size=(500, 2))])]
    run = np.repeat([0, 1, 2], [4, 2, 5])
    found = {frozenset(group.tolist()) for group in groups(match(np.abs(correlations(runs)), run, 0.5))}
    assert found == {frozenset(g) for g in ({0, 5, 8}, {1, 7}, {2, 4}, {3, 6})}


def test_order_of_runs_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(300, 6))
    runs = [truth[:, rng.permutation(6)] + rng.normal(0, 0.9, (300, 6)) for _ in range(4)]
    results = []
    for order in ([0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]):
        labels = match(np.abs(correlations([runs[i] for i in order])), np.repeat(range(4), 6), 0.3)
        names = np.concatenate([[f"{i}-{k}" for k in range(6)] for i in order])
        results.append({frozenset(names[group]) for group in groups(labels)})
    assert results[0] == results[1] == results[2]


def test_signs_and_stability() -> None:
    z = np.random.default_rng(0).normal(size=(100, 1))
    R = correlations([z, -z, 2 * z + 3])
    np.testing.assert_allclose(R, np.outer([1, -1, 1], [1, -1, 1]), atol=1e-12)
    signs = common_signs(R)
    assert signs.tolist() in ([1, -1, 1], [-1, 1, -1])
    assert stability(np.abs(R), np.arange(3)) == pytest.approx(1)


def test_chance_is_that_of_random_axes() -> None:
    """Runs with the same space and other axes: few consensus factors are above the level."""
    rng = np.random.default_rng(0)
    above, found = 0, 0
    for seed in range(6):
        space = rng.normal(size=(300, 6))
        runs = [space @ np.linalg.qr(rng.normal(size=(6, 6)))[0] for _ in range(3)]
        levels = chance_levels(runs, 0.5, random_state=seed)
        similarity = np.abs(correlations(runs))
        for group in groups(match(similarity, np.repeat(range(3), 6), 0.5)):
            found += 1
            above += stability(similarity, group) > levels[len(group)]
        assert 0.5 < levels[3] < 0.95
    assert found > 20
    assert above <= 0.2 * found


def test_without_a_common_space_chance_matches_nothing() -> None:
    rng = np.random.default_rng(0)
    levels = chance_levels([rng.normal(size=(1000, 4)) for _ in range(3)], 0.5, random_state=0)
    assert levels == {2: 0.5, 3: 0.5}
