"""The SageMaker container contract: /ping and /invocations in plain HTTP, and /health for people.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html (read 2026-11-22): port 8080, ``GET
/ping`` answers 200 within 2 s once the model is ready, ``POST /invocations`` answers within 60 s. A stream is plain
chunked HTTP; the frames of the Runtime API are added by the service.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from starlette.datastructures import Headers
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import Scope

from puna.errors import PunaError
from puna.server import aws
from puna.server.answers import Answer
from puna.server.faults import ContainerFault
from puna.server.headers import attributes
from puna.server.invocations import Call, Service
from puna.server.upstream import Reach, UpstreamDeniedError
from puna.wire.dialect import Dialect, Request

STATUS = {"loading": 503, "restarting": 503, "away": 503, "stopping": 503, "stopped": 503, "ready": 200}
"""HTTP status of /ping by the state of the endpoint; away: the server that it stands in front of does not answer."""


class Container:
    """``POST /invocations``: whole or streamed as the request's ``stream`` says. streams: where it does not say.

    Both calls of the Runtime API come here, and nothing in them tells which one it was.
    """

    kind = "container"
    timed = False

    def __init__(self, *, streams: bool = False) -> None:
        self.streams = streams

    def check(self, scope: Scope, service: Service) -> None:
        """A container has one model and no name."""

    def attributes(self, scope: Scope) -> Mapping[str, str]:
        """Of the header X-Amzn-SageMaker-Custom-Attributes, which the service passes on."""
        return attributes(Headers(scope=scope))

    def dialect(self, service: Service) -> str:
        """As the endpoint was started."""
        return service.dialect

    def accept(self, service: Service, request: Request) -> None:
        """All that it understands."""

    def chunked(self, answer: Answer) -> bool:
        """As the answer is."""
        return answer.streamed

    def head(self, call: Call, answer: Answer) -> dict[str, str]:  # noqa: ARG002
        """The media type."""
        return {"Content-Type": answer.media_type}

    def part(self, record: bytes) -> bytes:
        """The record itself."""
        return record

    def broken(self, call: Call, error: Exception, sentence: str) -> bytes:
        """A last record as the dialect has it for errors; no reader takes it for text."""
        dialect = call.dialect
        return dialect.framing.encode(dialect.broken(status_of(dialect, error), sentence))

    def refusal(self, call: Call, error: Exception, sentence: str, headers: Mapping[str, str]) -> Response:
        """The dialect's error with its status."""
        if isinstance(error, ContainerFault):
            return Response(error.container_body, error.container_status, dict(headers), "application/json")
        body = body_of(call.dialect, error, sentence)
        return Response(body, status_of(call.dialect, error), {**retry_after(error), **headers}, "application/json")


class Health:
    """Whether there is an engine that can answer. state: a word of ``STATUS``. restarts: of the engine's process, so far.

    reach: whether the server is there that the engine is the client of; None for an engine that is none.
    """

    def __init__(
        self, service: Service, state: Callable[[], str], restarts: Callable[[], int], reach: Reach | None = None
    ) -> None:
        self.service = service
        self.state = state
        self.restarts = restarts
        self.reach = reach

    async def ping(self, request: HttpRequest) -> Response:  # noqa: ARG002
        """``GET /ping``: 200 when ready, else 503; no body."""
        return Response(status_code=STATUS[await self._looked()])

    async def health(self, request: HttpRequest) -> Response:  # noqa: ARG002
        """``GET /health``: the same, and what runs here."""
        state = await self._looked()
        info = self.service.speaker.info
        facts = {
            "status": state,
            "endpoint": self.service.endpoint,
            "model": info.model,
            "engine": info.build,
            "context": info.context or None,
            "slots": info.slots or None,
            "restarts": self.restarts(),
            "dialect": self.service.dialect,
            "limits": self.service.limits.as_json(),
        }
        return Response(aws.to_json(facts), STATUS[state], media_type="application/json")

    def word(self) -> str:
        """The state in a word of ``STATUS``, as far as it is known without asking another server."""
        if self.service.draining:
            return "stopping"
        state = self.state()
        return "away" if state == "ready" and self.reach is not None and not self.reach.there else state

    async def _looked(self) -> str:
        if self.reach is not None and self.state() == "ready":
            await self.reach.look()
        return self.word()


def status_of(dialect: Dialect, error: Exception) -> int:
    """The status by which a container of this dialect refuses."""
    status = error.status if isinstance(error, PunaError) else 500
    return dialect.statuses.get(status, status)


def body_of(dialect: Dialect, error: Exception, sentence: str) -> bytes:
    """The body by which a container of this dialect refuses."""
    return aws.to_json(dialect.error(status_of(dialect, error), sentence))


def retry_after(error: Exception) -> dict[str, str]:
    """When to ask again, where that may help (RFC 9110, section 10.2.3)."""
    wanted = getattr(error, "retry_after", None)
    if getattr(error, "status", 0) in {429, 503}:
        return {"Retry-After": str(max(1, math.ceil(wanted or 1)))}
    # Of OpenAI's SDKs, which ask again after any other 5xx.
    return {"x-should-retry": "false"} if isinstance(error, UpstreamDeniedError) else {}
