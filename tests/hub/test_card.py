"""The model card: what it tells of every class, and what it must not."""

from __future__ import annotations

import re

import pytest
import yaml
from hub_kit import NAMES

import distaff as ds
from distaff.hub._licenses import LICENSES

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def rows(text: str, title: str) -> list[list[str]]:
    """Cells of the table below a heading."""
    section = text.split(f"## {title}\n", 1)[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


@pytest.mark.parametrize("name", NAMES)
def test_of_every_class(name, saved):
    model = saved(name)
    text = str(ds.hub.model_card(model, description="Cells of **mice**.", license="MIT"))
    header = yaml.safe_load(text.split("---\n")[1])
    assert header["license"] == "mit"
    assert header["library_name"] == "scvi-tools"
    assert text.split("---\n", 2)[2].startswith(f"\n# {type(model).__name__} of 24 cells and 12 genes\n")
    assert "Cells of **mice**." in text
    head, line, *factors = rows(text, "Factors")
    assert head[:5] == ["factor", "rank", "kind", "active", "variance\\_explained"]
    assert set(line) == {"---"}
    assert sorted(row[0] for row in factors) == sorted(model.factor_names)
    assert [int(row[1]) for row in factors] == list(range(1, len(factors) + 1))
    assert ("top\\_genes" in head) == getattr(model, "has_loadings", True)
    assert ("## Gene sets" in text) == (name.split("_")[0] in ("AnnotatedVAE", "FSCLVM"))
    versions = {row[0]: row[1] for row in rows(text, "Versions")}
    assert versions["distaff"] == ds.__version__
    assert {"scvi-tools", "torch", "anndata"} <= set(versions)
    training = {row[0]: row[1] for row in rows(text, "Training")}
    assert training["epochs that were run"] == "2"
    for person in ("d0", "d1", "cell0"):  # donors and cells
        assert not re.search(rf"\b{person}\b", text)
    assert ":cite:" not in text


@pytest.mark.filterwarnings("ignore:Too few cells", "ignore:total_correlation is infinite")
def test_what_a_user_found_is_told(annotated):
    adata = annotated.adata
    ds.tl.disentanglement(
        adata, ["batch", "donor"], metrics=["mig", "max_spearman"], n_random=2, active_only=False
    )
    text = str(ds.hub.model_card(annotated))
    factors = {row[0]: row for row in rows(text, "Factors")[2:]}
    assert set(factors) == {"interferon \\| response", "middle", "Dense 1"}
    table = adata.uns["distaff"]["factors"]
    top = table.loc["interferon | response", "top_genes"]
    assert factors["interferon \\| response"][-1] == top != ""
    assert [row[0] for row in rows(text, "Scores")] == ["metric", "---", "mig", "max\\_spearman"]
    mig = float(rows(text, "Scores")[2][1])
    assert mig == pytest.approx(adata.uns["distaff"]["disentanglement"]["summary"]["mig"], rel=1e-3)
    assert rows(text, "Scores")[0][1:] == ["score", "noise", "ceiling"]
    sets = rows(text, "Gene sets")[2]
    assert sets == ["reference", "2", "programs.gmt", adata.uns["gene_sets"]["sha256"]]
    training = {row[0]: row[1] for row in rows(text, "Training")}
    assert (training["max\\_epochs"], training["batch\\_size"], training["seed"]) == ("2", "12", "0")
    assert "None was given: ask the authors" in text


@pytest.mark.filterwarnings("ignore:Too few cells", "ignore:total_correlation is infinite")
def test_scores_of_another_model_are_not_told(annotated):
    adata = annotated.adata
    ds.tl.disentanglement(adata, ["batch"], metrics="mig", references=None, active_only=False)
    adata.obsm["X_distaff"] = adata.obsm["X_distaff"][::-1].copy()
    text = str(ds.hub.model_card(annotated))
    assert "## Scores" not in text
    assert "interferon" not in text


def test_genes_of_a_traversal_stand_in_for_loadings(saved):
    model = saved("BetaVAE")
    adata = model.adata
    ds.tl.latent(adata, model)
    ds.tl.traverse(adata, model)
    head, _, *factors = rows(str(ds.hub.model_card(model)), "Factors")
    named = {row[0]: row[head.index("top\\_genes")] for row in factors}
    for factor, column in adata.varm["distaff_traversal"].items():
        assert named[factor].split(", ")[0] == column.idxmax()


def test_nothing_in_it_is_markup(saved):
    model = saved("LinearVAE")
    ds.tl.latent(model.adata, model)
    ds.tl.rename_factors(model.adata, {"Factor 1": "<script>a|b`\n[x](y)"})
    text = str(ds.hub.model_card(model))
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert "\\<script\\>a\\|b\\` \\[x\\](y)" in text


def test_a_model_without_data_names_its_factors(saved, tmp_path):
    saved("AnnotatedVAE").save(tmp_path / "alone")
    alone = ds.model.AnnotatedVAE.load(tmp_path / "alone", adata=False)
    factors = rows(str(ds.hub.model_card(alone)), "Factors")
    assert [row[:2] for row in factors[2:]] == [
        ["low", "annotated"],
        ["middle", "annotated"],
        ["Sparse 1", "sparse"],
        ["Dense 1", "dense"],
    ]


def test_licences_are_written_as_hugging_face_does():
    assert all(license == license.lower() and " " not in license for license in LICENSES)
    assert {"mit", "apache-2.0", "bsd-3-clause", "cc-by-4.0", "cc0-1.0", "other"} <= LICENSES
