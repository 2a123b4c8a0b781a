"""Work that a first Ctrl-C ends when it next can, and a second one at once. Knows signals, and nothing of the work."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def heard() -> tuple[signal.Signals, ...]:
    """Those of SIGNALS that are not ignored.

    A shell without job control ignores SIGINT in what it starts in the background: Ctrl-C there means what is in the foreground.
    """
    return tuple(number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN)


async def interruptible(work: Callable[[asyncio.Event], Coroutine[Any, Any, T]], warning: str) -> T:
    """What the work gives. It gets an event that SIGINT or SIGTERM sets; a second signal cancels it. warning: said at the first one.

    Once there was a signal, further ones do nothing, also when the work is over: the process is about to end, and says how.

    Raises:
        asyncio.CancelledError: there was a second signal.
    """
    stop = asyncio.Event()
    task = asyncio.ensure_future(work(stop))
    cancelled = False

    def on_signal() -> None:
        nonlocal cancelled
        if not stop.is_set():
            print(f"puna: {warning}", file=sys.stderr, flush=True)
        elif not cancelled:
            cancelled = True  # once: another one would break off what the first one ends
            task.cancel()
        stop.set()

    loop = asyncio.get_running_loop()
    numbers = heard()
    for number in numbers:
        loop.add_signal_handler(number, on_signal)
    try:
        return await task
    finally:
        if stop.is_set():
            for number in numbers:
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)
