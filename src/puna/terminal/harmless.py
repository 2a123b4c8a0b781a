"""Text that a terminal must not obey, made visible. Knows characters; no terminal, no colours.

An answer comes from a model, which may have read anything: escape sequences, carriage returns, marks that turn the direction of
writing. Each is shown by its name in place of what it would do. Line feeds and tabs stay.
"""

from __future__ import annotations

import re
from unicodedata import category

_DOUBTFUL = re.compile(r"[^\n\t\x20-\x7e]")
_JOINERS = "\u200c\u200d"
"""Of emoji and of Persian: they join or part letters, and hide nothing."""

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Categories of Unicode: controls, marks of format, half characters, private ones, and line breaks that are no line feed."""


def harmless(text: str) -> str:
    """The text with nothing in it that a terminal obeys or hides. A carriage return before a line feed is left out."""
    return _DOUBTFUL.sub(_shown, text.replace("\r\n", "\n"))


def one_line(text: str, most: int = 80) -> str:
    """The beginning of a text on one line. most: characters, 2 or more."""
    flat = " ".join(harmless(text[: most * 8]).split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def _shown(found: re.Match[str]) -> str:
    mark = found.group()
    if category(mark) not in _HIDDEN or mark in _JOINERS:
        return mark
    code = ord(mark)
    if code < 0x20:
        return chr(0x2400 + code)  # the block of control pictures: U+001B is ␛
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"
