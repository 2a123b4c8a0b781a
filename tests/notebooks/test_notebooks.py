"""The notebooks as a reader gets them: what is kept of them, and that they run, from top to bottom and with the solutions of their
exercises, on a local endpoint and on one that answers as an endpoint of AWS does.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from puna.cli.aws_environment import endpoint_environment, puna_environment

nbformat = pytest.importorskip("nbformat", reason="nbformat reads notebooks; it is in the group `notebooks`")
pytest.importorskip("nbclient", reason="nbclient runs notebooks; it is in the group `notebooks`")
pytest.importorskip("ipykernel", reason="ipykernel is what notebooks run in; it is in the group `notebooks`")

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTION = re.compile(r"<details>.*?^```python\n(.*?)^```$.*?</details>", re.MULTILINE | re.DOTALL)
KEY, SECRET = "AKIDNOTEBOOK", "a-secret"
RUNS = [
    (path, {"1": "lmi", "2": "chat", "3": "chat", "6": "lmi"}[path.name[0]])
    for path in NOTEBOOKS
    if path.name[0] in "1236"
]
"""Against AWS, each in the dialect of a container that takes text (lmi) or messages (chat). 4 and 5 ask as 3 does, and take too long for twice."""

every = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


def _execute() -> ModuleType:
    spec = importlib.util.spec_from_file_location("execute", ROOT / "notebooks" / "execute.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


execute = _execute()


@contextmanager
def serving(home: Path, *options: str, **variables: str) -> Iterator[str]:
    """An endpoint with the embedded model, and its address."""
    command = [sys.executable, "-m", "puna.cli", "serve", "--port", "0", *options]
    env = {**os.environ, "PUNA_HOME": str(home), **variables}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready "), line
        yield line.split()[1]
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture
def read(path: Path):
    return nbformat.read(path, as_version=4)


def solutions(notebook) -> list[str]:
    """The code of the solutions, in order."""
    return SOLUTION.findall(notebook.cells[-1].source)


def test_there_are_six() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "1-prompt-format", "2-streaming", "3-chat", "4-in-context", "5-sampling", "6-playground",
    ]  # fmt: skip


@every
def test_what_is_kept_was_made_from_what_stands_there(path, read) -> None:
    assert execute.problem_of(read) is None
    assert [cell.id for cell in read.cells] == [f"cell-{n:02}" for n in range(1, len(read.cells) + 1)]
    assert set(read.metadata) == {"kernelspec", "language_info", "puna_sources_sha256"}
    assert not any(cell.metadata.keys() - {"tags"} for cell in read.cells)


@every
def test_a_reader_sees_what_it_is_how_it_is_run_and_exercises(path, read) -> None:
    first, last = read.cells[0], read.cells[-1]
    assert first.cell_type == last.cell_type == "markdown"
    assert re.match(rf"# {path.name[0]}\. \S", first.source)
    assert "puna exec -- jupyter lab notebooks/" in first.source
    assert "puna exec --url sagemaker:" in first.source
    assert last.source.startswith("## Exercises")
    assert len(solutions(read)) >= 3
    assert last.source.count("<details>") == last.source.count("</details>") == len(solutions(read))
    assert any(cell.source.startswith("## What to remember") for cell in read.cells if cell.cell_type == "markdown")


@every
def test_it_names_no_machine_and_warns_of_nothing(path, read) -> None:
    outputs = [output for cell in read.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/(root|home|Users|work)/|site-packages|pip\.conf|--index-url", text)
    assert len(text) < 1_500_000


@pytest.mark.model
@every
def test_it_runs_and_so_do_its_solutions(path, read, model_home, monkeypatch) -> None:
    cells = [nbformat.v4.new_code_cell(code) for code in solutions(read)]
    for cell in (cell for cell in read.cells if cell.cell_type == "code"):
        cell.outputs = []
    read.cells += cells
    with serving(model_home) as url:
        for name, value in endpoint_environment(url, os.environ, "llama-2-7b")[0].items():
            monkeypatch.setenv(name, value)
        execute.run(read, path.parent)
    said = [output for cell in read.cells if cell.cell_type == "code" for output in cell.outputs]
    assert all(cell.outputs for cell in cells)
    assert [output.text for output in said if output.get("name") == "stderr"] == []


@pytest.mark.model
@pytest.mark.parametrize(("path", "dialect"), RUNS, ids=[f"{path.stem}-{dialect}" for path, dialect in RUNS])
def test_it_runs_unchanged_on_an_endpoint_of_aws(path, dialect, read, model_home, monkeypatch) -> None:
    with serving(model_home, "--dialect", dialect, "--auth", "sigv4", PUNA_AUTH_KEYS=f"{KEY}:{SECRET}") as url:
        for name, value in {
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            **puna_environment("sagemaker:llama-2-7b", "llama-2-7b"),
            **({"PUNA_FORMAT": "smollm2"} if dialect == "lmi" else {}),
        }.items():
            monkeypatch.setenv(name, value)
        execute.run(read, path.parent)
    said = "".join(str(cell.outputs) for cell in read.cells if cell.cell_type == "code")
    assert "Traceback" not in said


def made(folder: Path, *sources: str) -> Path:
    """A notebook of code cells, which has not been run."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    nbformat.write(notebook, folder / "1-made.ipynb")
    return folder / "1-made.ipynb"


def ran(monkeypatch, folder: Path, *arguments: str) -> int:
    monkeypatch.setattr(execute, "HERE", folder)
    monkeypatch.setattr(sys, "argv", ["execute.py", *arguments])
    monkeypatch.setenv("PUNA_URL", "http://127.0.0.1:9")
    return int(execute.main())


def test_running_keeps_what_was_shown_and_checking_finds_what_is_stale(tmp_path, monkeypatch, capsys) -> None:
    path = made(tmp_path, "print(6 * 7)", "object()")
    assert ran(monkeypatch, tmp_path) == 0
    assert "1-made.ipynb: 2 cells" in capsys.readouterr().out
    kept = path.read_bytes()
    assert b"42" in kept
    assert b"0x" not in kept
    assert ran(monkeypatch, tmp_path, "--check", "1-made") == 0
    assert path.read_bytes() == kept
    path.write_text(path.read_text().replace("6 * 7", "6 * 9"))
    capsys.readouterr()
    assert ran(monkeypatch, tmp_path, "--check") == 1
    assert "its outputs are of other sources" in capsys.readouterr().err


def test_a_cell_that_fails_is_told_with_its_source(tmp_path, monkeypatch, capsys) -> None:
    kept = made(tmp_path, "number = 0", "1 / number").read_bytes()
    assert ran(monkeypatch, tmp_path) == 1
    told = capsys.readouterr().err
    assert "1 / number" in told
    assert "ZeroDivisionError" in told
    assert (tmp_path / "1-made.ipynb").read_bytes() == kept


def test_a_path_of_this_machine_is_found(tmp_path, monkeypatch, capsys) -> None:
    made(tmp_path, "print('/home/somebody/x.py')")
    assert ran(monkeypatch, tmp_path) == 1
    assert "/home/somebody/x.py" in capsys.readouterr().err


def test_without_an_endpoint_one_sentence_says_how(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["execute.py"])
    assert execute.main() == 2
    assert "puna exec -- python notebooks/execute.py" in capsys.readouterr().err
