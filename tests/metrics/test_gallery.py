"""What the page on scores says of them, on the latents that it shows; and that its numbers are still true."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from distaff.metrics import assess, sap

FIGURES = Path(__file__).parents[2] / "docs" / "figures"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FIGURES.is_dir(), reason="the source distribution has no docs"),
]
WITHIN = 0.03  # rounding, and the trees of other versions of scikit-learn


def load(name: str) -> ModuleType:
    spec = spec_from_file_location(f"figures_{name}", FIGURES / f"{name}.py")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def cases() -> dict:
    return {case.name: case for case in load("gallery").gallery()}


@pytest.fixture(scope="module")
def forms() -> ModuleType:
    return load("forms")


@pytest.fixture(scope="module")
def scores(cases, forms) -> pd.DataFrame:
    """Defaults, computed now."""
    return pd.DataFrame({name: forms.all_scores(case.Z, case.Y) for name, case in cases.items()}).T


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    """Published forms, as the page has them."""
    return pd.read_csv(FIGURES / "published.csv", index_col=0)


def test_numbers_of_the_page(scores) -> None:
    shown = pd.read_csv(FIGURES / "scores.csv", index_col=0)
    pd.testing.assert_frame_equal(scores, shown, check_names=False, atol=WITHIN, rtol=0)


def test_published_numbers_of_the_page(cases, forms, published) -> None:
    case = cases["one extreme cell"]
    found = forms.all_scores(case.Z, case.Y, published=True)
    pd.testing.assert_series_equal(found, published.loc[case.name], check_names=False, atol=WITHIN, rtol=0)


def test_collapse(scores) -> None:
    collapsed = scores.loc["all in one dimension"]
    others = scores.loc[["a factor missed", "turned by 30 degrees", "each factor twice"]]
    assert collapsed["MIG"] > others["MIG"].max() + 0.1
    assert collapsed["DCI completeness"] > 0.99
    assert collapsed[["LMS", "DCI disentanglement", "InfoM"]].max() < 0.25


def test_copies(scores) -> None:
    once, twice = scores.loc["one to one"], scores.loc["each factor twice"]
    assert twice[["MIG", "MSGS", "SAP"]].max() < 0.02
    assert twice[["LMS", "DCI disentanglement", "InfoM"]].to_numpy() == pytest.approx(
        once[["LMS", "DCI disentanglement", "InfoM"]].to_numpy(), abs=0.02
    )


def test_rotation(scores) -> None:
    turned = scores.loc["turned by 30 degrees"]
    assert turned[["explicitness", "InfoE", "DCI accuracy", "FactorVAE score"]].min() > 0.95
    assert turned[["MIG", "MSGS", "SAP"]].max() < 0.3


def test_missed_factor_and_its_trace(scores) -> None:
    missed, trace, found = (
        scores.loc[name] for name in ("a factor missed", "missed, dead trace", "one to one")
    )
    assert missed[["InfoM", "modularity"]].min() > 0.98
    assert missed["LMS"] < found["LMS"] - 0.2
    fooled = ["LMS", "MIG", "DCI disentanglement", "InfoE", "SPN", "one-dimension accuracy"]
    np.testing.assert_allclose(trace[fooled].to_numpy(), found[fooled].to_numpy(), atol=0.02)
    assert (trace[["FactorVAE score", "InfoC"]] == 0.75).all()


def test_a_fault_is_seen_by_one_of_four(scores) -> None:
    four = scores[["LMS", "MIG", "DCI disentanglement", "InfoE"]]
    faults = [
        "each factor twice",
        "turned by 30 degrees",
        "all in one dimension",
        "a factor missed",
        "noise only",
    ]
    assert ((four.loc["one to one"] - four.loc[faults]).max(axis=1) > 0.2).all()


def test_extreme_cell(scores, published) -> None:
    change = (scores.loc["one extreme cell"] - scores.loc["one to one"]).abs()
    assert change.max() < 0.03
    moved = published.loc["one extreme cell"] - published.loc["one to one"]
    assert moved[["MIG", "LMS", "SMI"]].max() < -0.8
    assert moved["IRS"] > 0.15


def test_noise(scores, published) -> None:
    assert scores.loc["noise only", ["InfoM", "modularity"]].max() < 0.01
    assert published.loc["noise only", ["InfoM", "modularity"]].min() > 0.7


def test_cell_types(scores) -> None:
    axis, classes = scores.loc["cell types on one axis"], scores.loc["a dimension a cell type"]
    assert axis["MIG"] > classes["MIG"] + 0.3
    assert classes["LMS"] > axis["LMS"] + 0.3


def test_ceiling_of_exclusive_classes(cases) -> None:
    exclusive = cases["each cell type a factor"].Y
    assert assess(sap, exclusive.to_numpy(dtype=float), exclusive, n_random=0).mean["ceiling"] < 0.4


def test_rare_population(scores, published) -> None:
    rare = "a rare population"
    assert scores.loc[rare, "SAP"] > published.loc[rare, "SAP"] + 0.2
    assert scores.loc[rare, "SMI"] < published.loc[rare, "SMI"] - 0.2  # the price of equal counts
    assert scores.loc[rare, ["SPN", "one-dimension accuracy"]].min() > 0.99
