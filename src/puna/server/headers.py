"""The headers of an invocation: what SageMaker Runtime lets through and what this endpoint offers. Knows no body.

SDKs send whatever they are given and leave every check to the service. Members, lengths and patterns: botocore 1.44.5,
service model of sagemaker-runtime 2017-05-13, InvokeEndpointInput and InvokeEndpointWithResponseStreamInput. Words of
broken constraints: https://github.com/zenml-io/zenml/issues/1502; a value that the model marks as sensitive is not
repeated ("Value at 'customAttributes' failed ..."). Words of what is not offered: for models
https://github.com/aws/amazon-sagemaker-examples/issues/1026, for components BerriAI/litellm's tests of SageMaker; no real
answer was found for variants, containers, explanations and sessions, so these sentences follow the same pattern. That a
container or a model must not be named where there is one:
https://docs.aws.amazon.com/sagemaker/latest/dg/multi-container-direct.html. All read 2026-11-22.

Headers that are no members of the operation are dropped, as the service documents it (API_runtime_InvokeEndpoint).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from puna.errors import PunaError
from puna.server import aws
from puna.server.exchange import exchange_of

VARIANT = "AllTraffic"
"""The production variant of the endpoint that is here, under the name that SageMaker's SDKs give it."""

_SHOWN = 200
"""Characters of a value that a sentence repeats."""


class ServiceError(PunaError):
    """The service refuses by itself; the request never reaches the container."""

    status = 400
    code = "ValidationError"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a text may be. header: where it comes from. member: its name in AWS's sentences. longest: characters.

    pattern: as the service model has it, and as sentences quote it; the whole text must match. secret: never repeated.
    refusal: the sentence for what is well formed and not offered, with ``{value}``, ``{endpoint}`` and ``{variant}``; offered: the
    one value that is, with ``{variant}``.
    """

    header: str
    member: str
    longest: int
    pattern: str
    secret: bool = False
    refusal: str = ""
    offered: str = ""

    def problems(self, value: str) -> list[str]:
        """The constraints that a value does not satisfy, in AWS's words."""
        shown = None if self.secret else value
        broken = []
        if len(value) > self.longest:
            limit = f"Member must have length less than or equal to {self.longest}"
            broken.append(problem(shown, self.member, limit))
        if not _expression(self.pattern).fullmatch(value):
            rule = f"Member must satisfy regular expression pattern: {self.pattern}"
            broken.append(problem(shown, self.member, rule))
        return broken


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    r"""Of a Java expression as the service model has it, where ``\p{Print}`` stands in brackets."""
    for java, python in ((r"\p{ASCII}", r"[\x00-\x7f]"), (r"\p{Print}", r"\x20-\x7e"), (r"\z", r"\Z")):
        pattern = pattern.replace(java, python)
    return re.compile(pattern, re.ASCII)


def problem(value: str | None, member: str, rule: str) -> str:
    """One broken constraint. value: None for one that must not be repeated."""
    if value is None:
        return f"Value at '{member}' failed to satisfy constraint: {rule}"
    shown = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."
    return f"Value '{shown}' at '{member}' failed to satisfy constraint: {rule}"


def detected(problems: list[str]) -> str:
    """The sentence for all constraints that a request breaks, at least one."""
    count = "1 validation error" if len(problems) == 1 else f"{len(problems)} validation errors"
    return f"{count} detected: {'; '.join(problems)}"


_WORD = "^[a-zA-Z0-9](-*[a-zA-Z0-9])*"
_ASCII = r"\p{ASCII}*"
_ID = r"\A\S[\p{Print}]*\z"

NAME = Rule("", "endpointName", 63, _WORD)

_OWN = "X-Amzn-SageMaker-"
CUSTOM_ATTRIBUTES = f"{_OWN}Custom-Attributes"

_COMMON = (
    Rule("Content-Type", "contentType", 1024, _ASCII),
    Rule(CUSTOM_ATTRIBUTES, "customAttributes", 1024, _ASCII, secret=True),
    Rule(
        f"{_OWN}Target-Model",
        "targetModel",
        1024,
        _ID,
        refusal="Endpoint {endpoint} is not a multi-model endpoint and does not support target model header.",
    ),
    Rule(
        f"{_OWN}Target-Variant",
        "targetVariant",
        63,
        _WORD,
        refusal="Variant {value} of endpoint {endpoint} not found. Its only variant is {variant}.",
        offered="{variant}",
    ),
    Rule(
        f"{_OWN}Target-Container-Hostname",
        "targetContainerHostname",
        63,
        _WORD,
        refusal=(
            "Endpoint {endpoint} is not a multi-container endpoint with direct invocation and does not support target "
            "container hostname header."
        ),
    ),
    Rule(f"{_OWN}Inference-Id", "inferenceId", 64, _ID),
    Rule(
        f"{_OWN}Enable-Explanations",
        "enableExplanations",
        64,
        ".*",
        refusal="Endpoint {endpoint} has no explainer and does not support enable explanations header.",
    ),
    Rule(
        f"{_OWN}Inference-Component",
        "inferenceComponentName",
        63,
        r"^[a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?$",
        refusal=(
            "Inference Component Name header is not allowed for endpoints to which you dont plan to deploy inference "
            "components. Please remove the Inference Component Name header and try again."
        ),
    ),
    Rule(f"{_OWN}Prefix-Aware-Id", "prefixAwareId", 64, _ID),
)

