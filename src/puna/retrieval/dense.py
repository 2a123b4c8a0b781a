"""Passages by what they mean, as far as a small table of word vectors can tell. Knows wordllama, which brings its weights; no passage.

A text's vector is the mean of its tokens' (256 numbers, from the embeddings of larger language models), so that "car" is near
"automobile"; the order of words does not count. https://github.com/dleemiller/WordLlama
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from puna.errors import InputError

Vectors = np.ndarray[tuple[int, int], np.dtype[np.float16]]

FLOOR = 0.3
"""The cosine up to which two texts have nothing to do with each other."""


def vectors(texts: Sequence[str | int], old: Vectors | None = None) -> Vectors:
    """Unit vectors of texts, shape (len(texts), 256); of a text without a word, zeros. A number instead of a text: its row in ``old``.

    Raises:
        InputError: wordllama is not installed.
    """
    model = _model()
    unit = np.zeros((len(texts), _WIDTH), np.float16)
    if old is not None:
        known = {at: row for at, row in enumerate(texts) if isinstance(row, int)}
        unit[list(known)] = old[list(known.values())]
    new = {at: text for at, text in enumerate(texts) if isinstance(text, str)}
    if new:
        found = np.nan_to_num(np.asarray(model.embed(list(new.values())), np.float32))
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        unit[list(new)] = found / np.where(lengths > 0, lengths, 1)
    return unit


def cosines(known: Vectors, question: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """How near each text is to the question, -1 to 1, shape (len(known),)."""
    found: np.ndarray[Any, np.dtype[np.float32]] = known.astype(np.float32) @ vectors([question])[0].astype(np.float32)
    return found


_WIDTH = 256


@cache
def _model() -> Any:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        import wordllama  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise InputError("dense vectors need wordllama, which is not installed: pip install 'puna[dense]'") from error
    finally:  # it sets up the whole program's logging when it is imported
        root.handlers[:] = handlers
        root.setLevel(level)
    # The wheel brings the weights; nothing is fetched.
    return wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
