"""What is expected of outputs, as values, and the sentences that say it. Knows no file, no row and no statistics.

Outputs are those of a test, or of a part of it: a variant, prompt or system prompt of the test, by its name.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Literal

DIVERSITY = "diversity"
"""The one measure of several outputs together: 1 - mean pairwise BLEU among the repeats of a cell."""

ALL = 1.0

Number = int | float


@dataclass(frozen=True, slots=True)
class Amount:
    """How many of the outputs. least, most: a whole number counts them, a decimal number from 0 to 1 is their share."""

    least: Number | None = None
    most: Number | None = None

    def bounds(self, n: int) -> tuple[int, int]:
        """Fewest and most of ``n``, both included. Shares are taken as they are written: 0.7 of 10 is 7."""
        least = 0 if self.least is None else math.ceil(_exact(self.least, n))
        return least, n if self.most is None else math.floor(_exact(self.most, n))

    def of(self, n: int) -> str:
        """The amount as words, of ``n``."""
        least, most = self.bounds(n)
        if self.most is None:
            return f"all {n}" if least == n else f"at least {least} of {n}"
        if most == 0:
            return f"none of {n}"
        return f"at most {most} of {n}" if self.least is None else f"{least} to {most} of {n}"


def _exact(amount: Number, n: int) -> Fraction:
    return Fraction(amount) if isinstance(amount, int) else Fraction(repr(amount)) * n


EVERY = Amount(least=ALL)


@dataclass(frozen=True, slots=True)
class Bounds:
    """From ``low`` to ``high``, both included; None for no bound. In the measure's unit."""

    low: float | None = None
    high: float | None = None

    def hold(self, value: float) -> bool:
        """Whether the value lies within."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def __str__(self) -> str:
        if self.high is None:
            return f"at least {self.low:g}"
        return f"at most {self.high:g}" if self.low is None else f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class Holds:
    """In so many outputs the measure lies within the bounds. check: it is a yes or no, and only ``amount`` is said of it."""

    measure: str
    bounds: Bounds = field(default_factory=lambda: Bounds(low=1.0))
    amount: Amount = EVERY
    check: bool = True
    of: str | None = None

    def __str__(self) -> str:
        return _part(self.of, self.measure if self.check else f"{self.measure} {self.bounds}")


class Statistic(StrEnum):
    """What a measure of many outputs comes to."""

    MEAN = "mean"
    MEDIAN = "median"


@dataclass(frozen=True, slots=True)
class Averages:
    """The measure's mean or median over the outputs lies within the bounds. ``DIVERSITY`` has only its mean."""

    measure: str
    bounds: Bounds
    statistic: Statistic = Statistic.MEAN
    of: str | None = None

    def __str__(self) -> str:
        told = self.measure if self.measure == DIVERSITY else f"{self.statistic} {self.measure}"
        return _part(self.of, f"{told} {self.bounds}")


@dataclass(frozen=True, slots=True)
class Differs:
    """The measure's mean is lower (or higher) in one part of the test than in another.

    alpha: in (0, 1); the paired permutation test must find a p value of at most this. None: the means alone decide.
    """

    measure: str
    of: str
    relation: Literal["less", "more"]
    than: str
    alpha: float | None = None

    def __str__(self) -> str:
        sure = "" if self.alpha is None else f", p at most {self.alpha:g}"
        return f"{self.measure}: {self.of} {self.relation} than {self.than}{sure}"


By = Literal["sum", "token", "character"]


@dataclass(frozen=True, slots=True)
class Likelier:
    """For so many prompts the model holds the answer ``text`` to be likelier than each of ``than``.

    by: what is compared: the log-probability of the whole (``sum``), or per token or character. Nothing is generated for it.
    """

    text: str
    than: tuple[str, ...]
    by: By = "sum"
    amount: Amount = EVERY
    of: str | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """All answers that are compared."""
        return (self.text, *self.than)

    def __str__(self) -> str:
        per = "" if self.by == "sum" else f" per {self.by}"
        others = " and ".join(f'"{text}"' for text in self.than)
        return _part(self.of, f'"{self.text}" likelier{per} than {others}')


def continuation_name(text: str) -> str:
    """What a continuation is called: its text, in quotes where that is no line by itself."""
    return text if text.isprintable() and text == text.strip() else json.dumps(text)


Expectation = Holds | Averages | Differs | Likelier


def _part(of: str | None, said: str) -> str:
    return said if of is None else f"{of}: {said}"


Factor = Literal["variant", "prompt", "system"]


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a test's cells, which have a name in common. factor: what it is the name of; level: as cells have it.

    cells: indices in the plan.
    """

    factor: Factor
    level: str
    cells: frozenset[int]


@dataclass(frozen=True, slots=True)
class PromptTest:
    """Expectations and the cells whose outputs they are of. cells: indices in the plan. parts: by name."""

    name: str
    expectations: tuple[Expectation, ...]
    cells: frozenset[int]
    parts: Mapping[str, Part] = field(default_factory=dict)
