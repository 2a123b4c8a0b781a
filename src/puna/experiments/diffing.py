"""Where two texts or token sequences part, and what changed from one text to another, word by word. Knows texts only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from puna.generation import Logprob

_PART = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text. kind: in both texts, only in the first (``gone``), only in the second (``new``)."""

    kind: Literal["same", "gone", "new"]
    text: str


def parting(a: Sequence[object], b: Sequence[object]) -> int | None:
    """Index of the first place where two sequences differ, from 0; where one begins the other, its length; None where they are equal."""
    for place, (one, other) in enumerate(zip(a, b, strict=False)):
        if one != other:
            return place
    return None if len(a) == len(b) else min(len(a), len(b))


def parting_token(a: Sequence[Logprob] | None, b: Sequence[Logprob] | None) -> int | None:
    """Index of the first token that differs, from 0. None where none does, or where a side does not tell its tokens.

    Tokens are compared by their bytes, since servers do not all tell ids.
    """
    if a is None or b is None:
        return None
    return parting([token.data for token in a], [token.data for token in b])


def changes(a: str, b: str) -> tuple[Piece, ...]:
    """What becomes of ``a`` where it turns into ``b``, by words, in order. Without ``new`` it is ``a``, without ``gone`` it is ``b``."""
    left, right = _PART.findall(a), _PART.findall(b)
    pieces: list[Piece] = []
    for tag, i, j, k, m in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag == "equal":
            pieces.append(Piece("same", "".join(left[i:j])))
            continue
        if j > i:
            pieces.append(Piece("gone", "".join(left[i:j])))
        if m > k:
            pieces.append(Piece("new", "".join(right[k:m])))
    return tuple(pieces)


def around(text: str, place: int, before: int = 12, after: int = 28) -> str:
    """A stretch of a text around a place, on one line, with ``...`` where it is cut off."""
    start, end = max(0, place - before), place + after
    shown = text[start:end].replace("\n", "\u23ce")
    return ("..." if start else "") + shown + ("..." if end < len(text) else "")
