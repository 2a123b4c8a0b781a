"""A tokenizer that remembers what it encoded, so that a long dialog with one turn more costs that turn. Knows no file."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from threading import Lock

from puna.tokens.base import Tokenizer


class Cached:
    """The same tokenizer; ``encode`` is answered from memory where the same text came before.

    Runs end at control tokens, so every turn of a format with control tokens is a text of its own here. What was used
    longest ago goes first, beyond ``entries`` texts or ``characters`` in all (about 6 bytes of memory for each at worst).
    A text of more than a quarter of ``characters`` is not kept: it would push out everything else.
    """

    def __init__(self, tokenizer: Tokenizer, *, entries: int = 4096, characters: int = 4 << 20) -> None:
        self._tokenizer = tokenizer
        self._entries = entries
        self._characters = characters
        self._known: OrderedDict[str, array[int]] = OrderedDict()
        self._held = 0
        self._lock = Lock()  # the server's loop and the callers of puna.api share one tokenizer

    @property
    def control(self) -> Mapping[str, int]:
        """The tokenizer's own."""
        return self._tokenizer.control

    def encode(self, text: str) -> list[int]:
        """Ids of plain text, shape (n,); a list of the caller's own."""
        with self._lock:
            known = self._known.get(text)
            if known is not None:
                self._known.move_to_end(text)
                return known.tolist()
        ids = self._tokenizer.encode(text)
        if len(text) <= self._characters // 4:
            self._keep(text, array("I", ids))
        return ids

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The tokenizer's own."""
        return self._tokenizer.pieces(ids)

    def bytes_of(self, token: int) -> bytes:
        """The tokenizer's own."""
        return self._tokenizer.bytes_of(token)

    def _keep(self, text: str, ids: array[int]) -> None:
        with self._lock:
            if self._known.setdefault(text, ids) is not ids:
                return
            self._held += len(text)
            while self._known and (len(self._known) > self._entries or self._held > self._characters):
                oldest, _ = self._known.popitem(last=False)
                self._held -= len(oldest)
