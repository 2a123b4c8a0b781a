"""Which token stands for which part of a text. Knows bytes; no vocabulary, no format.

Vocabularies differ in how a token spells its text: some put a space before the first word that is in no text, some spell a
character in several tokens. Whatever they do, the parts given here join to the text exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_NEAR = 64
"""Bytes within which a token's own bytes are looked for where they do not come next."""


class Piece(NamedTuple):
    """A token's part of a text. text: empty for the first tokens of a character, whole for its last. own: the token's bytes.

    start, end: the bytes of the text that it stands for, [start, end).
    """

    id: int
    text: str
    own: bytes
    start: int
    end: int

    def as_json(self) -> list[object]:
        """``[id, text]``, with the token's own bytes in hex where they are not this text."""
        plain: list[object] = [self.id, self.text]
        return plain if self.own == self.text.encode() else [*plain, self.own.hex()]


def pieces(text: str, ids: Sequence[int], spelled: Sequence[bytes]) -> list[Piece]:
    """The text by its tokens. ids, spelled: of the same shape (n,); what each token spells by itself."""
    data = text.encode()
    ends = _ends(data, spelled)
    found: list[Piece] = []
    start = shown = 0
    for token, own, end in zip(ids, spelled, ends, strict=True):
        whole = _whole_characters(data, end)
        part = data[shown:whole].decode() if whole > shown else ""
        shown = max(shown, whole)
        found.append(Piece(token, part, own.removeprefix(b" ") if own == b" " + data[start:end] else own, start, end))
        start = end
    return found


def _ends(data: bytes, spelled: Sequence[bytes]) -> list[int]:
    """Where in the text each token ends; the last one at its end."""
    at, ends = 0, []
    for own in spelled:
        at = _after(data, at, own)
        ends.append(at)
    if ends:
        ends[-1] = len(data)
    return ends


def _after(data: bytes, at: int, own: bytes) -> int:
    if data.startswith(own, at):
        return at + len(own)
    if own.startswith(b" ") and data.startswith(own[1:], at):  # the space that a vocabulary puts before a text
        return at + len(own) - 1
    near = data.find(own, at, at + _NEAR + len(own)) if own.strip() else -1
    return near + len(own) if near >= 0 else at


def _whole_characters(data: bytes, end: int) -> int:
    """The last place up to ``end`` at which no character is cut."""
    while 0 < end < len(data) and data[end] & 0xC0 == 0x80:
        end -= 1
    return end
