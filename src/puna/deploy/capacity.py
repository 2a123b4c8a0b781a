"""How many people so many replicas serve, how fast and at what price. Arithmetic alone: knows no Ray, no engine, no clock.

A replica makes one token of each of its n streams per step, and a step takes ``base + each * n`` seconds: what is the same
for any number of streams (the weights are read once), and what each stream adds. So it makes ``n / (base + each * n)``
tokens a second, up to as many streams as it has slots. A prompt's token that is not cached takes ``prefill`` seconds, during
which the replica does nothing else.

People read and think between answers. N of them with Z seconds of thought, at a replica that ends answers at a rate that
depends on how many are under way, are the machine repair model, a birth-death chain whose steady state is exact for
exponential times and close for others (K. S. Trivedi, Probability and Statistics with Reliability, Queuing and Computer
Science Applications, 2nd ed., 8.2).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from puna.errors import InputError


@dataclass(frozen=True, slots=True)
class Speed:
    """A replica's. base, each: seconds of a step, and what each stream adds to it; prefill: seconds per token. slots: streams at a time."""

    base: float
    each: float
    prefill: float
    slots: int

    def tokens_per_second(self, streams: int) -> float:
        """Of all streams together; those beyond the slots wait."""
        working = min(streams, self.slots)
        return working / (self.base + self.each * working) if working else 0.0


@dataclass(frozen=True, slots=True)
class Use:
    """What one person does again and again.

    think: seconds between an answer and the next question, 0 or more; prompt: tokens that are not cached, 0 or more; output: tokens of an
    answer, above 0.

    Raises:
        InputError: a value out of its range.
    """

    think: float
    prompt: float
    output: float

    def __post_init__(self) -> None:
        if not (self.think >= 0 and self.prompt >= 0 and self.output > 0):
            raise InputError(
                "thinking and the prompt must take 0 or more and the answer more than 0 tokens, not "
                f"think={self.think:g}, prompt={self.prompt:g}, output={self.output:g}"
            )


@dataclass(frozen=True, slots=True)
class Expected:
    """Of one replica: answers per second; seconds from a question to its answer's end; share of the time in which it works."""

    answers: float
    seconds: float
    busy: float


def fitted(points: Iterable[tuple[int, float]], prefill: float, slots: int) -> Speed:
    """By least squares of a step's seconds. points: number of streams, tokens per second of all together.

    Raises:
        InputError: fewer than two numbers of streams, or a step that takes no time.
    """
    found = [(streams, streams / rate) for streams, rate in points if streams > 0 and rate > 0]
    if len({streams for streams, _ in found}) < 2:
        raise InputError(
            "a step's time needs points of at least two numbers of streams, each with tokens per second above 0"
        )
    mean_n = math.fsum(n for n, _ in found) / len(found)
    mean_t = math.fsum(t for _, t in found) / len(found)
    spread = math.fsum((n - mean_n) ** 2 for n, _ in found)
    each = math.fsum((n - mean_n) * (t - mean_t) for n, t in found) / spread
    speed = Speed(mean_t - each * mean_n, each, prefill, slots)
    if min(speed.base + speed.each * n for n in (1, slots)) <= 0:
        raise InputError(
            "the points say that a step takes no time; measure longer, on a machine that does nothing else"
        )
    return speed


def worst_error(speed: Speed, points: Iterable[tuple[int, float]]) -> float:
    """The largest share by which the formula misses a measured rate."""
    return max(abs(speed.tokens_per_second(streams) / rate - 1) for streams, rate in points)


def expected(speed: Speed, use: Use, users: int) -> Expected:
    """The steady state with so many people at one replica."""
    weights = _steady(speed, use, users)
    total = math.fsum(weights)
    under_way = math.fsum(k * weight for k, weight in enumerate(weights)) / total
    answers = math.fsum(_rate(speed, use, k) * weight for k, weight in enumerate(weights)) / total
    return Expected(answers, under_way / answers if answers else 0.0, 1 - weights[0] / total)


def _steady(speed: Speed, use: Use, users: int) -> Sequence[float]:
    """Weights of the states 0 to ``users`` answers under way, the largest of them 1: products would overflow."""
    logs = [0.0]
    for k in range(users):
        logs.append(logs[-1] + math.log((users - k) / max(use.think, 1e-9)) - math.log(_rate(speed, use, k + 1)))
    top = max(logs)
    return [math.exp(value - top) for value in logs]


def _rate(speed: Speed, use: Use, under_way: int) -> float:
    """Answers per second that end while so many are under way."""
    if not under_way:
        return 0.0
    working = min(under_way, speed.slots)
    alone = use.prompt * speed.prefill * working + use.output * (speed.base + speed.each * working)
    return working / alone


def replicas_needed(speed: Speed, use: Use, users: int, seconds: float, most: int = 10_000) -> int:
    """The fewest replicas at which an answer takes at most so many seconds on average, people spread evenly.

    Raises:
        InputError: nobody uses them, it takes longer even where one person has a replica alone, or more than ``most`` are needed.
    """
    if users < 1:
        raise InputError(f"the number of people must be 1 or more, not {users}")
    alone = expected(speed, use, 1).seconds
    if alone > seconds:
        raise InputError(
            f"an answer takes {alone:.1f} s even from a replica that does nothing else, more than the {seconds:g} s that are "
            f"wanted; a faster engine or a shorter answer helps, more replicas do not"
        )
    low, high = 1, min(users, most)
    if expected(speed, use, math.ceil(users / high)).seconds > seconds:
        raise InputError(f"{users} people need more than {most} replicas for answers within {seconds:g} s")
    while low < high:
        middle = (low + high) // 2
        if expected(speed, use, math.ceil(users / middle)).seconds <= seconds:
            high = middle
        else:
            low = middle + 1
    return low


def cost_per_million(speed: Speed, use: Use, users: int, replicas: int, price: float) -> float:
    """Of output tokens; infinite where nobody asks. price: of a replica for an hour, in any currency; users: at all replicas together.

    Raises:
        InputError: fewer than 1 replica.
    """
    if replicas < 1:
        raise InputError(f"the number of replicas must be 1 or more, not {replicas}")
    share = users / replicas
    low, high = expected(speed, use, math.floor(share)), expected(speed, use, math.ceil(share))
    answers = low.answers + (high.answers - low.answers) * (share - math.floor(share))
    return price / (answers * use.output * 3600) * 1e6 if answers else math.inf
