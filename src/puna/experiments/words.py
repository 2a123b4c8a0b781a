"""How a text is cut into words for measures and comparisons. Knows no model: these are not its tokens.

A word is a run of letters, digits and marks inside it (``don't``); a punctuation mark is a word of its own, and so is each character of
a script that is written without spaces between words (Chinese characters and kana). Upper and lower case stay apart.
"""

from __future__ import annotations

import re

_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_PIECE = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+(?:['\u2019][^\W{_UNSPACED}]+)*|[^\w\s]")


def pieces(text: str) -> list[str]:
    """Words and punctuation marks, in order, shape (n,)."""
    return _PIECE.findall(text)


def words(text: str) -> list[str]:
    """Words without punctuation marks, in order, shape (n,)."""
    return [piece for piece in pieces(text) if piece[0].isalnum() or piece[0] == "_"]


def grams(parts: list[str], n: int) -> list[tuple[str, ...]]:
    """Every run of n of the parts, shape (max(0, len(parts) - n + 1),)."""
    return list(zip(*(parts[k:] for k in range(n)), strict=False))
