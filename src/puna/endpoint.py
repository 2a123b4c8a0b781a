"""An endpoint put together: engine, app and page, in the order in which they can fail. Knows no socket, no signal and no terminal.

``puna serve`` runs one in a process of its own; ``puna.deploy`` one in each replica.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette

from puna import config
from puna.chat import Spine
from puna.engines.base import Engine, EngineInfo
from puna.playground.web import add_to
from puna.server.app import Setup, create_app
from puna.server.auth import Proof, proofs_of
from puna.server.exchange import Log
from puna.server.faults import Faults
from puna.server.invocations import Limits, Service
from puna.server.loading import Late

DRAIN_SECONDS = 25
"""How long a stop waits for what was accepted. SageMaker kills a container 30 s after SIGTERM: by then what is left was told its end."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint that is not loaded yet: its app answers that it is loading. log: gets its lines; note: what belongs to no request."""

    wanted: config.Settings
    model: config.Model | None
    engine: Engine
    app: Starlette
    late: Late
    note: Log

    @property
    def service(self) -> Service:
        """What counts and drains the requests."""
        found: Service = self.app.state.service
        return found

    async def load(self) -> Spine:
        """Start the engine; from then on the app answers.

        Raises:
            InputError: an unknown format, or none known for the model. EngineError: the engine does not start.
        """
        spine = await config.spine_of(self.wanted, self.model, self.engine)
        self.late.put(spine)
        return spine

    async def drain(self) -> None:
        """Take nothing new, and finish what was accepted, at most DRAIN_SECONDS long."""
        service = self.service
        service.draining = True
        if not await _quiet(service, 0.05):  # what ends by itself at this moment is not worth a word
            requests = "request is" if service.running == 1 else "requests are"
            self.note(
                f"stopping: {service.running} {requests} finished first, within {DRAIN_SECONDS} s; Ctrl-C again ends at once"
            )
            await _quiet(service, DRAIN_SECONDS)


async def _quiet(service: Service, seconds: float) -> bool:
    """Wait until nothing runs, at most so long."""
    with suppress(TimeoutError):
        await asyncio.wait_for(service.quiet.wait(), seconds)
    return not service.running


@dataclass(frozen=True, slots=True)
class Guards:
    """What is read before anything is loaded, since it may be refused: what requests must bear, faults to make."""

    proofs: tuple[Proof, ...]
    faults: Faults

    @classmethod
    def of(cls, wanted: config.Settings) -> Guards:
        """As the settings say.

        Raises:
            InputError: keys or token are missing, or written in another way; a file of faults that is none.
        """
        return cls(proofs_of(wanted), Faults.read(Path(wanted.faults)) if wanted.faults else Faults())


def put_together(
    wanted: config.Settings, model: config.Model | None, guards: Guards, log: Log, note: Log, *, alone: bool = True
) -> Endpoint:
    """An endpoint with its page. log: gets a line per request. alone: whether it is the only one that answers at its address."""
    late = Late(_expected(wanted, model))
    if model is not None:
        note(f"{model.name}: {config.plan_of(wanted, model).told}")
    engine = config.engine_of(wanted, model, note)
    app = create_app(late, wanted.name, _setup(wanted, guards, engine, log, alone=alone))
    add_to(app, late, wanted.home / "sessions")
    return Endpoint(wanted, model, engine, app, late, note)


def _expected(wanted: config.Settings, model: config.Model | None) -> EngineInfo:
    """What is known before the engine has started. Of an upstream, that is what its address says."""
    if wanted.upstream is not None:
        return EngineInfo(wanted.upstream_name or wanted.engine, "", wanted.context or 0, 0)
    name = model.name if model else wanted.engine
    return EngineInfo(name, "", wanted.context or config.DEFAULT_CONTEXT, wanted.slots)


def _setup(wanted: config.Settings, guards: Guards, engine: Engine, log: Log, *, alone: bool) -> Setup:
    return Setup(
        log=log,
        structured=wanted.log == "json",
        state=lambda: engine.state,
        waiting=lambda: engine.waiting,
        restarts=lambda: engine.restarts,
        dialect=wanted.dialect,
        streams=wanted.invocations == "stream",
        limits=Limits(wanted.invocation_seconds, wanted.stream_seconds, cap=wanted.answer_length == "cap"),
        faults=guards.faults,
        prompts=wanted.receipts == "text",
        deploys=alone,
        proofs=guards.proofs,
        reach=getattr(engine, "reachable", None),
    )
