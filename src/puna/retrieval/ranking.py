"""Passages ranked by the words that they share with a question: BM25, by bm25s. Knows words and numbers; no file's place and no passage.

The scores are those of Lucene's BM25 (k1 1.5, b 0.75), computed when the index is built, so that a question only adds up columns:
bm25s (Lu 2024, https://arxiv.org/abs/2407.03618).
"""

from __future__ import annotations

import warnings
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from puna.retrieval.words import asked, words

with warnings.catch_warnings():  # in a notebook its progress bars would ask for ipywidgets; none is shown here
    warnings.simplefilter("ignore")
    import bm25s

RRF_K = 60
"""What softens the first ranks in reciprocal rank fusion; the value of its authors."""


class Ranking:
    """The BM25 scores of passages. bm25: None where no passage has a word."""

    def __init__(self, bm25: Any) -> None:
        self._bm25 = bm25

    @classmethod
    def of(cls, texts: Iterable[str]) -> Ranking:
        """Built of passages, in their order."""
        numbers: dict[str, int] = {}
        rows = [array("i", [numbers.setdefault(word, len(numbers)) for word in words(text)]) for text in texts]
        if not numbers:
            return cls(None)
        bm25 = bm25s.BM25()
        bm25.index((rows, numbers), create_empty_token=False, show_progress=False)
        return cls(bm25)

    @classmethod
    def load(cls, folder: Path) -> Ranking:
        """The one that was saved there."""
        return cls(bm25s.BM25.load(folder, show_progress=False) if (folder / _PARAMETERS).exists() else None)

    def save(self, folder: Path) -> None:
        """Into a folder of its own, which is made."""
        folder.mkdir(parents=True)
        if self._bm25 is not None:
            self._bm25.save(folder, show_progress=False)

    def scores(self, question: str) -> np.ndarray[tuple[int], np.dtype[np.float32]] | None:
        """The score of each passage, 0 or more; None where none shares a word with the question."""
        if self._bm25 is None:
            return None
        known = self._bm25.get_tokens_ids(list(dict.fromkeys(asked(question))))
        if not known:
            return None
        found: np.ndarray[tuple[int], np.dtype[np.float32]] = self._bm25.get_scores_from_ids(known)
        return found


_PARAMETERS = "params.index.json"


def best(scores: np.ndarray[Any, Any], n: int, above: float = 0.0) -> list[int]:
    """The numbers of the ``n`` highest scores above a bound, highest first; of equals the earlier one. scores: shape (passages,)."""
    n = min(n, len(scores))
    if not n:
        return []
    bound = max(np.partition(scores, -n)[-n], np.nextafter(scores.dtype.type(above), scores.dtype.type(np.inf)))
    chosen = np.flatnonzero(scores >= bound)
    return [int(number) for number in chosen[np.argsort(-scores[chosen], kind="stable")][:n]]


def fused(*rankings: Sequence[int]) -> dict[int, float]:
    """Reciprocal rank fusion: what stands at rank r of a ranking gets 1 / (60 + r), r from 1; the sum over the rankings, highest first.

    Cormack, Clarke and Büttcher 2009, https://doi.org/10.1145/1571941.1572114.
    """
    found: dict[int, float] = {}
    for ranking in rankings:
        for rank, number in enumerate(ranking, 1):
            found[number] = found.get(number, 0.0) + 1 / (RRF_K + rank)
    return dict(sorted(found.items(), key=lambda entry: (-entry[1], entry[0])))
