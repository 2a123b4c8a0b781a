"""Ends a text before the first stop text in it, where the server did not. Knows text only.

TGI leaves the stop text in its answer (text-generation-inference, ``StoppingCriteria``), and a container that does not know the field ``stop`` goes on
beyond it.
"""

from __future__ import annotations

from collections.abc import Sequence


class Stops:
    """Text as it comes. met: the stop text that was found, after which nothing is given any more."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.met: str | None = None

    def push(self, text: str) -> str:
        """New text; gives what may go. What could be the beginning of a stop text is held."""
        if self.met is not None:
            return ""
        text = self._held + text
        found = [(at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            at, self.met = min(found)
            self._held = ""
            return text[:at]
        keep = self._beginning(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def rest(self) -> str:
        """The text has ended: what was held after all."""
        held, self._held = self._held, ""
        return held

    def _beginning(self, text: str) -> int:
        """Characters at the end that a stop text begins with, the most of them."""
        longest = max((len(stop) - 1 for stop in self._stops), default=0)
        for length in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stops):
                return length
        return 0
