"""The plane of all factors: where points lie, which get a number."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from distaff.pl._volcano import volcano


def test_points_and_names() -> None:
    q = np.array([1e-6, 0.2, 1e-3, 0.04, np.nan])
    part = pd.DataFrame(
        {
            "factor": list("abcde"),
            "effect": [2.0, 0.1, -1.0, 0.5, np.nan],
            "lower": [1.5, -0.4, -1.5, 0.1, np.nan],
            "upper": [2.5, 0.6, -0.5, 0.9, np.nan],
            "p_value": q / 2,
            "q_value": q,
            "log_bayes_factor": [3.0, 0.1, -1.0, 0.2, 0.0],
        }
    )
    ax = plt.figure().subplots()
    volcano(ax, part, 2, colors=("blue", "red", "grey"), level=0.05)
    points = next(p for p in ax.collections if len(p.get_offsets()) == 4)
    drawn = {round(float(x), 1): float(y) for x, y in points.get_offsets()}
    for effect, height in ((2.0, 6), (-1.0, 3), (0.1, -np.log10(0.2))):
        np.testing.assert_allclose(drawn[effect], height)
    sizes = dict(zip(points.get_offsets()[:, 0].round(1).tolist(), points.get_sizes(), strict=True))
    assert sizes[2.0] > sizes[-1.0] > sizes[0.1]
    texts = [text.get_text() for text in ax.texts]
    assert texts[0] == "1  a\n2  c"
    assert sorted(texts[1:]) == ["1", "2"]
