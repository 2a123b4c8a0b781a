"""Every example of every page is run, in the order of its page, by a reader with the engine that needs no model; or says why not."""

import argparse
import ast
import importlib
import json
import os
import re
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import puna
from puna.cli import VERBS

from .pages import DOCS, PAGES, ROOT, blocks, code, named, prose, text_of
from .parsers import parsers
from .reading import Endpoint, Visitor, executable

FOLLOWERS = [ROOT / "tests" / name for name in ("howto/test_howto.py", "production/test_pages.py")]
"""Tests that follow how-to pages of their own, which they name."""


def followed_by(test: Path) -> set[Path]:
    """The how-to pages that a test gives to ``follow``, by their names there or in its NAMES."""
    texts = {
        node.value
        for part in ast.walk(ast.parse(test.read_text(encoding="utf-8")))
        if (isinstance(part, ast.Call) and getattr(part.func, "attr", "") == "follow")
        or (isinstance(part, ast.Assign) and getattr(part.targets[0], "id", "") == "NAMES")
        for node in ast.walk(part)
        if isinstance(node, ast.Constant)
    }
    return {page for page in DOCS.glob("howto/*.md") if page.stem in texts or f"howto/{page.stem}" in texts}


ELSEWHERE = {page for test in FOLLOWERS for page in followed_by(test)}

WITH_EXAMPLES = [page for page in PAGES if executable(text_of(page))]


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory):
    """Two that are up for all pages."""
    folder = tmp_path_factory.mktemp("endpoints")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PUNA_", "AWS_"))}
    environ["PUNA_HOME"] = str(folder)
    with Endpoint("llama-2-7b", folder, environ) as here, Endpoint("my-endpoint", folder, environ) as there:
        yield here, there


def a_store(folder):
    """``runs.db``, with a run of the id that the page has, and another."""
    experiment = puna.Experiment(prompts="Hi {{n}}", variables={"n": [1, 2, 3, 4]}, sampling={"max_tokens": 4})
    run = puna.sweep(experiment, folder / "runs.db").run.id
    puna.sweep(experiment, folder / "runs.db")
    with closing(sqlite3.connect(folder / "runs.db")) as store:
        store.execute("PRAGMA foreign_keys = OFF")
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in tables:
            for column in [row[1] for row in store.execute(f"PRAGMA table_info({name})")]:
                if column == "run" or (name, column) == ("run", "id"):
                    store.execute(f"UPDATE {name} SET {column} = ? WHERE {column} = ?", ("20261128-175012-a3f9", run))  # noqa: S608
        store.commit()


def a_chat(folder):
    """``chat.json``, a dialog of some turns."""
    turns = [{"role": role, "content": "one two three"} for _ in range(4) for role in ("user", "assistant")]
    (folder / "chat.json").write_text(json.dumps({"messages": turns[:-1]}), encoding="utf-8")


GIVEN = {DOCS / "store.md": a_store, DOCS / "window.md": a_chat}
"""What pages speak of that a reader has already."""


@pytest.mark.parametrize("page", [page for page in WITH_EXAMPLES if page not in ELSEWHERE], ids=named)
def test_a_reader_can_do_what_the_page_says(page, endpoints, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUNA_ENGINE", "scripted")
    GIVEN.get(page, lambda _: None)(tmp_path)
    Visitor(tmp_path, *endpoints).follow(text_of(page))


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=named)
def test_what_is_not_run_says_why_in_words(page):
    for block in executable(text_of(page)):
        if block.reason is not None:
            assert len(block.reason.split()) > 3, block.text


def commands_not_run():
    """Each line of puna's or make's that only stands there, with its page."""
    for page in WITH_EXAMPLES:
        for block in executable(text_of(page)):
            if block.language == "sh" and block.reason is not None:
                for line in block.text.replace("\\\n", " ").splitlines():
                    words = shlex.split(re.split(r" (?:&&|\||;|&|>)(?: |$)", line)[0], comments=True)
                    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                        words = words[1:]
                    if words and Path(words[0]).name in {"puna", "make"}:
                        yield pytest.param(words, id=f"{named(page)}: {' '.join(words)[:60]}")


@pytest.mark.parametrize("words", list(commands_not_run()))
def test_a_command_that_is_not_run_is_one(words):
    """Its verb and its options are known; ``make`` knows the verb."""
    if words[0].endswith("make"):
        for verb in [word for word in words[1:] if "=" not in word]:
            assert re.search(rf"^{verb}:", text_of("Makefile"), re.MULTILINE), verb
        return
    verb, *rest = words[1:]
    parser = argparse.ArgumentParser(exit_on_error=False)
    importlib.import_module(f"puna.cli.{verb}").add(parser)
    parser.parse_args(rest)


def commands_of_workflows():
    """What a YAML block has a CI system run of puna's; a pattern of files is several files."""
    for page in PAGES:
        for block in blocks(text_of(page), "yaml"):
            for command in re.findall(r"\bpuna [^;|&\n]+", "\n".join(re.findall(r"run: ([^#\n]*)", block))):
                words = [each for word in shlex.split(command) for each in ([word] if "*" not in word else ["a", "b"])]
                yield pytest.param(words, id=f"{named(page)}: {' '.join(words)[:60]}")


@pytest.mark.parametrize("words", list(commands_of_workflows()))
def test_a_command_of_a_workflow_is_one(words):
    parser = argparse.ArgumentParser(exit_on_error=False)
    importlib.import_module(f"puna.cli.{words[1]}").add(parser)
    parser.parse_args(words[2:])


def commands_in_sentences():
    """``puna VERB ...`` between backticks, on any page, each once."""
    found: dict[str, Path] = {}
    for page in PAGES:
        if page.name != "CHANGELOG.md":  # it tells of what was
            for span in code(prose(text_of(page))):
                if re.match(r"puna [a-z]+( |$)(?!.*\.\.\.$)", span) and "itself" not in span:
                    found.setdefault(span, page)
    return [pytest.param(span, id=f"{named(page)}: {span[:60]}") for span, page in found.items()]


@pytest.mark.parametrize("span", commands_in_sentences())
def test_a_command_in_a_sentence_is_one(span):
    """Its verb and its options are known."""
    _, verb, *rest = span.split(" -- ")[0].split()
    assert verb in VERBS, span
    known = {
        flag
        for words, parser in parsers()
        if words.split()[0] == verb
        for action in parser._actions
        for flag in action.option_strings
    }
    for flag in [word.split("=")[0].strip(",") for word in rest if word.startswith("--")]:
        assert flag in known, f"{flag} of {span}"


def test_the_tests_that_follow_pages_of_their_own_name_them():
    assert DOCS / "howto" / "workshop.md" in followed_by(FOLLOWERS[0])


def test_a_page_that_is_wrong_is_noticed(endpoints, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Visitor(tmp_path, *endpoints).follow(
        "```sh\npuna serve --engine scripted\ncurl -s http://127.0.0.1:8080/ping\nmake test\n```\n"
    )
    for wrong in (
        "puna serve --engine none",
        "make nothing",
        "puna run --url http://127.0.0.1:8080 --endpoint other x",
    ):
        with pytest.raises(AssertionError):
            Visitor(tmp_path, *endpoints).follow(f"```sh\n{wrong}\n```\n")
