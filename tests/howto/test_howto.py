"""The how-to pages that need no server but puna's: a reader who does what they say gets what they show."""

from pathlib import Path

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
