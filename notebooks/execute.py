"""Run notebooks from top to bottom and keep what they show: ``python notebooks/execute.py [NAME ...]``.

Each runs in a folder of its own that is removed afterwards. Progress bars, widgets, execution times and names
of this machine are left out of the file, so that a second run changes what has changed and no more. The exit
status is 1 if a notebook shows a warning, which belongs into the text or must not be there.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent
MAX_KB = 600
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
WIDGET = "application/vnd.jupyter.widget-view+json"
# lines that others print at each import or training, and of no use to a reader
NOISE = (
    "it/s",
    "s/it",
    "GPU available:",
    "TPU available:",
    "HPU available:",
    "LOCAL_RANK:",
    "Seed set to",
    "Tip:",
    "`Trainer.fit` stopped:",
    "TqdmWarning: IProgress",
    "from .autonotebook import tqdm",
    "lightning/pytorch/utilities/_pytree.py",
    "lightning/pytorch/loops/fit_loop.py",
    "does not have many workers",
    "Input AnnData not setup with scvi-tools.",
)


def run(path: Path) -> list[str]:
    """Execute one notebook in place; return what is wrong with what it shows."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        where = {"metadata": {"path": folder}}
        NotebookClient(notebook, kernel_name="python3", resources=where).execute()
    tidy(notebook)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)
    kilobytes = path.stat().st_size / 1000
    print(f"{path.name}: {kilobytes:.0f} kB", flush=True)
    text = nbformat.writes(notebook)
    private = [folder, str(Path.home()), str(FOLDER.parent), os.environ.get("DISTAFF_DATA")]
    faults = [f"it shows a path of this machine, {part}" for part in private if part and f"{part}/" in text]
    faults += [f"it shows a warning:\n{output.text}" for output in shown(notebook) if is_warning(output)]
    if kilobytes > MAX_KB:
        faults.append(f"it must have at most {MAX_KB} kB: draw fewer points")
    return [f"{path.name}: {fault}" for fault in faults]


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Leave code, text, tables and figures, and nothing of this run or this machine."""
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({"tags": cell.metadata.tags} if "tags" in cell.metadata else {})
        if cell.cell_type == "code":
            cell.outputs = [kept for output in cell.outputs if (kept := clean(output)) is not None]


def clean(output: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
    """Return the output without noise; None if nothing is left."""
    output.get("metadata", {}).clear()
    if output.output_type != "stream":
        return None if WIDGET in output.data else output
    lines = re.split(r"[\r\n]+", output.text)
    output.text = "\n".join(line for line in lines if not any(part in line for part in NOISE)).strip() + "\n"
    return output if output.text.strip() else None


def shown(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """All outputs, from top to bottom."""
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def is_warning(output: nbformat.NotebookNode) -> bool:
    """Whether something was written to the stream of errors."""
    return output.output_type == "stream" and output.name == "stderr"


def main() -> None:
    """Execute the notebooks that are named, else all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0].split(":")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as quickstart; all without one")
    names = parser.parse_args().names or sorted(path.stem for path in FOLDER.glob("*.ipynb"))
    os.environ.update(ENVIRONMENT)
    faults = []
    for name in names:
        path = FOLDER / f"{Path(name).stem}.ipynb"
        if not path.is_file():
            sys.exit(f"{path.name} must be in {FOLDER.name}/, got no such file")
        faults += run(path)
    sys.exit("\n".join(faults) or 0)


if __name__ == "__main__":
    main()
