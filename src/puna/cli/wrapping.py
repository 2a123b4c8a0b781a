"""Text that streams in, wrapped at words and indented. Knows a width and a function that writes."""

from __future__ import annotations

import re
from collections.abc import Callable


class Wrapping:
    """Writes words as soon as they are whole; a line break of the text stays one. Width and indent: columns."""

    def __init__(self, write: Callable[[str], object], width: int, indent: int) -> None:
        self._write = write
        self._width = width
        self._indent = indent
        self._column = 0
        self._word = ""

    def write(self, text: str) -> None:
        """Add text; a word without its end waits for it."""
        for part in re.split(r"(\s)", text):
            if not part.isspace():
                self._word += part
            else:
                self._flush()
                if part == "\n":
                    self._end_line()

    def close(self) -> None:
        """Write what waits, and end the line."""
        self._flush()
        if self._column:
            self._end_line()

    def _flush(self) -> None:
        if not self._word:
            return
        if self._column and self._column + 1 + len(self._word) > self._width:
            self._end_line()
        before = " " if self._column else " " * self._indent
        self._write(before + self._word)
        self._column += len(before) + len(self._word)
        self._word = ""

    def _end_line(self) -> None:
        self._write("\n")
        self._column = 0
