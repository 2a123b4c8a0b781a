"""The lines of an answer on a terminal: the finished ones stay, the open ones are drawn again. Knows cursor codes; no Markdown.

Only what differs is written, in one write, so nothing flickers. What may be drawn again is never taller than the screen, since what has
left it cannot be reached any more; so the scrollback holds each line once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from rich.cells import cell_len

_STYLE = re.compile(r"\x1b\[[0-9;]*m")

Size = Callable[[], tuple[int, int]]
"""Columns and rows of the terminal, as it is now."""


class Live:
    """Draws on ``write``. The cursor stands behind the last line."""

    def __init__(self, write: Callable[[str], None], size: Size) -> None:
        self._write = write
        self._size = size
        self._open: list[str] = []
        self._fresh = True
        self._rows: int | None = None

    def draw(self, finished: Sequence[str], still_open: Sequence[str]) -> None:
        """Put finished lines where the open ones began, and the open ones below. Each line fits the width."""
        kept = list(still_open)[-self._most() :]
        lines = [*finished, *kept]
        rows, self._rows = self._rows, None
        same = 0 if rows else _same(self._open, lines)
        if rows or not same == len(lines) == len(self._open):
            self._put(lines, same, (rows or len(self._open)) - 1)
        self._open = kept

    def _put(self, lines: Sequence[str], same: int, down: int) -> None:
        """Lines in place of the open ones, the first ``same`` of which stay. down: rows from the first open one to the cursor."""
        if not lines:
            self._write(_up(down) + "\x1b[J")
        elif down < len(self._open) and (grown := self._grown(lines, same)):
            self._write(grown)
        elif same == len(self._open):
            self._write(("" if self._fresh else "\r\n") + "\r\n".join(lines[same:]))
        else:
            # Line by line: tmux takes a screen that is cleared from its corner into the scrollback, and counts a line that is cleared
            # from its middle as long as it was when it wraps it anew.
            same = min(same, len(lines) - 1)
            self._write(_up(down - same) + "\r\n".join(f"\x1b[2K{line}" for line in lines[same:]) + "\x1b[J")
        self._fresh = not lines

    def end(self) -> None:
        """The cursor goes to a line of its own; what is there stays."""
        if not self._fresh:
            self._write("\r\n")
        self._open, self._fresh = [], True

    def resized(self) -> None:
        """The width is another: the open lines are to be drawn anew, in place of what the terminal has made of them by wrapping."""
        if self._open:
            columns, rows = self._size()
            taken = sum(max(1, -(-_width(line) // max(1, columns))) for line in self._open)
            self._rows = min(taken, rows)

    def _most(self) -> int:
        return max(1, self._size()[1] - 1)

    def _grown(self, lines: Sequence[str], same: int) -> str | None:
        """Only what is new, where the last open line has but grown, as it mostly does."""
        last = len(self._open) - 1
        if same == last >= 0 and len(lines) > last and lines[last].startswith(self._open[last]):
            return lines[last][len(self._open[last]) :] + "".join(f"\r\n{line}" for line in lines[last + 1 :])
        return None


def _same(before: Sequence[str], after: Sequence[str]) -> int:
    return next(
        (n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )


def _up(rows: int) -> str:
    return "\r" + (f"\x1b[{rows}A" if rows > 0 else "")


def _width(line: str) -> int:
    return cell_len(_STYLE.sub("", line))
