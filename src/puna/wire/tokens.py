"""Tokens with the text that each adds to an answer. Knows no dialect."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from puna.generation import Delta, Logprob
from puna.wire.dialect import Choice, Request

NO_TOKEN = Logprob(-1, b"", 0.0)
"""Stands for a token that nobody told."""


class Held:
    """Keeps the newest token back, since the last one of an answer goes out with the whole text."""

    def __init__(self) -> None:
        self._last: tuple[Logprob, str] | None = None

    def push(self, delta: Delta) -> Iterator[tuple[Logprob, str]]:
        """New tokens; gives those that may go. Text that several tokens make together goes with the last of them.

        Text of which no tokens are told goes as one without id.
        """
        tokens = delta.logprobs or ((NO_TOKEN,) if delta.text else ())
        for n, token in enumerate(tokens):
            text = delta.text if n == len(tokens) - 1 else ""
            if self._last is not None:
                yield self._last
            self._last = (token, text)

    def last(self) -> tuple[Logprob, str]:
        """The token of the last record."""
        return self._last or (NO_TOKEN, "")


def texts(choice: Choice) -> Iterator[tuple[Logprob, str]]:
    """The tokens of a whole answer, each with its text; half a character goes with the token that completes it."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for n, token in enumerate(choice.tokens):
        yield token, decoder.decode(token.data, final=n == len(choice.tokens) - 1)


def text_with_prompt(choice: Choice, request: Request) -> str:
    """The answer, after the prompt as the caller wrote it where ``return_full_text`` asks for that."""
    (prompt,) = request.prompts
    return f"{prompt}{choice.text}" if request.settings["return_full_text"] and isinstance(prompt, str) else choice.text
