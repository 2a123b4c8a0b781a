"""The playground over HTTP: the page, and the routes that it asks. Knows requests and responses; the workbench knows the rest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import cast

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from puna.errors import InputError, PunaError
from puna.generation import Receipt
from puna.messages import Dialog
from puna.playground import records
from puna.playground.answering import Journal
from puna.playground.bodies import object_of
from puna.playground.export import Exported, export
from puna.playground.records import Record
from puna.playground.workbench import Workbench
from puna.server import aws, upstream
from puna.server.answers import Speaker, Turn, value_of
from puna.server.container import retry_after
from puna.server.exchange import Exchange, exchange_of, read_body, until_gone
from puna.server.invocations import Pulse, Service
from puna.server.receipts import path_of
from puna.sessions.store import MAX_SESSION, Sessions

STATIC = Path(str(files("puna.playground"))) / "static"

POLICY = "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
"""Content-Security-Policy of the page: nothing from elsewhere, nothing inline, in nobody's frame."""

HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
)
"""no-cache: kept, but asked for again (with its ETag), so that a new release is never mixed with an old one."""


class WrongTypeError(InputError):
    """A request's body is not said to be JSON."""

    status = 415


def add_to(app: Starlette, speaker: Speaker, sessions: Path) -> None:
    """Give an endpoint's app the playground. sessions: the folder that keeps what people did."""
    service: Service = app.state.service
    api = Api(service, Workbench(speaker, service.endpoint), Sessions(sessions))
    page = _Hardened(GZipMiddleware(StaticFiles(directory=STATIC), minimum_size=500))
    post = ["POST"]
    app.router.routes.extend(
        [
            Route("/", _Index(page), methods=["GET"]),
            Mount("/static", app=page),
            Route("/api/info", api.told(api.info)),
            Route("/api/anatomy", api.answered(api.bench.anatomy), methods=post),
            Route("/api/lint", api.answered(api.bench.lint), methods=post),
            Route("/api/export", api.told(api.export), methods=post),
            Route("/api/generate", Streamed(api, api.bench.generate), methods=post),
            Route("/api/compare", Streamed(api, api.bench.compare), methods=post),
            Route("/api/sessions", api.told(api.list)),
            Route("/api/sessions/{id}", api.told(api.get)),
            Route("/api/sessions/{id}", api.told(api.put), methods=["PUT"]),
            Route("/api/sessions/{id}", api.told(api.delete), methods=["DELETE"]),
        ]
    )


class _Hardened:
    """Static files with the page's headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *HEADERS]}
            await send(message)

        await self.app(scope, receive, with_headers)


class _Index:
    """The page itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app({**scope, "path": "/index.html", "root_path": ""}, receive, send)


