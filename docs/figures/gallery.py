"""Latents with a known fault beside the truth that they should have found: what the scores are shown on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

N_CELLS = 1500
NOISE = 0.05  # of a dimension around what it stands for, where a factor goes from 0 to 1
TRACE = 1e-3  # scale of a dimension that the decoder ignores
OUTLIER = 100.0
EXTREME = 50  # the cell that lies far out
RARE = 0.02  # share of the cells
ANGLE = np.deg2rad(30)


@dataclass(frozen=True, eq=False)
class Case:
    """A latent (cells, dimensions) and the factors (cells, factors) that it is judged by."""

    name: str
    Z: np.ndarray
    Y: pd.DataFrame


def gallery(seed: int = 0) -> list[Case]:
    """Return all cases; the first is what a disentangled model should learn."""
    rng = np.random.default_rng(seed)
    return [*program_cases(rng), *cell_type_cases(rng), rare_case(rng)]


def program_cases(rng: np.random.Generator) -> list[Case]:
    """Return latents of four independent programs: three are on or off, one is an amount."""
    Y = pd.DataFrame(
        {
            "interferon": rng.random(N_CELLS) < 0.5,
            "cycling": rng.random(N_CELLS) < 0.3,
            "hypoxia": rng.random(N_CELLS) < 0.4,
            "activation": rng.random(N_CELLS),
        }
    )
    truth = Y.to_numpy(dtype=float)
    Z, again = noisy(truth, rng), noisy(truth, rng)
    turn = np.array([[np.cos(ANGLE), -np.sin(ANGLE)], [np.sin(ANGLE), np.cos(ANGLE)]])
    noise = 0.5 * rng.normal(size=(N_CELLS, 4))
    outlier, collapsed = Z.copy(), np.zeros((N_CELLS, 4))
    outlier[EXTREME] = OUTLIER
    collapsed[:, 0] = truth @ [4, 2, 1, 0.5]  # each combination has its own stretch
    missed = np.delete(Z, 1, axis=1)
    latents = {
        "one to one": Z,
        "one to one, bent": np.column_stack([np.exp(3 * Z[:, :2]) / np.e**3, Z[:, 2:] ** 3]),
        "one extreme cell": outlier,
        "4 dimensions of noise": np.column_stack([Z, noise]),
        "each factor twice": np.column_stack([Z, again]),
        "turned by 30 degrees": (Z - Z.mean(axis=0)) / Z.std(axis=0) @ np.kron(np.eye(2), turn),
        "all in one dimension": collapsed,
        "a factor missed": missed,
        "missed, dead trace": np.column_stack([missed, TRACE * again[:, 1]]),
        "noise only": noise,
    }
    return [Case(name, latent, Y) for name, latent in latents.items()]


def cell_type_cases(rng: np.random.Generator) -> list[Case]:
    """Return latents of a cell type and a condition, and of cell types as factors that exclude each other."""
    names = rng.choice(["B", "Mono", "NK", "T"], N_CELLS)
    Y = pd.DataFrame({"cell_type": names, "stimulated": rng.random(N_CELLS) < 0.5})
    one_hot = pd.get_dummies(Y["cell_type"])
    numbered = pd.factorize(Y["cell_type"], sort=True)[0]
    stimulated = noisy(Y["stimulated"].to_numpy(dtype=float), rng)
    each = noisy(one_hot.to_numpy(dtype=float), rng)
    return [
        Case("cell types on one axis", np.column_stack([noisy(numbered / 3, rng), stimulated]), Y),
        Case("a dimension a cell type", np.column_stack([each, stimulated]), Y),
        Case("each cell type a factor", each, one_hot),
    ]


def rare_case(rng: np.random.Generator) -> Case:
    """Return a latent of a condition and of a rare population, both found."""
    Y = pd.DataFrame({"stimulated": rng.random(N_CELLS) < 0.5, "rare": rng.random(N_CELLS) < RARE})
    return Case("a rare population", noisy(Y.to_numpy(dtype=float), rng), Y)


def noisy(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return ``values`` with the noise of a good latent."""
    return values + NOISE * rng.normal(size=values.shape)
