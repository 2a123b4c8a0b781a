"""An invocation from its first byte to its last: read, answer, stream, refuse. Knows HTTP; its manners know whose.

What cannot be done is an HTTP error as long as nothing was sent, so the first record is awaited before the head goes
out. After that an error is told inside the stream, in the manner's own way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from puna.errors import PunaError
from puna.generation import Receipt
from puna.server.answers import Answer, Speaker, answer_to, note_of
from puna.server.exchange import ClientGoneError, Exchange, exchange_of, read_body, until_gone
from puna.server.receipts import Receipts, path_of

MAX_BODY = 6 * 1024 * 1024
"""Bytes of a request (botocore 1.44.5, service model of sagemaker-runtime: ``BodyBlob``, max 6291456)."""


@dataclass(frozen=True, slots=True)
class Service:
    """Who answers, under which name, and where the receipts go."""

    speaker: Speaker
    endpoint: str
    receipts: Receipts


class Manner(Protocol):
    """How one route words its answers. streams: whether it streams where the request does not say."""

    streams: bool

    def check(self, scope: Scope, service: Service) -> None:
        """Refuse, by raising, what is not even read."""

    def chunked(self, answer: Answer) -> bool:
        """Whether records go out as they come, or all at once."""

    def head(self, answer: Answer) -> dict[str, str]:
        """The answer's headers."""

    def part(self, record: bytes) -> bytes:
        """One record on the wire."""

    def broken(self, error: Exception, sentence: str) -> bytes:
        """What ends an answer that fails half-way."""

    def refusal(self, scope: Scope, error: Exception, sentence: str, headers: Mapping[str, str]) -> Response:
        """The answer to what cannot be done."""


class Invocations:
    """An ASGI app that answers invocations in one manner."""

    def __init__(self, service: Service, manner: Manner) -> None:
        self.service = service
        self.manner = manner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse one request."""
        exchange = exchange_of(scope)
        try:
            self.manner.check(scope, self.service)
            body = await read_body(scope, receive, MAX_BODY)
            await until_gone(exchange, receive, self._answer(exchange, body, send))
        except ClientGoneError as gone:
            self._keep(exchange, {"status": exchange.status or gone.status, "error": str(gone)})
            raise
        except Exception as error:
            if exchange.status:
                raise
            sentence = _sentence(exchange, error)
            response = self.manner.refusal(scope, error, sentence, _named(exchange))
            self._keep(exchange, {"status": response.status_code, "error": sentence})
            exchange.note = sentence
            await response(scope, receive, send)

    async def _answer(self, exchange: Exchange, body: bytes, send: Send) -> None:
        answer = await answer_to(self.service.speaker, body, streams=self.manner.streams)
        headers = {**self.manner.head(answer), "x-puna-prompt": answer.origin, **_named(exchange)}
        async with aclosing(answer.records(partial(self._done, exchange))) as records:  # type: ignore[type-var]
            if self.manner.chunked(answer):
                await self._stream(exchange, headers, records, send)
                return
            whole = b"".join([record async for record in records])
        await _start(send, {**headers, "content-length": str(len(whole))})
        await send({"type": "http.response.body", "body": whole})

    async def _stream(
        self, exchange: Exchange, headers: Mapping[str, str], records: AsyncIterator[bytes], send: Send
    ) -> None:
        """One chunk per record, so that none waits in a buffer for the next."""
        record = await anext(records, None)
        await _start(send, headers)
        while record is not None:
            await send({"type": "http.response.body", "body": self.manner.part(record), "more_body": True})
            try:
                record = await anext(records, None)
            except Exception as error:  # noqa: BLE001  # the head has gone; only the stream itself can tell of it
                sentence = _sentence(exchange, error)
                exchange.note = f"broken: {sentence}"
                self._keep(exchange, {"status": 200, "error": sentence})
                last = self.manner.broken(error, sentence)
                await send({"type": "http.response.body", "body": last, "more_body": True})
                break
        await send({"type": "http.response.body", "body": b""})

    def _done(self, exchange: Exchange, receipt: Receipt) -> None:
        exchange.note = note_of(receipt)
        self._keep(exchange, {"status": 200, **receipt.as_json()})

    def _keep(self, exchange: Exchange, facts: Mapping[str, object]) -> None:
        self.service.receipts.put(exchange.id, {"id": exchange.id, "endpoint": self.service.endpoint, **facts})


async def _start(send: Send, headers: Mapping[str, str]) -> None:
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": raw})


def _named(exchange: Exchange) -> dict[str, str]:
    return {"x-puna-receipt": path_of(exchange.id)}


def _sentence(exchange: Exchange, error: Exception) -> str:
    """What the client is told: the sentence of a foreseen error, nothing but an id of any other."""
    return str(error) if isinstance(error, PunaError) else exchange.failed(error)
