"""docs/python.md: its examples print what they say, its tables have every name."""

import inspect
import re
from pathlib import Path

import pytest

import puna

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_an_example_prints_what_it_says(block, capsys):
    exec(block, {"puna": puna})  # noqa: S102  # it is what a reader would do
    said = re.findall(r"^ *print\(.*\)  # (.*)$", block, re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == said


def named(head):
    """Each name in the first column of a table, with its parameters where it has any."""
    (table,) = re.findall(rf"^\| {head} \|.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    cells = [row.split(" | ")[0] for row in table.splitlines()[1:]]
    return dict(re.findall(r"`(\w+)(?:\(([^`]*)\))?`", " ".join(cells)))


def public(of):
    return {name for name in dir(of) if not name.startswith("_")}


@pytest.mark.parametrize("of", [puna.Chat, puna.AsyncChat])
def test_the_table_has_every_method_with_its_parameters(of):
    rows = named("of a conversation")
    assert set(rows) == public(of) - {"end_with"}
    for name, written in rows.items():
        value = inspect.getattr_static(of, name)
        if isinstance(value, property) or name in {"prompt", "budget", "info"}:
            continue
        function = getattr(of, name)
        parameters = [
            str(entry.replace(annotation=inspect.Parameter.empty)).replace("'", '"')
            for entry in inspect.signature(function).parameters.values()
            if entry.name != "self"
        ]
        assert written == ", ".join(parameters), name


@pytest.mark.parametrize("name", ["run", "render", "parse", "lint", "translate"])
def test_the_table_has_every_function_with_its_parameters(name):
    parameters = inspect.signature(getattr(puna, name)).parameters.values()
    written = [str(entry.replace(annotation=inspect.Parameter.empty)).replace("'", '"') for entry in parameters]
    assert named("function")[name] == ", ".join(written)


def test_the_table_has_every_part_of_a_stream():
    (table,) = re.findall(r"^\| of a stream \|.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    for name in public(puna.Stream):
        assert f"`{name}" in table, name
    assert public(puna.AsyncStream) - {"aclose", "piece", "recording"} <= public(puna.Stream)


def test_coroutines_are_marked():
    (table,) = re.findall(r"^\| of a conversation \|.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    marked = {found for row in table.splitlines() for found in re.findall(r"`(\w+)[^`]*` \*", row)}
    assert marked == {
        name for name in public(puna.AsyncChat) if inspect.iscoroutinefunction(getattr(puna.AsyncChat, name))
    }
