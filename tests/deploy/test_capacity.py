"""The capacity model: its limits, its monotony, and a simulation that knows nothing of its formula."""

import heapq
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.deploy.capacity import (
    Speed,
    Use,
    cost_per_million,
    expected,
    fitted,
    replicas_needed,
    worst_error,
)
from puna.errors import InputError

SPEED = Speed(base=0.02, each=0.005, prefill=0.001, slots=4)
USE = Use(think=10, prompt=50, output=100)

SPEEDS = st.builds(
    Speed,
    base=st.floats(0.001, 0.1),
    each=st.floats(0.0001, 0.05),
    prefill=st.floats(0.00001, 0.01),
    slots=st.integers(1, 32),
)
USES = st.builds(Use, think=st.floats(0.1, 100), prompt=st.floats(0, 1000), output=st.floats(1, 1000))


@given(SPEEDS)
def test_a_fit_finds_the_speed_that_made_the_points(speed: Speed) -> None:
    points = [(n, speed.tokens_per_second(n)) for n in range(1, speed.slots + 2) if n <= speed.slots] * 2
    if speed.slots < 2:
        with pytest.raises(InputError):
            fitted(points, speed.prefill, speed.slots)
        return
    found = fitted(points, speed.prefill, speed.slots)
    assert found.base == pytest.approx(speed.base, rel=1e-6)
    assert found.each == pytest.approx(speed.each, rel=1e-6)
    assert worst_error(found, points) < 1e-6


def test_the_worst_error_is_a_share() -> None:
    rate = SPEED.tokens_per_second(2)
    assert worst_error(SPEED, [(2, rate * 2), (1, SPEED.tokens_per_second(1))]) == pytest.approx(0.5)


def test_streams_beyond_the_slots_add_nothing() -> None:
    assert SPEED.tokens_per_second(100) == SPEED.tokens_per_second(4)
    assert SPEED.tokens_per_second(0) == 0


@given(SPEEDS, USES)
def test_one_person_alone_waits_for_the_work_and_nothing_else(speed: Speed, use: Use) -> None:
    found = expected(speed, use, 1)
    alone = use.prompt * speed.prefill + use.output * (speed.base + speed.each)
    assert found.seconds == pytest.approx(alone)
    assert found.answers == pytest.approx(1 / (use.think + alone))
    assert found.busy == pytest.approx(alone / (use.think + alone))


@given(SPEEDS, USES, st.integers(1, 60))
def test_more_people_get_more_answers_and_later(speed: Speed, use: Use, users: int) -> None:
    fewer, more = expected(speed, use, users), expected(speed, use, users + 1)
    assert more.answers >= fewer.answers * (1 - 1e-9)
    assert more.seconds >= fewer.seconds * (1 - 1e-9)
    # Little's law over the whole circle of thinking and waiting.
    assert users == pytest.approx(fewer.answers * (fewer.seconds + use.think))


def test_a_crowd_is_served_at_full_speed() -> None:
    found = expected(SPEED, USE, 1000)
    assert found.busy == pytest.approx(1)
    assert found.answers * USE.output < SPEED.tokens_per_second(4)
    assert expected(SPEED, Use(10, 0, 100), 1000).answers * 100 == pytest.approx(SPEED.tokens_per_second(4))


def test_no_user_asks_nothing() -> None:
    assert expected(SPEED, USE, 0).answers == 0
    assert cost_per_million(SPEED, USE, 0, 1, 1.0) == math.inf


def simulated(speed: Speed, use: Use, users: int, events: int, seed: int) -> float:
    """Answers per second of people who think, wait for a slot and share the steps; exponential thought and lengths."""
    rng = random.Random(seed)
    think = [rng.expovariate(1 / use.think) for _ in range(users)]
    heapq.heapify(think)
    working: list[float] = []
    now, waiting, done = 0.0, 0, 0
    while done < events:
        share = (speed.base + speed.each * len(working)) * use.output + use.prompt * speed.prefill * len(working)
        ends = now + min(working) * share if working else math.inf
        thinks = think[0] if think else math.inf
        then = min(ends, thinks)
        if working:
            spent = (then - now) / share
            working = [left - spent for left in working]
        now = then
        if ends <= thinks:
            working.remove(min(working))
            done += 1
            heapq.heappush(think, now + rng.expovariate(1 / use.think))
        else:
            heapq.heappop(think)
            waiting += 1
        while waiting and len(working) < speed.slots:
            waiting -= 1
            working.append(rng.expovariate(1))
    return done / now


@pytest.mark.parametrize("users", [1, 4, 12, 40])
def test_a_simulation_of_the_people_agrees(users: int) -> None:
    assert simulated(SPEED, USE, users, 20_000, 7) == pytest.approx(expected(SPEED, USE, users).answers, rel=0.03)


@given(SPEEDS, USES, st.integers(1, 300), st.floats(1.0, 20))
def test_as_many_replicas_as_are_needed_and_no_more(speed: Speed, use: Use, users: int, slack: float) -> None:
    limit = expected(speed, use, 1).seconds * slack
    needed = replicas_needed(speed, use, users, limit)
    assert expected(speed, use, math.ceil(users / needed)).seconds <= limit
    if needed > 1:
        assert expected(speed, use, math.ceil(users / (needed - 1))).seconds > limit


def test_what_no_number_of_replicas_reaches_is_said() -> None:
    with pytest.raises(InputError, match="even from a replica that does nothing else"):
        replicas_needed(SPEED, USE, 10, 0.1)
    with pytest.raises(InputError, match="more than 2 replicas"):
        replicas_needed(SPEED, USE, 1000, 5, most=2)


def test_a_replica_that_is_always_busy_costs_its_price_by_its_tokens() -> None:
    use = Use(think=0.001, prompt=0, output=100)
    full = SPEED.tokens_per_second(4) * 3600 / 1e6
    assert cost_per_million(SPEED, use, 400, 1, 0.9) == pytest.approx(0.9 / full, rel=0.01)
    assert cost_per_million(SPEED, USE, 10, 10, 0.9) > cost_per_million(SPEED, USE, 100, 10, 0.9)


@pytest.mark.parametrize(
    "points", [[], [(1, 10.0)], [(2, 10.0), (2, 11.0)], [(1, 0.0), (2, 0.0)], [(1, 10.0), (10, 1e9)]]
)
def test_points_that_tell_no_speed_are_refused(points: list[tuple[int, float]]) -> None:
    with pytest.raises(InputError):
        fitted(points, 0.001, 40)


def test_numbers_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match="people must be 1 or more, not 0"):
        replicas_needed(SPEED, USE, 0, 5)
    with pytest.raises(InputError, match="replicas must be 1 or more, not 0"):
        cost_per_million(SPEED, USE, 10, 0, 0.2)
    with pytest.raises(InputError, match="the answer more than 0 tokens"):
        Use(think=1, prompt=0, output=0)
