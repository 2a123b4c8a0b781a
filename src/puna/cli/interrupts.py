"""Work that a first Ctrl-C ends when it next can, and a second one at once. Knows signals, and nothing of the work."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def interruptible(work: Callable[[asyncio.Event], Coroutine[Any, Any, T]], warning: str) -> T:
    """What the work gives. It gets an event that SIGINT or SIGTERM sets; a second signal cancels it. warning: said at the first one."""
    stop = asyncio.Event()
    task = asyncio.ensure_future(work(stop))

    def on_signal() -> None:
        if stop.is_set():
            task.cancel()
        else:
            print(f"puna: {warning}", file=sys.stderr, flush=True)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    return await task
