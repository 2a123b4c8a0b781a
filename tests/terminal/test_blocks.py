"""Markdown in parts: what is finished never changes, and no piece of an answer is lost or shown twice."""

import io
import re

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from puna.terminal.blocks import Cutter, Kind
from puna.terminal.harmless import harmless
from puna.terminal.live import Live
from puna.terminal.paint import THEME, lines_of
from puna.terminal.screen import Laid, Screen

SAMPLES = {
    "paragraphs": "One.\n\nTwo\nthree.\n",
    "a heading by its underline": "Head\n====\ntext\n",
    "a list whose numbers are all the same": "1. a\n1. b\n1. c\n\nend",
    "a list that begins elsewhere": "7. a\n8. b\n",
    "nested lists": "- a\n  - b\n    - c\n- d\n",
    "an item with code": "- a\n\n  ```\n  x\n  ```\n- b",
    "an item of two paragraphs": "- a\n\n  more\n\n- b\n",
    "a dash that begins no item": "- a\n-b\n",
    "code without its end": "```\na\n\nb",
    "code of tildes with a fence in it": "~~~ md\n```\n~~~\nafter",
    "longer fences": "````\n```\n````\nafter",
    "code by indentation": "text\n\n    code\n\nmore",
    "a table": "| a | b |\n|---|---|\n| 1 | 2 |\n\nafter",
    "a quotation": "> a\n> b\nlazy\n\nafter",
    "blank lines": "\n\n\na\n\n\n\nb\n\n",
    "carriage returns": "a\r\nb\r\n\r\nc\rd",
    "a rule": "a\n\n---\n\nb\n***\n",
}


def parts(pieces):
    cutter, found = Cutter(), []
    for piece in pieces:
        found += cutter.feed(piece)
    return found + cutter.end()


@pytest.mark.parametrize("text", SAMPLES.values(), ids=SAMPLES)
def test_how_a_text_is_split_changes_nothing(text):
    whole = parts([text])
    assert parts(text) == whole
    assert parts([text[:3], text[3:]]) == whole


@pytest.mark.parametrize("text", SAMPLES.values(), ids=SAMPLES)
def test_what_is_finished_is_what_the_whole_begins_with(text):
    cutter, found, whole = Cutter(), [], parts([text])
    for mark in text:
        found += cutter.feed(mark)
        assert found == whole[: len(found)]


MARKDOWN = st.lists(st.sampled_from(["a", "b c", "\n", "\n\n", "- ", "1. ", "```", "```py\n", "    ", "> ", "| x | y |\n", "|---|---|\n", "# ", "**", "`", "\r", "---\n", "=\n"]), max_size=25)  # fmt: skip


@given(MARKDOWN)
def test_nothing_is_lost_whatever_comes(pieces):
    text = "".join(pieces)
    found = parts(pieces)
    assert found == parts([text])
    assert re.sub(r"\s", "", "".join(part.text for part in found)) == re.sub(r"\s", "", harmless(text))


@given(st.text())
def test_no_line_holds_what_a_terminal_obeys(text):
    console = Console(file=io.StringIO(), force_terminal=True, color_system="standard", theme=THEME)
    for part in parts([text]):
        for line in lines_of(part, console, 20):
            plain = re.sub(r"\x1b\[[0-9;]*m", "", line)
            assert harmless(plain) == plain
            assert "\n" not in line


def test_numbers_go_on_over_the_items():
    assert [part.number for part in parts(["1. a\n1. b\n1. c\n"])] == [1, 2, 3]
    assert [part.kind for part in parts(["```\na\n```\n"])] == [Kind.FENCE, Kind.CODE, Kind.FENCE]


class Out(io.StringIO):
    """A terminal of a size, by pyte."""

    def __init__(self, columns, rows):
        super().__init__()
        self.screen = pyte.HistoryScreen(columns, rows, history=10_000)
        self.stream = pyte.Stream(self.screen)

    def isatty(self):
        return True

    def write(self, text):
        self.stream.feed(text)
        return len(text)

    @property
    def seen(self):
        gone = ["".join(line[n].data for n in range(self.screen.columns)) for line in self.screen.history.top]
        return "\n".join(line.rstrip() for line in [*gone, *self.screen.display]).rstrip("\n")


def shown(pieces, columns, rows):
    out = Out(columns, rows)
    screen = Screen(out, out, {"TERM": "xterm"})
    screen.size = lambda: (columns, rows)  # type: ignore[method-assign]
    laid = Laid(screen)
    for piece in pieces:
        laid.add(piece)
        laid.draw()
    laid.end()
    return out.seen


@pytest.mark.parametrize("text", SAMPLES.values(), ids=SAMPLES)
@pytest.mark.parametrize(("columns", "rows"), [(12, 3), (30, 5), (80, 24)])
def test_the_screen_and_its_scrollback_end_as_if_all_had_come_at_once(text, columns, rows):
    assert shown(text, columns, rows) == shown([text], columns, rows)


@given(MARKDOWN)
def test_whatever_comes_is_drawn_once(pieces):
    assert shown(pieces, 16, 4) == shown(["".join(pieces)], 16, 4)


def test_only_what_is_new_is_written():
    written: list[str] = []
    live = Live(written.append, lambda: (80, 24))
    live.draw([], ["one two"])
    live.draw([], ["one two three"])
    live.draw([], ["one two three"])
    live.draw(["one two three", ""], ["four"])
    assert written == ["one two", " three", "\r\n\r\nfour"]
