"""Byte-level vocabularies in which the control tokens of all chat families are within reach of a message."""

from __future__ import annotations

from puna.tokens.bytelevel import ALPHABET
from tests.tokens.forgeries import CONTROL_TEXTS

_SPELLED = {byte: letter for letter, byte in ALPHABET.items()}


def spelled(text: str) -> str:
    """A text in the alphabet of such vocabularies."""
    return "".join(_SPELLED[byte] for byte in text.encode())


def merging_into(texts: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Tokens and merges in which each text grows letter by letter from its beginning, up to the whole of it."""
    tokens = dict.fromkeys(ALPHABET)
    merges: dict[str, None] = {}
    for text in texts:
        written = spelled(text)
        grown = written[0]
        for letter in written[1:]:
            merges[f"{grown} {letter}"] = None
            grown += letter
            tokens[grown] = None
    return list(tokens), list(merges)


TOKENS, MERGES = merging_into((*CONTROL_TEXTS, "Hello", " world", "éa", "!!!", "</s>nap", "123"))
"""The worst that a vocabulary can do: plain merges come to every control token, and one goes on from there."""

CONTROL = {text: TOKENS.index(spelled(text)) for text in CONTROL_TEXTS}
