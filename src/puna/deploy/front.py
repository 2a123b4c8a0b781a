"""What stands before the replicas, in Ray's own proxy: the key by which requests stick, and errors that SDKs understand.

Knows ASGI, puna's routes and what Ray's proxy does when it has nobody to ask (ray 2.60.0, ``serve/_private/proxy.py`` and
``http_util.py``): a page of plain text with 404, 408, 429 or 503; nothing at all, where a replica dies before it began to
answer; an answer that just ends, where it dies later. A process between the proxy and the replicas would do as well, and
would cost each piece of an answer another hop. Ray calls ``middlewares`` in every proxy that has
``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`` in its environment.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from puna.deploy.sticky import key_of
from puna.errors import EngineBusyError, EngineError, EngineStoppedError
from puna.server import sagemaker
from puna.server.container import Container
from puna.server.exchange import Exchange
from puna.server.faults import Faults
from puna.server.invocations import MAX_BODY, Call, Manner
from puna.server.openai import Completions
from puna.wire import dialects

PATH = "puna.deploy.front:middlewares"
"""For Ray: where it finds what stands before the replicas."""

KEY_HEADER = b"x-session-id"
"""By which Ray's ConsistentHashRouter tells sessions (ray 2.60.0, ``SERVE_SESSION_ID``)."""

_NAME = r"/endpoints/(?P<name>[^/]*)"
_ROUTES: tuple[tuple[re.Pattern[str], Manner], ...] = (
    (re.compile(rf"{_NAME}/invocations$"), sagemaker.Whole()),
    (re.compile(rf"{_NAME}/invocations-response-stream$"), sagemaker.Streamed()),
    (re.compile(rf"{_NAME}/openai/v1/chat/completions$"), Completions("chat", scoped=True)),
    (re.compile(rf"{_NAME}/openai/v1/completions$"), Completions("completion", scoped=True)),
    (re.compile(r"/v1/chat/completions$"), Completions("chat")),
    (re.compile(r"/v1/completions$"), Completions("completion")),
    (re.compile(r"/invocations$"), Container()),
)
"""Where answers come from, below whatever prefix the application has."""

BUSY = "every replica has as many requests as it may, and as many wait as may; try again"
NOBODY = "no replica is there to answer; ask again once one is back"
LOST = "the replica that had this request was lost; ask again"
BROKEN = "the replica that made this answer was lost before it was complete; ask again"


def middlewares() -> list[Middleware]:
    """For Ray's proxy."""
    return [Middleware(Front)]


@dataclass(frozen=True, slots=True)
class _Route:
    manner: Manner
    params: dict[str, str]


class Front:
    """Puts the key on calls of the model, and ends in the protocol's words what Ray ends in its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        route = _route_of(scope)
        if route is None:
            await self.app(scope, receive, _Told(send))
            return
        came = await _read(receive)
        if came is None:
            return
        watched = _Watched(scope, route, send)
        replay = _Replay(came, receive)
        keyed = _keyed(scope, b"".join(message.get("body", b"") for message in came))
        await self.app(keyed, replay, watched)
        if not replay.left:
            await watched.ended()


def _route_of(scope: Scope) -> _Route | None:
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    for pattern, manner in _ROUTES:
        if met := pattern.search(scope["path"]):
            return _Route(manner, met.groupdict())
    return None


async def _read(receive: Receive) -> list[Message] | None:
    """The messages of a body, as far as it is not too long; None for a client that left before its end."""
    messages, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        messages.append(message)
        size += len(message.get("body", b""))
        if size > MAX_BODY or not message.get("more_body", False):
            return messages


def _keyed(scope: Scope, body: bytes) -> Scope:
    """With the key, unless the caller has said one itself."""
    headers = Headers(scope=scope)
    if KEY_HEADER.decode() in headers:
        return scope
    key = key_of(headers, body) or uuid.uuid4().hex
    return {**scope, "headers": [*scope["headers"], (KEY_HEADER, key.encode())]}


class _Replay:
    """A body that was read, and then whatever comes. left: whether the client has gone."""

    def __init__(self, messages: list[Message], receive: Receive) -> None:
        self._messages = messages
        self._receive = receive
        self.left = False

    async def __call__(self) -> Message:
        if self._messages:
            return self._messages.pop(0)
        message = await self._receive()
        self.left = self.left or message["type"] == "http.disconnect"
        return message


class _Told:
    """Lets an answer through, with one ``x-request-id``: puna's, where it has one. Ray's proxy adds its own."""

    def __init__(self, send: Send) -> None:
        self.send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": _once(message.get("headers", ()))}
        await self.send(message)


def _once(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    kept, seen = [], False
    for name, value in headers:
        named = name.lower() == b"x-request-id"
        if not (named and seen):
            kept.append((name, value))
        seen = seen or named
    return kept


class _Watched(_Told):
    """Lets a replica's answer through, and keeps back what Ray says in its place."""

    def __init__(self, scope: Scope, route: _Route, send: Send) -> None:
        super().__init__(send)
        self._scope = scope
        self._route = route
        self._began = False
        self._complete = False
        self._chunked = False
        self._dialect = ""
        self._refused: Exception | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = Headers(raw=message.get("headers", []))
            if "x-amzn-requestid" not in headers:  # every answer of puna's has it, none of Ray's
                self._refused = _meant(message["status"])
                return
            self._began, self._chunked = True, "content-length" not in headers
            self._dialect = headers.get("x-puna-dialect", "")
        elif self._refused is not None:
            return
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self._complete = True
        await super().__call__(message)

    async def ended(self) -> None:
        """Ray is done: where the answer is not, say so."""
        if self._complete:
            return
        if not self._began:
            await self._refuse(self._refused or EngineStoppedError(LOST))
        elif self._chunked:
            last = self._route.manner.broken(self._call(), EngineError(BROKEN), BROKEN)
            await self.send({"type": "http.response.body", "body": last, "more_body": True})
            await self.send({"type": "http.response.body", "body": b""})
        # else the connection is closed before the length that was promised, which every client notices

    async def _refuse(self, error: Exception) -> None:
        call = self._call()
        headers = {"x-amzn-requestid": call.exchange.id}
        response = self._route.manner.refusal(call, error, str(error), headers)
        await response({**self._scope, "path_params": self._route.params}, _nothing_more, self.send)

    def _call(self) -> Call:
        manner = self._route.manner
        own = self._dialect or getattr(manner, "name", "")
        dialect = dialects.DIALECTS.get(own, dialects.DEFAULT)
        scope = {**self._scope, "path_params": self._route.params}
        exchange = Exchange(str(uuid.uuid4()), scope["method"], scope["path"], lambda _: None)
        return Call(scope, exchange, dialect, Faults().pick(manner.kind))


def _meant(status: int) -> Exception:
    """By the status of what Ray says: 429 and 503 of a full queue (``BackpressureConfig``), any other of nobody to ask."""
    return EngineBusyError(BUSY) if status == 429 else EngineStoppedError(NOBODY)


async def _nothing_more() -> Message:
    return {"type": "http.disconnect"}
