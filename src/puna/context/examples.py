"""Few-shot examples, chosen for a question. Knows words; no model and no tokens: what fits a prompt is for ``pack`` to find out.

The best one comes first, since packing takes examples in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from itertools import zip_longest

from puna.context.grounding import Example
from puna.context.words import content_words
from puna.errors import InputError, unknown


class By(StrEnum):
    """How examples are chosen."""

    FIRST = "first"
    """The first ones, the same for every question, so that a prompt cache keeps them."""
    NEAREST = "nearest"
    """Those whose questions share words with the question (BM25), the nearest first; Liu et al. 2022, https://aclanthology.org/2022.deelio-1.10."""
    BALANCED = "balanced"
    """As many of each label as of any other, in turn, so that no label is likelier for being seen more; Zhao et al. 2021, https://arxiv.org/abs/2102.09690."""


def choose(
    examples: Sequence[Example],
    question: str,
    n: int,
    by: str = By.FIRST,
    label: Callable[[Example], str] = lambda example: example.answer.strip(),
) -> tuple[Example, ...]:
    """At most ``n`` of the examples. label: what ``balanced`` balances over; the answer, where nothing else is said.

    Raises:
        InputError: n below 0, another ``by``, or bm25s is not installed.
    """
    if n < 0:
        raise InputError(f"the number of examples must be 0 or more, not {n}")
    if by not in list(By):
        raise InputError(unknown("way to choose examples", by, By))
    if by == By.NEAREST:
        return tuple(examples[at] for at in _nearest(examples, question)[:n])
    if by == By.BALANCED:
        groups: dict[str, list[Example]] = {}
        for example in examples:
            groups.setdefault(label(example), []).append(example)
        turns = zip_longest(*groups.values())
        return tuple(example for turn in turns for example in turn if example is not None)[:n]
    return tuple(examples[:n])


def _nearest(examples: Sequence[Example], question: str) -> list[int]:
    """Indices of the examples, the nearest first; of those equally near, in their order."""
    try:
        import bm25s  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            f"the nearest examples need bm25s ({error}); install it with: pip install 'puna[documents]'"
        ) from error
    corpus = [[word.text for word in content_words(example.question)] for example in examples]
    asked = [word.text for word in content_words(question)]
    known = {word for words in corpus for word in words}
    asked = [word for word in asked if word in known]
    if not asked:
        return list(range(len(examples)))
    index = bm25s.BM25()
    index.index(corpus, show_progress=False)
    scores = index.get_scores(asked)
    return sorted(range(len(examples)), key=lambda at: -float(scores[at]))
