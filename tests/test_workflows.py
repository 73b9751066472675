"""What CI is allowed to do, and with whose code; the entry in scverse's list."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
# what the schema of https://github.com/scverse/ecosystem-packages asks for, and what it knows
REQUIRED = {
    *("name", "description", "project_home", "documentation_home", "install", "license", "tags", "version"),
    "contact",
}
KNOWN = {*REQUIRED, "tutorials_home", "publications", "logo", "test_command", "category"}

pytestmark = pytest.mark.skipif(not GITHUB.is_dir(), reason="the source distribution has no workflows")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_may_do_little(path) -> None:
    text = path.read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}  # each job asks for its own
    assert "secrets." not in text
    for line in text.splitlines():
        if "uses:" in line:
            action, _, comment = line.split("uses:")[1].partition("#")
            assert PINNED.fullmatch(action.strip()), action
            assert re.match(r" v\d", comment), "the version in words"
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 120
        for permission, kind in job["permissions"].items():
            assert (permission, kind) in {("contents", "read"), ("id-token", "write")}
        for step in job["steps"]:
            assert "${{" not in step.get("run", ""), "a value goes into code through env"
            if "actions/checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False


def test_only_the_release_may_publish() -> None:
    jobs = {
        (path.stem, name)
        for path in WORKFLOWS
        for name, job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].items()
        if "id-token" in job["permissions"]
    }
    assert jobs == {("release", "publish")}


def test_versions_of_python_are_those_that_are_promised() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    promised = {c.split(" :: ")[-1] for c in project["classifiers"] if "Python :: 3." in c}
    workflow = yaml.safe_load((GITHUB / "workflows" / "test.yml").read_text(encoding="utf-8"))
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]
    tested = {*matrix["python"], *(row["python"] for row in matrix["include"])}
    assert tested == promised
    assert [row["may_fail"] for row in matrix["include"]] == [False, True]
    assert "scvi-tools==1.4.2" in matrix["include"][0]["install"]


def test_entry_in_the_list_of_scverse() -> None:
    entry = yaml.safe_load((GITHUB / "scverse" / "meta.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert REQUIRED <= set(entry) <= KNOWN
    assert (entry["name"], entry["license"]) == (project["name"], project["license"])
    assert entry["install"] == {"pypi": project["name"]}
    assert project["version"].startswith(entry["version"])
    assert isinstance(entry["contact"], list)
    assert len(set(entry["tags"])) == len(entry["tags"]) > 0
