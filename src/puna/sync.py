"""The one bridge from synchronous callers to the async core: a background event loop in a daemon thread.

It works where a loop runs already, as in Jupyter, and leaves the caller's thread free for Ctrl-C.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator
from contextlib import suppress
from functools import cache
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class _Done:
    """Marks the end of an iteration in a queue whose items may be anything else."""


class Bridge:
    """Runs coroutines and async iterators of one background loop for callers of any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="puna", daemon=True).start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result; an interrupted wait cancels it and lets it clean up first."""

        async def one() -> AsyncGenerator[T, None]:
            yield await work

        return next(iter(list(self.iterate(one()))))

    def iterate(self, items: AsyncGenerator[T, None]) -> Generator[T, None, None]:
        """The items as they come. Leaving early, or an interrupt, closes the async iterator before it returns."""
        box: SimpleQueue[T | BaseException | _Done] = SimpleQueue()
        ended = threading.Event()
        tasks: list[asyncio.Task[None]] = []

        def begin() -> None:
            tasks.append(self._loop.create_task(_pump(items, box)))
            tasks[0].add_done_callback(lambda _: ended.set())

        def stop() -> None:
            tasks[0].cancel()  # there is one by now: the loop runs these in order

        self._loop.call_soon_threadsafe(begin)
        try:
            while not isinstance(item := box.get(), _Done):
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self._loop.call_soon_threadsafe(stop)
            ended.wait()


async def _pump(items: AsyncGenerator[T, None], box: SimpleQueue[T | BaseException | _Done]) -> None:
    # One task for the whole iteration: an async generator must not be resumed by one task and closed by another.
    try:
        async for item in items:
            box.put(item)
        box.put(_Done())
    except BaseException as error:  # noqa: BLE001  # it is raised in the caller's thread
        box.put(error)
    finally:
        with suppress(Exception):
            await items.aclose()


@cache
def bridge() -> Bridge:
    """The process's one bridge, started when it is first needed."""
    return Bridge()
