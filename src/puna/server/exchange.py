"""One HTTP exchange: its id, its body, a client that goes away, its log line. Knows ASGI; nothing of what is said."""

from __future__ import annotations

import asyncio
import json
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from puna.errors import InputError, PunaError
from puna.server import aws

CLIENT_LEFT = 499
"""The status that stands in the log and in the receipt of a client that went away; the number is nginx's."""

Log = Callable[[str], None]


def noted(log: Log, *, structured: bool) -> Log:
    """A log for what belongs to no request's own line: as it is, or as a JSON object with the time."""
    if not structured:
        return log
    return lambda note: log(json.dumps({"time": _now(), "note": note}))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class ClientGoneError(PunaError):
    """The client went away before its answer was complete. Nobody is there to be told."""

    status = CLIENT_LEFT
    code = "ClientGone"


class BodyTooLargeError(InputError):
    """A request's body has more bytes than may be."""

    status = 413
    code = "413"

    def __init__(self, limit: int) -> None:
        # SageMaker's words, with no error type, so that SDKs show the status as the code
        # (https://github.com/aws/amazon-sagemaker-examples/issues/245, read 2026-11-22).
        super().__init__(f"HTTP content length exceeded {limit} bytes.")


@dataclass(slots=True)
class Exchange:
    """What is known of one request. note: what its log line says besides. status: 0 until the head was sent.

    route: the kind of route, for metrics. caller: who signed it, where that was asked for.
    """

    id: str
    method: str
    path: str
    log: Log
    began: float = field(default_factory=time.monotonic)
    status: int = 0
    note: str = ""
    complete: bool = False
    route: str = "other"
    caller: str = ""

    def failed(self, error: BaseException) -> str:
        """Log an error that nobody foresaw, with its traceback; gives the sentence that the client may see."""
        self.log(f"unexpected error, id={self.id}\n{''.join(traceback.format_exception(error)).rstrip()}")
        return f"puna failed unexpectedly; its log says why, under the id {self.id}"

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began

    def line(self) -> str:
        """The log line."""
        # On one line whatever an error's sentence quotes: a log that can be forged is worth nothing.
        note = "".join(c if c.isprintable() else " " for c in self.note[:200])
        words = (self.method, self.path[:200], str(self.status), note, f"{self.seconds:.2f} s", f"id={self.id}")
        return " ".join(word for word in words if word)

    def facts(self) -> str:
        """The log line as a JSON object, for programs."""
        return json.dumps(
            {
                "time": _now(),
                "id": self.id,
                "method": self.method,
                "path": self.path[:200],
                "route": self.route,
                "status": self.status,
                "seconds": round(self.seconds, 6),
                "caller": self.caller or None,
                "note": self.note[:1000],
            }
        )


_KEY = "puna.exchange"


def exchange_of(scope: Scope) -> Exchange:
    """The exchange of a request that came through ``Exchanges``."""
    found: Exchange = scope[_KEY]
    return found


class Exchanges:
    """The outermost layer: gives each request its exchange and its id, logs one line, lets no traceback out.

    structured: lines are JSON objects. finished: is called with each exchange that has ended.
    """

    def __init__(
        self, app: ASGIApp, log: Log, *, structured: bool = False, finished: Callable[[Exchange], None] = lambda _: None
    ) -> None:
        self.app = app
        self.log = log
        self.structured = structured
        self.note = noted(log, structured=structured)
        self.finished = finished

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # As it came, percent-encoded: a decoded path may hold line breaks.
        path = scope.get("raw_path", b"").decode("latin-1") or quote(scope["path"])
        exchange = Exchange(str(uuid.uuid4()), scope["method"], path, self.note)
        scope[_KEY] = exchange

        async def tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                named = (b"x-amzn-requestid", exchange.id.encode())
                message = {**message, "headers": [*message.get("headers", ()), named]}
            elif not message.get("more_body", False):
                exchange.complete = True
            await send(message)

        try:
            if {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}:
                # Two lengths of one body: what another program on the way takes for the next request (RFC 9112, 6.3).
                sentence = "a request must not have both Content-Length and Transfer-Encoding; send one of them"
                await aws.error(400, "ValidationError", sentence, headers={"connection": "close"})(
                    scope, receive, tagged
                )
                return
            await self.app(scope, receive, tagged)
        except ClientGoneError:
            exchange.status = exchange.status or CLIENT_LEFT
            exchange.note = f"{exchange.note} client left".lstrip()
        except asyncio.CancelledError:
            exchange.status = exchange.status or 503
            exchange.note = f"{exchange.note} cut off, as the endpoint stopped".lstrip()
            raise
        except Exception as error:  # noqa: BLE001  # the last place that can keep it from the client
            sentence = exchange.failed(error)
            if not exchange.status:
                await aws.error(500, "InternalFailure", sentence)(scope, receive, tagged)
        finally:
            exchange.caller = scope.get("puna.caller", "")
            self.finished(exchange)
            self.log(exchange.facts() if self.structured else exchange.line())


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The request's body, at most ``limit`` bytes of it.

    Raises:
        BodyTooLargeError: it is longer, by its own word or in fact. ClientGoneError: it was cut off.
    """
    declared = Headers(scope=scope).get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
        raise BodyTooLargeError(limit)
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError("the client went away before its request was complete")
        body += message.get("body", b"")
        if len(body) > limit:
            raise BodyTooLargeError(limit)
        if not message.get("more_body", False):
            return bytes(body)


async def until_gone(exchange: Exchange, receive: Receive, work: Awaitable[None]) -> None:
    """Do ``work`` as long as the client is there. Call it once the body was read.

    Not an anyio task group: that would cancel the work again at every await, so an engine could not clean up.

    Raises:
        ClientGoneError: the client went away; the work was cancelled and has ended.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        # A server also reports the end of a complete answer as a disconnect.
        if not working.done() and not exchange.complete:
            raise ClientGoneError("the client went away before its answer was complete")
        await working
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
