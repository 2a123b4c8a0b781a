"""A document as blocks in order: paragraphs, code, tables, each under its headings. Knows plain text; no Markdown, no HTML and no size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_BLANK = re.compile(r"(?:\r\n|\n|\r)[^\S\r\n]*(?=\r\n|\n|\r)")
_EDGE = re.compile(r"[\s\ufeff]*")
_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Block:
    """Characters [start, end) of a text that belong together.

    heading: the headings that it stands under, the outermost first. lines: whether it is cut at lines, as code and tables are, and not
    at sentences, where it must be cut. parts: smaller blocks that it is cut into first, such as the items of a list. line: where it
    stands in the source, from 1, where the text is not the source's own.
    """

    start: int
    end: int
    heading: tuple[str, ...] = ()
    lines: bool = False
    parts: tuple[Block, ...] = ()
    line: int | None = None


def paragraphs(text: str, start: int = 0, end: int | None = None, heading: tuple[str, ...] = ()) -> Iterator[Block]:
    """The paragraphs of plain text, which blank lines part."""
    end = len(text) if end is None else end
    begun = start
    for blank in _BLANK.finditer(text, start, end):
        yield from trimmed(text, Block(begun, blank.start(), heading))
        begun = blank.end()
    yield from trimmed(text, Block(begun, end, heading))


def trimmed(text: str, block: Block) -> Iterator[Block]:
    """The block without the white space around it; none where nothing else is in it. Lines keep the first one's indentation."""
    found = _EDGE.match(text, block.start, block.end)
    start = block.start if found is None else found.end()
    if start == block.end:
        return
    if block.lines:
        start = max(text.rfind("\n", block.start, start), text.rfind("\r", block.start, start), block.start - 1) + 1
    end = block.start + len(text[block.start : block.end].rstrip())
    yield Block(start, end, block.heading, block.lines, block.parts, block.line)


def lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The lines of ``text[start:end]`` that have text, with their indentation and without their ends."""
    begun = start
    for found in [*_LINE_END.finditer(text, start, end), None]:
        high = end if found is None else found.start()
        if text[begun:high].strip():
            yield begun, high
        begun = high if found is None else found.end()


def line_starts(text: str) -> list[int]:
    """Where each line begins, shape (lines,); lines end as editors see it: at LF, CR LF or CR."""
    return [0, *(found.end() for found in _LINE_END.finditer(text))]
