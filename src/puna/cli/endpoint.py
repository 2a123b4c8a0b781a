"""A running endpoint for the verbs that need one: socket, model, engine, app, in the order in which they can fail."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from puna import config
from puna.chat import Spine
from puna.cli.progress import on_terminal
from puna.engines.base import Engine, EngineInfo
from puna.errors import InputError
from puna.playground.web import add_to
from puna.server.app import Setup, create_app
from puna.server.auth import Proof, SigV4, Token
from puna.server.exchange import Log, noted
from puna.server.faults import Faults
from puna.server.invocations import Limits, Service
from puna.server.listen import address_of, bind, listening, run
from puna.server.loading import Late

DRAIN_SECONDS = 30
"""How long a stop waits for what was accepted; SageMaker kills a container after as long."""


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
    """Run ``work`` beside an endpoint; SIGINT and SIGTERM end it once what was accepted is done, a second signal at once."""
    proofs, faults = _proofs(wanted), Faults.read(Path(wanted.faults)) if wanted.faults else Faults()
    with bind(wanted.host, wanted.port, guarded=wanted.auth is not None) as bound:
        with on_terminal() as progress:
            model = config.find_model(wanted, progress)
        note = noted(log, structured=wanted.log == "json")
        return run(_with_signals(_Plan(wanted, model, bound, proofs, faults, log, note), work))


@dataclass(frozen=True, slots=True)
class _Plan:
    wanted: config.Settings
    model: config.Model | None
    bound: socket.socket
    proofs: tuple[Proof, ...]
    faults: Faults
    log: Log
    note: Log


def _proofs(wanted: config.Settings) -> tuple[Proof, ...]:
    """What requests must bear one of.

    Raises:
        InputError: keys or token are missing, or written in another way.
    """
    kinds = (wanted.auth or "none").split("+")
    proofs: list[Proof] = []
    if "sigv4" in kinds:
        pairs = [entry.strip().partition(":") for entry in (wanted.auth_keys or "").split(",") if entry.strip()]
        if not pairs or not all(name and secret for name, _, secret in pairs):
            raise InputError(
                "--auth sigv4 needs PUNA_AUTH_KEYS=ID:SECRET (several with commas between), and it is not so"
            )
        proofs.append(SigV4({name: secret for name, _, secret in pairs}))
    if "token" in kinds:
        if not wanted.auth_token:
            raise InputError("--auth token needs the token in PUNA_AUTH_TOKEN, and there is none")
        proofs.append(Token(wanted.auth_token))
    return tuple(proofs)


async def _with_signals(plan: _Plan, work: Work) -> int:
    stop = asyncio.Event()
    task = asyncio.ensure_future(_serve(plan, lambda endpoint: work(endpoint, stop), stop))

    def on_signal() -> None:
        if stop.is_set():
            task.cancel()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    return await task


async def _serve(plan: _Plan, work: Callable[[Endpoint], Awaitable[int]], stop: asyncio.Event) -> int:
    wanted = plan.wanted
    name = plan.model.name if plan.model else wanted.engine
    late = Late(EngineInfo(name, "", wanted.context or config.DEFAULT_CONTEXT, wanted.slots))
    engine = config.engine_of(wanted, plan.model, plan.note)
    app = create_app(late, wanted.name, _setup(plan, engine))
    add_to(app, late, wanted.home / "sessions")
    try:
        async with listening(app, plan.bound, plan.note):
            spine = await _loaded(plan, engine, stop)
            if spine is None:
                return 0
            late.put(spine)
            try:
                status = await work(Endpoint(address_of(plan.bound), wanted.name, spine))
                await _drain(app.state.service, plan.note)
                return status
            finally:
                # Before the server: what is not done by now ends when the engine does.
                await engine.close()
    finally:
        await engine.close()


async def _loaded(plan: _Plan, engine: Engine, stop: asyncio.Event) -> Spine | None:
    """The spine once its model is loaded, or None where a signal asks for the end before that."""
    loading = asyncio.ensure_future(config.spine_of(plan.wanted, plan.model, engine))
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((loading, stopping), return_when=asyncio.FIRST_COMPLETED)
        return loading.result() if loading.done() else None
    finally:
        stopping.cancel()
        loading.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await loading


async def _drain(service: Service, note: Log) -> None:
    """Take nothing new, and finish what was accepted, at most DRAIN_SECONDS long."""
    service.draining = True
    if not await _quiet(service, 0.05):  # what ends by itself at this moment is not worth a word
        requests = "request is" if service.running == 1 else "requests are"
        note(
            f"stopping: {service.running} {requests} finished first, within {DRAIN_SECONDS} s; Ctrl-C again ends at once"
        )
        await _quiet(service, DRAIN_SECONDS)


async def _quiet(service: Service, seconds: float) -> bool:
    """Wait until nothing runs, at most so long."""
    with suppress(TimeoutError):
        await asyncio.wait_for(service.quiet.wait(), seconds)
    return not service.running


def _setup(plan: _Plan, engine: Engine) -> Setup:
    wanted = plan.wanted
    return Setup(
        log=plan.log,
        structured=wanted.log == "json",
        state=lambda: engine.state,
        waiting=lambda: engine.waiting,
        restarts=lambda: engine.restarts,
        dialect=wanted.dialect,
        limits=Limits(wanted.invocation_seconds, wanted.stream_seconds, cap=wanted.answer_length == "cap"),
        faults=plan.faults,
        prompts=wanted.receipts == "text",
        proofs=plan.proofs,
    )
