"""Errors as AWS words them. Knows the shapes of rest-json errors; nothing of what went wrong.

Shapes: botocore 1.44.5, service model of sagemaker-runtime 2017-05-13 and ``parsers.py`` (the code is read from the
header ``x-amzn-ErrorType``, the message from ``Message``). Wording of a ModelError: real answers in
https://github.com/aws/sagemaker-python-sdk/issues/2955 and others. All read 2026-11-22.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from starlette.responses import Response

ACCOUNT = "123456789012"
"""The account that AWS's documentation uses; a local endpoint belongs to none."""

DEFAULT_REGION = "us-east-1"

_SCOPE = re.compile(r"Credential=[^/,\s]+/\d{8}/([a-z0-9-]{1,32})/")


def to_json(value: object) -> bytes:
    """A JSON document that people read: only what UTF-8 cannot carry is escaped."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")


def error(
    status: int,
    code: str,
    message: str,
    more: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error of the service. code: the name that SDKs raise, or digits for none. more: further fields of the body."""
    named = {} if code.isdigit() else {"x-amzn-ErrorType": code}
    body = to_json({"Message": message, **(more or {})})
    return Response(body, status, {**named, **(headers or {})}, "application/json")


def model_error(
    status: int, body: bytes, endpoint: str, region: str, headers: Mapping[str, str] | None = None
) -> Response:
    """An error of the container, wrapped as the service wraps it. status, body: the container's own."""
    side = "client" if 400 <= status < 500 else "server"
    text = body.decode("utf-8")
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    message = (
        f'Received {side} error ({status}) from primary with message "{text}". See https://{region}.console.aws.amazon.com/'
        f"cloudwatch/home?region={region}#logEventViewer:group={group} in account {ACCOUNT} for more information."
    )
    more = {
        "ErrorCode": f"{side.upper()}_ERROR_FROM_MODEL",
        "LogStreamArn": f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{group}",
        "OriginalMessage": text,
        "OriginalStatusCode": status,
    }
    return error(424, "ModelError", message, more, headers)


def region_of(authorization: str) -> str:
    """The region that a request was signed for (SigV4's credential scope)."""
    found = _SCOPE.search(authorization)
    return found[1] if found else DEFAULT_REGION
