"""Who may use an engine's slots, which one, and who waits. Knows nothing of what a slot does.

An engine's own queue will not do: a request queued inside llama.cpp's server cannot be cancelled, its client's leaving
is noticed only when a slot frees (measured on b11549).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from puna.errors import EngineBusyError, EngineStoppedError

Choose = Callable[[Sequence[int]], int]
"""One of the free slots, which are told by number, the least recently used first."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One that is held, by nobody else. number: from 0. waited: seconds, for it."""

    number: int
    waited: float


def _rested(free: Sequence[int]) -> int:
    return free[0]


class Slots:
    """``size`` slots, handed out first come, first served; at most ``queue`` callers wait for one."""

    def __init__(self, size: int, queue: int) -> None:
        self.size = size
        self.queue = queue
        self.waiting = 0
        self.busy = 0
        self.closed = False
        self._free = asyncio.Semaphore(size)
        self._numbers = list(range(size))  # of the free ones

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[float]:
        """Hold any slot; gives the seconds that were waited for it. Else as ``numbered``."""
        async with self.numbered() as slot:
            yield slot.waited

    @asynccontextmanager
    async def numbered(self, choose: Choose = _rested) -> AsyncIterator[Slot]:
        """Hold the slot that is chosen once one is free. A cancelled wait leaves no trace.

        Raises:
            EngineBusyError: the queue is full. EngineStoppedError: ``close`` was called, perhaps during the wait.
        """
        waited = await self._acquire()
        number = choose(self._numbers)
        self._numbers.remove(number)
        self.busy += 1
        try:
            yield Slot(number, waited)
        finally:
            self.busy -= 1
            self._numbers.append(number)
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
