"""Intervals, tests of differences, and how many repeats they need, of plain numbers. Knows no rows and no measures.

Everything is deterministic: what is drawn comes from a generator with a fixed seed. Two-sided throughout. ``docs/statistics.md`` says why
each method was taken and how it was validated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from puna.errors import InputError

Floats = NDArray[np.float64]

Values = Sequence[float] | Floats
"""Shape (n,)."""

SEED = 20231
"""Of every generator here."""

DRAWS = 9999
"""Resamples of a bootstrap."""

LEAST_FREEDOM = 7.0
"""Degrees of freedom from which a mean's interval is a bootstrap, 8 values. Of fewer, the resamples do not reach far enough: of 5 normal
values an interval of 95 % would cover 90 %."""

_BLOCK = 1_000_000
"""Most numbers that are drawn at a time."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate, and the ends of its confidence interval. None where the values cannot tell one, as a single value cannot."""

    estimate: float
    low: float | None = None
    high: float | None = None

    @property
    def known(self) -> bool:
        """Whether there are ends."""
        return self.low is not None and self.high is not None

    def holds(self, value: float) -> bool:
        """Whether a value is in the interval; without ends, every value is."""
        return (self.low is None or self.low <= value) and (self.high is None or value <= self.high)

    def within(self, least: float, most: float) -> Interval:
        """The interval of a number that cannot be outside ``least`` to ``most``."""
        ends = (None if end is None else min(max(end, least), most) for end in (self.low, self.high))
        return Interval(self.estimate, *ends)


def mean_interval(values: Values, level: float = 0.95) -> Interval:
    """The mean of independent values: bootstrap BCa (Efron 1987), widened for few values; Student's t for fewer than 8.

    See ``grouped_mean_interval``, of which this is the case of one group.

    Raises:
        InputError: no value, or one that is no finite number.
    """
    return grouped_mean_interval([values], level)


def grouped_mean_interval(groups: Sequence[Values], level: float = 0.95) -> Interval:
    """The mean of all values, where those of a group were drawn independently and the groups would be the same another time.

    A bootstrap within each group. Plain BCa is too narrow for few values (of 8 normal ones it covers 88 %, not 95 %), so residuals are
    widened by sqrt(n / (n - 1)), and the normal quantile is replaced by Student's (Hesterberg 2015, https://doi.org/10.1080/00031305.2015.1089789),
    with Welch and Satterthwaite's degrees of freedom. A group of one value counts as known exactly, unless all groups are such: then there is
    no interval.

    Raises:
        InputError: no value, or one that is no finite number.
    """
    parts = [_array(group) for group in groups if len(group)]
    everything = _array([value for part in parts for value in part])
    total, estimate = len(everything), float(everything.mean())
    spread = [part for part in parts if len(part) > 1]
    if not spread:
        return Interval(estimate)
    variances = np.array([len(part) * part.var(ddof=1) for part in spread]) / total**2
    error = math.sqrt(variances.sum())
    if error <= 1e-12 * float(np.abs(everything).max()):
        return Interval(estimate, estimate, estimate)
    freedom = variances.sum() ** 2 / sum(v**2 / (len(part) - 1) for v, part in zip(variances, spread, strict=True))
    reach = float(special.stdtrit(freedom, (1 + level) / 2))
    if freedom < LEAST_FREEDOM:
        return Interval(estimate, estimate - reach * error, estimate + reach * error)
    drawn = _resampled(spread, total)
    residuals = np.concatenate([part - part.mean() for part in spread])
    return Interval(estimate, *(float(estimate + end) for end in _bca(drawn, residuals, reach)))


