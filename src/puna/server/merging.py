"""Several async generators as one. Knows nothing of what they give."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")

AHEAD = 16
"""Events that wait at most, so that a slow reader slows the generators down."""

_Event = tuple[int, T | None, Exception | None]
"""Number of the stream, and what it gave, or how it failed; neither where it has ended."""


async def merged(streams: Sequence[AsyncGenerator[T, None]], at_once: int) -> AsyncGenerator[tuple[int, T], None]:
    """What the streams give, as it comes, each with its stream's number. All are closed when this one is.

    at_once: streams that are read at a time; the next one begins when one has ended, so that many of them leave room for
    others in a queue between. The first error of any of them is raised here, and ends the others.
    """
    if len(streams) == 1:
        async with aclosing(streams[0]) as only:
            async for event in only:
                yield 0, event
        return
    queue: asyncio.Queue[_Event[T]] = asyncio.Queue(AHEAD)
    gate = asyncio.Semaphore(at_once)
    tasks = [asyncio.ensure_future(_pump(n, stream, queue, gate)) for n, stream in enumerate(streams)]
    left = len(tasks)
    try:
        while left:
            n, item, error = await queue.get()
            if error is not None:
                raise error
            if item is None:
                left -= 1
            else:
                yield n, item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(
    n: int, stream: AsyncGenerator[T, None], queue: asyncio.Queue[_Event[T]], gate: asyncio.Semaphore
) -> None:
    async with aclosing(stream), gate:
        try:
            async for event in stream:
                await queue.put((n, event, None))
        except Exception as error:  # noqa: BLE001  # it is raised where the streams are read
            await queue.put((n, None, error))
        else:
            await queue.put((n, None, None))
