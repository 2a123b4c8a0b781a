"""An invocation from its first byte to its last: read, answer, stream, refuse. Knows HTTP; its manners know whose.

What cannot be done is an HTTP error as long as nothing was sent, so the first record is awaited before the head goes
out. After that an error is told inside the stream, in the manner's own way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from puna.errors import EngineStoppedError, PunaError
from puna.generation import Receipt
from puna.server.answers import Answer, Speaker, Waiting, answer_to, chosen, note_of, value_of
from puna.server.deployments import Deployments
from puna.server.deployments import Endpoint as Deployed
from puna.server.exchange import ClientGoneError, Exchange, exchange_of, read_body, until_gone
from puna.server.faults import STREAM_TIMED_OUT, TIMED_OUT, ContainerFault, Faults, StreamFault, Strike
from puna.server.headers import VARIANT
from puna.server.metrics import Metrics
from puna.server.receipts import Receipts, path_of
from puna.server.upstream import told
from puna.wire import dialects
from puna.wire.dialect import Dialect, Facts, Request
from puna.wire.workshop import MAX_SENTENCE

MAX_BODY = 6 * 1024 * 1024
"""Bytes of a request (botocore 1.44.5, service model of sagemaker-runtime: ``BodyBlob``, max 6291456)."""

INVOCATION_SECONDS = 60
"""SageMaker's limit for a whole answer, and for the first byte of a streamed one
(https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html, read 2026-11-22)."""

STREAM_SECONDS = 480
"""The commonly quoted limit of SageMaker for a whole stream, 8 minutes; AWS's documentation names none."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the user sets. invocation, stream: seconds, 0 for none. cap: ``max_tokens`` may be lowered to what the window leaves."""

    invocation: float = INVOCATION_SECONDS
    stream: float = STREAM_SECONDS
    cap: bool = False

    def as_json(self) -> dict[str, object]:
        """As receipts and /health tell them."""
        return {
            "invocation_seconds": self.invocation or None,
            "stream_seconds": self.stream or None,
            "answer_length": "cap" if self.cap else "demand",
        }


@dataclass(slots=True)
class Service:
    """Who answers, under which name, how, and what is kept of it. dialect: of bodies to the SageMaker routes.

    prompts: whether receipts hold the prompt's text and ids. draining: whether new requests are sent away. running: requests that
    were accepted and are not done; quiet: set while there is none. deployments: other names that the same speaker answers under.
    """

    speaker: Speaker
    endpoint: str
    receipts: Receipts
    metrics: Metrics
    dialect: str = dialects.AUTO
    limits: Limits = field(default_factory=Limits)
    faults: Faults = field(default_factory=Faults)
    prompts: bool = False
    draining: bool = False
    running: int = 0
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    deployments: Deployments = field(default_factory=Deployments)

    def __post_init__(self) -> None:
        self.quiet.set()

    def named(self, name: str) -> str:
        """The name of the endpoint that answers to a name: another one than was asked for where none does."""
        return self.endpoint if self.deployments.answering(name) is None else name

    def variant_of(self, name: str) -> str:
        """The name of the only variant of the endpoint that answers to a name."""
        deployed = self.deployments.answering(name)
        return VARIANT if deployed is None else str(deployed.made.variant["VariantName"])

    def check_open(self) -> None:
        """Refuse what is new while the endpoint stops.

        Raises:
            EngineStoppedError: it does.
        """
        if self.draining:
            raise EngineStoppedError("the endpoint is stopping; ask again once it is back")

    @contextmanager
    def accepted(self) -> Iterator[None]:
        """One request more, while the block lasts. It is accepted once all of it is here.

        Raises:
            EngineStoppedError: nothing new is taken any more.
        """
        self.check_open()
        self.running += 1
        self.quiet.clear()
        try:
            yield
        finally:
            self.running -= 1
            if not self.running:
                self.quiet.set()


@dataclass(slots=True)
class Call:
    """One invocation under way. dialect: known once the body was read; before, that of a body of no known shape.

    faults: those that have struck, or will. known: what a receipt can tell before the answer has ended. prepared, sent: seconds that
    went into preparing the answer, and into sending what there is of it. waiting: for its engine. deployed: the endpoint that was asked,
    where a caller created it.
    """

    scope: Scope
    exchange: Exchange
    dialect: Dialect
    strike: Strike
    faults: tuple[str, ...] = ()
    known: Mapping[str, object] = field(default_factory=dict)
    prepared: float = 0.0
    sent: float = 0.0
    waiting: Waiting = field(default_factory=Waiting)
    deployed: Deployed | None = None

    @property
    def variant(self) -> str:
        """The name of the variant that answers."""
        return VARIANT if self.deployed is None else str(self.deployed.made.variant["VariantName"])

    def spent(self) -> dict[str, float]:
        """Seconds since its first byte, by what they went into; ``puna`` is all that is left."""
        spent = {"prepare": self.prepared, "upstream": self.waiting.seconds, "send": self.sent}
        spent["puna"] = max(0.0, self.exchange.seconds - sum(spent.values()))
        return {name: round(seconds, 6) for name, seconds in spent.items()}


