"""Where the chat writes: a terminal that can move its cursor, a plain one, or a pipe. Knows the environment's word on colours.

Answers go to standard output; everything else goes to standard error, so that a pipe carries answers only. On a terminal both are one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console, RenderableType
from rich.text import Text

from puna.terminal.blocks import Cutter, Part
from puna.terminal.harmless import harmless
from puna.terminal.live import Live
from puna.terminal.paint import THEME, lines_of

LEAST_WIDTH = 8
"""Columns below which no layout makes sense; a narrower terminal wraps by itself."""


class Screen:
    """Standard output and standard error as the chat uses them. environ: NO_COLOR and TERM count."""

    def __init__(
        self, out: TextIO | None = None, notes: TextIO | None = None, environ: Mapping[str, str] = os.environ
    ) -> None:
        self.out = sys.stdout if out is None else out
        self._notes = sys.stderr if notes is None else notes
        self.terminal = self.out.isatty()
        self.moves = self.terminal and environ.get("TERM", "") not in {"", "dumb", "unknown"}
        self.console = self._console(self.out, environ)
        self.notes = self.console if self.terminal else self._console(self._notes, environ)
        self.colour = self.notes.is_terminal and not self.notes.no_color and self.notes.color_system is not None

    @staticmethod
    def _console(file: TextIO, environ: Mapping[str, str]) -> Console:
        moves = environ.get("TERM", "") not in {"", "dumb", "unknown"}
        real = file.isatty() and moves
        return Console(
            file=file, theme=THEME, highlight=False, markup=False, emoji=False, soft_wrap=not real,
            force_terminal=real, no_color="NO_COLOR" in environ and bool(environ["NO_COLOR"]),
            color_system="auto" if real else None, width=None if file.isatty() else 10_000,
        )  # fmt: skip

    def size(self) -> tuple[int, int]:
        """Columns and rows now."""
        try:
            found = os.get_terminal_size(self.out.fileno())
        except (OSError, ValueError):  # no terminal
            return 80, 24
        return found.columns or 80, found.lines or 24

    def write(self, text: str) -> None:
        """To standard output, at once."""
        self.out.write(text)
        self.out.flush()

    def say(self, text: str, style: str = "") -> None:
        """A sentence, or lines, for the person; whatever a terminal would obey in it is made visible."""
        self.show(Text(harmless(text), style=style))

    def show(self, what: RenderableType) -> None:
        """A view, for the person."""
        width = self.size()[0] if self.notes.is_terminal else None
        self.notes.print(what, width=width, overflow="fold")

    def space(self) -> None:
        """An empty line between what is typed and what is answered, on a terminal where answers are laid out."""
        if self.moves:
            self.write("\r\n")

    def answer(self) -> Shown:
        """Where an answer goes."""
        return Laid(self) if self.moves else self.passed()

    def passed(self) -> Passed:
        """Where an answer goes as it is, not laid out."""
        return Passed(self)


class Shown:
    """An answer on its way to a person. Text comes with ``add``, is there after ``draw``, and ``end`` closes it."""

    def add(self, text: str) -> None:
        """More of the answer."""

    def draw(self) -> None:
        """Show what has come."""

    def waiting(self, text: str) -> None:
        """A word while nothing comes."""

    def resized(self) -> None:
        """The terminal has another size."""

    def end(self) -> None:
        """Nothing more comes."""


class Passed(Shown):
    """An answer as it is, for pipes and for terminals that cannot move the cursor. A pipe gets its every byte; a terminal none to obey."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._held = ""
        self._wrote = False

    def add(self, text: str) -> None:
        """Written at once."""
        if self._screen.terminal:
            text = self._held + text
            self._held = "\r" if text.endswith("\r") else ""
            text = harmless(text.removesuffix("\r") if self._held else text)
        self._wrote = self._wrote or bool(text)
        self._screen.write(text)

    def end(self) -> None:
        """A line feed ends it, so that the next one begins a line."""
        self._screen.write(harmless(self._held) + ("\n" if self._wrote else ""))

    @contextmanager
    def whole(self) -> Iterator[None]:
        """While it comes. Where it breaks off, what follows begins a line on a terminal; a pipe gets no byte that is not the answer's."""
        try:
            yield
        except BaseException:
            if self._screen.terminal:
                self.end()
            raise


class Laid(Shown):
    """An answer as laid out Markdown."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._live = Live(screen.write, screen.size)
        self._cutter = Cutter()
        self._finished: list[Part] = []

    def add(self, text: str) -> None:
        """Kept until it is drawn."""
        self._finished += self._cutter.feed(text)

    def draw(self) -> None:
        """What has come, finished and open."""
        self._live.draw(self._lines(self._finished), self._tail(self._cutter.open()))
        self._finished = []

    def waiting(self, text: str) -> None:
        """A line that goes when the answer comes."""
        self._live.draw([], [text[: self._width()]])

    def resized(self) -> None:
        """All that may be drawn again, by the new width."""
        self._live.resized()
        self.draw()

    def end(self) -> None:
        """Everything is finished now."""
        self._live.draw(self._lines([*self._finished, *self._cutter.end()]), [])
        self._finished = []
        self._live.end()

    def _width(self) -> int:
        return max(LEAST_WIDTH, self._screen.size()[0] - 1)  # in the last column terminals differ

    def _lines(self, parts: Sequence[Part]) -> list[str]:
        width = self._width()
        return [line for part in parts for line in lines_of(part, self._screen.console, width)]

    def _tail(self, parts: Sequence[Part]) -> list[str]:
        """The open part; of one that is taller than the screen, its end, until it is finished and stands there whole."""
        lines, most = self._lines(parts), max(1, self._screen.size()[1] - 1)
        return lines if len(lines) <= most else ["⋮", *lines[len(lines) - most + 1 :]][-most:]
