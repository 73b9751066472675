"""Words of the figures: where long names break."""

from __future__ import annotations

import pytest

from distaff.pl._figure import shorten, wrap


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
