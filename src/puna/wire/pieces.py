"""In which pieces an answer goes over the wire. Knows text only."""

from __future__ import annotations

_UNSHOWN = ("", " ")


class Pieces:
    """Keeps pieces apart from those that readers throw away: "" and the lone " ".

    The workshop's notebook passes over a piece that equals "" or " ", so words would run together wherever a model's
    token is a space alone. Such a piece is held back and goes before the next one. A lone space that is still held when
    the answer ends is dropped: nobody would have seen it. An answer that is sent whole is the same pieces joined, so that
    it equals the streamed one.
    """

    def __init__(self) -> None:
        self._held = ""

    def push(self, text: str) -> list[str]:
        """New text of the answer; gives the pieces, none or one, that may go now."""
        piece = self._held + text
        if piece in _UNSHOWN:
            self._held = piece
            return []
        self._held = ""
        return [piece]
