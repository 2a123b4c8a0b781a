"""A document cut into passages: the pieces that a question can be answered from. Knows characters; no tokens and no file.

A passage is as much of a document as fits a size: whole blocks (paragraphs, list items, code, tables) that stand next to each other
under the same headings. What is longer than the size is cut where it hurts least: a list between its items, code and tables
between lines, prose between sentences, then words, then characters. Passages never overlap, and no text is lost.

Of plain text and Markdown a passage is the source's own text, ``source_text[piece.start:piece.end] == piece.text``. The text of HTML is
not in its source as it is read; there, the line is that of the element.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import StrEnum

from puna.context import html, markdown
from puna.context.blocks import Block, line_starts, lines, paragraphs, trimmed
from puna.context.pieces import Piece
from puna.context.sentences import sentences
from puna.errors import InputError, unknown

SIZE = 800
"""Characters that a passage has at most, where nothing else is said: about 200 tokens of English."""

_WORD = re.compile(r"\S+")
_JOINERS = "\u200d\ufe0e\ufe0f"
"""Zero width joiner and variation selectors, which make one sign of several characters."""
_LONGEST_SIGN = 32
"""Characters of one sign that are kept together; what stacks more marks on a letter than this is no writing."""


class Kind(StrEnum):
    """What a document is written in."""

    TEXT = "text"
    """Paragraphs between blank lines; reStructuredText and the like are read as such."""
    MARKDOWN = "markdown"
    HTML = "html"


def passages(text: str, *, source: str = "", kind: str = Kind.TEXT, size: int = SIZE) -> tuple[Piece, ...]:
    """The passages of a document, in order.

    source: what each shall carry as its source. kind: ``text``, ``markdown`` or ``html``. size: characters that a passage has at most, 1
    or more.

    Raises:
        InputError: another kind or size, or a parser that is not installed.
    """
    if kind not in list(Kind):
        raise InputError(unknown("kind of document", kind, Kind))
    if size < 1:
        raise InputError(f"the size of passages must be 1 character or more, not {size}; leave it out for {SIZE}")
    if kind == Kind.HTML:
        read, blocks = html.read(text)
        return tuple(
            Piece(read[block.start : block.end], source, block.heading, line=block.line)
            for block in _joined(_cut(read, blocks, size), size)
        )
    found = markdown.blocks(text) if kind == Kind.MARKDOWN else paragraphs(text)
    starts = line_starts(text)
    return tuple(
        Piece(text[at.start : at.end], source, at.heading, at.start, at.end, bisect_right(starts, at.start))
        for at in _joined(_cut(text, found, size), size)
    )


def _cut(text: str, blocks: Iterable[Block], size: int) -> Iterator[Block]:
    """The blocks that fit the size as they are, and the parts of the others."""
    for block in blocks:
        if block.end - block.start <= size:
            yield block
        elif block.parts:
            yield from _cut(text, block.parts, size)
        else:
            ranges = (lines if block.lines else sentences)(text, block.start, block.end)
            for start, end in ranges:
                for low, high in _fitting(text, start, end, size):
                    yield from trimmed(text, replace(block, start=low, end=high))


def _fitting(text: str, start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    """A line or a sentence, or its words where it is longer than the size, or their characters."""
    if end - start <= size:
        yield start, end
        return
    for word in _WORD.finditer(text, start, end):
        low = word.start()
        while low < word.end():
            high = min(low + size, word.end())
            if high < word.end():
                back = range(high, max(low, high - _LONGEST_SIGN), -1)
                high = next((at for at in back if not _continues(text[at])), high)
            yield low, high
            low = high


def _continues(character: str) -> bool:
    """Whether a character makes one sign with the one before it."""
    return unicodedata.combining(character) > 0 or character in _JOINERS


def _joined(blocks: Iterable[Block], size: int) -> Iterator[Block]:
    """Neighbours under the same headings, put together as long as they fit the size."""
    last: Block | None = None
    for block in blocks:
        if last is not None and last.heading == block.heading and block.end - last.start <= size:
            last = replace(last, end=block.end)
            continue
        if last is not None:
            yield last
        last = block
    if last is not None:
        yield last
