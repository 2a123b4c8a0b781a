"""Paired permutation tests and the intervals that they make, of plain numbers. Knows no rows and no measures.

The test: if two sides do not differ, a pair could as well have been the other way round, so each difference could as well have the other
sign. p is the share of all ways to choose signs whose mean is at least as far from 0. All 2**n ways are counted up to n = 14, beyond
that as many as are drawn, from a generator with a fixed seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from puna.errors import InputError
from puna.experiments.stats import SEED, Floats, Interval, Values

EXACT = 14
"""Most pairs of which every choice of signs is counted."""

DRAWS = 9999
"""Choices of signs that are drawn for more pairs, unless more are asked for."""

_SMALL = 20
"""Of so few choices that are as far from 0, their share is too rough to be multiplied by the size of a family."""

_ROWS = 10_000
"""Most choices at a time."""

_BLOCK = 2_000_000
"""Most numbers that are worked on at a time."""


@dataclass(frozen=True, slots=True)
class Paired:
    """What pairs say of a difference. difference: its mean, with the interval of all values that the test at its level does not refuse."""

    p: float
    difference: Interval


def paired_permutation(differences: Values, draws: int = DRAWS) -> float:
    """The probability of a mean at least as far from 0, were the sides of each pair exchangeable; 0 to 1.

    Raises:
        InputError: no difference, or one that is no finite number.
    """
    return paired_tests([differences], draws=draws)[0].p


def difference_interval(differences: Values, level: float = 0.95) -> Interval:
    """The mean difference, with the interval of all values that the permutation test does not refuse: it agrees with the test's p.

    Exact for differences that are symmetric about their mean (Hartigan 1969, J. Am. Stat. Assoc. 64:1303). No ends
    where there are too few pairs for the test to refuse any value: fewer than 6, at 95 %.

    Raises:
        InputError: no difference, or one that is no finite number.
    """
    return paired_tests([differences], level)[0].difference


def paired_tests(sets: Sequence[Values], level: float = 0.95, draws: int = DRAWS, most_draws: int = 0) -> list[Paired]:
    """Test and interval of each set of differences. Sets of one length share the choices of signs.

    most_draws: where ``draws`` choices cannot tell how small a p is, so many are drawn instead, anew; the interval stays.

    Raises:
        InputError: a set without a difference, or with one that is no finite number.
    """
    arrays = [np.asarray(each, dtype=np.float64) for each in sets]
    if any(not array.size or not np.isfinite(array).all() for array in arrays):
        raise InputError(
            "a paired test needs at least one difference, and finite ones; leave out pairs without both values"
        )
    found: dict[int, Paired] = {}
    for n in {len(array) for array in arrays}:
        places = [place for place, array in enumerate(arrays) if len(array) == n]
        at_once = max(1, _BLOCK // (2 ** (n - 1) if n <= EXACT else draws))
        for start in range(0, len(places), at_once):
            some = places[start : start + at_once]
            found |= zip(some, _tests(np.column_stack([arrays[place] for place in some]), level, draws), strict=True)
        small = [place for place in places if n > EXACT and found[place].p <= _SMALL / draws]
        if small and most_draws > draws:
            finer = _ps(np.column_stack([arrays[place] for place in small]), most_draws)
            found |= {place: replace(found[place], p=p) for place, p in zip(small, finer, strict=True)}
    return [found[place] for place in range(len(arrays))]


def _tests(differences: Floats, level: float, draws: int) -> list[Paired]:
    """Of each column. differences: shape (n, sets).

    With the signs of the set F turned and those of G kept, a mean of m is refused in favour of what was seen unless m is between the means
    of F and G. So m is as good as p says: the share of choices with m between the two.
    """
    n, total = len(differences), differences.sum(axis=0)
    lows, highs = [], []
    for turned in _choices(n, draws):
        f = turned.sum(axis=1)
        of_f = (turned @ differences).T
        some = (f > 0) & (f < n)  # else no sign differs from another, and every mean is possible
        first = np.divide(of_f, f, out=np.full_like(of_f, -np.inf), where=some)
        other = np.divide(total[:, None] - of_f, n - f, out=np.full_like(of_f, np.inf), where=some)
        lows.append(np.minimum(first, other))
        highs.append(np.maximum(first, other))
    low, high = np.concatenate(lows, axis=1), np.concatenate(highs, axis=1)
    drawn = low.shape[1]
    seen = 0 if n <= EXACT else 1  # among the choices that are drawn, the one that was seen is counted once more
    outside = math.floor((1 - level) * (drawn + seen) + 1e-9) - seen
    low.partition(outside, axis=1)
    high.partition(drawn - 1 - outside, axis=1)
    ps, means = _ps(differences, draws), total / n
    ends = zip(low[:, outside].tolist(), high[:, drawn - 1 - outside].tolist(), strict=True)
    return [Paired(p, _between(mean, *both)) for p, mean, both in zip(ps, means.tolist(), ends, strict=True)]


def _ps(differences: Floats, draws: int) -> list[float]:
    """Of each column: the share of choices whose mean is as far from 0 as that of all signs kept, or as far but for rounding."""
    n, total = len(differences), differences.sum(axis=0)
    least = np.abs(total) - 1e-12 * np.abs(differences).sum(axis=0)
    beyond, count = np.zeros(len(total)), 0
    for turned in _choices(n, draws):
        beyond += (np.abs(total - 2 * (turned @ differences)) >= least).sum(axis=0)
        count += len(turned)
    seen = 0 if n <= EXACT else 1
    return [float(p) for p in (beyond + seen) / (count + seen)]


def _between(mean: float, low: float, high: float) -> Interval:
    """Rounding must not put a mean outside of its interval."""
    if math.isinf(low) or math.isinf(high):
        return Interval(mean)
    return Interval(mean, min(low, mean), max(high, mean))


def _choices(n: int, draws: int) -> Iterator[Floats]:
    """Which signs are turned, 0 or 1, shape (some, n). All choices, of which two opposite ones count as one; or ``draws`` of them."""
    rows = max(1, min(_ROWS, _BLOCK // n))
    if n <= EXACT:
        numbers = np.arange(2 ** (n - 1))
        yield ((numbers[:, None] >> np.arange(n)) & 1).astype(np.float64)
        return
    random = np.random.default_rng(SEED)
    for start in range(0, draws, rows):
        yield random.integers(0, 2, size=(min(rows, draws - start), n), dtype=np.int8).astype(np.float64)
