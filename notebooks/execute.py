"""Runs the notebooks from top to bottom and keeps what they show: ``puna exec -- python notebooks/execute.py [--check] [NAME ...]``.

Knows nbclient and the files here. What a notebook says of itself is kept small: no times, no paths of a machine, cells named by their
order. The metadata hold the hash of the sources that the outputs were made from, so that outputs of other sources are found.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

HERE = Path(__file__).parent
SECONDS = 900
"""Longest time of a cell."""

_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
_HASH = "puna_sources_sha256"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_PATH = re.compile(
    r"(?<![\w.:/])/(home|root|Users|tmp|work|private|var/folders)/[^\s'\"]+|[A-Z]:\\+Users[^\s'\"]+|site-packages[^\s'\"]*"
)


def main() -> int:
    """Run the notebooks that are named, or all; 1 where a cell fails, or a notebook does not hold what it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a notebook, such as 3-chat (default: all)")
    parser.add_argument("--check", action="store_true", help="run them, and leave the files as they are")
    args = parser.parse_args()
    if "PUNA_URL" not in os.environ:
        print("no PUNA_URL: run this as `puna exec -- python notebooks/execute.py`", file=sys.stderr)
        return 2
    status = 0
    for path in chosen(args.names):
        began = time.monotonic()
        notebook = nbformat.read(path, as_version=4)
        if args.check and (wrong := problem_of(notebook)):
            print(f"{path.name}: {wrong}", file=sys.stderr)
            status = 1
        try:
            run(notebook, path.parent)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            print(f"{path.name}: {_COLOURS.sub('', str(error))}", file=sys.stderr)
            status = 1
            continue
        if not args.check:
            tidy(notebook)
            nbformat.write(notebook, path)
            if wrong := problem_of(notebook):
                print(f"{path.name}: {wrong}", file=sys.stderr)
                status = 1
        cells = sum(cell.cell_type == "code" for cell in notebook.cells)
        print(f"{path.name}: {cells} cells in {time.monotonic() - began:.0f} s", flush=True)
    return status


def chosen(names: list[str]) -> list[Path]:
    """The files of these notebooks, or of all, in their order."""
    every = sorted(HERE.glob("*.ipynb"))
    known = {path.stem: path for path in every}
    if unknown := [name for name in names if name.removesuffix(".ipynb") not in known]:
        sys.exit(f"there is no notebook {unknown[0]!r}; there are {', '.join(known)}")
    return [known[name.removesuffix(".ipynb")] for name in names] or every


def run(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Execute every cell, in place.

    Raises:
        CellExecutionError: a cell fails; it holds the cell and its error. CellTimeoutError: it takes too long.
        DeadKernelError: the kernel ended.
    """
    if sys.platform == "win32":  # zmq needs a selector
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
    NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],  # it warns of its port, which is on loopback
        resources={"metadata": {"path": str(folder)}},
    ).execute()


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Leave out what differs from run to run and from machine to machine."""
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": _KERNEL, "language_info": {"name": "python"}, _HASH: sources_hash(notebook)}
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells, 1):
        cell.id = f"cell-{number:02}"
        cell.metadata = nbformat.from_dict({name: cell.metadata[name] for name in ("tags",) if name in cell.metadata})
        if cell.cell_type == "code":
            cell.outputs = [_tidied(output) for output in cell.outputs]


def _tidied(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    if output.get("output_type") in {"display_data", "execute_result"}:
        # A widget's view means nothing without its kernel, nor does the address of a value in it.
        output.data.pop("application/vnd.jupyter.widget-view+json", None)
        if "text/plain" in output.data:
            output.data["text/plain"] = re.sub(r"( object)? at 0x[0-9a-f]+", "", output.data["text/plain"])
    return output


def sources_hash(notebook: nbformat.NotebookNode) -> str:
    """SHA-256 of the sources of all code cells, 64 hexadecimal digits."""
    sources = "\0".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(sources.encode()).hexdigest()


def problem_of(notebook: nbformat.NotebookNode) -> str | None:
    """What is wrong with a notebook as it is kept; None if nothing is."""
    if notebook.metadata.get(_HASH) != sources_hash(notebook):
        return "its outputs are of other sources; run `make notebooks`"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if not any(cell.outputs for cell in code):
        return "it has no outputs; run `make notebooks`"
    if any(output.output_type == "error" for cell in code for output in cell.outputs):
        return "a cell of it failed"
    if found := _PATH.search(str([cell.outputs for cell in code])):
        return f"an output names a path of one machine: {found[0]}"
    return None


if __name__ == "__main__":
    sys.exit(main())
