"""Where the sentences of a text are. Knows marks that end sentences and common English abbreviations; no model and no dictionary.

A sentence ends at ``.``, ``!``, ``?`` or an ellipsis before white space, unless a small letter follows, or the dot belongs to an
abbreviation, an initial or the number of a list item; at the full stops and question marks of other scripts; at a blank line; and before a list
item. A lone line break is white space, as in Markdown. Where this errs, it rather leaves two sentences together than cuts one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_BREAK = r"(?:\r\n|\n|\r)"
_END = re.compile(
    r"(?P<stop>(?<![.!?\u2026])[.!?\u2026]++[\"')\]\u2019\u201d\u00bb*_`]*+)(?=\s)"
    r"|[\u3002\uff01\uff1f\uff61\u061f\u06d4\u0964\u0965\u104b\u1362\u17d4]++[\"\u300d\u300f\u201d\uff09]*"
    rf"|{_BREAK}[^\S\r\n]*{_BREAK}"
    rf"|{_BREAK}(?=[^\S\r\n]*(?:[-*+\u2022]|\d{{1,4}}[.)])\s)"
)
_NEXT = re.compile(r"\s*([^\s])")
_LAST_WORD = re.compile(r"(?:^|[\s(\[\"'\u201c\u2018])([^\s(\[\"'\u201c\u2018]+)$")
_TITLES = frozenset(
    {"mr", "mrs", "ms", "dr", "prof", "st", "vs", "e.g", "i.e", "cf", "al", "gen", "col", "rev", "hon", "lt"}
)
"""What no sentence ends with."""
_BEFORE_NUMBERS = frozenset(
    {"no", "nos", "fig", "figs", "vol", "ch", "sec", "eq", "p", "pp", "ca", "approx", "art", "ed"}
)
"""What no sentence ends with where a number follows."""
_NUMBER = re.compile(r"[^\w\s]*\d+")


def sentences(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """The sentences of ``text[start:end]`` as [start, end) in the text, in order, without the white space around them."""
    end = len(text) if end is None else end
    begun = start
    for found in _END.finditer(text, start, end):
        if found["stop"] is not None and not _ends(text, begun, found, end):
            continue
        yield from _trimmed(text, begun, found.end())
        begun = found.end()
    yield from _trimmed(text, begun, end)


def _ends(text: str, begun: int, found: re.Match[str], end: int) -> bool:
    """Whether a mark, with white space behind it, ends the sentence that began there."""
    follows = _NEXT.match(text, found.end(), end)
    if follows is None:
        return True
    if follows[1].islower():
        return False
    if not found["stop"].startswith(".") or found["stop"].startswith(".."):
        return True
    word = _LAST_WORD.search(text, max(begun, found.start() - 20), found.start())
    if word is None:
        return True
    before = word[1]
    if _NUMBER.fullmatch(before) and not text[begun : word.start(1)].strip():
        return False
    if len(before) == 1 and before.isupper():
        return False
    return before.lower() not in _TITLES and not (follows[1].isdigit() and before.lower() in _BEFORE_NUMBERS)


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    inside = text[start:end]
    if inside.strip():
        yield start + len(inside) - len(inside.lstrip()), start + len(inside.rstrip())
