"""An engine that asks another one again where that may help. Knows errors and time; nothing of what is asked.

An answer that had begun is never asked for again: its reader has a part of it, and it was paid for.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TypeVar

from puna.engines.base import Engine, EngineInfo, Event, Scored, Variant, each_alone
from puna.errors import EngineBusyError, EngineError, EngineLoadingError, InputError, RefusedError, UnreachableError
from puna.generation import NO_EXTRAS, End, Extras, Prompt, Sampling, Segment

STATUSES = frozenset({408, 429, 500, 502, 503, 504, 529, 530})
"""Of refusals that may be withdrawn: time-outs, too many requests, failures of a server or of what stands before it.
529 is "overloaded" at some vendors, 530 a failed dependency of SageMaker Runtime (botocore 1.44, InternalDependencyException)."""

BASE_SECONDS = 0.5
LONGEST_SECONDS = 20.0
"""Of one wait: up to BASE_SECONDS before the second try, twice as much before each further one, LONGEST_SECONDS at most. Where in
between is left to chance, so that many clients do not come back at once (AWS Architecture Blog, "Exponential Backoff And
Jitter", 2015: "full jitter")."""

Sleep = Callable[[float], Awaitable[object]]

T = TypeVar("T")


def may_help(error: Exception) -> bool:
    """Whether the same request, sent again, may be answered."""
    if isinstance(error, RefusedError):
        return error.status in STATUSES
    return isinstance(error, EngineBusyError | EngineLoadingError | UnreachableError)


def check_retries(retries: object) -> None:
    """Refuse what is no number of further tries.

    Raises:
        InputError: it is not 0 to 20.
    """
    if not isinstance(retries, int) or isinstance(retries, bool) or not 0 <= retries <= 20:
        raise InputError(f"retries must be a whole number from 0 to 20, not {retries!r:.80}")


@dataclass
class _Tries:
    """What was tried for one request. left: further tries; seconds: that may still be waited."""

    left: int
    seconds: float
    sleep: Sleep
    chance: Callable[[], float]
    told: list[dict[str, object]] = field(default_factory=list)

    async def after(self, error: EngineError) -> None:
        """Wait for the next try, or raise the error where there is none."""
        pause = self._pause(error)
        if not may_help(error) or not self.left or pause > self.seconds:
            raise self._final(error)
        self.told.append({"error": str(error), "waited": round(pause, 3)})
        self.left -= 1
        self.seconds -= pause
        await self.sleep(pause)

    def _pause(self, error: EngineError) -> float:
        asked = error.retry_after if isinstance(error, RefusedError) else None
        return asked if asked is not None else self.chance() * min(LONGEST_SECONDS, BASE_SECONDS * 2 ** len(self.told))

    def _final(self, error: EngineError) -> EngineError:
        if self.told:
            error.args = (f"{error} (asked {len(self.told) + 1} times)",)
        return error

    def noted(self, event: Event) -> Event:
        """An end that tells of the tries before it."""
        if not isinstance(event, End) or not self.told:
            return event
        return replace(event, remote={**(event.remote or {}), "tries": self.told})


class Retrying:
    """The engine, asked up to ``retries`` times more where it is busy, loading, unreachable or refuses for the moment.

    seconds: the longest that one request may spend in waiting between tries; a server that wants to be left alone for longer
    is told to the caller at once. sleep: as ``asyncio.sleep``. chance: as ``random.random``. What it did stands in the remote part
    of the receipt, as ``tries``: error and seconds waited of every try that failed.

    Raises:
        InputError: retries out of 0 to 20, or seconds below 0.
    """

    def __init__(
        self,
        engine: Engine,
        retries: int = 2,
        seconds: float = 60.0,
        *,
        sleep: Sleep = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        check_retries(retries)
        if not seconds >= 0:
            raise InputError(f"the seconds spent in waiting between tries must be 0 or more, not {seconds!r:.80}")
        self.engine = engine
        self.retries = retries
        self.seconds = seconds
        self._sleep = sleep
        self._chance = chance

    @property
    def ready(self) -> bool:
        """As the engine's."""
        return self.engine.ready

    @property
    def state(self) -> str:
        """As the engine's."""
        return self.engine.state

    @property
    def waiting(self) -> int:
        """As the engine's."""
        return self.engine.waiting

    @property
    def restarts(self) -> int:
        """As the engine's."""
        return self.engine.restarts

    async def start(self) -> EngineInfo:
        """As the engine; asked again where it refuses for the moment, but not where nobody is: that is mostly a wrong address."""
        tries = self._tries()
        while True:
            try:
                return await self.engine.start()
            except UnreachableError:
                raise
            except EngineError as error:
                await tries.after(error)

    async def close(self) -> None:
        """As the engine."""
        await self.engine.close()

    async def encode(self, segments: tuple[Segment, ...]) -> tuple[int, ...]:
        """As the engine."""
        return await self._asked(lambda: self.engine.encode(segments))

    async def stream(
        self, prompt: Prompt, sampling: Sampling, extras: Extras = NO_EXTRAS
    ) -> AsyncGenerator[Event, None]:
        """As the engine. Once an event has come, an error is the caller's."""
        tries, began = self._tries(), False
        while True:
            try:
                async with aclosing(self.engine.stream(prompt, sampling, extras)) as events:
                    async for event in events:
                        began = True
                        yield tries.noted(event)
            except EngineError as error:
                if began:
                    raise
                await tries.after(error)
            else:
                return

    def together(self, prompt: Prompt, variants: Sequence[Variant]) -> Sequence[AsyncGenerator[Event, None]]:
        """Each alone, with tries of its own."""
        return each_alone(self, prompt, variants)

    async def score(self, ids: tuple[int, ...], top: int, start: int = 1) -> Scored:
        """As the engine."""
        return await self._asked(lambda: self.engine.score(ids, top, start))

    def _tries(self) -> _Tries:
        return _Tries(self.retries, self.seconds, self._sleep, self._chance)

    async def _asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        tries = self._tries()
        while True:
            try:
                return await ask()
            except EngineError as error:
                await tries.after(error)
