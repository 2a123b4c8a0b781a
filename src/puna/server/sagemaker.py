"""SageMaker Runtime: the manners of InvokeEndpoint and InvokeEndpointWithResponseStream. Knows AWS's words and frames.

Routes, headers, limits and errors: botocore 1.44.5, service model of sagemaker-runtime 2017-05-13;
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointWithResponseStream.html;
streaming headers as seen in https://github.com/langchain-ai/langchain-aws/issues/128. All read 2026-11-22.

Kept besides, for clients as they are (run 2026-11-22): one whole record per part, since litellm and llama-index decode
each part by itself, and a newline as the last byte, without which the line iterators of sagemaker and langchain spin.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from puna.errors import InputError, PunaError
from puna.server import aws
from puna.server.answers import Answer
from puna.server.exchange import BodyTooLargeError
from puna.server.invocations import Service
from puna.wire import eventstream, workshop

MAX_NAME = 63
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")

_VARIANT = {"x-Amzn-Invoked-Production-Variant": "AllTraffic"}


class ServiceError(PunaError):
    """The service refuses by itself; the request never reaches the container."""

    status = 400
    code = "ValidationError"


class Whole:
    """InvokeEndpoint: the container's whole answer as the body, whatever the container makes of the request."""

    streams = False

    def check(self, scope: Scope, service: Service) -> None:
        """The endpoint's name: SDKs send any text, percent-encoded, and leave the checking to the service."""
        name: str = scope["path_params"]["name"]
        if len(name) > MAX_NAME:
            raise ServiceError(_constraint(name, f"Member must have length less than or equal to {MAX_NAME}"))
        if not _NAME.fullmatch(name):
            pattern = "^[a-zA-Z0-9](-*[a-zA-Z0-9])*"
            raise ServiceError(_constraint(name, f"Member must satisfy regular expression pattern: {pattern}"))
        if name != service.endpoint:
            raise ServiceError(f"Endpoint {name} of account {aws.ACCOUNT} not found.")

    def chunked(self, answer: Answer) -> bool:  # noqa: ARG002
        """Never: InvokeEndpoint collects what the container sends."""
        return False

    def head(self, answer: Answer) -> dict[str, str]:
        """The container's media type is the body's."""
        return {"Content-Type": answer.media_type, **_VARIANT}

    def part(self, record: bytes) -> bytes:
        """The record itself."""
        return record

    def broken(self, error: Exception, sentence: str) -> bytes:
        """The frame that ends a stream; SDKs raise it as an EventStreamError or by its own name."""
        if isinstance(error, PunaError):
            return eventstream.exception("ModelStreamError", {"Message": sentence, "ErrorCode": "StreamBroken"})
        return eventstream.exception("InternalStreamFailure", {"Message": sentence})

    def refusal(self, scope: Scope, error: Exception, sentence: str, headers: Mapping[str, str]) -> Response:
        """What the container refuses is a ModelError; all else has its own status and code."""
        if isinstance(error, InputError) and not isinstance(error, BodyTooLargeError):
            body = aws.to_json(workshop.write_error(error.status, sentence))
            region = aws.region_of(Headers(scope=scope).get("authorization", ""))
            return aws.model_error(error.status, body, scope["path_params"]["name"], region, headers)
        if isinstance(error, PunaError):
            return aws.error(error.status, error.code, sentence, headers=headers)
        return aws.error(500, "InternalFailure", sentence, headers=headers)


class Streamed(Whole):
    """InvokeEndpointWithResponseStream: the same records, each in an event-stream frame as it comes."""

    streams = True

    def chunked(self, answer: Answer) -> bool:  # noqa: ARG002
        """Always: without chunks urllib3 gives botocore nothing before it has 64 KiB."""
        return True

    def head(self, answer: Answer) -> dict[str, str]:
        """The body is frames; the container's media type has a header of its own."""
        return {
            "Content-Type": eventstream.MEDIA_TYPE,
            "X-Amzn-SageMaker-Content-Type": answer.media_type,
            **_VARIANT,
        }

    def part(self, record: bytes) -> bytes:
        """One frame."""
        return eventstream.payload_part(record)


class NoAsync:
    """InvokeEndpointAsync, which needs S3. An ASGI app."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse."""
        sentence = (
            "puna does not offer asynchronous inference (InvokeEndpointAsync), which keeps its answers in Amazon S3; "
            "call InvokeEndpoint or InvokeEndpointWithResponseStream"
        )
        await aws.error(400, "ValidationError", sentence)(scope, receive, send)


def _constraint(name: str, rule: str) -> str:
    shown = name if len(name) <= 200 else f"{name[:200]}..."
    return f"1 validation error detected: Value '{shown}' at 'endpointName' failed to satisfy constraint: {rule}"
