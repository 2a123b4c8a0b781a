"""The SageMaker container contract: /ping and /invocations in plain HTTP, and /health for people.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html (read 2026-11-22): port 8080, ``GET
/ping`` answers 200 within 2 s once the model is ready, ``POST /invocations`` answers within 60 s. A stream is plain
chunked HTTP; the frames of the Runtime API are added by the service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from puna.errors import PunaError
from puna.server import aws
from puna.server.answers import Answer
from puna.server.invocations import Service
from puna.wire import jsonlines, workshop


class Container:
    """``POST /invocations``: whole, or as JSON lines where the request has ``"stream": true``."""

    streams = False

    def check(self, scope: Scope, service: Service) -> None:
        """A container has one model and no name."""

    def chunked(self, answer: Answer) -> bool:
        """As the answer is."""
        return answer.streamed

    def head(self, answer: Answer) -> dict[str, str]:
        """The media type."""
        return {"Content-Type": answer.media_type}

    def part(self, record: bytes) -> bytes:
        """The record itself."""
        return record

    def broken(self, error: Exception, sentence: str) -> bytes:
        """A last line of another shape, which no reader can take for text."""
        return jsonlines.encode(workshop.write_error(_status(error), sentence))

    def refusal(self, scope: Scope, error: Exception, sentence: str, headers: Mapping[str, str]) -> Response:  # noqa: ARG002
        """The error with the plain status."""
        body = aws.to_json(workshop.write_error(_status(error), sentence))
        return Response(body, _status(error), dict(headers), "application/json")


class Health:
    """Whether there is an engine that can answer."""

    def __init__(self, service: Service, ready: Callable[[], bool]) -> None:
        self.service = service
        self.ready = ready

    async def ping(self, request: Request) -> Response:  # noqa: ARG002
        """``GET /ping``: 200 when ready, else 503; no body."""
        return Response(status_code=200 if self.ready() else 503)

    async def health(self, request: Request) -> Response:  # noqa: ARG002
        """``GET /health``: the same, and what runs here."""
        info, ready = self.service.speaker.info, self.ready()
        facts = {
            "status": "ready" if ready else "unavailable",
            "endpoint": self.service.endpoint,
            "model": info.model,
            "engine": info.build,
            "context": info.context,
            "slots": info.slots,
        }
        return Response(aws.to_json(facts), 200 if ready else 503, media_type="application/json")


def _status(error: Exception) -> int:
    return error.status if isinstance(error, PunaError) else 500
