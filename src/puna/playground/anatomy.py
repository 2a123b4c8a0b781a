"""A prompt as the page draws it: token by token, each with who wrote it; and the window, part by part. Pure.

Sums are made of the very tokens that are shown, so they cannot differ from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from puna.generation import Prompt
from puna.playground.labels import Label, Span
from puna.playground.spelling import Piece, pieces

PARTS = ("system", "context", "history", "turn")
"""Parts of the window that a prompt takes: system text, context and examples, earlier turns, the turn to be answered."""


def labelled(prompt: Prompt, spelled: Sequence[bytes], spans: Iterable[Span]) -> list[tuple[Label, Piece]]:
    """Each token with its label. spelled: what the tokens spell, shape (n,). spans: join to the prompt's text."""
    edges: list[tuple[int, Label]] = []
    at = 0
    for text, label in spans:
        at += len(text.encode())
        edges.append((at, label))
    found, n = [], 0
    for piece in pieces(prompt.text, prompt.ids, spelled):
        while n < len(edges) - 1 and _lies_behind(piece, edges[n][0]):
            n += 1
        found.append((edges[n][1], piece))
    return found


def _lies_behind(piece: Piece, edge: int) -> bool:
    """Whether a token belongs to what follows an edge: by its greater half, where it stands on both sides."""
    return piece.start >= edge or (piece.end > edge and piece.end - edge >= edge - piece.start)


def drawn(tokens: Sequence[tuple[Label, Piece]]) -> list[dict[str, object]]:
    """The tokens in runs of one label, as JSON values."""
    runs: list[dict[str, object]] = []
    last: Label | None = None
    shown: list[list[object]] = []
    for label, piece in tokens:
        if label != last:
            shown = []
            runs.append({"kind": label.kind, "turn": label.turn, "message": label.message, "tokens": shown})
            last = label
        shown.append(piece.as_json())
    return runs


def window(tokens: Sequence[tuple[Label, Piece]], reserve: int, context: int) -> dict[str, object]:
    """Where the window's tokens go. ``prompt_tokens + reserve + free == context``; reserve: for the answer.

    context: 0 where nobody knows it; then nothing is free, and nothing is too much.
    """
    parts = dict.fromkeys(PARTS, 0)
    for label, _ in tokens:
        parts[label.part] += 1
    return {"prompt_tokens": len(tokens), "reserve": reserve, "parts": parts, **_room(len(tokens), reserve, context)}


def _room(used: int, reserve: int, context: int) -> dict[str, object]:
    if not context:
        return {"context": None, "free": None, "over": 0, "fits_max_tokens": None}
    room = context - used
    free = room - reserve
    return {"context": context, "free": free, "over": max(0, -free), "fits_max_tokens": room if room > 0 else None}


def untold(spans: Iterable[Span], tokens: int, reserve: int, context: int) -> dict[str, object]:
    """The same of a prompt whose tokens are the server's affair: its pieces as they are sent, each as one without an id.

    tokens: how many the server counts, 0 where it does not say. context: as in ``window``.
    """
    segments = [
        {"kind": label.kind, "turn": label.turn, "message": label.message, "tokens": [[None, text]]}
        for text, label in spans
        if text
    ]
    return {
        "segments": segments,
        "prompt_tokens": tokens or None,
        "reserve": reserve,
        "parts": None,
        **_room(tokens, reserve, context if tokens else 0),
        "context": context or None,
    }
