"""What has come of a turn so far: written by one task of a loop; read, waited for and ended from any thread. Knows events only.

The turn has a task of its own, so that readers may come, leave and come again, and so that what an engine's iterator holds is
freed by the task that took it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from threading import Condition, RLock

from puna.generation import Delta, Receipt

ABANDON_SECONDS = 1.0
"""How long a stream that is collected waits for the lock, before it leaves the stopping to the loop."""

Events = AsyncGenerator[Delta | Receipt, None]


class Recording:
    """One turn. deltas: what has come; receipt: once it came to its end; error: why it did not, where that was no stop.

    begin: gives the turn's events, or refuses; finish: takes what has come, once. Both are called with ``lock`` held, and finish
    at once when the turn is stopped. ended: as readers and the conversation see it; the engine is done with it when it is gone.
    """

    def __init__(self, lock: RLock, begin: Callable[[Recording], Events], finish: Callable[[Recording], None]) -> None:
        self.deltas: list[Delta] = []
        self.receipt: Receipt | None = None
        self.error: BaseException | None = None
        self.started = self.ended = self.gone = False
        self._lock = lock
        self._changed = Condition(lock)
        self._begin = begin
        self._finish = finish
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def text(self) -> str:
        """What has come so far."""
        return "".join(delta.text for delta in tuple(self.deltas))

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin the turn, on this loop, unless it was begun or stopped before.

        Raises:
            InputError: another turn is under way; it may be tried again.
        """
        with self._lock:
            if self.started or self.ended:
                return
            events = self._begin(self)
            self.started, self._loop = True, loop
            loop.call_soon_threadsafe(self._launch, events)

    def stop(self) -> None:
        """End it with what has come. One that was not begun will not be."""
        with self._lock:
            if self.ended:
                return
            if self._loop is None:
                self.ended = self.gone = True
                self._tell()
                return
            self._end(None)
            with suppress(RuntimeError):  # the loop is closed, and has ended its tasks
                self._loop.call_soon_threadsafe(self._cancel)

    def abandon(self) -> None:
        """Stop what nobody can read any more. It may be called by the collector at any place, so it must never wait for long."""
        if self.ended or self._loop is None:
            return
        if self._lock.acquire(timeout=ABANDON_SECONDS):
            try:
                self.stop()
            finally:
                self._lock.release()
        else:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self.stop)

    def wait(self, n: int) -> str | None:
        """The n-th piece; None where the turn ended with fewer. Blocks.

        Raises:
            PunaError: what ended the turn before it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._settled(n))
            return self._piece(n)

    async def next(self, n: int) -> str | None:
        """``wait`` for callers on a loop, of which there may be several."""
        await self._until(lambda: self._settled(n))
        return self._piece(n)

    def wait_gone(self) -> None:
        """Wait until the engine is done with it. Blocks, except on the turn's own loop."""
        with suppress(RuntimeError):
            if asyncio.get_running_loop() is self._loop:
                return
        with self._changed:
            self._changed.wait_for(self._is_gone)

    async def until_gone(self) -> None:
        """``wait_gone`` for callers on a loop."""
        await self._until(self._is_gone)

    async def _until(self, there: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with self._lock:
                if there():
                    return
                told: asyncio.Future[None] = loop.create_future()
                self._waiting.append((loop, told))
            await told

    def _is_gone(self) -> bool:
        """Also where its loop was closed over it, so that nobody waits for what cannot come."""
        return self.gone or (self._loop is not None and self._loop.is_closed())

    def _settled(self, n: int) -> bool:
        return self.ended or n < len(self.deltas) or self._is_gone()

    def _piece(self, n: int) -> str | None:
        if n < len(self.deltas):
            return self.deltas[n].text
        if self.error is not None:
            raise self.error
        return None

    def _launch(self, events: Events) -> None:
        self._task = asyncio.get_running_loop().create_task(self._follow(events))
        self._task.add_done_callback(self._over)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _follow(self, events: Events) -> None:
        async with aclosing(events):
            async for event in events:
                with self._lock:
                    if self.ended:
                        return
                    if isinstance(event, Receipt):
                        self.receipt = event
                    else:
                        self.deltas.append(event)
                    self._tell()

    def _over(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        with self._lock:
            try:
                self._end(error)
            finally:
                self.gone, self._task = True, None
                self._tell()

    def _end(self, error: BaseException | None) -> None:
        if self.ended:
            return
        self.ended, self.error = True, error
        try:
            self._finish(self)
        finally:
            del self._begin, self._finish  # they hold the conversation, which holds this
            self._tell()

    def _tell(self) -> None:
        self._changed.notify_all()
        waiting, self._waiting = self._waiting, []
        for loop, told in waiting:
            with suppress(RuntimeError):  # that loop is closed; nobody waits there
                loop.call_soon_threadsafe(_tell_one, told)


def _tell_one(told: asyncio.Future[None]) -> None:
    if not told.done():
        told.set_result(None)