def _resampled(groups: Sequence[Floats], total: int) -> Floats:
    """How far the means of ``DRAWS`` resamples are from the mean, ascending, residuals widened."""
    random = np.random.default_rng(SEED)
    drawn = np.zeros(DRAWS)
    for part in groups:
        n = len(part)
        residuals = (part - part.mean()) * math.sqrt(n / (n - 1))
        rows = max(1, _BLOCK // n)
        for start in range(0, DRAWS, rows):
            size = min(rows, DRAWS - start)
            drawn[start : start + size] += residuals[random.integers(n, size=(size, n))].sum(axis=1) / total
    return np.sort(drawn)


def _bca(drawn: Floats, residuals: Floats, reach: float) -> tuple[float, float]:
    """Both ends by bias correction and acceleration. drawn: ascending, about 0. reach: in place of the normal quantile."""
    below = (np.searchsorted(drawn, 0.0, "left") + np.searchsorted(drawn, 0.0, "right")) / 2
    bias = float(special.ndtri(np.clip(below / len(drawn), 1 / len(drawn), 1 - 1 / len(drawn))))
    skew = float((residuals**3).sum() / (6 * (residuals**2).sum() ** 1.5))
    ends = []
    for side in (-reach, reach):
        slope = 1 - skew * (bias + side)
        share = float(special.ndtr(bias + (bias + side) / slope)) if slope > 0 else float(side > 0)
        ends.append(float(np.quantile(drawn, share)))
    return ends[0], ends[1]


def median_interval(values: Values, level: float = 0.95) -> Interval:
    """The median of independent values, between two of the values (the binomial interval of order statistics).

    It covers at least ``level`` for any distribution. A bootstrap of the median jumps between the same values, and covers less. No ends for
    too few values: fewer than 6, at 95 %.

    Raises:
        InputError: no value, or one that is no finite number.
    """
    ordered = np.sort(_array(values))
    n, estimate = len(ordered), float(np.median(ordered))
    if n > 1 and ordered[0] == ordered[-1]:
        return Interval(estimate, estimate, estimate)
    outside = int(np.searchsorted(special.bdtr(np.arange(n), n, 0.5), (1 - level) / 2, "right")) - 1
    if outside < 0:
        return Interval(estimate)
    return Interval(estimate, float(ordered[outside]), float(ordered[n - 1 - outside]))


def pseudo_values(similarities: Floats) -> Floats:
    """What each output contributes to the diversity of n outputs: jackknife pseudo-values (Tukey; of a U-statistic: Arvesen 1969).

    similarities: shape (n, n), symmetric; 3 <= n. Their mean is the diversity, exactly, and they can be used as if they were
    independent values with that mean.

    Raises:
        InputError: no such matrix.
    """
    n = len(similarities)
    if similarities.shape != (n, n) or n < 3:
        raise InputError(
            f"the interval of a diversity needs at least three outputs, not {similarities.shape} similarities"
        )
    apart = 1.0 - similarities
    to_others = apart.sum(axis=1) - np.diagonal(apart)
    whole = float(to_others.sum())
    without = (whole - 2 * to_others) / ((n - 1) * (n - 2))
    return np.asarray(n * whole / (n * (n - 1)) - (n - 1) * without, dtype=np.float64)


def diversity_interval(similarities: Sequence[Floats], level: float = 0.95) -> Interval:
    """The mean diversity of the outputs of several units, each by its similarities, shape (n, n), 3 <= n. 0 (all the same) to 1."""
    parts = [pseudo_values(each).tolist() for each in similarities]
    return grouped_mean_interval(parts, level).within(0.0, 1.0)


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """The share of successes (Wilson 1927): also good for few, and where all or none are successes.

    Raises:
        InputError: not 0 <= successes <= n, or n is 0.
    """
    if not 0 <= successes <= n or n == 0:
        raise InputError(f"a share needs 0 <= successes <= n and 1 <= n, not {successes} of {n}")
    z2 = float(special.ndtri((1 + level) / 2)) ** 2
    share = successes / n
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    low, high = (0.0 if successes == 0 else middle - half), (1.0 if successes == n else middle + half)
    return Interval(share, low, high)


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """The p of each test of a family, adjusted (Holm 1979).

    With those at most alpha taken for real, the probability of any wrong one is at most alpha, however the tests depend on each other.
    """
    adjusted = [0.0] * len(ps)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = highest
    return tuple(adjusted)


def effect(differences: Values) -> float | None:
    """The mean difference over the standard deviation of the differences (Cohen's d_z); None for fewer than 2, or where all are the same.

    It tells how visible a difference is among repeats, not how large it is for a reader: pairs that vary together make it larger. As a
    rule of thumb 0.2 is small, 0.5 medium, 0.8 large. ``superiority`` is its companion without units.
    """
    values = _array(differences)
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    if spread <= 1e-12 * float(np.abs(values).max()):
        return None
    return float(values.mean()) / spread


def superiority(differences: Values) -> float:
    """The share of pairs with a positive difference, those without one counted half; 0 to 1, 0.5 where neither side is ahead."""
    values = _array(differences)
    return float(((values > 0) + 0.5 * (values == 0)).mean())


def power(n: int, sd: float, difference: float, alpha: float = 0.05) -> float:
    """The probability that n pairs show a true mean difference at level alpha, 0 to 1. sd: of the differences.

    By the paired t-test (non-central t), whose power the permutation test has but for the few pairs where it cannot get to alpha at all.

    Raises:
        InputError: sd is not above 0.
    """
    if sd <= 0:
        raise InputError(
            f"power needs a standard deviation above 0, not {sd!r}; differences that never vary need no test"
        )
    if n < least_pairs(alpha):
        return 0.0
    away = abs(difference) / sd * math.sqrt(n)
    bound = float(special.stdtrit(n - 1, 1 - alpha / 2))
    if away > bound + 40:  # certain, and scipy's series may not converge there
        return 1.0
    wrong_side = float(special.nctdtr(n - 1, away, -bound))
    if math.isnan(wrong_side):  # scipy's answer where it is less than 1e-15
        wrong_side = 0.0
    return 1 - float(special.nctdtr(n - 1, away, bound)) + wrong_side


def least_pairs(alpha: float = 0.05) -> int:
    """Fewest pairs of which a paired permutation test can have p <= alpha: 6 for 0.05. With n pairs the least p is 2 / 2**n."""
    return math.ceil(round(1 - math.log2(alpha), 9))


def repeats_needed(sd: float, difference: float, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """How many pairs show a true mean difference with this power; None for a difference of 0, or for more than 10 million.

    sd: of the differences; it is itself estimated, from n pairs to about 1 in sqrt(2 n), and so is what is told here.
    """
    least = least_pairs(alpha)
    if difference == 0:
        return None
    if sd <= 0:
        return least
    reach = float(special.ndtri(1 - alpha / 2) + special.ndtri(power))
    guess = (reach * sd / difference) ** 2
    if guess > 1e7:
        return None
    n = max(least, int(guess))  # of the normal distribution, so never too many
    while _power(n, sd, difference, alpha) < power:
        n += 1
    return n


def detectable(n: int, sd: float, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """The least true difference that n pairs show with this power; None where so few pairs cannot show any."""
    if n < least_pairs(alpha):
        return None
    if sd <= 0:
        return 0.0
    low, high = 0.0, sd
    while _power(n, sd, high, alpha) < power:
        low, high = high, 2 * high
    while high - low > 1e-4 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _power(n, sd, middle, alpha) < power else (low, middle)
    return high


_power = power  # the functions above have an argument of that name


def _array(values: Values) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise InputError("statistics need at least one number, and finite ones; leave out outputs that have none")
    return array
