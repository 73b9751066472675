"""Figures and tables of the page on scores: `python docs/figures/scores.py`, a minute on one core."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from draw import draw_fragile, draw_latents, draw_scores
from forms import PUBLISHED, all_scores, chance
from fragile import on_noise, on_rare_classes, one_cell
from gallery import gallery

FOLDER = Path(__file__).parent
# What the page says of a latent: who praises it all the same, who sees the fault
VERDICTS = {
    "all in one dimension": (
        ["DCI completeness", "InfoC", "SPN", "MIG"],
        ["LMS", "DCI disentanglement", "InfoM"],
    ),
    "each factor twice": (
        ["LMS", "DCI disentanglement", "InfoM", "modularity"],
        ["MIG", "MSGS", "SAP", "DCI completeness", "InfoC"],
    ),
    "turned by 30 degrees": (
        ["FactorVAE score", "beta-VAE score", "explicitness", "InfoE", "SPN", "one-dimension accuracy"],
        ["MIG", "MSGS", "SAP", "InfoM", "DCI disentanglement"],
    ),
    "a factor missed": (["InfoM", "modularity", "beta-VAE score"], ["LMS", "MIG", "InfoE", "SPN"]),
    "missed, dead trace": (
        ["LMS", "MIG", "DCI disentanglement", "InfoE", "SPN"],
        ["FactorVAE score", "InfoC"],
    ),
    "4 dimensions of noise": (["LMS", "MIG", "DCI disentanglement", "InfoM"], ["IRS"]),
}
# Whose published form the page sets beside the default, and on which latent
CONTRASTS = {
    "mig": ("MIG", "one extreme cell"),
    "smi": ("LMS", "one extreme cell"),
    "sap": ("SAP", "a rare population"),
    "dci": ("DCI disentanglement", "turned by 30 degrees"),
    "infomec": ("InfoM", "noise only"),
    "modularity": ("modularity", "noise only"),
    "irs": ("IRS", "one extreme cell"),
    "factor_vae_score": ("FactorVAE score", "one extreme cell"),
    "explicitness": ("explicitness", "one extreme cell"),
    "beta_vae_score": ("beta-VAE score", "one extreme cell"),
    "single_dimension_accuracy": ("one-dimension accuracy", "noise only"),
    "spn": ("SPN", "noise only"),
}


def main() -> None:
    """Compute everything once, then draw it and write it down."""
    cases = gallery()
    default = pd.DataFrame({case.name: all_scores(case.Z, case.Y) for case in cases}).T
    published = pd.DataFrame({case.name: all_scores(case.Z, case.Y, published=True) for case in cases}).T
    floors = pd.DataFrame({case.name: chance(case.Y) for case in cases}).T
    draw_latents(cases, FOLDER / "latents.png")
    draw_scores(default, floors, FOLDER / "scores.png")
    draw_scores(published, floors, FOLDER / "published.png", reference=default)
    draw_fragile([one_cell(cases[0]), on_noise(), on_rare_classes()], FOLDER / "fragile.png")
    default.round(2).to_csv(FOLDER / "scores.csv", index_label="latent")
    published.round(2).to_csv(FOLDER / "published.csv", index_label="latent")
    write_table(FOLDER / "verdicts.md", ["latent", "still praised by", "seen by"], verdicts(default))
    heads = ["published form, in `ds.metrics`", "shown on", "default", "published"]
    write_table(FOLDER / "contrasts.md", heads, contrasts(default, published))


def verdicts(values: pd.DataFrame) -> list[list[str]]:
    """Return rows of latent, scores that praise it, scores that see its fault."""
    return [
        [case, *(", ".join(f"{name} {values.loc[case, name]:.2f}" for name in names) for names in sides)]
        for case, sides in VERDICTS.items()
    ]


def contrasts(default: pd.DataFrame, published: pd.DataFrame) -> list[list[str]]:
    """Return rows of the call that gives the published form, and what both forms give."""
    rows = []
    for metric, (name, case) in CONTRASTS.items():
        arguments = ", ".join(["Z", "Y", *(f"{key}={value!r}" for key, value in PUBLISHED[metric].items())])
        call = f"`{metric}({arguments})`".replace("'", '"')
        part = ', `summary["all_dimensions"]`' if metric == "modularity" else ""
        numbers = [f"{table.loc[case, name]:.2f}" for table in (default, published)]
        rows.append([call + part, f"{name}, {case}", *numbers])
    return rows


def write_table(path: Path, heads: list[str], rows: list[list[str]]) -> None:
    """Write a table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    path.write_text("".join(f"| {' | '.join(line)} |\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
