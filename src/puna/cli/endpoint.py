"""A running endpoint for the verbs that need one: its socket and its signals. What an endpoint is, ``puna.endpoint`` says."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from puna import config
from puna import endpoint as endpoints
from puna.chat import Spine
from puna.cli.interrupts import heard
from puna.cli.progress import on_terminal
from puna.errors import InputError
from puna.server.exchange import noted
from puna.server.listen import address_of, bind, listening, run


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint that answers."""

    url: str
    name: str
    spine: Spine
    upstream: str | None = None

    @property
    def ready_line(self) -> str:
        """What ``puna serve`` prints when it is ready. context: of one request, however many slots there are."""
        info = self.spine.info
        context, slots = (number or "unknown" for number in (info.context, info.slots))
        behind = "" if self.upstream is None else f" upstream={self.upstream}"
        return f"ready {self.url} endpoint={self.name} model={info.model} context={context} slots={slots}{behind}"


Work = Callable[[Endpoint, asyncio.Event], Awaitable[int]]
"""What to do while the endpoint is up; the event says that a signal asked for the end."""


def say(line: str) -> None:
    """A line for the person at the terminal."""
    print(line, file=sys.stderr, flush=True)


def with_endpoint(wanted: config.Settings, work: Work, log: Callable[[str], None] = say) -> int:
    """Run ``work`` beside an endpoint; SIGINT and SIGTERM end it once what was accepted is done, a second signal at once."""
    if wanted.replicas > 1:
        raise InputError(
            f"--replicas is for puna serve; here there is one endpoint, not {wanted.replicas}: leave it out"
        )
    guards = endpoints.Guards.of(wanted)
    with bind(wanted.host, wanted.port, guarded=wanted.auth is not None) as bound:
        with on_terminal() as progress:
            model = config.find_model(wanted, progress)
        note = noted(log, structured=wanted.log == "json")
        return run(_with_signals(bound, lambda: endpoints.put_together(wanted, model, guards, log, note), work))


async def _with_signals(bound: socket.socket, make: Callable[[], endpoints.Endpoint], work: Work) -> int:
    stop = asyncio.Event()
    task = asyncio.ensure_future(_serve(bound, make(), lambda endpoint: work(endpoint, stop), stop))

    def on_signal() -> None:
        if stop.is_set():
            task.cancel()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in heard():
        loop.add_signal_handler(number, on_signal)
    return await task


async def _serve(
    bound: socket.socket, made: endpoints.Endpoint, work: Callable[[Endpoint], Awaitable[int]], stop: asyncio.Event
) -> int:
    try:
        async with listening(made.app, bound, made.note):
            spine = await _loaded(made, stop)
            if spine is None:
                return 0
            try:
                status = await work(Endpoint(address_of(bound), made.wanted.name, spine, made.wanted.upstream))
                await made.drain()
                return status
            finally:
                # Before the server: what is not done by now ends when the engine does.
                await made.engine.close()
    finally:
        await made.engine.close()


async def _loaded(made: endpoints.Endpoint, stop: asyncio.Event) -> Spine | None:
    """The spine once its model is loaded, or None where a signal asks for the end before that."""
    loading = asyncio.ensure_future(made.load())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((loading, stopping), return_when=asyncio.FIRST_COMPLETED)
        return loading.result() if loading.done() else None
    finally:
        stopping.cancel()
        loading.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await loading
