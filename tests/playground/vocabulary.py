"""A small vocabulary that can be read back: pieces of text, single bytes for what is no letter of it, control tokens."""

from __future__ import annotations

import re
import threading
import zlib
from collections.abc import Iterable, Mapping

from puna.errors import InputError

CONTROL: Mapping[str, int] = {"<s>": 1, "</s>": 2, "<|im_start|>": 3, "<|im_end|>": 4}
BYTES = 5
"""Id of the byte 0; the other 255 follow."""

WORDS = 300
SIZE = 32000
_PIECES = re.compile(r" ?[^\W\d_]+| ?\d| ?[!-/:-@\[-`{-~]|\s|.", re.DOTALL)


class Vocabulary:
    """Words with the space before them; an emoji is its four bytes. Ids are the same in every run."""

    control = CONTROL

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._lock = threading.Lock()

    def encode(self, text: str) -> list[int]:
        """Ids of plain text, shape (n,)."""
        return [number for piece in _PIECES.findall(text) for number in self._piece(piece)]

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The text of each id, bytes that are no character replaced."""
        return [self.bytes_of(number).decode("utf-8", "replace") for number in ids]

    def bytes_of(self, token: int) -> bytes:
        """What an id adds to the text.

        Raises:
            InputError: an id that stands for nothing so far.
        """
        if token < BYTES:
            return b""
        if token < BYTES + 256:
            return bytes([token - BYTES])
        with self._lock:
            if token not in self._texts:
                raise InputError(f"no such token: {token}")
            return self._texts[token].encode()

    def id_of(self, piece: str) -> int:
        """The id of a word, given on first use; of two words that would share one, the later gets the next that is free."""
        with self._lock:
            if piece not in self._ids:
                number = WORDS + zlib.crc32(piece.encode()) % (SIZE - WORDS)
                while number in self._texts:
                    number = WORDS + (number + 1 - WORDS) % (SIZE - WORDS)
                self._ids[piece], self._texts[number] = number, piece
            return self._ids[piece]

    def _piece(self, piece: str) -> Iterable[int]:
        """Letters of all scripts are words; what lies beyond the Basic Multilingual Plane is bytes."""
        if max(piece) > "\uffff":
            return (BYTES + byte for byte in piece.encode())
        return (self.id_of(piece),)
