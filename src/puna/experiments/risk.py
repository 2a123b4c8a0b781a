"""Selective answering: what is gained by answering only where a score is high. Knows numbers; no model, no question and no file.

An answer has a score, and is right or not. At a coverage c the share c with the highest scores is answered; the risk is the share of
wrong ones among these (El-Yaniv and Wiener 2010, https://www.jmlr.org/papers/v11/el-yaniv10a.html). Of equal scores each order counts
alike. Intervals are bootstraps over groups, such as documents: answers of one group are not independent, groups are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from puna.errors import InputError
from puna.experiments.stats import SEED, Floats, Interval, wilson

DRAWS = 2000
"""Resamples of groups."""

BINS = 5
"""Of a reliability diagram: of equal numbers of answers."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Answers with a score. scores, right, groups: shape (n,), right 0 or 1, groups any whole numbers.

    Raises:
        InputError: no answers, different shapes, or a score that is no finite number.
    """

    scores: Floats
    right: Floats
    groups: NDArray[np.int64]

    def __post_init__(self) -> None:
        if not len(self.scores) == len(self.right) == len(self.groups) > 0:
            shapes = f"{len(self.scores)}, {len(self.right)} and {len(self.groups)}"
            raise InputError(f"scores, outcomes and groups must be of the same answers, one at least, not {shapes}")
        if not np.isfinite(self.scores).all():
            raise InputError("a score must be a finite number; leave out answers that have none")

    @classmethod
    def of(cls, scores: Sequence[float], right: Sequence[bool], groups: Sequence[object]) -> Scored:
        """Of plain values; groups: anything that can be compared for equality."""
        numbers = {group: n for n, group in enumerate(dict.fromkeys(groups))}
        return cls(
            np.asarray(scores, dtype=np.float64),
            np.asarray(right, dtype=np.float64),
            np.asarray([numbers[group] for group in groups], dtype=np.int64),
        )

    def at(self, rows: NDArray[np.int64]) -> Scored:
        """These of the answers, also several times."""
        return Scored(self.scores[rows], self.right[rows], self.groups[rows])

    def resampled(self, draws: int = DRAWS) -> Sequence[Scored]:
        """As many groups drawn with replacement, with all their answers, ``draws`` times; the same each time."""
        members = [np.flatnonzero(self.groups == group) for group in np.unique(self.groups)]
        random = np.random.default_rng(SEED)
        picks = random.integers(len(members), size=(draws, len(members)))
        return [self.at(np.concatenate([members[pick] for pick in row])) for row in picks]


Statistic = Callable[[Scored], float | None]
"""None where the answers cannot tell, as where all are right."""


def auroc(answers: Scored) -> float | None:
    """The chance that a right answer has a higher score than a wrong one, equal ones counted half; None where all are the same.

    The area under the ROC curve: 0.5 for a score that tells nothing.
    """
    good, bad = answers.scores[answers.right > 0], answers.scores[answers.right == 0]
    if not len(good) or not len(bad):
        return None
    ordered = np.sort(bad)
    below, upto = np.searchsorted(ordered, good, "left"), np.searchsorted(ordered, good, "right")
    return float((below + upto).mean() / 2 / len(bad))


def risks(answers: Scored) -> Floats:
    """The risk where the k answers with the highest scores are given, k from 1 to n; shape (n,)."""
    order = np.argsort(-answers.scores, kind="stable")
    scores, right = answers.scores[order], answers.right[order]
    _, start, count = np.unique(-scores, return_index=True, return_counts=True)
    shared = np.repeat(np.add.reduceat(right, start) / count, count)  # of equals, what each order gives in the mean
    return np.asarray(1 - np.cumsum(shared) / np.arange(1, len(right) + 1), dtype=np.float64)


def aurc(answers: Scored) -> float:
    """The mean risk over all coverages (Geifman et al. 2019, https://arxiv.org/abs/1805.08206); 0 is best, the share of wrong ones is chance's."""
    return float(risks(answers).mean())


def oracle(answers: Scored) -> Scored:
    """The same answers, scored by whether they are right: no score does better."""
    return Scored(answers.right, answers.right, answers.groups)


def error(answers: Scored) -> float:
    """The share of wrong answers: the risk at full coverage, and the expected one at any where answers are chosen by chance."""
    return float(1 - answers.right.mean())


def brier(answers: Scored) -> float:
    """Mean squared difference of the probability and what came (Brier 1950). scores: probabilities."""
    return float(((answers.scores - answers.right) ** 2).mean())


def calibration_error(answers: Scored) -> float:
    """Expected calibration error (Naeini et al. 2015): mean distance of probability and frequency, over ``BINS`` bins. scores: probabilities.

    It is never 0 by chance: of few answers a perfect score has some hundredths too.
    """
    apart = (len(bin_) * abs(answers.scores[bin_].mean() - answers.right[bin_].mean()) for bin_ in _bins(answers))
    return float(sum(apart) / len(answers.scores))


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of like probability. said: its mean. came: the share that is right, with Wilson's interval, as if they were independent."""

    said: float
    came: Interval
    n: int


def reliability(answers: Scored) -> list[Bin]:
    """``BINS`` bins of as many answers each, the least probable first. scores: probabilities."""
    return [
        Bin(float(answers.scores[bin_].mean()), wilson(int(answers.right[bin_].sum()), len(bin_)), len(bin_))
        for bin_ in _bins(answers)
    ]


def _bins(answers: Scored) -> list[NDArray[np.int64]]:
    order = np.argsort(answers.scores, kind="stable")
    return [part for part in np.array_split(order, BINS) if len(part)]


def interval(answers: Scored, of: Statistic, level: float = 0.95) -> Interval | None:
    """The statistic with its bootstrap percentile interval over groups; None where the answers cannot tell it.

    Resamples that cannot tell it are left out. With fewer than two groups there are no ends.
    """
    return _interval(of(answers), [of(drawn) for drawn in _drawn(answers)], level)


def difference(answers: Scored, others: Scored, of: Statistic, level: float = 0.95) -> Interval | None:
    """How much higher the statistic is of these scores than of others of the same answers; resampled together.

    Raises:
        InputError: they are not of the same answers.
    """
    if not np.array_equal(answers.groups, others.groups):
        raise InputError("two scores can only be compared on the same answers, in the same order")
    pairs = zip(_drawn(answers), _drawn(others), strict=True)
    return _interval(_less(of(answers), of(others)), [_less(of(one), of(other)) for one, other in pairs], level)


def band(answers: Scored, coverages: Sequence[float], level: float = 0.95) -> list[Interval]:
    """The risk at each coverage, above 0 to 1, with its interval at that coverage alone."""
    drawn = np.array([_at(risks(one), coverages) for one in _drawn(answers)]).reshape(-1, len(coverages))
    told = _at(risks(answers), coverages)
    if not len(drawn):
        return [Interval(float(risk)) for risk in told]
    ends = np.quantile(drawn, ((1 - level) / 2, (1 + level) / 2), axis=0)
    return [Interval(float(risk), float(low), float(high)) for risk, low, high in zip(told, *ends, strict=True)]


def _at(found: Floats, coverages: Sequence[float]) -> Floats:
    at = np.clip(np.ceil(np.asarray(coverages) * len(found) - 1e-9).astype(int), 1, len(found)) - 1
    return np.asarray(found[at], dtype=np.float64)


def _drawn(answers: Scored) -> Sequence[Scored]:
    return answers.resampled() if len(np.unique(answers.groups)) > 1 else ()


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _interval(told: float | None, drawn: Sequence[float | None], level: float) -> Interval | None:
    if told is None:
        return None
    known = [value for value in drawn if value is not None]
    if not known:
        return Interval(told)
    low, high = np.quantile(known, ((1 - level) / 2, (1 + level) / 2))
    return Interval(told, float(low), float(high))