class Api:
    """The routes that answer in one piece."""

    def __init__(self, service: Service, bench: Workbench, sessions: Sessions) -> None:
        self.service = service
        self.bench = bench
        self.sessions = sessions

    def told(self, work: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """A route whose errors are told as the page reads them."""

        async def route(request: Request) -> Response:
            exchange = exchange_of(request.scope)
            exchange.route = "playground"
            try:
                return await work(request)
            except PunaError as error:
                return refusal(exchange, error)

        return route

    def answered(
        self, work: Callable[[Mapping[str, object]], Awaitable[Record]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """A route that makes a JSON object of a JSON object."""

        async def route(request: Request) -> Response:
            return to_json(await work(await body_of(request.scope, request.receive)))

        return self.told(route)

    async def info(self, request: Request) -> Response:  # noqa: ARG002
        """``GET /api/info``."""
        return to_json(self.bench.info(session_bytes=MAX_SESSION))

    async def export(self, request: Request) -> Response:
        """``POST /api/export``: a program that asks the same."""
        body = await body_of(request.scope, request.receive)
        own = {name: body.pop(name, None) for name in ("target", "title")}
        turn = await self.bench.sent(body)
        # What no messages can say goes as its token ids, to which no route adds a format's stops.
        by_ids = body.get("prompt") is not None or bool(body.get("begun"))
        if by_ids and not turn.prompt.ids:
            raise InputError(
                "an exact prompt is exported as its token ids, which this endpoint's engine does not tell; export a chat instead"
            )
        stops = (*turn.sampling.stop, *turn.extra_stops) if by_ids else turn.sampling.stop
        asked = Exported(
            url=str(request.base_url).rstrip("/"),
            endpoint=self.service.endpoint,
            messages=Dialog() if by_ids else turn.prompt.dialog or Dialog(),
            prompt=turn.prompt.text if by_ids else None,
            ids=turn.prompt.ids if by_ids else (),
            sampling=replace(turn.sampling, stop=stops),
            title=str(own["title"] or "Untitled"),
        )
        made = export(str(own["target"]), asked)
        return to_json(
            {"target": own["target"], "filename": made.filename, "media_type": made.media_type, "text": made.text}
        )

    async def list(self, request: Request) -> Response:
        """``GET /api/sessions?q=TEXT``."""
        found = await asyncio.to_thread(self.sessions.list, request.query_params.get("q", ""))
        return to_json({"sessions": found})

    async def get(self, request: Request) -> Response:
        """``GET /api/sessions/ID``."""
        return to_json(await asyncio.to_thread(self.sessions.get, request.path_params["id"]))

    async def put(self, request: Request) -> Response:
        """``PUT /api/sessions/ID``."""
        body = await body_of(request.scope, request.receive, MAX_SESSION)
        return to_json(await asyncio.to_thread(self.sessions.put, request.path_params["id"], body))

    async def delete(self, request: Request) -> Response:
        """``DELETE /api/sessions/ID``."""
        await asyncio.to_thread(self.sessions.delete, request.path_params["id"])
        return Response(status_code=204)


MAX_BODY = 6 * 1024 * 1024
"""Bytes of a request, as on the endpoint's own routes."""


class Streamed:
    """An ASGI app that answers with records, a line each, as they come."""

    def __init__(self, api: Api, work: Callable[[Mapping[str, object], Journal], AsyncGenerator[Record, None]]) -> None:
        self.service = api.service
        self.work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. What fails before its first record is an HTTP error."""
        exchange = exchange_of(scope)
        exchange.route = "playground"
        try:
            self.service.check_open()
            body = await body_of(scope, receive)
            with self.service.accepted():
                await until_gone(exchange, receive, self._stream(exchange, body, send))
        except PunaError as error:
            if exchange.status or error.status == 499:
                raise
            await refusal(exchange, error)(scope, receive, send)

    async def _stream(self, exchange: Exchange, body: Mapping[str, object], send: Send) -> None:
        journal = Kept(self.service, exchange)
        pulse = Pulse(self.service.metrics, exchange.began)
        async with aclosing(self.work(body, journal)) as found:
            record = await anext(found, None)
            await send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})
            while record is not None:
                if record["type"] == "start":
                    record = {**record, "receipt": path_of(exchange.id)}
                elif record["type"] == "tok":
                    pulse()
                await send({"type": "http.response.body", "body": _line(record), "more_body": True})
                record = await self._next(exchange, found)
        await send({"type": "http.response.body", "body": b""})

    async def _next(self, exchange: Exchange, found: AsyncGenerator[Record, None]) -> Record | None:
        try:
            return await anext(found, None)
        except Exception as error:  # noqa: BLE001  # the head has gone; only the stream itself can tell of it
            return records.failure(PunaError(exchange.failed(error)))


class Kept:
    """The receipt of one request, kept from its first token on: what is known then, and each of its answers as it ends."""

    def __init__(self, service: Service, exchange: Exchange) -> None:
        self._service = service
        self._id = exchange.id
        self._told: dict[str, object] | None = None
        self._ended = False

    def begins(self, turn: Turn) -> None:
        """What is known of an answer that may never end."""
        if self._told is None:
            self._put({"error": "it was not told to its end", **turn.facts(prompts=self._service.prompts)})

    def ended(self, receipt: Receipt) -> None:
        """The first answer's whole receipt; of later ones what differs."""
        if self._told is None or not self._ended:
            self._put(receipt.as_json(prompts=self._service.prompts))
        else:
            choices = cast("list[object]", self._told.get("choices", []))
            self._put({**self._told, "choices": [*choices, receipt.outcome()]})
        self._ended = True
        self._service.metrics.receipt(receipt)

    def _put(self, facts: Mapping[str, object]) -> None:
        known = {"id": self._id, "endpoint": self._service.endpoint, "dialect": "playground", "status": 200}
        self._told = {**known, **facts}
        self._service.receipts.put(self._id, self._told)


_STREAM_HEADERS = [
    (b"content-type", b"application/x-ndjson"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]


def _line(record: Record) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


async def body_of(scope: Scope, receive: Receive, most: int = MAX_BODY) -> dict[str, object]:
    """The JSON object of a request. most: bytes.

    Raises:
        WrongTypeError: it is not said to be JSON, so that it may come from a page anywhere. InputError: it is none.
    """
    given = Headers(scope=scope).get("content-type", "")
    if given.partition(";")[0].strip().lower() != "application/json":
        raise WrongTypeError(f"the body must be sent as application/json, not as {given[:80] or 'nothing'}")
    return object_of(value_of(await read_body(scope, receive, most)), "the body")


def refusal(exchange: Exchange, error: PunaError) -> Response:
    """An error as the page reads it."""
    told = records.told(error)
    exchange.note = str(error)
    loading = told["code"] == "loading"
    meant = upstream.told(error)
    status = 503 if loading else meant.status
    headers = {"Retry-After": "1"} if loading else retry_after(meant)
    return Response(aws.to_json({"error": told}), status, headers, "application/json")


def to_json(value: object) -> Response:
    """A JSON answer that nobody keeps."""
    return Response(aws.to_json(value), headers={"Cache-Control": "no-store"}, media_type="application/json")
