"""What SageMaker Runtime refuses and how its streams break, in sentences that say what to do. Knows AWS's codes; no connection.

Codes: botocore 1.44.8, service model of sagemaker-runtime 2017-05-13; those of authentication are common to all services:
https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html (read 2026-11-25).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from puna.engines.strangers import pausing, retry_after, stranger
from puna.errors import EndpointError, RefusedError
from puna.wire import eventstream, failures, strictjson

ACCEPT = "if you accept that licence, name the dialect 'jumpstart', which says so with every request"
"""What to do about a licence: nobody else may accept it."""

_CREDENTIALS = "see docs/sagemaker.md on credentials"

_MENDS: Mapping[str, str] = {
    "ExpiredTokenException": "the credentials have expired: get new ones (as by `aws sso login`) and ask again",
    "UnrecognizedClientException": f"nobody there knows this access key: check which credentials are in force; {_CREDENTIALS}",
    "InvalidClientTokenId": f"nobody there knows this access key: check which credentials are in force; {_CREDENTIALS}",
    "InvalidSignatureException": "check the secret access key, and this machine's clock: it may differ by 5 minutes",
    "IncompleteSignatureException": f"sign the request; {_CREDENTIALS}",
    "MissingAuthenticationTokenException": f"it wants AWS credentials: use an address such as sagemaker:NAME; {_CREDENTIALS}",
    "AccessDeniedException": "allow the caller sagemaker:InvokeEndpoint and sagemaker:InvokeEndpointWithResponseStream on that endpoint",
    "ThrottlingException": "too many requests at a time: ask again later, or raise the account's quota",
    "ModelNotReadyException": "the model is still being loaded there: ask again in a while",
    "ServiceUnavailable": "ask again in a while",
    "InternalFailure": "the service itself failed: ask again",
    "InternalDependencyException": "a service behind it failed: ask again",
}

_STATUSES: Mapping[str, int] = {"ThrottlingException": 429, "ModelNotReadyException": 429}
"""Our status where AWS's does not say that it is worth to ask again."""


class ContainerRefusedError(RefusedError):
    """The container refused, not the service before it. status: the container's."""


def refusal(url: str, endpoint: str, answer: httpx.Response, body: bytes) -> EndpointError:
    """The error of an answer that is none. body: its beginning.

    RefusedError.status: of the container where the container refuses (424 where it did not answer at all), 429 where the service throttles, else of
    the answer.
    """
    if strange := stranger(url, answer, body):
        return strange
    code, value = code_of(answer, body), _value(body)
    status = answer.status_code
    said = failures.of_bytes(body)
    if "OriginalStatusCode" in value or code == "ModelError":
        return _model_error(url, endpoint, value, said, retry_after(answer))
    mend = _MENDS.get(code) or _by_words(code, status, said, endpoint)
    named = f"{code}, {status}" if code else str(status)
    after = retry_after(answer)
    sentence = f"{url} refused the prompt ({named}): {said}{f'; {mend}' if mend else ''}{pausing(after)}"
    passed_on = not code and value and status in {400, 422, 424, 500}  # by a server that is a container itself
    return (ContainerRefusedError if passed_on else RefusedError)(sentence, _STATUSES.get(code, status), after)


def code_of(answer: httpx.Response, body: bytes) -> str:
    """AWS's code of an error, "" where there is none."""
    told = answer.headers.get("x-amzn-errortype") or _value(body).get("__type") or ""
    return str(told).partition(":")[0].rpartition("#")[2]


def _model_error(url: str, endpoint: str, value: Mapping[str, Any], said: str, after: float | None) -> RefusedError:
    status = value.get("OriginalStatusCode")
    log = f"; its log: {value['LogStreamArn']}" if value.get("LogStreamArn") else ""
    end = log + pausing(after)
    if not isinstance(status, int) or not 400 <= status <= 599:
        late = "timed out" in said or status == 0
        mend = "; ask for fewer tokens, or give the container more time" if late else ""
        return RefusedError(
            f"the container of endpoint {endpoint!r} at {url} did not answer: {said}{mend}{end}", 424, after
        )
    mend = ""
    if "accept_eula" in said:
        mend = f"; {ACCEPT}"
    return ContainerRefusedError(
        f"the container of endpoint {endpoint!r} at {url} refused the prompt ({status}): {said}{mend}{end}",
        status,
        after,
    )


def _by_words(code: str, status: int, said: str, endpoint: str) -> str:
    """What to do where only the sentence tells what is wrong."""
    words = said.lower()
    if "not found" in words and endpoint.lower() in words:
        return "check the endpoint's name, the region and the account: `aws sagemaker list-endpoints` lists them"
    if "inference component" in words:
        return "name the endpoint as NAME/COMPONENT where it has inference components, and as NAME where it has none"
    if "service" in words and ("not in" in words or "inservice" in words):
        return "wait until `aws sagemaker describe-endpoint` says InService, or see there why it failed"
    if status == 401:
        return f"it wants credentials or a key; {_CREDENTIALS}"
    if status == 404 or code == "UnknownOperationException":
        return "is that the address of a SageMaker Runtime?"
    if status == 413:
        return "SageMaker takes 6 MiB at most: shorten the prompt"
    return ""


def broken(url: str, message: eventstream.Message) -> EndpointError:
    """The error of a message that is no event: it ends the stream."""
    name = message.headers.get(":exception-type", message.headers.get(":error-code", message.kind))
    value = _value(message.payload)
    code = value.get("ErrorCode")
    mends = {
        "ModelInvocationTimeExceeded": "; ask for fewer tokens, or stream from an endpoint that may take longer",
        "StreamBroken": "; ask again",
    }
    mend = mends.get(str(code), "; ask again" if name == "InternalStreamFailure" else "")
    shown = f"{name!s}, {code}" if code else str(name)
    told = message.headers.get(":error-message")
    said = str(told) if told and not message.payload else failures.of_bytes(message.payload)
    return EndpointError(f"the stream of {url} broke off with {shown}: {said}{mend}")


def _value(body: bytes) -> Mapping[str, Any]:
    try:
        value = strictjson.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
