"""Sphinx configuration; the build is strict: `sphinx-build -W -n -b html docs docs/_build/html`."""

import inspect
import os
import re
from importlib import import_module
from importlib.metadata import version as installed_version
from pathlib import Path

PUBLIC_MODULES = ["datasets", "extend", "hub", "metrics", "model", "pl", "pp", "tl"]

project = "distaff"
author = "The distaff developers"
copyright = f"2026, {author}"
release = installed_version("distaff")
version = release

extensions = [
    "myst_nb",  # brings myst_parser
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinxcontrib.bibtex",
]
exclude_patterns = ["_build", "figures", "**.ipynb_checkpoints"]
templates_path = ["_templates"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # python notebooks/execute.py does

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["tables.css"]
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"

napoleon_google_docstring = False
napoleon_include_init_with_doc = False
napoleon_use_rtype = False  # a Returns section names its type itself
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"

# Stubs come from `__all__` of each public module: what becomes public is documented without a list to edit.
autosummary_generate = True
autosummary_imported_members = True
autosummary_ignore_module_all = False

# The build must not depend on the network, so other projects' inventories are loaded only where asked for.
if os.environ.get("READTHEDOCS") or os.environ.get("DISTAFF_INTERSPHINX"):
    intersphinx_mapping = {
        "anndata": ("https://anndata.readthedocs.io/en/stable/", None),
        "matplotlib": ("https://matplotlib.org/stable/", None),
        "numpy": ("https://numpy.org/doc/stable/", None),
        "pandas": ("https://pandas.pydata.org/docs/", None),
        "python": ("https://docs.python.org/3", None),
        "scanpy": ("https://scanpy.readthedocs.io/en/stable/", None),
        "scipy": ("https://docs.scipy.org/doc/scipy/", None),
        "scvi-tools": ("https://docs.scvi-tools.org/en/stable/", None),
        "sklearn": ("https://scikit-learn.org/stable/", None),
        "torch": ("https://docs.pytorch.org/docs/stable/", None),
    }

# Without inventories no name of another project resolves, and type hints such as "AnnData" are not even
# fully qualified. Our own names are still checked, but for those that the API pages leave out on purpose:
# private modules and the rooms below the models.
THIRD_PARTY = "anndata|lightning|matplotlib|mudata|numpy|pandas|pyro|scanpy|scipy|scvi|sklearn|torch"
INNER_ROOMS = "module|nn|objectives|ops|train"
nitpick_ignore_regex = [
    (r"py:(class|data|obj)", r"(?!distaff\b).*"),
    (r"py:.*", rf"({THIRD_PARTY})\..*"),
    (r"py:.*", rf"distaff\.(.*\._|_|({INNER_ROOMS})\b).*"),
]


def copy_notebooks() -> None:
    """Copy the notebooks to where Sphinx finds them; their links to pages lead there from the repository."""
    source, target = Path(__file__).parents[1] / "notebooks", Path(__file__).parent / "notebooks"
    target.mkdir(exist_ok=True)
    for old in target.glob("*.ipynb"):
        if not (source / old.name).is_file():
            old.unlink()
    for path in source.glob("*.ipynb"):
        text, copy = path.read_text(encoding="utf-8").replace("](../docs/", "](../"), target / path.name
        if not copy.is_file() or copy.read_text(encoding="utf-8") != text:  # else it is built anew each time
            copy.write_text(text, encoding="utf-8")


def show_public_paths() -> None:
    """Let public objects say that they live where users import them from, not in their private file."""
    import_module("distaff").report.__module__ = "distaff"
    for name in PUBLIC_MODULES:
        module = import_module(f"distaff.{name}")
        for public in getattr(module, "__all__", ()):
            obj = getattr(module, public)
            if inspect.isclass(obj) or inspect.isfunction(obj):
                obj.__module__ = module.__name__


def skip_foreign(app, what, name, obj, skip, options):
    """Leave out what a class inherits from other packages: it is documented there, in another style."""
    function = obj.fget if isinstance(obj, property) else inspect.unwrap(obj) if callable(obj) else obj
    home = getattr(function, "__module__", None)
    return True if home is not None and home.split(".")[0] != "distaff" else None


def join_prose_of_returns(app, what, name, obj, options, lines):
    """Make one line of a Returns section that is prose: napoleon would take each line for a result."""
    text = "\n".join(lines)
    match = re.search(r"^Returns\n-+\n(?P<body>(?:\S.*\n?)+)(?=\n|\Z)", text, re.M)
    if match:
        prose = match["body"].rstrip().replace("\n", " ")
        lines[:] = (text[: match.start("body")] + prose + "\n" + text[match.end("body") :]).split("\n")


def setup(app):
    copy_notebooks()
    show_public_paths()
    app.connect("autodoc-process-docstring", join_prose_of_returns, priority=100)  # napoleon runs at 500
    app.connect("autodoc-skip-member", skip_foreign)
