"""docs/ask.md is done as its reader would, and says the numbers that the code has."""

import re
from pathlib import Path

import pytest

import puna
from puna.api.answers import PASSAGES
from puna.context.passages import SIZE
from puna.retrieval.dense import FLOOR
from puna.retrieval.folder import KINDS, MAX_FILE
from tests.howto.pages import Reader, blocks

PAGE = (Path(__file__).parents[2] / "docs" / "ask.md").read_text(encoding="utf-8")


def test_a_reader_can_do_what_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUNA_ENGINE", "scripted")
    # The address stands for a server, which other tests have: here the engine answers in the process.
    Reader(tmp_path).follow(PAGE.replace("--url http://127.0.0.1:8080 ", ""))


def test_the_page_has_the_numbers_of_the_code():
    assert f"passages of {SIZE} characters at most" in PAGE
    assert f"larger than {MAX_FILE // 1024**2} MiB" in PAGE
    assert f"{PASSAGES} passages are shown" in PAGE
    assert f"cosine up to {FLOOR}" in PAGE
    assert set(re.findall(r"`(\.\w+)`", PAGE.split("| in a folder |")[1].splitlines()[0])) == set(KINDS)


@pytest.mark.model
def test_the_default_model_rests_on_the_passage_that_the_page_shows(tmp_path, model_home, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "guide").mkdir()
    for block in blocks(PAGE):
        if block.file:
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
    with puna.Chat(slots=1) as chat:
        answer = puna.ask("When does the zoo of Arequipa open?", "guide/", chat=chat, max_tokens=40)
    assert answer.text in PAGE
    assert answer.claims[0].best is not None
    assert answer.sources[answer.claims[0].best.number - 1].label == "guide/zoo.md:5"
