"""Markdown as it arrives, cut into parts that are finished and one that may still change. Knows Markdown; no terminal.

A part is finished once nothing that comes can change how it looks: a block when the next has begun, an item of a list when the
next has, a line of code when it has ended. What is printed can so stay where it is, and only the open part is drawn again.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

from puna.terminal.harmless import harmless


class Kind(StrEnum):
    """What a part is."""

    TEXT = "text"
    """Markdown to be laid out: a paragraph, a heading, an item of a list, a quotation, a table."""
    FENCE = "fence"
    """The line that opens or closes code."""
    CODE = "code"
    """A line of code."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of an answer. gap: whether an empty line stands before it. number: of an item in a numbered list.

    language: of code, as it was named. before: the lines of code before this one, so that it is coloured as they say.
    """

    kind: Kind
    text: str
    gap: bool = False
    number: int | None = None
    language: str = ""
    before: str = ""


_OPENING = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})[ \t]*([^\n]*)")
_LINES = re.compile(r"[^\n]*\n|[^\n]+")

MAX_BEFORE = 80
"""Lines of code that are read once more for the colours of the next one."""


@cache
def parser() -> MarkdownIt:
    """What reads answers: no HTML, entities, pictures or hidden addresses, behind which what was written would not be seen."""
    reads = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
    return reads.disable(["entity", "image", "reference"])


class Cutter:
    """Takes an answer piece by piece and gives its parts, in order. What a terminal would obey is made visible."""

    def __init__(self) -> None:
        self._rest = ""
        self._held = ""
        self._begun = False
        self._fence: tuple[str, str] | None = None
        self._code: tuple[str, ...] = ()
        self._number: int | None = None
        self._in_list = False

    def feed(self, text: str) -> list[Part]:
        """What is finished by now."""
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""  # a line feed may follow
        self._rest += harmless(text.removesuffix("\r") if self._held else text)
        return list(self._taken(last=False)) if "\n" in text else []

    def open(self) -> list[Part]:
        """What may still change, as it would be if nothing more came."""
        return copy.copy(self).end()

    def end(self) -> list[Part]:
        """What is left when nothing more comes."""
        self._rest += harmless(self._held)
        self._held = ""
        parts = list(self._taken(last=True))
        self._rest = ""
        return parts

    def _taken(self, *, last: bool) -> Iterator[Part]:
        while part := self._line(last=last) if self._fence else self._block(last=last):
            self._begun = True
            yield part

    def _line(self, *, last: bool) -> Part | None:
        """The next line of code, or the one that closes it."""
        line, newline, rest = self._rest.partition("\n")
        if self._fence is None or not (newline or (last and line)):
            return None
        self._rest = rest
        mark, language = self._fence
        if re.fullmatch(rf" {{0,3}}{re.escape(mark[0])}{{{len(mark)},}}[ \t]*", line):
            self._fence = None
            return Part(Kind.FENCE, line.strip())
        before, self._code = self._code, (*self._code, line)[-MAX_BEFORE:]
        return Part(Kind.CODE, line, language=language, before="".join(f"{one}\n" for one in before))

    def _block(self, *, last: bool) -> Part | None:
        """The next finished block outside of code; None where none is. last: nothing more comes."""
        lines = _LINES.findall(self._rest)
        while lines and not lines[0].strip():
            del lines[0]
        self._rest = "".join(lines)
        if lines and not last and not lines[-1].endswith("\n"):
            del lines[-1]
        if not lines:
            return None
        if opening := _OPENING.fullmatch(lines[0].rstrip("\n")):
            return self._opened(opening, lines[0])
        tokens = parser().parse("".join(lines))
        blocks = [token for token in tokens if token.level == 0 and token.nesting >= 0 and token.map]
        items = _items(tokens) if blocks else []
        begins = [token.map[0] for token in (items or blocks)[1:] if token.map] or [
            token.map[0] for token in blocks[1:] if token.map
        ]
        if not begins and not last:
            return None
        return self._cut(lines, begins[0] if begins else len(lines), blocks, more=len(items) > 1)

    def _opened(self, found: re.Match[str], line: str) -> Part:
        words = found[2].split()
        self._fence, self._code = (found[1], words[0] if words else ""), ()
        self._rest = self._rest[len(line) :]
        self._in_list = False
        return Part(Kind.FENCE, line.strip(), gap=self._begun)

    def _cut(self, lines: list[str], end: int, blocks: list[Token], *, more: bool) -> Part:
        """The first ``end`` lines as a part. more: other items of the same list follow."""
        text = "".join(lines[:end])
        self._rest = self._rest[len(text) :]
        listed = bool(blocks) and blocks[0].type.endswith("_list_open")
        numbered = listed and blocks[0].type == "ordered_list_open"
        if numbered and (not self._in_list or self._number is None):
            self._number = int(blocks[0].attrs.get("start", 1))
        part = Part(
            Kind.TEXT,
            text.rstrip("\n"),
            self._begun and not (self._in_list and listed),
            self._number if numbered else None,
        )
        self._number = self._number + 1 if numbered and more and self._number is not None else None
        self._in_list = listed and more
        return part


def _items(tokens: list[Token]) -> list[Token]:
    """The items of the list that stands first; empty where none does."""
    if not tokens[0].type.endswith("_list_open"):
        return []
    end = next(n for n, token in enumerate(tokens) if token.level == 0 and token.nesting < 0)
    return [token for token in tokens[:end] if token.type == "list_item_open" and token.level == 1]
