"""What is wrong with a written prompt, and the same prompt without it. Knows no family."""

from __future__ import annotations

from dataclasses import dataclass

from puna.errors import DialogError
from puna.formats.base import Parsed
from puna.formats.catalog import AUTO, FORMATS, PLAIN, parse
from puna.formats.slips import ERROR
from puna.formats.translate import canonical

_ROUNDS = 8
"""Readings until a text must be its own mended form; contents without tags need one, tags inside them a few."""


@dataclass(frozen=True, slots=True)
class Lint:
    """A prompt and what was found in it. asked: the format that it was read as, a name or ``auto``."""

    text: str
    parsed: Parsed
    asked: str = AUTO

    @property
    def ok(self) -> bool:
        """Whether there is no error; warnings and notes may be there."""
        return all(finding.severity != ERROR for finding in self.parsed.findings)

    def fixed(self) -> str:
        """The prompt as its family writes it. Fixing it again changes nothing.

        Raises:
            DialogError: its contents hold tags that make every reading another one.
        """
        return _fixed(self.text, self.parsed, self.asked)


def lint(text: str, format: str = AUTO) -> Lint:  # noqa: A002  # as it is typed
    """Read a prompt and say what is wrong with it.

    Raises:
        InputError: there is no format of that name.
        DialogError: the text is not of the format that was named.
    """
    return Lint(text, parse(text, format), format)


def fix(text: str, format: str = AUTO) -> str:  # noqa: A002  # as it is typed
    """The prompt as its family writes it: read and written until nothing changes. Other text stays as it is.

    Raises:
        InputError: there is no format of that name.
        DialogError: the text is not of the format that was named; or nothing ever stays, since tags inside the
            contents are read as turns.
    """
    return _fixed(text, parse(text, format), format)


def _fixed(text: str, parsed: Parsed, asked: str) -> str:
    for _ in range(_ROUNDS):
        if parsed.format == PLAIN:
            return text
        before, text = text, canonical(parsed, FORMATS[parsed.format])
        if text == before:
            return text
        parsed = parse(text, asked)
    raise DialogError(
        "this prompt cannot be mended by rule: tags inside its messages are read as turns of their own; "
        "remove them from the messages, or send the messages as such instead of one text"
    )
