"""Passages ranked by the words that they share with a question: BM25, by bm25s. Knows words and numbers; no file's place and no passage.

The scores are those of Lucene's BM25 (k1 1.5, b 0.75), computed when the index is built, so that a question only adds up columns:
bm25s (Lu 2024, https://arxiv.org/abs/2407.03618).
"""

from __future__ import annotations

import warnings
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from puna.retrieval.words import asked, words

with warnings.catch_warnings():  # in a notebook its progress bars would ask for ipywidgets; none is shown here
    warnings.simplefilter("ignore")
    import bm25s

RRF_K = 60
"""What softens the first ranks in reciprocal rank fusion; the value of its authors."""


Numbers = np.ndarray[tuple[int], np.dtype[np.int32]]


class Ranking:
    """The BM25 scores of passages. bm25: None where no passage has a word.

    rows: the words of each passage, one passage after another, as their numbers in the vocabulary. ends: where each begins, shape
    (passages + 1,).
    """

    def __init__(self, bm25: Any, rows: Numbers, ends: np.ndarray[Any, Any]) -> None:
        self._bm25 = bm25
        self._rows = rows
        self._ends = ends

    @classmethod
    def of(cls, passages: Iterable[str | int], old: Ranking | None = None) -> Ranking:
        """Built of passages, in their order: each its text, or its number in an old ranking, which knows its words already."""
        numbers: dict[str, int] = {} if old is None or old._bm25 is None else dict(old._bm25.vocab_dict)  # noqa: SLF001

        def row(passage: str | int) -> array[int]:
            if isinstance(passage, int):
                return array("i") if old is None else old._row(passage)  # noqa: SLF001
            return array("i", [numbers.setdefault(word, len(numbers)) for word in words(passage)])

        found = [row(passage) for passage in passages]
        ends = np.fromiter(accumulate(map(len, found), initial=0), np.int64, len(found) + 1)
        rows = np.frombuffer(b"".join(found), np.int32)
        if not len(rows):
            return cls(None, rows, ends)
        used = np.zeros(len(numbers), bool)
        used[rows] = True  # words that stood in passages of the old ranking alone go
        rows = (np.cumsum(used, dtype=np.int32) - 1)[rows]
        vocabulary = {word: n for n, word in enumerate(word for word, number in numbers.items() if used[number])}
        made = cls(bm25s.BM25(), rows, ends)
        corpus = [made._row(n) for n in range(len(found))]
        made._bm25.index((corpus, vocabulary), create_empty_token=False, show_progress=False)
        return made

    def _row(self, n: int) -> array[int]:
        """The words of the n-th passage, in the kind of sequence that bm25s counts fastest."""
        return array("i", self._rows[self._ends[n] : self._ends[n + 1]].tobytes())

    @classmethod
    def load(cls, folder: Path) -> Ranking:
        """The one that was saved there."""
        bm25 = bm25s.BM25.load(folder, show_progress=False) if (folder / _PARAMETERS).exists() else None
        return cls(bm25, np.load(folder / _ROWS), np.load(folder / _ENDS))

    def save(self, folder: Path) -> None:
        """Into a folder of its own, which is made."""
        folder.mkdir(parents=True)
        if self._bm25 is not None:
            self._bm25.save(folder, show_progress=False)
        np.save(folder / _ROWS, self._rows)
        np.save(folder / _ENDS, self._ends)

    def scores(self, question: str) -> np.ndarray[tuple[int], np.dtype[np.float32]] | None:
        """The score of each passage, 0 or more; None where none shares a word with the question."""
        if self._bm25 is None:
            return None
        known = self._bm25.get_tokens_ids(list(dict.fromkeys(asked(question))))
        if not known:
            return None
        found: np.ndarray[tuple[int], np.dtype[np.float32]] = self._bm25.get_scores_from_ids(known)
        return found


_PARAMETERS, _ROWS, _ENDS = "params.index.json", "rows.npy", "ends.npy"


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
