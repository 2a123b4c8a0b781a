"""What each level of a factor has of a measure, and which levels differ: intervals, tests, effects. Knows rows, measures and statistics.

All comparisons of one call are one family: those of a measure by a factor. Holm's correction is over them, and needed repeats are those of
its strictest step. Several measures are several families.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from puna.experiments.factors import Level
from puna.experiments.measures import Measure
from puna.experiments.paired import Over, Pairs, Units, pairs, units
from puna.experiments.permutation import Paired, paired_tests
from puna.experiments.rows import Row
from puna.experiments.similarity import pairwise_bleu
from puna.experiments.stats import (
    Interval,
    detectable,
    effect,
    grouped_mean_interval,
    holm,
    least_pairs,
    median_interval,
    repeats_needed,
    superiority,
    wilson,
)
from puna.experiments.varied import Similarity, varied_pairs, varied_units

DIVERSITY = Measure(
    "diversity", "", "1 less the mean pairwise BLEU of the repeats of a prompt, 0 (all the same) to 1", lambda _: None
)
"""Of a set of outputs, so it has no value of one: ``diversities`` and ``diversity_comparisons`` find it."""

POWER = 0.8
"""The probability with which needed repeats show a difference."""


MOST_DRAWS = 200_000
"""For a large family more signs are drawn where p is small, so that it can be small enough for Holm's correction."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A level's values of a measure. n: independent values, not rows: see ``puna.experiments.paired``.

    failed: rows without an answer. undefined: answers without such a number. incomplete: see ``paired.Units``. mean, median: None where there is no value.
    over: what the intervals generalise to. matched: see ``paired.Units``: where it is false, only comparisons tell what the factor does.
    """

    by: str
    level: Level
    measure: str
    n: int
    failed: int
    undefined: int
    mean: Interval | None
    median: Interval | None
    over: Over
    matched: bool = True
    incomplete: int = 0

    @property
    def label(self) -> str:
        """The level, as tables tell it."""
        return self.level.label


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether two levels differ. pairs: how many there are. left_out, unmatched: see ``paired.Pairs``.

    difference: mean of b less a, and the values that the test does not refuse; not corrected for the family. p: of the paired permutation
    test; p_holm: corrected for the ``family`` of so many tests; significant: p_holm <= alpha. effect: d_z. superiority: share of pairs with b
    above a. None where there are no pairs, or no such number.

    repeats_for_this: how many repeats (prompts, where ``over`` says so) would show a true difference as large as the one that was found, with
    a power of 0.8 after correction; None where no number would. detectable: the least true difference that these pairs show with that power.
    """

    by: str
    a: Level
    b: Level
    measure: str
    pairs: int
    left_out: int
    over: Over
    family: int
    alpha: float
    difference: Interval | None = None
    effect: float | None = None
    superiority: float | None = None
    p: float | None = None
    p_holm: float | None = None
    significant: bool = False
    repeats_for_this: int | None = None
    detectable: float | None = None
    unmatched: int = 0

    @property
    def too_few(self) -> bool:
        """Whether so few pairs could not be significant, whatever their values."""
        return self.pairs < least_pairs(self.alpha / max(1, self.family))


def summaries(
    rows: Iterable[Row], measure: Measure, by: str = "setting", *, level: float = 0.95, over: Over | None = None
) -> tuple[Summary, ...]:
    """Mean and median of a measure for each level. over: None for what the rows are best for (``paired.scope``).

    Raises:
        InputError: an unknown factor.
    """
    found, scope = units(rows, measure, by, over)
    return tuple(_summary(each, measure, by, level, scope) for each in found)


def comparisons(
    rows: Iterable[Row], measure: Measure, by: str = "setting", alpha: float = 0.05, *, over: Over | None = None
) -> tuple[Comparison, ...]:
    """Each two levels, tested on the units that both have.

    Raises:
        InputError: an unknown factor.
    """
    return _compared(pairs(rows, measure, by, over), measure.name, by, alpha)


def diversities(
    rows: Iterable[Row],
    by: str = "setting",
    *,
    level: float = 0.95,
    over: Over | None = None,
    similarity: Similarity = pairwise_bleu,
) -> tuple[Summary, ...]:
    """How much the repeats of a prompt vary, for each level, 0 to 1: a mean over prompts. There is no median of it over repeats.

    Raises:
        InputError: an unknown factor.
    """
    found, scope = varied_units(rows, similarity, by, over)
    return tuple(_diversity(each, by, level, scope) for each in found)


