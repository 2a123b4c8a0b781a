"""How long a server may take: to be connected to, to begin an answer, and from one piece of it to the next. Knows events, no server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, fields

from puna.engines.base import Event
from puna.errors import EndpointError, InputError

LONGEST = 86_400.0
"""Seconds of a day: more is not patience, but a mistake in the unit."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Longest waits, in seconds, each more than 0 and at most a day.

    connect: until there is a connection. first: until the first piece of an answer, connecting and queueing included; 60 is
    SageMaker's own limit, and boto3's. between: from one piece to the next.

    Raises:
        InputError: a value out of range.
    """

    connect: float = 10.0
    first: float = 60.0
    between: float = 60.0

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= LONGEST
            if not good:
                raise InputError(
                    f"the time-out {entry.name!r} must be a number of seconds above 0 and at most {LONGEST:.0f}, not {value!r:.80}"
                )


DEFAULTS = Timeouts()


async def limited(events: AsyncGenerator[Event, None], timeouts: Timeouts, url: str) -> AsyncGenerator[Event, None]:
    """The same events, each within its time. Only an event counts as progress: bytes that keep a connection alive do not.

    url: whose they are, for the sentence. ``events`` is closed with this iterator, and before an error is raised.

    Raises:
        EndpointError: nothing came in time; it says which limit was met.
    """
    async with aclosing(events):
        seconds, name = timeouts.first, "first"
        while True:
            try:
                async with asyncio.timeout(seconds) as limit:
                    event = await anext(events)
            except StopAsyncIteration:
                return
            except TimeoutError:
                if not limit.expired():
                    raise
                raise EndpointError(_SENTENCES[name].format(url=url, seconds=seconds)) from None
            yield event
            seconds, name = timeouts.between, "between"


_SENTENCES = {
    "first": "{url} began no answer within {seconds:g} s (time-out 'first'); it may be busy or still loading: ask again, or "
    "wait longer for the first token",
    "between": "{url} began an answer and then said nothing for {seconds:g} s (time-out 'between'); ask again, or wait longer between "
    "tokens",
}
