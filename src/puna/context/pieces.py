"""A piece of a source: text that a model is shown to answer from, and where it stands. Knows no tokens and no file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """Text from a source, whole: it is shown as it is, or left out.

    source: what a person finds it by, such as a path; empty for text that has none. heading: the headings that it stands under, the
    outermost first. start, end: its characters in the source's text, [start, end); None where nobody knows. line: its first line in
    the source, from 1.
    """

    text: str
    source: str = ""
    heading: tuple[str, ...] = ()
    start: int | None = None
    end: int | None = None
    line: int | None = None

    @property
    def label(self) -> str:
        """``guide.md:12``, as editors and compilers write a place; the source alone where the line is not known."""
        return self.source if self.line is None else f"{self.source}:{self.line}"
