"""What is asked again, when, and what never is; by a clock and dice of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.engines.base import EngineInfo, Event, Scored
from puna.engines.retry import BASE_SECONDS, LONGEST_SECONDS, STATUSES, Retrying, may_help
from puna.errors import (
    EndpointError,
    EngineBusyError,
    EngineError,
    EngineLoadingError,
    EngineStoppedError,
    InputError,
    RefusedError,
    UnreachableError,
)
from puna.generation import Delta, End, Finish, Prompt, Sampling
from tests.engines.clock import now, run

END = End(Finish.STOP, None, remote={"id": "7"})
INFO = EngineInfo("m", "b", 10, 1)


class Moody:
    """An engine that does, try by try, what a test says: errors, or events that may end in one."""

    ready, state, waiting, restarts = True, "ready", 3, 2

    def __init__(self, *tries: Exception | list[Event | Exception]) -> None:
        self.tries = list(tries)
        self.asked: list[float] = []
        self.open = 0

    async def _answer(self) -> list[Event | Exception]:
        self.asked.append(now())
        answer = self.tries.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def start(self) -> EngineInfo:
        await self._answer()
        return INFO

    async def close(self) -> None:
        self.open -= 1

    async def encode(self, segments) -> tuple[int, ...]:
        await self._answer()
        return (1,)

    async def score(self, ids, top, start=1) -> Scored:
        await self._answer()
        return Scored((None,), None)  # type: ignore[arg-type]

    async def stream(self, prompt, sampling, extras=None) -> AsyncGenerator[Event, None]:
        self.open += 1
        try:
            for event in await self._answer():
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.open -= 1

    def together(self, prompt, variants):
        raise NotImplementedError


def tried(engine: Moody, retries=2, seconds=60.0, chance=1.0):
    """The events, and the error."""

    async def scenario():
        retrying = Retrying(engine, retries, seconds, chance=lambda: chance)
        found = []
        try:
            async for event in retrying.stream(Prompt(()), Sampling()):
                found.append(event)
        except EngineError as error:
            return found, error
        return found, None

    return run(scenario())


HELPS = [
    EngineBusyError("busy"),
    EngineLoadingError("loading"),
    UnreachableError("nobody"),
    *(RefusedError("no", status) for status in sorted(STATUSES)),
]


@pytest.mark.parametrize("error", HELPS, ids=repr)
def test_what_may_help_is_asked_again_and_told(error):
    engine = Moody(error, [Delta("a"), END])
    found, raised = tried(engine)
    assert raised is None
    assert found[0] == Delta("a")
    assert found[1].remote == {"id": "7", "tries": [{"error": str(error), "waited": BASE_SECONDS}]}
    assert engine.asked == [0, BASE_SECONDS]
    assert engine.open == 0


@pytest.mark.parametrize(
    "error",
    [EndpointError("nonsense"), EngineStoppedError("gone"), EngineError("failed"), *(RefusedError("no", s) for s in (400, 401, 403, 404, 413, 422, 424, 501, 505))],
    ids=repr,
)  # fmt: skip
def test_what_cannot_help_is_the_callers_at_once(error):
    engine = Moody(error, [END])
    assert tried(engine) == ([], error)
    assert engine.asked == [0]
    assert str(error) == error.args[0]


@pytest.mark.parametrize("error", HELPS, ids=repr)
def test_an_answer_that_had_begun_is_never_asked_for_again(error):
    engine = Moody([Delta("a"), error], [Delta("b"), END])
    assert tried(engine) == ([Delta("a")], error)
    assert len(engine.asked) == 1


def test_the_last_error_says_how_often_was_asked():
    engine = Moody(EngineBusyError("one"), RefusedError("two", 503), UnreachableError("three"), [END])
    _, error = tried(engine)
    assert isinstance(error, UnreachableError)
    assert str(error) == "three (asked 3 times)"
    assert engine.asked == [0, 0.5, 1.5]


def test_without_trouble_nothing_is_added():
    assert tried(Moody([Delta("a"), END])) == ([Delta("a"), END], None)


def test_a_server_says_when_it_wants_to_be_asked_again():
    engine = Moody(RefusedError("later", 429, 7.0), RefusedError("now", 503, 0.0), [END])
    found, _ = tried(engine, chance=0.3)
    assert engine.asked == [0, 7, 7]
    assert [entry["waited"] for entry in found[0].remote["tries"]] == [7, 0]


def test_longer_than_may_be_waited_is_told_at_once():
    engine = Moody(RefusedError("later", 429, 61.0), [END])
    assert str(tried(engine)[1]) == "later"
    engine = Moody(RefusedError("later", 429, 40.0), RefusedError("later", 429, 21.0), [END])
    assert str(tried(engine)[1]) == "later (asked 2 times)"
    assert engine.asked == [0, 40]


@given(st.lists(st.floats(0, 1), min_size=20, max_size=20))
def test_waits_grow_and_stay_below_their_limit(dice):
    engine = Moody(*[EngineBusyError("busy")] * 8, [END])
    rolls = iter(dice)

    async def scenario():
        retrying = Retrying(engine, 8, 1e6, chance=lambda: next(rolls))
        return [event async for event in retrying.stream(Prompt(()), Sampling())]

    run(scenario())
    waits = [b - a for a, b in zip(engine.asked, engine.asked[1:], strict=False)]
    for n, wait in enumerate(waits):
        assert wait == pytest.approx(dice[n] * min(LONGEST_SECONDS, BASE_SECONDS * 2**n), abs=1e-6)


def test_starting_is_asked_again_but_not_of_nobody():
    engine = Moody(EngineLoadingError("loading"), [])
    assert run(Retrying(engine, chance=lambda: 1).start()) == INFO
    assert engine.asked == [0, 0.5]
    wrong = UnreachableError("nobody")
    with pytest.raises(UnreachableError):
        run(Retrying(Moody(wrong, [])).start())


def test_counting_and_scoring_are_asked_again_too():
    busy = EngineBusyError("busy")
    assert run(Retrying(Moody(busy, []), chance=lambda: 0).encode(())) == (1,)
    assert run(Retrying(Moody(busy, []), chance=lambda: 0).score((1,), 0)).tokens == (None,)
    with pytest.raises(EngineBusyError, match="asked 2 times"):
        run(Retrying(Moody(busy, EngineBusyError("busy"), []), 1).encode(()))


def test_the_rest_is_the_engines():
    engine = Moody()
    retrying = Retrying(engine)
    assert (retrying.ready, retrying.state, retrying.waiting, retrying.restarts) == (True, "ready", 3, 2)
    assert retrying.engine is engine
    engine.open = 1
    run(retrying.close())
    assert engine.open == 0


def test_several_are_asked_each_for_itself():
    engine = Moody(EngineBusyError("busy"), [Delta("a"), END], [Delta("b"), END])

    async def scenario():
        retrying = Retrying(engine, chance=lambda: 0)
        streams = retrying.together(Prompt(()), [(Sampling(), None), (Sampling(), None)])  # type: ignore[list-item]
        return [[event.text async for event in stream if isinstance(event, Delta)] for stream in streams]

    assert run(scenario()) == [["a"], ["b"]]


def test_closing_early_closes_the_try_under_way():
    engine = Moody([Delta("a"), Delta("b"), END])

    async def scenario():
        stream = Retrying(engine).stream(Prompt(()), Sampling())
        await anext(stream)
        assert engine.open == 1
        await stream.aclose()

    run(scenario())
    assert engine.open == 0


def test_leaving_while_it_waits_ends_the_waiting():
    engine = Moody(*[EngineBusyError("busy")] * 3)

    async def scenario():
        task = asyncio.ensure_future(anext(Retrying(engine, chance=lambda: 1).stream(Prompt(()), Sampling())))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(scenario())
    assert engine.asked == [0]


@pytest.mark.parametrize("retries", [-1, 21, 1.5, True, None])
def test_other_numbers_of_tries_are_refused(retries):
    with pytest.raises(InputError, match="retries must be a whole number from 0 to 20"):
        Retrying(Moody(), retries)


def test_seconds_below_zero_are_refused():
    for seconds in (-1, float("nan")):
        with pytest.raises(InputError, match="must be 0 or more"):
            Retrying(Moody(), seconds=seconds)


def test_what_helps_is_a_question_of_its_own():
    assert may_help(EngineBusyError("x"))
    assert not may_help(ValueError("x"))
