import base64
import json
from html.parser import HTMLParser

import numpy as np
import pytest

from distaff.html._encode import fractions, number, numbers, packed, script_json

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "]]>",
    "\u2028 and \u2029",
    "\"quotes\" & 'more' \\",
    "Фактор ≥ 日本 🧬",
    "lone \ud800 surrogate",
    "\x00 \n \t",
]


class Scripts(HTMLParser):
    """Collects what a browser takes for the content of scripts."""

    def __init__(self):
        super().__init__()
        self.found, self.inside = [], False

    def handle_starttag(self, tag, attrs):
        if tag == "script":
            self.found.append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "script"

    def handle_data(self, data):
        if self.inside:
            self.found[-1] += data


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_leaves_its_script(name):
    parser = Scripts()
    text = script_json({name: [name]})
    parser.feed(f'<script type="application/json">{text}</script><p>')
    assert len(parser.found) == 1
    assert json.loads(parser.found[0]) == {name: [name]}
    assert text.isascii()
    assert not set("<>&") & set(text)


def test_numbers_that_json_lacks():
    assert numbers([1.23456789, np.nan, np.inf, -np.inf, 0]) == [1.235, None, None, None, 0]
    assert number(np.float32(1e-300)) == 0
    with pytest.raises(ValueError, match="Out of range float"):
        script_json({"x": float("nan")})


def test_fractions_use_the_whole_range():
    values = np.array([-5.0, 0.0, 0.5, 1.0, 9.0])
    assert fractions(values, 0, 1, np.uint8).tolist() == [0, 0, 128, 255, 255]
    assert fractions(values, 2, 2, np.uint8).tolist() == [0] * 5


def test_bytes_have_the_little_end_first():
    assert base64.b64decode(packed(np.array([1, 256], dtype=np.uint16))) == b"\x01\x00\x00\x01"
    assert base64.b64decode(packed(np.array([1], dtype=">u2"))) == b"\x01\x00"
