"""SageMaker Runtime: the manners of InvokeEndpoint and InvokeEndpointWithResponseStream. Knows AWS's words and frames.

Routes, headers, limits and errors: botocore 1.44.5, service model of sagemaker-runtime 2017-05-13;
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointWithResponseStream.html;
streaming headers as seen in https://github.com/langchain-ai/langchain-aws/issues/128. All read 2026-11-22.

Kept besides, for clients as they are (run 2026-11-22): one whole record per part, since litellm and llama-index decode
each part by itself, and a newline as the last byte, without which the line iterators of sagemaker and langchain spin.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from puna.errors import EngineBusyError, InputError, PunaError
from puna.server import aws
from puna.server.answers import Answer
from puna.server.container import body_of, retry_after, status_of
from puna.server.exchange import BodyTooLargeError
from puna.server.faults import ContainerFault, StreamFault
from puna.server.headers import ServiceError, attributes, check
from puna.server.invocations import Call, Service
from puna.server.upstream import UpstreamFailedError
from puna.wire import eventstream
from puna.wire.dialect import Request


class Whole:
    """InvokeEndpoint: the container's whole answer as the body, whatever the container makes of the request."""

    kind = "invoke"
    streams = False
    timed = True

    def check(self, scope: Scope, service: Service) -> None:
        """The endpoint's name and every header: SDKs send any text and leave the checking to the service."""
        name = scope["path_params"]["name"]
        endpoint, variant = service.named(name), service.variant_of(name)
        check(name, Headers(scope=scope), streamed=self.streams, endpoint=endpoint, variant=variant)

    def attributes(self, scope: Scope) -> Mapping[str, str]:
        """Of the header X-Amzn-SageMaker-Custom-Attributes."""
        return attributes(Headers(scope=scope))

    def dialect(self, service: Service) -> str:
        """As the endpoint was started."""
        return service.dialect

    def accept(self, service: Service, request: Request) -> None:
        """All that a container understands."""

    def chunked(self, answer: Answer) -> bool:  # noqa: ARG002
        """Never: InvokeEndpoint collects what the container sends."""
        return False

    def head(self, call: Call, answer: Answer) -> dict[str, str]:
        """The container's media type is the body's."""
        return {"Content-Type": answer.media_type, **_invoked(call)}

    def part(self, record: bytes) -> bytes:
        """The record itself."""
        return record

    def broken(self, call: Call, error: Exception, sentence: str) -> bytes:  # noqa: ARG002
        """The frame that ends a stream; SDKs raise it as an EventStreamError or by its own name."""
        code = error.error_code if isinstance(error, StreamFault) else "StreamBroken"
        if isinstance(error, PunaError) and code:
            return eventstream.exception("ModelStreamError", {"Message": sentence, "ErrorCode": code})
        return eventstream.exception("InternalStreamFailure", {"Message": sentence})

    def refusal(self, call: Call, error: Exception, sentence: str, headers: Mapping[str, str]) -> Response:
        """What the container refuses is a ModelError; all else has its own status and code."""
        if isinstance(error, ContainerFault):
            return _model_error(call, error.container_status, error.container_body, headers)
        own = isinstance(error, InputError) and not isinstance(error, BodyTooLargeError | ServiceError)
        if own or isinstance(error, UpstreamFailedError):  # SDKs do not ask again after a ModelError
            return _model_error(call, status_of(call.dialect, error), body_of(call.dialect, error, sentence), headers)
        headers = {**retry_after(error), **headers}
        if isinstance(error, EngineBusyError):
            # AWS's status for it, by which SDKs know that they may ask again.
            return aws.error(400, error.code, sentence, headers=headers)
        if isinstance(error, PunaError):
            return aws.error(error.status, error.code, sentence, headers=headers)
        return aws.error(500, "InternalFailure", sentence, headers=headers)


class Streamed(Whole):
    """InvokeEndpointWithResponseStream: the same records, each in an event-stream frame as it comes."""

    kind = "stream"
    streams = True

    def chunked(self, answer: Answer) -> bool:  # noqa: ARG002
        """Always: without chunks urllib3 gives botocore nothing before it has 64 KiB."""
        return True

    def head(self, call: Call, answer: Answer) -> dict[str, str]:
        """The body is frames; the container's media type has a header of its own."""
        return {
            "Content-Type": eventstream.MEDIA_TYPE,
            "X-Amzn-SageMaker-Content-Type": answer.media_type,
            **_invoked(call),
        }

    def part(self, record: bytes) -> bytes:
        """One frame."""
        return eventstream.payload_part(record)


def _invoked(call: Call) -> dict[str, str]:
    return {"x-Amzn-Invoked-Production-Variant": call.variant}


def _model_error(call: Call, status: int, body: bytes, headers: Mapping[str, str]) -> Response:
    region = aws.region_of(Headers(scope=call.scope).get("authorization", ""))
    return aws.model_error(status, body, call.scope["path_params"]["name"], region, headers)