_NO_SESSIONS = (
    "Endpoint {endpoint} does not support stateful sessions, its container keeps none. Please remove the Session Id "
    "header and try again."
)


def _rules(accept: str, session: str) -> tuple[Rule, ...]:
    return (
        *_COMMON,
        Rule(accept, "accept", 1024, _ASCII),
        Rule(f"{_OWN}Session-Id", "sessionId", 256, session, refusal=_NO_SESSIONS),
    )


# A session cannot be opened by a streamed call, so NEW_SESSION is a name like any other there, and an ill-formed one.
WHOLE = _rules("Accept", "^(NEW_SESSION)$|^[a-zA-Z0-9](-*[a-zA-Z0-9])*$")
STREAMED = _rules(f"{_OWN}Accept", "^[a-zA-Z0-9](-*[a-zA-Z0-9])*$")


def check(name: str, headers: Headers, *, streamed: bool, endpoint: str, variant: str = VARIANT) -> None:
    """Refuse what is ill-formed, then a name that is not the endpoint's, then what the endpoint does not offer.

    name: as the request's path has it, decoded. endpoint: the name of the one that answers. variant: of its only variant. An empty
    header is none.

    Raises:
        ServiceError: with AWS's sentence.
    """
    found = [(rule, _value(headers, rule.header)) for rule in (STREAMED if streamed else WHOLE)]
    given = [(rule, value) for rule, value in found if value]
    check_name(name, endpoint, (problem for rule, value in given for problem in rule.problems(value)))
    for rule, value in given:
        if rule.refusal and value != rule.offered.format(variant=variant):
            raise ServiceError(rule.refusal.format(value=value, endpoint=endpoint, variant=variant))


def check_name(name: str, endpoint: str, others: Iterable[str] = ()) -> None:
    """The name alone. others: broken constraints to be told with its own.

    Raises:
        ServiceError: with AWS's sentence.
    """
    if problems := [*NAME.problems(name), *others]:
        raise ServiceError(detected(problems))
    if name != endpoint:
        raise ServiceError(f"Endpoint {name} of account {aws.ACCOUNT} not found.")


def attributes(headers: Headers) -> Mapping[str, str]:
    """The custom attributes that are ``key=value``; of two with one key the last one.

    The service passes the header on as it is. JumpStart's containers look for ``accept_eula=true`` in it, TensorFlow
    Serving's separate pairs by commas (aws/sagemaker-tensorflow-serving-container, read 2026-11-22), others by semicolons.
    """
    parts = [part.partition("=") for part in re.split("[,;]", _value(headers, CUSTOM_ATTRIBUTES))]
    return {key.strip(): value.strip() for key, equals, value in parts if equals and key.strip()}


def _value(headers: Headers, name: str) -> str:
    """A header that came several times is one list (RFC 9110, section 5.3)."""
    return ", ".join(filter(None, headers.getlist(name)))


def no_components(endpoint: str) -> str:
    """The sentence for a path below ``/endpoints/NAME/inference-components``."""
    return (
        f"Endpoint {endpoint} has no inference components. Please remove inference-components and the name after it from "
        f"the path and try again."
    )


_NOT_OFFERED = {
    "async": (
        "puna does not offer asynchronous inference (InvokeEndpointAsync), which keeps its answers in Amazon S3; "
        "call InvokeEndpoint or InvokeEndpointWithResponseStream"
    ),
    "bidirectional": (
        "puna does not offer bidirectional streaming (InvokeEndpointWithBidirectionalStream), which needs HTTP/2; "
        "call InvokeEndpointWithResponseStream"
    ),
}


class NotOffered:
    """An operation of SageMaker Runtime that is not offered. An ASGI app. named: the name of the one that answers to a name."""

    def __init__(self, kind: Literal["async", "bidirectional"], named: Callable[[str], str]) -> None:
        self.kind = kind
        self.named = named

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse: a wrong name first, as SageMaker does."""
        exchange = exchange_of(scope)
        exchange.route = self.kind
        sentence = _NOT_OFFERED[self.kind]
        try:
            check_name(scope["path_params"]["name"], self.named(scope["path_params"]["name"]))
        except ServiceError as error:
            sentence = str(error)
        exchange.note = sentence
        await aws.error(ServiceError.status, ServiceError.code, sentence)(scope, receive, send)
