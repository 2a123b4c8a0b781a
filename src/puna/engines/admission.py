"""Who may use an engine's slots, and who waits. Knows nothing of what a slot does.

An engine's own queue will not do: a request queued inside llama.cpp's server cannot be cancelled, its client's leaving
is noticed only when a slot frees (measured on b11549).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from puna.errors import EngineBusyError, EngineStoppedError


class Slots:
    """``size`` slots, handed out first come, first served; at most ``queue`` callers wait for one."""

    def __init__(self, size: int, queue: int) -> None:
        self.size = size
        self.queue = queue
        self.waiting = 0
        self.busy = 0
        self.closed = False
        self._free = asyncio.Semaphore(size)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[float]:
        """Hold a slot; gives the seconds that were waited for it. A cancelled wait leaves no trace.

        Raises:
            EngineBusyError: the queue is full. EngineStoppedError: ``close`` was called, perhaps during the wait.
        """
        waited = await self._acquire()
        self.busy += 1
        try:
            yield waited
        finally:
            self.busy -= 1
            self._free.release()

    async def _acquire(self) -> float:
        if self._free.locked() and self.waiting >= self.queue:
            raise EngineBusyError(
                f"all {self.size} slots are busy and {self.waiting} requests wait already, as many as may; try again"
            )
        began = time.monotonic()
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
        if self.closed:
            self._free.release()
            raise EngineStoppedError("the engine is stopping; ask again once it is back")
        return time.monotonic() - began

    def close(self) -> None:
        """Send away all who wait, and all who come later."""
        self.closed = True
        # One permit wakes one waiter, which passes it on as it leaves.
        self._free.release()