def diversity_comparisons(
    rows: Iterable[Row],
    by: str = "setting",
    alpha: float = 0.05,
    *,
    over: Over | None = None,
    similarity: Similarity = pairwise_bleu,
) -> tuple[Comparison, ...]:
    """Each two levels' diversities, tested on what each seed's output contributes (``puna.experiments.varied``).

    Raises:
        InputError: an unknown factor.
    """
    return _compared(varied_pairs(rows, similarity, by, over), DIVERSITY.name, by, alpha)


def _summary(found: Units, measure: Measure, by: str, level: float, over: Over) -> Summary:
    values = found.values
    mean = median = None
    if values:
        middle = float(np.median(values))
        mean = (
            _exact(math.fsum(values) / len(values))
            if found.exact and over is Over.REPEATS
            else _mean(found, measure, level)
        )
        median = _exact(middle) if found.exact and over is Over.REPEATS else median_interval(values, level)
    return Summary(
        by,
        found.level,
        measure.name,
        len(values),
        found.failed,
        found.undefined,
        mean,
        median,
        over,
        found.matched,
        found.incomplete,
    )


def _mean(found: Units, measure: Measure, level: float) -> Interval:
    """Of 0 and 1 Wilson's interval, which knows that eight of eight are not yet all."""
    if measure.share and found.sampled and set(found.sampled) <= {0.0, 1.0}:
        return _beside_known(wilson(round(sum(found.sampled)), len(found.sampled), level), found)
    if measure.share and set(found.values) <= {0.0, 1.0}:
        return wilson(round(sum(found.values)), len(found.values), level)
    interval = grouped_mean_interval(found.groups, level)
    return interval.within(0.0, 1.0) if measure.share else interval


def _beside_known(sampled: Interval, found: Units) -> Interval:
    """The interval of the sampled contexts as one of the whole: what greedy ones have is known, and only moves it."""
    middle = math.fsum(found.values) / len(found.values)
    low, high = (
        None if end is None else middle + found.weight * (end - sampled.estimate) for end in (sampled.low, sampled.high)
    )
    return Interval(middle, low, high).within(0.0, 1.0)


def _diversity(found: Units, by: str, level: float, over: Over) -> Summary:
    mean = median = None
    if found.values:
        mean = grouped_mean_interval(found.groups, level).within(0.0, 1.0)
        if found.exact and over is Over.REPEATS:
            mean = _exact(mean.estimate)
        if over is Over.PROMPTS:
            median = median_interval(found.values, level)
    return Summary(
        by,
        found.level,
        DIVERSITY.name,
        len(found.values),
        found.failed,
        found.undefined,
        mean,
        median,
        over,
        found.matched,
        found.incomplete,
    )


def _exact(value: float) -> Interval:
    return Interval(value, value, value)


def _compared(found: Sequence[Pairs], measure: str, by: str, alpha: float) -> tuple[Comparison, ...]:
    some = [each for each in found if each.differences]
    family = len(some)
    most_draws = min(MOST_DRAWS, round(50 * family / alpha)) - 1
    tests = paired_tests([each.differences for each in some], 1 - alpha, most_draws=most_draws)
    known = iter(zip(tests, holm([test.p for test in tests]), strict=True))
    told = []
    for each in found:
        bare = Comparison(
            by,
            each.a,
            each.b,
            measure,
            len(each.differences),
            each.left_out,
            each.over,
            family,
            alpha,
            unmatched=each.unmatched,
        )
        told.append(_filled(bare, each, *next(known)) if each.differences else bare)
    return tuple(told)


def _filled(bare: Comparison, found: Pairs, test: Paired, p_holm: float) -> Comparison:
    differences, strict = found.differences, bare.alpha / bare.family
    sd = float(np.std(differences, ddof=1)) if len(differences) > 1 else None
    needed = None if sd is None else repeats_needed(sd, test.difference.estimate, strict, POWER)
    return replace(
        bare,
        difference=test.difference,
        effect=effect(differences),
        superiority=None if bare.measure == DIVERSITY.name else superiority(differences),
        p=test.p,
        p_holm=p_holm,
        significant=p_holm <= bare.alpha,
        repeats_for_this=None if needed is None else math.ceil(needed / found.each),
        detectable=None if sd is None else detectable(len(differences), sd, strict, POWER),
    )
