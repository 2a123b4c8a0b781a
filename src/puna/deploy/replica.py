"""One replica: an endpoint of its own, as Ray Serve starts, asks and ends it. Knows Ray's hooks by their names; imports no Ray.

Hooks of ray 2.60.0: ``__serve_build_asgi_app__`` gives the app (``serve.ingress()``), ``check_health`` raises where it is ill,
``__del__`` ends it once its requests are done. The rest is called by name, from another thread (``asking``).
"""

from __future__ import annotations

import asyncio
import ipaddress
import sys
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from puna import config, endpoint
from puna.deploy.asking import here
from puna.deploy.front import KEY_HEADER, PATH
from puna.deploy.gathering import Figures, Gathered
from puna.errors import EngineError
from puna.server import aws
from puna.server.exchange import noted
from puna.server.openai import error_response

Ask = Callable[..., Awaitable[Sequence[object]]]


def say(line: str) -> None:
    """A line for whoever started the cluster: Ray passes on what its workers print, and puts a name before it."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201  # the log of a replica is its standard error


class Replica:
    """An endpoint, loaded. wanted: its settings; name: gives this replica's own; ask: calls a method of all replicas."""

    async def __init__(self, wanted: config.Settings, name: Callable[[], str], ask: Ask) -> None:  # type: ignore[misc]
        note = noted(say, structured=wanted.log == "json")
        guards = endpoint.Guards.of(wanted)
        # Two at once wait for each other, and the second one finds the file (models.pull).
        model = await asyncio.to_thread(config.find_model, wanted)
        self.name = name()
        # Ray lets no more in than may be here; a second bound would refuse what another replica could take.
        wanted = replace(wanted, queue=max(wanted.queue, wanted.slots))
        self.made = endpoint.put_together(wanted, model, guards, say, note, alone=False)
        self.spine = await self.made.load()
        self.loop = asyncio.get_running_loop()
        self.draining: Future[None] | None = None
        Gathered(self.made.service, ask).put_before(self.made.app)
        here(self)

    def __serve_build_asgi_app__(self) -> ASGIApp:  # Ray's name
        """What answers."""
        return Seat(self.made.app, self.name, guarded=self.made.wanted.auth is not None, note=self.made.note)

    async def check_health(self) -> None:
        """Ray replaces a replica that is ill three times in a row; a restart of the engine's process is shorter.

        Raises:
            EngineError: the engine cannot answer.
        """
        if (state := self.made.engine.state) != "ready":
            raise EngineError(f"the engine of replica {self.name} is {state}")

    def receipt(self, request_id: str) -> Mapping[str, object] | None:
        """One that is kept here."""
        return self.made.service.receipts.get(request_id)

    def figures(self, names: Sequence[str]) -> Figures:
        """How it stands. names: of the series that are wanted; none for all."""
        registry = self.made.service.metrics.registry
        found = registry.restricted_registry(list(names)) if names else registry
        return Figures(self.name, list(found.collect()))

    def facts(self) -> Mapping[str, object]:
        """What runs here."""
        info = self.spine.info
        return {"replica": self.name, "model": info.model, "context": info.context, "slots": info.slots}

    def drain(self) -> bool:
        """Take nothing new from the first call on, and finish what was accepted; whether that is done."""
        if self.draining is None:
            self.draining = asyncio.run_coroutine_threadsafe(self.made.drain(), self.loop)
        return self.draining.done()

    async def __del__(self) -> None:
        """End the engine."""
        if hasattr(self, "made"):
            await self.made.engine.close()


class Seat:
    """Between Ray and the app: a cancelled call is a client that left; an endpoint that others can reach needs guards.

    name: the replica's, which answers tell in ``x-puna-replica``.
    """

    def __init__(self, app: ASGIApp, name: str, *, guarded: bool, note: Callable[[str], None]) -> None:
        self.app = app
        self.header = (b"x-puna-replica", name.encode())
        self.guarded = guarded
        self.note = note
        self._warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if not self.guarded and not _is_local(scope):
            await _refusal(scope)(scope, receive, send)
            return
        self._check_front(scope)
        leaving = _Leaving(receive)

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), self.header]}
            await send(message)

        answering = asyncio.ensure_future(self.app(scope, leaving, named))
        try:
            await asyncio.shield(answering)
        except asyncio.CancelledError:
            leaving.gone.set()
            with suppress(Exception):  # the app's own log says it
                await answering
            raise

    def _check_front(self, scope: Scope) -> None:
        """Whether Ray's proxy was told of what belongs before the replicas; on a cluster that is done by hand."""
        if self._warned or scope["method"] != "POST" or not scope["path"].endswith(("invocations", "completions")):
            return
        if KEY_HEADER not in {name for name, _ in scope["headers"]}:
            self._warned = True
            self.note(
                f"Ray's proxy does not know puna, so requests do not stick to replicas, and some errors are Ray's pages: set "
                f"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH={PATH} where Ray is started, on every node"
            )


class _Leaving:
    """Receives until the client leaves, which Ray tells by cancelling the call."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.gone = asyncio.Event()

    async def __call__(self) -> Message:
        receiving, leaving = asyncio.ensure_future(self._receive()), asyncio.ensure_future(self.gone.wait())
        try:
            await asyncio.wait((receiving, leaving), return_when=asyncio.FIRST_COMPLETED)
            return receiving.result() if receiving.done() else {"type": "http.disconnect"}
        finally:
            receiving.cancel()
            leaving.cancel()


def _is_local(scope: Scope) -> bool:
    """Whether the address that was asked, one of Ray's proxy, is one that only this machine can reach."""
    host = (scope.get("server") or ("127.0.0.1", None))[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a Unix socket
        return True


def _refusal(scope: Scope) -> ASGIApp:
    sentence = (
        "this endpoint can be reached by others, so it needs PUNA_AUTH=sigv4 or PUNA_AUTH=token; say PUNA_AUTH=none if "
        "everyone may use it, or have Ray's proxy listen on 127.0.0.1"
    )
    headers = {"x-amzn-requestid": str(uuid.uuid4())}
    if "/v1/" in scope["path"]:
        return error_response(403, sentence, headers)
    return aws.error(403, "AccessDeniedException", sentence, headers=headers)
