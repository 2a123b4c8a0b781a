"""How alike texts are: BLEU, and the diversity of several texts by it. Knows texts, no rows and no model.

BLEU (Papineni et al. 2002, https://aclanthology.org/P02-1040) of a sentence, from 0 to 1, as sacrebleu computes it: the geometric mean of
the shares of a text's n-grams, n = 1 to 4, that the other text has too, times a penalty for the shorter text. An order without a common
n-gram counts as 1 / (2^k total), k = 1 for the first such order ("exp", the smoothing of NIST's mteval, method 3 of Chen and Cherry 2014,
https://aclanthology.org/W14-3346); orders that the text is too short for are left out (sacrebleu's ``effective_order``). Words are cut by
``puna.experiments.words``.

Pairwise BLEU (Shen et al. 2019, https://arxiv.org/abs/1902.07816) is the BLEU of each text against each other one; the mean of it over
the answers to one prompt is low where they differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from puna.errors import InputError
from puna.experiments.words import grams, pieces

ORDERS = 4
"""Longest n-grams."""


def bleu(a: str, b: str) -> float:
    """BLEU of ``a`` against ``b``, 0 to 1. Two texts without a word are the same, 1; one of them against another text is 0."""
    return float(_directed([a, b])[0, 1])


def pairwise_bleu(texts: Sequence[str]) -> NDArray[np.float64]:
    """How alike each two texts are, shape (n, n), 0 to 1: the mean of both directions of BLEU, so symmetric; 1 on the diagonal."""
    directed = _directed(texts)
    return (directed + directed.T) / 2


def diversity(similarities: NDArray[np.float64]) -> float:
    """1 less the mean similarity of two different texts, 0 (all the same) to 1. similarities: shape (n, n), as ``pairwise_bleu`` gives.

    Raises:
        InputError: fewer than two texts.
    """
    n = len(similarities)
    if n < 2:
        raise InputError(f"diversity needs at least two outputs to compare, not {n}; sweep with more repeats")
    others = float(similarities.sum() - np.trace(similarities)) / (n * (n - 1))
    return 1.0 - others


def _directed(texts: Sequence[str]) -> NDArray[np.float64]:
    """BLEU of text i against text j, shape (n, n)."""
    parts = [pieces(text) for text in texts]
    lengths = np.array([len(words) for words in parts], dtype=np.float64)
    logs = np.zeros((len(texts), len(texts)))
    misses = np.zeros_like(logs)
    for n in range(1, ORDERS + 1):
        common = _common([grams(words, n) for words in parts])
        total = np.maximum(lengths - n + 1, 0)[:, None]
        misses += (common == 0) & (total > 0)
        share = np.where(common > 0, common, np.exp2(-misses)) / np.maximum(total, 1)
        logs += np.where(total > 0, np.log(share), 0)
        if n == 1:
            nothing = common == 0
    orders = np.clip(lengths, 1, ORDERS)[:, None]
    penalty = np.minimum(0, 1 - lengths[None, :] / np.maximum(lengths, 1)[:, None])
    found: NDArray[np.float64] = np.where(nothing, 0, np.exp(logs / orders + penalty))
    empty = lengths == 0
    found[np.ix_(empty, empty)] = 1
    np.fill_diagonal(found, 1)
    return found


def _common(counted: Sequence[list[tuple[str, ...]]]) -> NDArray[np.float64]:
    """How many n-grams each two texts share, each as often as both have it, shape (n, n)."""
    # The k-th occurrence of an n-gram is a feature, so that shared features are min(count in a, count in b).
    known: dict[tuple[tuple[str, ...], int], int] = {}
    rows: list[int] = []
    columns: list[int] = []
    for row, found in enumerate(counted):
        seen: Counter[tuple[str, ...]] = Counter()
        for gram in found:
            seen[gram] += 1
            columns.append(known.setdefault((gram, seen[gram]), len(known)))
            rows.append(row)
    has = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(counted), max(1, len(known))))
    shared: NDArray[np.float64] = (has @ has.T).toarray()
    return shared
