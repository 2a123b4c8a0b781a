"""The how-to pages that need no server but puna's: a reader who does what they say gets what they show."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from .pages import Reader, alike, blocks, left_out

FOLDER = Path(__file__).parents[2] / "docs" / "howto"
NAMES = (
    "compare-prompts",
    "from-other-tools",
    "hand-written-clients",
    "llama2-to-newer",
    "long-chats",
    "own-model",
    "prompts-in-ci",
    "structured-answers",
    "test-your-client",
    "workshop",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_gets_what_the_page_shows(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUNA_ENGINE", "scripted")
    Reader(tmp_path).follow((FOLDER / f"{name}.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_run_says_why(name):
    for block in left_out((FOLDER / f"{name}.md").read_text(encoding="utf-8")):
        assert len((block.reason or "").split()) > 3, block.text


@pytest.mark.model
def test_what_stays_of_a_long_chat_is_what_is_shown(tmp_path, model_home):
    found = list(blocks((FOLDER / "long-chats.md").read_text(encoding="utf-8")))
    (dialog,) = [block.text for block in found if block.file == "chat.json"]
    (command,) = [block.text for block in found if block.text.startswith("puna prompt fit")]
    (tmp_path / "chat.json").write_text(dialog, encoding="utf-8")
    reader = Reader(tmp_path, PUNA_HOME=str(model_home), PUNA_ENGINE="llamacpp")
    reader.follow(f"```sh\n{command}```\nIt prints:\n```text\n{found[-1].text}```\n")


@pytest.mark.model
def test_an_answer_and_the_one_that_is_shown_keep_to_the_schema_of_the_page(tmp_path, model_home):
    page = (FOLDER / "structured-answers.md").read_text(encoding="utf-8")
    (program,) = [block.text for block in blocks(page) if block.file == "animal.py"]
    (shown,) = [block.text for block in blocks(page) if block.language == "json"]
    (tmp_path / "animal.py").write_text(program, encoding="utf-8")
    words = [sys.executable, "-m", "puna.cli", "exec", "--port", "0", "--context", "1024", "--", sys.executable, "animal.py"]  # fmt: skip
    environment = {**os.environ, "PUNA_HOME": str(model_home)}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    names: dict[str, dict[str, object]] = {}
    exec(program[program.index("schema = {") : program.index("answer = ")], names)  # noqa: S102  # the page's own schema
    for text in (done.stdout.splitlines()[-1], shown):
        jsonschema.validate(json.loads(text), names["schema"])


def test_a_page_is_read_as_its_blocks():
    page = "`a.txt`:\n\n```text\nx\n```\n\n<!-- not run: it needs a GPU here -->\n```sh\nfalse\n```\n\n```sh\ncat a.txt\n```\n\nIt prints:\n\n```text\n...\nx\n```\n"
    found = list(blocks(page))
    assert [(b.language, b.file, b.reason, b.output) for b in found] == [
        ("text", "a.txt", None, False), ("sh", None, "it needs a GPU here", False), ("sh", None, None, False), ("text", None, None, True),
    ]  # fmt: skip


def test_a_reader_notices_what_is_not_as_the_page_says(tmp_path):
    Reader(tmp_path).follow("`a.txt`:\n```text\nx\n```\n```sh\ncat a.txt\n```\nIt prints:\n```text\nx\n```\n")
    for page in (
        "```sh\necho y\n```\nIt prints:\n```text\nx\n```\n",
        "```sh\nfalse\n```\n",
        "```python\nprint(1)  # 2\n```\n",
    ):
        with pytest.raises(AssertionError):
            Reader(tmp_path).follow(page)


def test_dots_stand_for_any_lines():
    assert alike("a\nb\nc\n", "a\n...\nc\n")
    assert not alike("a\nb\nd\n", "a\n...\nc\n")
