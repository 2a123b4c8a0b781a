"""The house keeps its law: arrows run down, files stay small, nothing is documented that is not so."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import puna
from puna import config

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "src").rglob("*.py"))


def test_imports_run_down_only_and_in_no_circle():
    """The contracts of pyproject.toml, typing-only imports included."""
    done = subprocess.run([sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
                          cwd=ROOT, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT / "src")))
def test_files_and_functions_stay_small(file):
    text = file.read_text(encoding="utf-8")
    assert text.count("\n") <= 400, "a file that no longer fits in a head: cut it where its ideas part"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            assert node.end_lineno - node.lineno < 60, f"{node.name} has more than 60 lines"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT / "src")))
def test_a_file_says_first_what_it_knows(file):
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))), "no module docstring"


def test_one_folder_level_never_two():
    package = ROOT / "src" / "puna"
    assert [file for file in FILES if len(file.relative_to(package).parts) > 2] == []


def test_nothing_heavy_is_imported_by_import_puna():
    heavy = ("httpx", "starlette", "xllamacpp", "rich", "jinja2", "puna.api")
    code = f"import sys, puna; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_pure_wings_import_no_effects():
    """formats, wire and dialog: no socket, clock, environment or file."""
    effects = {"os", "socket", "time", "datetime.datetime", "pathlib", "subprocess", "httpx", "random", "secrets"}
    for wing in ("formats", "wire", "dialog", "context"):
        for file in (ROOT / "src" / "puna" / wing).glob("*.py"):
            names = {
                alias.name for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
                if isinstance(node, ast.Import) for alias in node.names
            } | {
                node.module for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
                if isinstance(node, ast.ImportFrom) and node.module
            }  # fmt: skip
            assert not names & effects, file


def test_only_config_names_concrete_engines():
    engines = {"puna.engines.llamacpp", "puna.engines.scripted", "puna.engines.sagemaker"}
    for file in FILES:
        if file.parent.name == "engines" or file.name == "config.py":
            continue
        imported = {
            n.module for n in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(n, ast.ImportFrom)
        }
        assert not imported & engines, file


def test_the_options_table_and_the_settings_agree():
    table = {option.name: option.default for option in config.OPTIONS}
    defaults = {name: entry.default for name, entry in config.Settings.__dataclass_fields__.items() if name != "home"}
    assert table == defaults


def test_the_changelog_begins_with_this_version():
    newest = re.search(r"^## \[?([0-9.]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest.group(1) == puna.__version__


def test_every_option_and_verb_has_its_line_in_the_docs():
    from puna.cli import VERBS

    documented = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for option in config.OPTIONS:
        name = option.variable if option.secret else option.flag
        assert f"`{name}`" in documented, name
    for verb in VERBS:
        assert f"puna {verb}" in documented, verb


def test_the_botocore_plugin_needs_nothing_of_puna():
    found = importlib.util.spec_from_file_location("plugin", ROOT / "src/puna/botocore_plugin/puna_botocore_plugin.py")
    assert found is not None
    assert found.loader is not None
    tree = ast.parse(Path(str(found.origin)).read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= {"os", "re", "typing", "urllib.parse"}
