"""Nothing leaves this machine without the user's word."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import distaff

CHILD = Path(__file__).parent / "offline_child.py"


def test_an_afternoon_without_a_network(tmp_path):
    run = [sys.executable, str(CHILD), str(tmp_path)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize(
    "talk",
    [
        "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)",
        "import socket; socket.getaddrinfo('example.invalid', 80)",
        "import urllib.request; urllib.request.urlopen('http://192.0.2.1', timeout=1)",
    ],
)
def test_the_ear_hears(talk):
    """The hook of the child would have heard of any of these."""
    code = f"import runpy, sys; child = runpy.run_path({str(CHILD)!r}); sys.addaudithook(child['listen'])\ntry:\n    {talk}\nexcept OSError: pass\nprint(child['heard'])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() != "[]"


NEEDED = "distaff.hub._extra.needed"  # imports what talks to Hugging Face and S3
NETWORK = {
    NEEDED,
    "aiohttp",
    "boto3",
    "ftplib",
    "http",
    "httpx",
    "huggingface_hub",
    "importlib.import_module",
    "pooch",
    "requests",
    "smtplib",
    "socket",
    "ssl",
    "urllib",
    "urllib3",
}
PICKLES = {"cloudpickle", "dill", "joblib.load", "marshal", "numpy.load", "pickle", "shelve", "torch.load"}
ALLOWED = {  # what the user asks for by name: public data, and shared models
    "datasets/_public.py": {"pooch"},
    "hub/_extra.py": {"importlib.import_module"},
    "hub/_huggingface.py": {NEEDED},
    "hub/_s3.py": {NEEDED},
    "hub/load.py": {"importlib.import_module"},  # the class of a pickle, with trust_pickle=True
    "hub/model_card.py": {NEEDED, "huggingface_hub"},
    "papers/_trials.py": {"numpy.load"},  # which refuses pickles unless told otherwise
}
ALIASES = {"np": "numpy", "pd": "pandas"}


def names_used(file):
    """Dotted names of all imports, and of attributes of modules, in a file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{ALIASES.get(node.value.id, node.value.id)}.{node.attr}"


def test_no_code_of_ours_talks_or_unpickles():
    source = Path(distaff.__file__).parent
    files = sorted(source.rglob("*.py"))
    assert len(files) > 100
    found = []
    for file in files:
        for name in names_used(file):
            parts = name.split(".")
            heads = {".".join(parts[: i + 1]) for i in range(len(parts))}
            allowed = ALLOWED.get(file.relative_to(source).as_posix(), set())
            if heads & (NETWORK | PICKLES) - allowed:
                found.append(f"{file.relative_to(source)}: {name}")
    assert found == []
