"""The study of Kimmel 2020 with tiny models."""

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from distaff.papers import STUDIES, Outcome, Trial, reproduce
from distaff.papers._trials import Result, Took
from distaff.papers.kimmel import _claims, _work


@pytest.fixture
def tiny(monkeypatch, data_dir):
    """Two betas and two seeds; cells and epochs of a few seconds."""
    schedule = [[2, 1e-3], [1, 1e-4]]
    preset = {
        "n_seeds": 2,
        "capacity_steps": 2,
        _work.SIMULATION: {"n_cells": 80, "n_genes": 400, "lr_schedule": schedule},
        _work.BLOOD: {"n_cells": 150, "n_genes": 100, "lr_schedule": schedule},
    }
    monkeypatch.setattr(_work, "SMALL", preset)
    monkeypatch.setattr(_work, "BETAS", (1, 10))


def test_presets_are_those_of_the_paper():
    full = STUDIES["kimmel"].trials(True, 0)
    simulated = [trial.settings for trial in full if trial.settings["data"] == _work.SIMULATION]
    assert len(simulated) == 6 * 2 * 10
    for settings in simulated:
        assert (settings["n_cells"], settings["n_genes"]) == (10_000, 25_000)
        assert settings["lr_schedule"] == [[400, 1e-4], [200, 1e-5]]
        assert settings["capacity_steps"] == 20_000
    small = STUDIES["kimmel"].trials(False, 5)
    assert {trial.settings["seed"] for trial in small} == {5, 6, 7, 8}
    assert len({trial.stem for trial in full + small}) == len(full + small)


@pytest.mark.filterwarnings("ignore:The set_bad function:PendingDeprecationWarning")  # scanpy
def test_tables_and_figures(tiny, tmp_path):
    outcome = reproduce(STUDIES["kimmel"], tmp_path, full=False, seed=0, say=lambda _: None)
    assert outcome.failed == {}
    assert len(outcome.results) == 2 * 2 * 2 + 2 * 2
    text = (tmp_path / "tables.md").read_text()
    assert "| 10,000 | 80 |" in text
    assert text.count("not measured") == 2  # beta = 50 is not among these
    figures = {path.name for path in (tmp_path / "figures").iterdir()}
    assert len(figures) == 12
    for name in figures:
        assert np.ptp(matplotlib.image.imread(tmp_path / "figures" / name)) > 0
    blood = outcome.find(data="kang")[0].values
    assert "CD4 T cells" in blood["accuracy"]
    assert "Erythroblasts" not in blood["accuracy"]  # two cells
    values = outcome.find(data="simulation", beta=1, capacity=0)[0].values
    assert set(values["spearman"]) == {f"identity_{i}" for i in range(1, 6)} | {"activity_1"}
    assert all(0 <= value <= 1 for value in values["spearman"].values())
    assert -1 <= values["specificity"] <= 1


def made_up(settings, **values):
    """Outcome of runs with these values: a function of beta and seed gives each."""
    results = []
    for data, capacity, beta, seed in settings:
        trial = Trial("t", {"data": data, "capacity": capacity, "beta": beta, "seed": seed})
        found = {name: value(beta, capacity, seed) for name, value in values.items()}
        results.append(Result(trial, found, Took(0, 0), None))
    return Outcome(results, {})


GRID = [("simulation", C, beta, seed) for C in (0, 10) for beta in (1, 10, 50) for seed in range(3)]
GRID += [("kang", 0, beta, seed) for beta in (1, 10, 50) for seed in range(3)]


def claims_if(match, *, ari, accuracy):
    """Verdicts, where the correlation of a program is ``match(beta, C)``, and so on."""
    jitter = lambda seed: 0.002 * seed
    outcome = made_up(
        GRID,
        spearman=lambda b, c, s: {"p": match(b, c) + jitter(s), "q": match(b, c) + jitter(s) / 2},
        spearman_active=lambda b, c, s: {"p": 0.5},
        specificity=lambda b, c, s: match(b, c) / 2 + jitter(s),
        accuracy=lambda b, c, s: {
            "CD4 T cells": 0.8 - 0.01 * (b > 1),
            "B": accuracy(b) + jitter(s),
            "NK": accuracy(b),
        },
        ari=lambda b, c, s: ari(b) + jitter(s),
        n_active=lambda b, c, s: 3,
        kl=lambda b, c, s: 1.0,
    )
    return [claim.agrees for claim in _claims.claims(outcome)]


def test_claims_are_met_by_data_like_the_papers():
    match = lambda beta, C: {1: 0.65, 10: 0.7, 50: 0.67 if C else 0.6}[beta]
    held = lambda beta, C: match(beta, C) - 0.01 * (C > 0) * (beta == 10)
    verdicts = claims_if(held, ari=lambda b: 0.9 - b / 100, accuracy=lambda b: 0.7 + 0.1 * (b == 10))
    assert verdicts == [True] * 12


def test_claims_are_refuted_by_data_unlike_the_papers():
    flat = claims_if(lambda b, C: 0.4, ari=lambda b: 0.5 + b / 200, accuracy=lambda b: 0.9 - b / 200)
    assert flat == [False] * 10 + [True, False]  # of CD4 T cells the data above say the same


def test_one_seed_is_no_test():
    outcome = made_up(
        [row for row in GRID if row[3] == 0],
        **dict.fromkeys(("spearman", "spearman_active", "accuracy"), lambda *_: {"p": 0.5}),
        **dict.fromkeys(("specificity", "ari", "n_active", "kl"), lambda *_: 0.5),
    )
    verdicts = pd.Series([claim.agrees for claim in _claims.claims(outcome)], dtype=object)
    assert verdicts.isna().sum() >= 3
