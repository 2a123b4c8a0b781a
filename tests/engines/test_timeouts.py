"""How long a server may take, by a clock of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from puna.engines.base import Event
from puna.engines.timeouts import LONGEST, Timeouts, limited
from puna.errors import EndpointError, InputError
from puna.generation import Delta, End, Finish
from tests.engines.clock import now, run

URL = "http://h"
END = End(Finish.STOP, None)


class Slow:
    """events: seconds to wait, and what comes then. closed: when it was closed."""

    def __init__(self, *events: tuple[float, Event | Exception]) -> None:
        self.events = events
        self.closed: float | None = None

    async def stream(self) -> AsyncGenerator[Event, None]:
        try:
            for seconds, event in self.events:
                await asyncio.sleep(seconds)
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.closed = now()


def read(slow: Slow, timeouts: Timeouts) -> tuple[list[Event], Exception | None, float]:
    """What came, how it broke off, and when."""

    async def scenario() -> tuple[list[Event], Exception | None, float]:
        found: list[Event] = []
        try:
            async for event in limited(slow.stream(), timeouts, URL):
                found.append(event)
        except (EndpointError, TimeoutError) as error:
            return found, error, now()
        return found, None, now()

    return run(scenario())


def test_what_comes_in_time_comes_as_it_is():
    slow = Slow((9, Delta("a")), (4, Delta("b")), (4, END))
    assert read(slow, Timeouts(first=10, between=5)) == ([Delta("a"), Delta("b"), END], None, 17)
    assert slow.closed == 17


def test_an_answer_that_does_not_begin():
    slow = Slow((11, Delta("a")))
    found, error, when = read(slow, Timeouts(first=10, between=5))
    assert (found, when, slow.closed) == ([], 10, 10)
    assert isinstance(error, EndpointError)
    assert str(error).startswith("http://h began no answer within 10 s (time-out 'first')")


def test_an_answer_that_stalls():
    slow = Slow((9, Delta("a")), (6, Delta("b")))
    found, error, when = read(slow, Timeouts(first=10, between=5))
    assert (found, when, slow.closed) == ([Delta("a")], 14, 14)
    assert isinstance(error, EndpointError)
    assert str(error).startswith("http://h began an answer and then said nothing for 5 s (time-out 'between')")


def test_a_reader_that_is_slow_itself_is_no_stall():
    async def scenario() -> list[Event]:
        found = []
        async for event in limited(Slow((1, Delta("a")), (1, END)).stream(), Timeouts(first=2, between=2), URL):
            found.append(event)
            await asyncio.sleep(100)
        return found

    assert run(scenario()) == [Delta("a"), END]


def test_what_is_raised_inside_goes_on_as_it_is():
    for inside in (EndpointError("no"), TimeoutError("another clock's")):
        assert read(Slow((1, inside)), Timeouts())[1] is inside


def test_closing_early_closes_what_is_inside():
    slow = Slow((1, Delta("a")), (1, Delta("b")))

    async def scenario() -> None:
        events = limited(slow.stream(), Timeouts(), URL)
        assert await anext(events) == Delta("a")
        await events.aclose()

    run(scenario())
    assert slow.closed == 1


@pytest.mark.parametrize("value", [0, -1, LONGEST + 1, float("nan"), float("inf"), True, "1", None])
@pytest.mark.parametrize("name", ["connect", "first", "between"])
def test_a_time_out_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"the time-out '{name}' must be a number of seconds above 0"):
        Timeouts(**{name: value})
