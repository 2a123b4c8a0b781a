"""``POST /``: what AWS programs ask before they call an endpoint. Knows of the endpoint its name, its age and its state.

Services share the path: STS and IAM send a form (``identity``); SageMaker's control plane names its operation in
``X-Amz-Target`` and speaks JSON 1.1, times in seconds since 1970. Of it is answered what only looks: DescribeEndpoint
(``Endpoint.get`` of sagemaker 3, boto3's waiters), DescribeEndpointConfig (``Predictor`` of sagemaker 2), ListEndpoints.

Shapes and constraints: botocore 1.44.5, service model of sagemaker 2017-07-24. Words for what is not found, and ARNs in
lower case: https://github.com/aws/amazon-sagemaker-examples/issues/2402, 2339 and 293; constraints on names
https://github.com/zenml-io/zenml/issues/1502. The words for wrong types are puna's own. All read 2026-11-22.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from math import inf
from typing import Any, NoReturn

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from puna.errors import PunaError
from puna.server import aws, identity
from puna.server.exchange import BodyTooLargeError, Exchange, exchange_of, read_body
from puna.server.headers import VARIANT, Rule, detected, problem

MAX_BODY = 64 * 1024
"""Bytes of a call; those that are answered here have about 100."""

_STATES = {
    "ready": "InService", "loading": "Creating", "restarting": "Updating", "away": "OutOfService", "stopping": "Deleting",
}  # fmt: skip
"""EndpointStatus by the state of the endpoint; any other state is Failed."""

_INPUTS: Mapping[str, Mapping[str, type[object]]] = {
    "DescribeEndpoint": {"EndpointName": str},
    "DescribeEndpointConfig": {"EndpointConfigName": str},
    "ListEndpoints": {
        "SortBy": str,
        "SortOrder": str,
        "NextToken": str,
        "MaxResults": int,
        "NameContains": str,
        "CreationTimeBefore": float,
        "CreationTimeAfter": float,
        "LastModifiedTimeBefore": float,
        "LastModifiedTimeAfter": float,
        "StatusEquals": str,
    },
}
"""The members of what each operation takes; ``float`` is a time."""

_NAME = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
_ENDPOINT = Rule("", "endpointName", 63, _NAME)
_CONFIG = Rule("", "endpointConfigName", 63, _NAME)
_PART = Rule("", "nameContains", 63, "[a-zA-Z0-9-]+")
_ENUMS = {
    "SortBy": "Name, CreationTime, Status",
    "SortOrder": "Ascending, Descending",
    "StatusEquals": (
        "OutOfService, Creating, Updating, SystemUpdating, RollingBack, InService, Deleting, Failed, UpdateRollbackFailed"
    ),
}


class ControlError(PunaError):
    """SageMaker's control plane refuses. code: the exception's name."""

    def __init__(self, sentence: str, code: str = "ValidationException", status: int = 400) -> None:
        super().__init__(sentence)
        self.code = code
        self.status = status


class ControlPlane:
    """An ASGI app. endpoint: the name of the one that is here. status: its state, a word of ``container.STATUS``.

    created: when it was started, which is also when it was last modified: nobody can modify it.
    """

    def __init__(self, endpoint: str, status: Callable[[], str], created: datetime) -> None:
        self.endpoint = endpoint
        self.status = status
        self.created = created.timestamp()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        exchange, headers = exchange_of(scope), Headers(scope=scope)
        exchange.route = "control"
        in_json = "x-amz-target" in headers
        try:
            body = await read_body(scope, receive, MAX_BODY)
        except BodyTooLargeError as error:
            too_large = ControlError(str(error), "RequestEntityTooLarge", error.status)
            response = _error(exchange, too_large) if in_json else identity.too_large(exchange, error)
        else:
            response = self._control(exchange, headers, body) if in_json else identity.answer(exchange, body)
        await response(scope, receive, send)

    def _control(self, exchange: Exchange, headers: Headers, body: bytes) -> Response:
        try:
            operation = _operation(headers["x-amz-target"])
            exchange.note = operation
            given, region = _members(operation, body), aws.region_of(headers.get("authorization", ""))
            answers = {
                "DescribeEndpoint": self._endpoint,
                "DescribeEndpointConfig": self._config,
                "ListEndpoints": self._list,
            }
            return _json(answers[operation](given, region))
        except ControlError as error:
            return _error(exchange, error)

    def _endpoint(self, given: Mapping[str, Any], region: str) -> Mapping[str, object]:
        self._check(given.get("EndpointName"), _ENDPOINT, "endpoint", _arn("endpoint", region))
        facts = self._summary(region)
        failed = facts["EndpointStatus"] == "Failed"
        current = 1 if facts["EndpointStatus"] == "InService" else 0
        variant = {
            "VariantName": VARIANT,
            "CurrentWeight": 1.0,
            "DesiredWeight": 1.0,
            "CurrentInstanceCount": current,
            "DesiredInstanceCount": 1,
        }
        reason = {"FailureReason": "The engine has stopped; puna's log says why."} if failed else {}
        return {**facts, "EndpointConfigName": self.endpoint, "ProductionVariants": [variant], **reason}

    def _config(self, given: Mapping[str, Any], region: str) -> Mapping[str, object]:
        arn = _arn("endpoint-config", region)
        self._check(given.get("EndpointConfigName"), _CONFIG, "endpoint configuration", arn)
        # No instance type: this machine is none of AWS's.
        variant = {
            "VariantName": VARIANT,
            "ModelName": self.endpoint,
            "InitialInstanceCount": 1,
            "InitialVariantWeight": 1.0,
        }
        return {
            "EndpointConfigName": self.endpoint,
            "EndpointConfigArn": arn + self.endpoint.lower(),
            "ProductionVariants": [variant],
            "CreationTime": self.created,
        }

    def _list(self, given: Mapping[str, Any], region: str) -> Mapping[str, object]:
        """The one endpoint, where the filters let it through. Any order is its order, and it fits on any page."""
        _check_filters(given)
        facts = self._summary(region)
        created = self.created
        # Bounds as the service model words them: only CreationTimeAfter takes its own moment in.
        kept = (
            given.get("NameContains", "") in self.endpoint
            and given.get("StatusEquals", facts["EndpointStatus"]) == facts["EndpointStatus"]
            and given.get("CreationTimeAfter", -inf) <= created < given.get("CreationTimeBefore", inf)
            and given.get("LastModifiedTimeAfter", -inf) < created < given.get("LastModifiedTimeBefore", inf)
        )
        return {"Endpoints": [facts] if kept else []}

    def _summary(self, region: str) -> Mapping[str, object]:
        return {
            "EndpointName": self.endpoint,
            "EndpointArn": _arn("endpoint", region) + self.endpoint.lower(),
            "CreationTime": self.created,
            "LastModifiedTime": self.created,
            "EndpointStatus": _STATES.get(self.status(), "Failed"),
        }

    def _check(self, name: str | None, rule: Rule, kind: str, arn: str) -> None:
        if name is None:
            _refuse([f"Value null at '{rule.member}' failed to satisfy constraint: Member must not be null"])
        if problems := rule.problems(name):
            _refuse(problems)
        if name != self.endpoint:
            raise ControlError(f'Could not find {kind} "{arn}{name.lower()}".')


def _operation(target: str) -> str:
    operation = target.removeprefix("SageMaker.")
    if operation == target or operation not in _INPUTS:
        raise ControlError(
            f"puna does not offer {identity.plain(target)}: there is nothing to create, change or delete here; call the "
            f"endpoint through SageMaker Runtime. puna answers {', '.join(_INPUTS)}",
            "UnknownOperationException",
        )
    return operation


def _members(operation: str, body: bytes) -> Mapping[str, Any]:
    """What was given, of the right types. A null is nothing given."""
    try:
        value = json.loads(body or b"{}", parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ControlError("the body is not JSON; a JSON object was expected", "SerializationException") from None
    if not isinstance(value, dict):
        raise ControlError("the body must be a JSON object", "SerializationException")
    known = _INPUTS[operation]
    if unknown := sorted(value.keys() - known.keys()):
        sentence = f"{operation} has no member {identity.plain(unknown[0])}; its members: {', '.join(known)}"
        raise ControlError(sentence, "SerializationException")
    given = {name: member for name, member in value.items() if member is not None}
    for name, member in given.items():
        kinds = (int, float) if known[name] is float else (known[name],)
        if type(member) not in kinds:
            told = {str: "text", int: "a whole number", float: "a time in seconds since 1970"}[known[name]]
            raise ControlError(f"{name} must be {told}", "SerializationException")
    return given


def _no_constant(name: str) -> NoReturn:
    """Python reads NaN and Infinity, which are no JSON."""
    raise ValueError(name)


def _check_filters(given: Mapping[str, Any]) -> None:
    problems = _PART.problems(given["NameContains"]) if "NameContains" in given else []
    for name, values in _ENUMS.items():
        if name in given and given[name] not in values.split(", "):
            member = f"{name[0].lower()}{name[1:]}"
            problems.append(problem(given[name], member, f"Member must satisfy enum value set: [{values}]"))
    most = given.get("MaxResults", 1)
    if most < 1:
        problems.append(problem(str(most), "maxResults", "Member must have value greater than or equal to 1"))
    if most > 100:
        problems.append(problem(str(most), "maxResults", "Member must have value less than or equal to 100"))
    if problems:
        _refuse(problems)
    if "NextToken" in given:
        raise ControlError("Invalid pagination token: puna gives none, all endpoints fit on one page.")


def _refuse(problems: list[str]) -> NoReturn:
    raise ControlError(detected(problems))


def _arn(kind: str, region: str) -> str:
    return f"arn:aws:sagemaker:{region}:{aws.ACCOUNT}:{kind}/"


def _json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(aws.to_json(value), status, dict(headers or {}), media_type="application/x-amz-json-1.1")


def _error(exchange: Exchange, error: ControlError) -> Response:
    exchange.note = str(error)
    return _json({"__type": error.code, "message": str(error)}, error.status, {"x-amzn-ErrorType": error.code})
