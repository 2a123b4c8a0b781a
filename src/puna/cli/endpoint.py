"""A running endpoint for the verbs that need one: socket, model, engine, app, in the order in which they can fail."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from puna import config
from puna.chat import Spine
from puna.cli.progress import on_terminal
from puna.server.app import create_app
from puna.server.listen import address_of, bind, listening, run


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint that answers."""

    url: str
    name: str
    spine: Spine

    @property
    def ready_line(self) -> str:
        """What ``puna serve`` prints when it is ready."""
        info = self.spine.info
        return f"ready {self.url} endpoint={self.name} model={info.model} context={info.context} slots={info.slots}"


Work = Callable[[Endpoint, asyncio.Event], Awaitable[int]]
"""What to do while the endpoint is up; the event says that a signal asked for the end."""


def say(line: str) -> None:
    """A line for the person at the terminal."""
    print(line, file=sys.stderr, flush=True)


def with_endpoint(wanted: config.Settings, work: Work, log: Callable[[str], None] = say) -> int:
    """Run ``work`` beside an endpoint; SIGINT and SIGTERM end it cleanly, a second signal at once."""
    with bind(wanted.host, wanted.port) as bound:
        with on_terminal() as progress:
            model = config.find_model(wanted, progress)
        return run(_with_signals(wanted, model, bound, work, log))


async def _with_signals(
    wanted: config.Settings, model: config.Model | None, bound: socket.socket, work: Work, log: Callable[[str], None]
) -> int:
    stop = asyncio.Event()
    task = asyncio.ensure_future(_serve(wanted, model, bound, lambda endpoint: work(endpoint, stop), log))

    def on_signal() -> None:
        if stop.is_set():
            task.cancel()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    return await task


async def _serve(
    wanted: config.Settings,
    model: config.Model | None,
    bound: socket.socket,
    work: Callable[[Endpoint], Awaitable[int]],
    log: Callable[[str], None],
) -> int:
    spine = await config.open_spine(wanted, model)
    try:
        async with listening(create_app(spine, wanted.name, log=log, ready=lambda: spine.engine.ready), bound):
            try:
                return await work(Endpoint(address_of(bound), wanted.name, spine))
            finally:
                # Before the server: it waits for its streams, which end when the engine does.
                await spine.engine.close()
    finally:
        await spine.engine.close()
