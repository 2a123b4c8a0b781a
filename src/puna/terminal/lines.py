"""Where what is typed ends: lines that go on after a backslash or inside triple quotes. Knows text; no keys and no terminal."""

from __future__ import annotations

QUOTES = '"""'


def goes_on(text: str) -> bool:
    """Whether triple quotes at the beginning are not closed yet."""
    begun = text.lstrip()
    return begun.startswith(QUOTES) and (len(begun) < 2 * len(QUOTES) or not begun.rstrip().endswith(QUOTES))


def unquoted(text: str) -> str:
    """Without the triple quotes around it."""
    whole = text.strip()
    if whole.startswith(QUOTES) and whole.endswith(QUOTES) and len(whole) >= 2 * len(QUOTES):
        return whole[len(QUOTES) : -len(QUOTES)].strip("\n")
    return text


class Joining:
    """Makes messages of lines that come from a file or a pipe: one of each, but for those that go on."""

    def __init__(self) -> None:
        self._text = ""

    def feed(self, line: str) -> str | None:
        """The message that the line ends; None where it goes on. line: without its line feed."""
        self._text += line
        if self._text.endswith("\\"):
            self._text = self._text[:-1] + "\n"
        elif goes_on(self._text):
            self._text += "\n"
        else:
            return self.end()
        return None

    def end(self) -> str | None:
        """What is left at the end of input; None for nothing."""
        text, self._text = self._text, ""
        return text
