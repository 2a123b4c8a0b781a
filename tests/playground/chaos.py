"""What can go wrong between a server and a page, done to the bytes of a real answer. Knows ASGI; nothing of the page."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

STREAMS = ("/api/generate", "/api/compare")


@dataclass
class Fault:
    """Once, after so many records of a stream. kind: ``cut`` drops the connection, ``end`` ends the body as if that were all, ``garbage``
    writes a line that is no JSON."""

    kind: str
    after: int


class TornError(Exception):
    """A connection was dropped on purpose."""


class Chaos:
    """An app whose next stream has a fault, where one is armed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.fault: Fault | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self.fault
        if scope["type"] != "http" or scope["path"] not in STREAMS or fault is None:
            await self._app(scope, receive, send)
            return
        self.fault = None
        records, over = 0, False

        async def faulty(message: Message) -> None:
            nonlocal records, over
            if over:
                return
            body = message.get("body", b"")
            left = fault.after - records
            records += body.count(b"\n")
            if message["type"] != "http.response.body" or records < fault.after:
                await send(message)
                return
            kept = b"".join(body.splitlines(keepends=True)[:left])
            over = True
            if fault.kind == "cut":
                await send({"type": "http.response.body", "body": kept, "more_body": True})
                await asyncio.sleep(0.3)  # what a browser has received but not handed on is lost with the connection
                raise TornError
            if fault.kind == "garbage":
                kept += b'{"type": "tok", "i": }\n'
            await send({"type": "http.response.body", "body": kept, "more_body": False})

        await self._app(scope, receive, faulty)
