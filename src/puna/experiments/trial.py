"""One trial, from a prepared turn to an outcome: read to its end, timed, tried again where that may help. Knows no store.

Every failure is an outcome too, with its reason and what had arrived of the answer.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from puna.chat import Spine
from puna.engines.base import EngineInfo
from puna.errors import (
    EngineBusyError,
    EngineError,
    EngineLoadingError,
    EngineStoppedError,
    InputError,
    PunaError,
    RefusedError,
    SamplingError,
    UnreachableError,
)
from puna.experiments.rows import Failure, Outcome, State
from puna.generation import Delta, Logprob, Receipt, Sampling
from puna.turn import Ask, Turn

Stream = AsyncGenerator[Delta | Receipt, None]

FIRST_WAIT = 1.0
"""Seconds before the first further attempt; each next wait is twice as long."""

LONGEST_WAIT = 30.0

PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
"""HTTP statuses of refusals that may not come again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often a trial is tried. seconds: of one attempt. retries: further attempts.

    wait: lets so many seconds pass before a further attempt; true from it says that there shall be none.
    """

    seconds: float
    retries: int
    wait: Callable[[float], Awaitable[object]] = asyncio.sleep

    async def over(self, attempt: int, error: Exception, *, remote: bool) -> bool:
        """Whether that many attempts, of which the last one failed so, were all; the time before the next one has passed if not."""
        if attempt > self.retries or not may_pass(error, remote=remote):
            return True
        return bool(await self.wait(min(FIRST_WAIT * 2 ** (attempt - 1), LONGEST_WAIT)))


@dataclass
class _Arrived:
    """What has come of an answer so far."""

    texts: list[str] = field(default_factory=list)
    logprobs: list[Logprob] = field(default_factory=list)
    first: float | None = None


Hear = Callable[[int], object]
"""Gets the number of tokens as they come."""


def _unheard(_: int) -> None:
    return


async def prepared(spine: Spine, ask: Ask, limits: Limits) -> Turn:
    """A turn, also while the engine is loading its model again.

    Raises:
        PunaError: why there is none.
    """
    for attempt in count(1):
        try:
            return await spine.prepare(ask)
        except PunaError as error:
            if await limits.over(attempt, error, remote=False):
                raise
    raise AssertionError  # count() has no end


async def tried(
    turn: Turn, stream: Stream, limits: Limits, *, model_sha256: str | None = None, hear: Hear = _unheard
) -> Outcome:
    """What a trial comes to. stream: the first attempt, of this turn; further ones are made here. Never raises ``PunaError``."""
    attempt = 1
    outcome, error = await _attempt(turn, stream, limits.seconds, hear)
    while error is not None and not await limits.over(attempt, error, remote=turn.info.slots == 0):
        attempt += 1
        outcome, error = await _attempt(turn, turn.stream(), limits.seconds, hear)
    return replace(outcome, attempts=attempt, model_sha256=model_sha256)


async def _attempt(turn: Turn, stream: Stream, seconds: float, hear: Hear) -> tuple[Outcome, Exception | None]:
    started, began = time.time(), time.monotonic()
    arrived = _Arrived()
    error: Exception | None = None
    try:
        async with asyncio.timeout(seconds), aclosing(stream):
            receipt = await _read(stream, arrived, began, hear)
    except (PunaError, TimeoutError) as caught:
        error = caught
    outcome = Outcome(
        state=State.OK,
        output="".join(arrived.texts),
        started=started,
        seconds=time.monotonic() - began,
        first=arrived.first,
        sampling=turn.sampling,
        prompt=turn.prompt,
        model=turn.info.model,
        engine=turn.info.build,
        reproducible=turn.info.reproducible,
        written_as=None if turn.format == "endpoint" else turn.format,
        logprobs=None if turn.extras.logprobs is None else tuple(arrived.logprobs),
    )
    if error is not None:
        return _failed(outcome, error, seconds), error
    return _told(outcome, receipt), None


async def _read(stream: Stream, arrived: _Arrived, began: float, hear: Hear) -> Receipt:
    async for event in stream:
        if isinstance(event, Receipt):
            return event
        if arrived.first is None and event.text:
            arrived.first = time.monotonic() - began
        arrived.texts.append(event.text)
        arrived.logprobs += event.logprobs
        hear(event.tokens)
    raise EngineError("the stream ended without a word on why; see the engine's log")


def _told(outcome: Outcome, receipt: Receipt) -> Outcome:
    """What the receipt says; a remote endpoint's own says more than what is known here."""
    outcome = replace(
        outcome,
        finish=str(receipt.finish),
        stopped_by=receipt.stopped_by,
        usage=receipt.usage,
        timing=receipt.timing,
        receipt_id=secrets.token_hex(8),
        receipt=receipt.as_json(),
    )
    return outcome if receipt.remote is None else _told_there(outcome, receipt.remote)


def _told_there(outcome: Outcome, remote: Mapping[str, Any]) -> Outcome:
    """What an endpoint's receipt says, as far as it is one of puna's."""
    prompt = remote.get("prompt")
    return replace(
        outcome,
        receipt=dict(remote),
        receipt_id=str(remote.get("id") or outcome.receipt_id),
        sampling=_sampling(remote.get("sampling"), outcome.sampling),
        written_as=str(prompt["format"]) if isinstance(prompt, dict) and prompt.get("format") else outcome.written_as,
        model=str(remote.get("model") or outcome.model),
        engine=str(remote.get("engine") or outcome.engine),
        reproducible=remote["reproducible"] if isinstance(remote.get("reproducible"), bool) else outcome.reproducible,
    )


def _sampling(told: object, otherwise: Sampling) -> Sampling:
    if isinstance(told, dict):
        with suppress(SamplingError):
            return Sampling.of(told)
    return otherwise


def refused(error: PunaError, sampling: Sampling, info: EngineInfo, model_sha256: str | None = None) -> Outcome:
    """The outcome of a trial for which there is no turn: a prompt that does not fit, or cannot be written."""
    outcome = Outcome(
        State.FAILED,
        "",
        time.time(),
        0.0,
        sampling=sampling,
        model=info.model,
        model_sha256=model_sha256,
        engine=info.build,
        reproducible=info.reproducible,
    )
    return _failed(outcome, error, 0)


def _failed(outcome: Outcome, error: Exception, seconds: float) -> Outcome:
    reason = f"the answer was not whole after {seconds:g} s" if isinstance(error, TimeoutError) else str(error)
    return replace(outcome, state=State.FAILED, failure=failure_of(error, arrived=bool(outcome.output)), reason=reason)


def failure_of(error: Exception, *, arrived: bool) -> Failure:
    """The kind of a failure. arrived: whether something had come of the answer."""
    if isinstance(error, TimeoutError):
        return Failure.TIMEOUT
    if arrived:
        return Failure.BROKEN
    if isinstance(error, InputError | RefusedError | EngineBusyError):
        return Failure.REFUSED
    if isinstance(error, UnreachableError | EngineStoppedError | EngineLoadingError):
        return Failure.UNREACHABLE
    return Failure.BROKEN


def may_pass(error: Exception, *, remote: bool) -> bool:
    """Whether another attempt may fare better. Here the same seed takes as long again; a server may have been busy."""
    if isinstance(error, TimeoutError):
        return remote
    if isinstance(error, RefusedError):
        return error.status in PASSING
    return not isinstance(error, InputError)