class Manner(Protocol):
    """How one kind of route words its answers.

    kind: ``invoke``, ``stream``, ``container`` or ``openai``. streams: whether it streams where the request does not say.
    timed: whether the service's limits of time hold.
    """

    kind: str
    streams: bool
    timed: bool

    def check(self, scope: Scope, service: Service) -> None:
        """Refuse, by raising, what is not even read."""

    def attributes(self, scope: Scope) -> Mapping[str, str]:
        """The request's custom attributes."""

    def dialect(self, service: Service) -> str:
        """The dialect's name, or ``auto``."""

    def accept(self, service: Service, request: Request) -> None:
        """Refuse, by raising, a request that is well formed and still not wanted here."""

    def chunked(self, answer: Answer) -> bool:
        """Whether records go out as they come, or all at once."""

    def head(self, call: Call, answer: Answer) -> dict[str, str]:
        """The answer's headers."""

    def part(self, record: bytes) -> bytes:
        """One record on the wire."""

    def broken(self, call: Call, error: Exception, sentence: str) -> bytes:
        """What ends an answer that fails half-way."""

    def refusal(self, call: Call, error: Exception, sentence: str, headers: Mapping[str, str]) -> Response:
        """The answer to what cannot be done."""


class Invocations:
    """An ASGI app that answers invocations in one manner."""

    def __init__(self, service: Service, manner: Manner) -> None:
        self.service = service
        self.manner = manner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse one request."""
        exchange, manner = exchange_of(scope), self.manner
        exchange.route = manner.kind
        name = manner.dialect(self.service)
        call = Call(
            scope, exchange, dialects.DIALECTS.get(name, dialects.DEFAULT), self.service.faults.pick(manner.kind)
        )
        try:
            self.service.check_open()
            manner.check(scope, self.service)
            call.deployed = self.service.deployments.answering(scope.get("path_params", {}).get("name", ""))
            body = await read_body(scope, receive, MAX_BODY)
            with self.service.accepted():
                await until_gone(exchange, receive, self._answer(call, body, call.strike.send(send)))
        except ClientGoneError as gone:
            self._keep(call, {"status": exchange.status or gone.status, "error": str(gone), **call.known})
            raise
        except Exception as error:
            if exchange.status:
                raise
            await self._refuse(call, error, receive, send)

    async def _refuse(self, call: Call, failure: Exception, receive: Receive, send: Send) -> None:
        error = told(failure)
        sentence = _sentence(call.exchange, error)
        # A sentence that quotes a huge value is cut.
        cut = f"{sentence[:MAX_SENTENCE]} ..." if len(sentence) > MAX_SENTENCE else sentence
        response = self.manner.refusal(call, error, cut, _named(call))
        self._keep(call, {"status": response.status_code, "error": cut, **call.known})
        call.exchange.note = _noted(call, cut)
        await response(call.scope, receive, send)

    async def _answer(self, call: Call, body: bytes, send: Send) -> None:
        manner, service = self.manner, self.service
        first = service.limits.invocation if manner.timed else 0
        try:
            async with asyncio.timeout(first or None) as limit:
                self._struck(call)
                await call.strike.before()
                began = time.monotonic()
                answer = await self._prepared(call, body)
                call.prepared, call.waiting = time.monotonic() - began, answer.waiting
                call.known = answer.turns[0].facts(prompts=service.prompts)
                headers = {**manner.head(call, answer), "x-puna-prompt": answer.origin, **_named(call)}
                pulse = Pulse(service.metrics, call.exchange.began)
                records = call.strike.records(answer.records(partial(self._done, call), pulse))
                async with aclosing(records) as open_records:
                    if manner.chunked(answer):
                        await self._stream(call, headers, open_records, send, limit)
                        return
                    whole = b"".join([record async for record in open_records])
        except TimeoutError:
            if not limit.expired():
                raise
            raise ContainerFault(0, TIMED_OUT) from None
        await _start(send, {**headers, "content-length": str(len(whole))})
        await send({"type": "http.response.body", "body": whole})

    def _struck(self, call: Call) -> None:
        """From here on the faults are in force; what was refused before was not their doing."""
        call.faults = call.strike.names
        for kind in call.faults:
            self.service.metrics.fault(kind)

    async def _prepared(self, call: Call, body: bytes) -> Answer:
        manner, service = self.manner, self.service
        value, attributes = value_of(body), manner.attributes(call.scope)
        call.dialect = chosen(manner.dialect(service), value, attributes)
        return await answer_to(
            service.speaker,
            call.dialect,
            value,
            facts=Facts(call.exchange.id, int(time.time()), self._name(call)),
            streams=manner.streams,
            cap=service.limits.cap,
            attributes=attributes,
            accept=partial(manner.accept, service),
        )

    async def _stream(
        self,
        call: Call,
        headers: Mapping[str, str],
        records: AsyncIterator[bytes],
        send: Send,
        limit: asyncio.Timeout,
    ) -> None:
        """One chunk per record, so that none waits in a buffer for the next."""
        record = await anext(records, None)
        limit.reschedule(None)
        await _start(send, headers)
        spent = time.monotonic() - call.exchange.began
        longest = self.service.limits.stream if self.manner.timed else 0
        try:
            async with asyncio.timeout(max(0.0, longest - spent) if longest else None) as whole:
                while record is not None:
                    began = time.monotonic()
                    await send({"type": "http.response.body", "body": self.manner.part(record), "more_body": True})
                    call.sent += time.monotonic() - began
                    record = await anext(records, None)
        except Exception as error:  # noqa: BLE001  # the head has gone; only the stream itself can tell of it
            failure = told(error)
            if isinstance(error, TimeoutError) and whole.expired():
                failure = StreamFault("ModelInvocationTimeExceeded", STREAM_TIMED_OUT)
            sentence = _sentence(call.exchange, failure)
            call.exchange.note = _noted(call, f"broken: {sentence}")
            self._keep(call, {"status": 200, "error": sentence, **call.known})
            last = self.manner.broken(call, failure, sentence)
            await send({"type": "http.response.body", "body": last, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def _done(self, call: Call, receipts: Sequence[Receipt]) -> None:
        call.exchange.note = _noted(call, note_of(receipts))
        first, *others = receipts
        more: dict[str, object] = {"choices": [other.outcome() for other in others]} if others else {}
        if first.server or first.remote is not None:
            more["spent"] = call.spent()
        self._keep(call, {"status": 200, **first.as_json(prompts=self.service.prompts), **more})
        for receipt in receipts:
            self.service.metrics.receipt(receipt)

    def _name(self, call: Call) -> str:
        return self.service.endpoint if call.deployed is None else call.deployed.name

    def _keep(self, call: Call, facts: Mapping[str, object]) -> None:
        known = {
            "id": call.exchange.id,
            "endpoint": self._name(call),
            **(
                {}
                if call.deployed is None
                else {"deployed": call.deployed.made.told(), "answered_by": self.service.endpoint}
            ),
            "dialect": call.dialect.name,
            "faults": list(call.faults),
            "limits": {"context": self.service.speaker.info.context or None, **self.service.limits.as_json()},
        }
        self.service.receipts.put(call.exchange.id, {**known, **facts})


class Pulse:
    """Called at each new text: times the first and the gaps between them."""

    def __init__(self, metrics: Metrics, began: float) -> None:
        self._metrics = metrics
        self._last = began
        self._first = True

    def __call__(self) -> None:
        """Now."""
        now = time.monotonic()
        (self._metrics.first_token if self._first else self._metrics.token_gap)(now - self._last)
        self._first, self._last = False, now


async def _start(send: Send, headers: Mapping[str, str]) -> None:
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": raw})


def _named(call: Call) -> dict[str, str]:
    told = {"x-puna-receipt": path_of(call.exchange.id), "x-puna-dialect": call.dialect.name}
    if call.deployed is not None:
        told["x-puna-deployed"] = f"model={call.deployed.made.model.name}; run=no"
    return {**told, "x-puna-faults": ", ".join(call.faults)} if call.faults else told


def _noted(call: Call, note: str) -> str:
    """For the log line, which also says what was made on purpose."""
    return f"faults: {', '.join(call.faults)}; {note}" if call.faults else note


def _sentence(exchange: Exchange, error: Exception) -> str:
    """What the client is told: the sentence of a foreseen error, nothing but an id of any other."""
    return str(error) if isinstance(error, PunaError) else exchange.failed(error)
