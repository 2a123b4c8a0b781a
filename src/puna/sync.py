"""The one bridge from synchronous callers to the async core: a background event loop in a daemon thread.

It works where a loop runs already, as in Jupyter, and leaves the caller's thread free for Ctrl-C.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import suppress
from functools import cache
from queue import SimpleQueue
from typing import Any, ParamSpec, Protocol, TypeVar

from puna.errors import InputError

P = ParamSpec("P")
T = TypeVar("T")

STOP_SECONDS = 10.0
"""Longest wait for the loop at the end of the process."""


class _Done:
    """Marks the end of an iteration in a queue whose items may be anything else."""


class Closable(Protocol):
    """What the bridge closes before the process ends."""

    async def close(self) -> None:
        """Free everything."""


class Bridge:
    """Runs coroutines and async iterators of one background loop for callers of any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="puna", daemon=True)
        self._adopted: weakref.WeakSet[Closable] = weakref.WeakSet()
        self._ended = False
        self._thread.start()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop on which everything runs."""
        return self._loop

    def adopt(self, owner: Closable) -> None:
        """Close ``owner`` when the process ends, if it still lives then."""
        self._adopted.add(owner)

    def shut_down(self) -> None:
        """End every stream, close what was adopted, stop the loop.

        Called before the interpreter freezes its daemon threads: a suspended iterator that is finalised after that
        would wait for its end for ever.
        """
        self._ended = True
        with suppress(Exception):
            asyncio.run_coroutine_threadsafe(self._end_everything(), self._loop).result(STOP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    async def _end_everything(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for owner in list(self._adopted):
            with suppress(Exception):
                await owner.close()

    def run(self, work: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **named: P.kwargs) -> T:
        """The result of ``await work(*args, **named)``; an interrupted wait cancels it and lets it clean up first.

        The coroutine is made on the loop, so that an interrupt before its first step leaves none that nobody awaits.
        """

        async def one() -> AsyncGenerator[T, None]:
            yield await work(*args, **named)

        return next(iter(list(self.iterate(one()))))

    def iterate(self, items: AsyncGenerator[T, None]) -> Generator[T, None, None]:
        """The items as they come. Leaving early, or an interrupt, closes the async iterator before it returns.

        Raises:
            InputError: it is called on the background loop itself, which would wait for itself for ever.
        """
        if threading.current_thread() is self._thread:
            raise InputError(
                "a synchronous call was made inside a coroutine that puna's own event loop runs, and would wait for itself for ever; make it "
                "before, or use the asynchronous form (puna.AsyncChat)"
            )
        box: SimpleQueue[T | BaseException | _Done] = SimpleQueue()
        ended = threading.Event()
        tasks: list[asyncio.Task[None]] = []

        def begin() -> None:
            tasks.append(self._loop.create_task(_pump(items, box)))
            tasks[0].add_done_callback(lambda _: ended.set())

        def stop() -> None:
            if tasks:
                tasks[0].cancel()
            else:  # the interrupt came before ``begin`` was asked for: the loop runs these in order
                ended.set()

        try:
            self._loop.call_soon_threadsafe(begin)
            while not isinstance(item := box.get(), _Done):
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            if not self._ended:
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
    started = Bridge()
    atexit.register(started.shut_down)
    return started
