"""Words of the figures: where long names break."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest

from distaff.pl._figure import finish, p_text, set_names, short_names, shorten, wrap


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CD4 T", "CD4 T"),
        ("cell_type: CD4 T_NK", "cell_type: CD4 T_NK"),
        ("HALLMARK_TNFA_SIGNALING_VIA_NFKB", "HALLMARK_TNFA_\nSIGNALING_VIA_NFKB"),
        ("naive thymus-derived CD4 T cell", "naive thymus-derived CD4\nT cell"),
        ("_", "_"),
    ],
)
def test_wrap(text, expected) -> None:
    assert wrap(text) == expected


def test_wrap_ends_what_is_too_long() -> None:
    lines = wrap("WORD_" * 30).split("\n")
    assert len(lines) == 3
    assert lines[-1].endswith("…")


def test_shorten() -> None:
    assert shorten("interferon", 10) == "interferon"
    assert shorten("interferon", 5) == "inte…"


def test_short_names_lose_their_middle_and_still_differ() -> None:
    names = ["ACTIVATION_OF_NOXA_AND_TRANSLOCATION", "ACTIVATION_OF_BAD_AND_TRANSLOCATION", "APOPTOSIS"]
    short = short_names(names, 16)
    assert short[2] == "APOPTOSIS"
    assert len(set(short)) == 3
    assert all("…" in name and len(name) < 26 for name in short[:2])
    assert short_names(["a" * 30] * 2, 9) == ["aaaaaa…aa"] * 2
    assert [len(name) for name in short_names(["abcdefghij"], 7)] == [7]


def test_set_names() -> None:
    assert set_names(["REACTOME_A", "REACTOME_B_C"], 20) == (["A", "B_C"], "REACTOME")
    assert set_names(["REACTOME_A", "HALLMARK_B"], 20) == (["REACTOME_A", "HALLMARK_B"], "")
    assert set_names(["Factor 1", "Factor 2"], 20) == (["Factor 1", "Factor 2"], "")
    assert set_names(["REACTOME_A"], 20) == (["REACTOME_A"], "")
    assert set_names([], 20) == ([], "")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.500"), (0.001, "0.001"), (3.2e-7, "3e-7"), (1e-12, "1e-12"), (float("nan"), "-")],
)
def test_p_text(value, text) -> None:
    assert p_text(value) == text


@pytest.mark.parametrize("ending", [".pdf", ".svg", ".png", ""])
def test_a_figure_that_cannot_be_drawn_leaves_the_one_that_was_there(tmp_path, ending) -> None:
    old = [tmp_path / f"a{ending}"] if ending else [tmp_path / "a.png", tmp_path / "a.pdf"]
    for path in old:
        path.write_text("old")
    figure = plt.figure()  # of the user, without a layout that draws it once before
    figure.suptitle(r"$\frac{$")
    with pytest.raises(ValueError, match="frac"):
        finish(figure, show=False, save=tmp_path / f"a{ending}")
    plt.close(figure)
    assert [path.read_text() for path in old] == ["old"] * len(old)
    assert sorted(tmp_path.iterdir()) == sorted(old)
