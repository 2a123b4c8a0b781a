"""The values that a sampling parameter takes in an experiment: one, a list, a range, or random draws. Knows numbers, no sampling.

Values of a range are computed in decimal, so that ``{from = 0.1, to = 0.7, step = 0.2}`` is 0.1, 0.3, 0.5, 0.7 and not 0.30000000000000004.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from puna.experiments.file import Given

MOST_VALUES = 1000
"""Of one range."""

_DIGITS = 4
"""Significant digits of values between the ends of a range or drawn, so that names stay readable."""

_SCALES = ("linear", "log")
_STEPS = ("from", "to", "step", "count", "scale")
_DRAW = ("low", "high", "scale")

Number = int | float


@dataclass(frozen=True, slots=True)
class Uniform:
    """Random values from low to high, both included. log: uniform in the logarithm. whole: whole numbers only."""

    low: float
    high: float
    log: bool
    whole: bool

    def draw(self, random: Random) -> Number:
        """A value. It takes one number from ``random``."""
        if self.whole:
            return self._whole(random.random())
        share = random.random()
        value = self.low * (self.high / self.low) ** share if self.log else self.low + (self.high - self.low) * share
        return min(max(_rounded(value), self.low), self.high)

    def _whole(self, share: float) -> int:
        """Each whole number stands for the piece from itself to the next one."""
        low, end = int(self.low), int(self.high) + 1
        value = low * (end / low) ** share if self.log else low + (end - low) * share
        return min(int(value), end - 1)


def is_range(value: object) -> bool:
    """Whether a value is written as a range or as bounds for draws."""
    return isinstance(value, dict)


def stepped(given: Given, *, whole: bool) -> tuple[Number, ...]:
    """The values of ``{from, to, step}`` or ``{from, to, count}``, from the first on. whole: of whole numbers.

    ``to`` is the last value where the steps meet it, and always with ``count``.

    Raises:
        InputError: keys, kinds or numbers that make no range.
    """
    if isinstance(given.value, dict) and {"low", "high"} & given.value.keys():
        raise given.refused(
            f"{given.key}: low and high are for random draws; add [draws], or write from and to with step or count"
        )
    inside = given.table("key of a range", _STEPS)
    if not {"from", "to"} <= inside.keys() or ("step" in inside) == ("count" in inside):
        raise given.must("a range: {from = 0, to = 1, step = 0.25}, or with count = 5 in place of step")
    start, end = (_number(inside[key], whole=whole) for key in ("from", "to"))
    if start >= end:
        raise given.must("a range from a lower number to a higher one")
    log = _is_log(inside, start)
    if "count" in inside:
        return _counted(start, end, inside["count"].whole(2, MOST_VALUES), log=log, whole=whole)
    if log:
        raise inside["scale"].refused(f"{inside['scale'].key}: steps are linear; write count in place of step")
    return _steps(start, end, inside["step"], whole=whole)


def uniform(given: Given, *, whole: bool) -> Uniform:
    """The bounds ``{low, high}`` of random draws.

    Raises:
        InputError: keys, kinds or numbers that make no bounds.
    """
    inside = given.table("key of bounds", _DRAW)
    if not {"low", "high"} <= inside.keys():
        raise given.must("bounds of draws: {low = 0.1, high = 1}")
    low, high = (_number(inside[key], whole=whole) for key in ("low", "high"))
    if low >= high:
        raise given.must("bounds with low below high")
    return Uniform(low, high, _is_log(inside, low), whole)


def _is_log(inside: dict[str, Given], start: Number) -> bool:
    if "scale" not in inside or inside["scale"].choice("scale", _SCALES) == "linear":
        return False
    if start <= 0:
        raise inside["scale"].refused(
            f"{inside['scale'].key}: a logarithmic scale must begin above 0, not at {start:g}"
        )
    return True


def _number(given: Given, *, whole: bool) -> Number:
    most = 2**31
    return given.whole(-most, most) if whole else given.number(-most, most)


def _steps(start: Number, end: Number, given: Given, *, whole: bool) -> tuple[Number, ...]:
    first, step = _decimal(start), _decimal(_number(given, whole=whole))
    if step <= 0:
        raise given.must("a step above 0")
    count = int((_decimal(end) - first) / step) + 1
    if count > MOST_VALUES:
        raise given.refused(
            f"{given.key}: the range has {count} values, but must have at most {MOST_VALUES}; take larger steps"
        )
    return _each(lambda n: first + n * step, count, whole=whole)


def _counted(start: Number, end: Number, count: int, *, log: bool, whole: bool) -> tuple[Number, ...]:
    def between(n: int) -> float:
        share = n / (count - 1)
        return start * (end / start) ** share if log else start + (end - start) * share

    inner = [between(n) for n in range(1, count - 1)]
    values = [start, *(round(value) if whole else _rounded(value) for value in inner), end]
    return tuple(dict.fromkeys(values))


def _each(value: Callable[[int], Decimal], count: int, *, whole: bool) -> tuple[Number, ...]:
    return tuple(int(value(n)) if whole else float(value(n)) for n in range(count))


def _decimal(number: Number) -> Decimal:
    return Decimal(repr(number))


def _rounded(value: float) -> float:
    return round(value, _DIGITS - 1 - math.floor(math.log10(abs(value)))) if value else 0.0
