"""What callers are told where the engine is a server of its own: its refusals in their terms, and whether it is there. Knows no connection.

Whoever calls this endpoint knows nothing of the server behind it. So what that server says of the prompt is passed on, what it says
of the moment becomes what SDKs ask again for, and what it says of this endpoint (its key, its model) is nobody's fault who calls.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from puna.engines.strangers import PageError
from puna.errors import (
    EndpointError,
    EngineBusyError,
    EngineStoppedError,
    InputError,
    PunaError,
    RefusedError,
    UnreachableError,
)

_PROMPT = frozenset({400, 413, 422})
"""Statuses by which servers refuse a prompt or its parameters."""

_MOMENT = frozenset({408, 502, 503, 504, 529})
"""Statuses of a server, or of what stands before it, that may answer the next time; 529 is "overloaded" at some vendors."""

FRESH_SECONDS = 1.0
"""How long an answer to whether it is there holds: a balancer asks every few seconds, a page every five."""


class UpstreamBusyError(EngineBusyError):
    """The server behind this endpoint has too much to do. retry_after: seconds, None where it does not say."""

    retry_after: float | None = None


class UpstreamAwayError(EngineStoppedError):
    """The server behind this endpoint does not answer, or cannot for the moment. retry_after: as above."""

    retry_after: float | None = None


class UpstreamFailedError(PunaError):
    """The server behind this endpoint gave no answer that is one: a web page, rubbish, a part of one, or nothing in time. No caller is at fault."""

    status = 502
    code = "ModelError"


class UpstreamDeniedError(UpstreamFailedError):
    """The server behind this endpoint refuses this endpoint itself. Asking again does not help.

    status: 502, since 401 would make SDKs and people doubt a key of their own.
    """


E = TypeVar("E", bound=Exception)


def told(error: E) -> E | PunaError:
    """The error that a caller of this endpoint is told; another one than the engine's own where that is a remote server's."""
    if isinstance(error, RefusedError):
        return _of_refusal(error)
    if isinstance(error, UnreachableError):
        return UpstreamAwayError(str(error))
    return UpstreamFailedError(str(error)) if isinstance(error, EndpointError) else error


def _of_refusal(error: RefusedError) -> PunaError:
    page = isinstance(error, PageError)  # of what stands before the server: of a prompt it knows the size
    if error.status in _PROMPT and (not page or error.status == 413):
        return InputError(str(error))
    if error.status == 429:
        busy = UpstreamBusyError(str(error))
        busy.retry_after = error.retry_after
        return busy
    if error.status in _MOMENT or (page and error.status >= 500):
        away = UpstreamAwayError(str(error))
        away.retry_after = error.retry_after
        return away
    if error.status < 500:
        return UpstreamDeniedError(
            f"{error}. It is this endpoint that is refused there, not your request: whoever runs it must look at the address, the "
            "model's name and the key of its upstream"
        )
    return error


class Reach:
    """Whether the server behind this endpoint is there. probe: asks it, and never raises. there: as it was last time."""

    def __init__(self, probe: Callable[[], Awaitable[bool]]) -> None:
        self.there = True
        self._probe = probe
        self._asked = float("-inf")
        self._lock = asyncio.Lock()

    async def look(self) -> bool:
        """Ask it, unless that was done a moment ago; those who want to know at the same time ask once."""
        async with self._lock:
            if time.monotonic() - self._asked >= FRESH_SECONDS:
                self.there = await self._probe()
                self._asked = time.monotonic()
            return self.there
