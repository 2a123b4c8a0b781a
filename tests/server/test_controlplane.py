from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

from puna.server.controlplane import ControlPlane
from puna.server.deployments import Deployments
from puna.server.exchange import Exchanges

from .live import ENDPOINT, Live

Client = Callable[[str], Any]


def test_the_caller_and_its_role(client: Client) -> None:
    """The two calls by which the SageMaker SDK v2 finds its execution role."""
    caller = client("sts").get_caller_identity()
    assert caller["Arn"] == "arn:aws:sts::123456789012:assumed-role/PunaLocalRole/local"
    assert caller["Account"] == "123456789012"
    assert caller["UserId"]
    assert caller["ResponseMetadata"]["RequestId"]
    name = caller["Arn"].split("/")[1]
    role = client("iam").get_role(RoleName=name)["Role"]
    assert role["Arn"] == "arn:aws:iam::123456789012:role/PunaLocalRole"
    assert (role["RoleName"], role["Path"], role["MaxSessionDuration"]) == ("PunaLocalRole", "/", 3600)
    assert role["CreateDate"].year == 2026


# service, operation, its arguments; status, code and part of the message that boto3 tells
REFUSED = [
    ("iam", "get_role", {"RoleName": "Other"}, 404, "NoSuchEntity", "The role with name Other cannot be found"),
    ("iam", "get_role", {"RoleName": "<&ü\n>"}, 404, "NoSuchEntity", "The role with name <&??> cannot be found"),
    ("iam", "list_roles", {}, 400, "InvalidAction", "The action ListRoles is not valid for this web service"),
    ("sts", "get_session_token", {}, 400, "InvalidAction", "The action GetSessionToken is not valid"),
    (
        "sagemaker",
        "list_training_jobs",
        {},
        400,
        "UnknownOperationException",
        "does not offer SageMaker.ListTrainingJobs; of SageMaker's control plane it answers CreateModel, DescribeModel",
    ),
    (
        "sagemaker",
        "describe_endpoint",
        {"EndpointName": "Other"},
        400,
        "ValidationException",
        'Could not find endpoint "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/other".',
    ),
    (
        "sagemaker",
        "describe_endpoint_config",
        {"EndpointConfigName": "other"},
        400,
        "ValidationException",
        'Could not find endpoint configuration "arn:aws:sagemaker:eu-west-1:123456789012:endpoint-config/other".',
    ),
    (
        "sagemaker",
        "describe_endpoint",
        {"EndpointName": "bad name"},
        400,
        "ValidationException",
        (
            "1 validation error detected: Value 'bad name' at 'endpointName' failed to satisfy constraint: Member must satisfy "
            "regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
        ),
    ),
    (
        "sagemaker",
        "describe_endpoint_config",
        {"EndpointConfigName": "x" * 64},
        400,
        "ValidationException",
        (
            f"2 validation errors detected: Value '{'x' * 64}' at 'endpointConfigName' failed to satisfy constraint: Member "
            f"must have length less than or equal to 63; Value '{'x' * 64}' at"
        ),
    ),
    (
        "sagemaker",
        "list_endpoints",
        {"SortBy": "name", "StatusEquals": "inservice", "MaxResults": 101, "NameContains": "a_b"},
        400,
        "ValidationException",
        (
            "4 validation errors detected: Value 'name' at 'sortBy' failed to satisfy constraint: Member must satisfy enum "
            "value set: [Name, CreationTime, Status]; Value '101' at 'maxResults' failed"
        ),
    ),
    (
        "sagemaker",
        "list_endpoints",
        {"MaxResults": 101},
        400,
        "ValidationException",
        "Value '101' at 'maxResults' failed",
    ),
    ("sagemaker", "list_endpoints", {"NextToken": "abc"}, 400, "ValidationException", "Invalid pagination token"),
]


@pytest.mark.parametrize("row", REFUSED, ids=[f"{row[1]}-{n}" for n, row in enumerate(REFUSED)])
def test_errors_are_such_as_boto3_reads(client: Client, row: tuple[str, str, dict[str, Any], int, str, str]) -> None:
    service, operation, arguments, status, code, part = row
    with pytest.raises(ClientError) as caught:
        getattr(client(service), operation)(**arguments)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
    assert answer["ResponseMetadata"]["RequestId"]
    assert answer["Error"]["Code"] == code
    assert part in answer["Error"]["Message"]


FORMS = [
    (b"", 400, "MissingAction"),
    (b"Action=", 400, "MissingAction"),
    (b"\xff\x00&Action=%00%ff%3C", 400, "InvalidAction"),
    (b"Action=GetRole&RoleName=%F0%9F%A6%99%00", 404, "NoSuchEntity"),
    (b"Action=GetRole&Version=2010-05-08", 400, "ValidationError"),
    (b"&".join(b"a=%d" % n for n in range(200)), 400, "MissingAction"),
    (b"Action=" + b"x" * 70_000, 413, "RequestEntityTooLarge"),
    (b'{"prompt": "Hi"}', 400, "MissingAction"),
]


@pytest.mark.parametrize(("form", "status", "code"), FORMS, ids=[str(n) for n in range(len(FORMS))])
def test_odd_forms_get_well_formed_xml(live: Live, form: bytes, status: int, code: str) -> None:
    response = live.http.post("/", content=form, headers={"content-type": "application/x-www-form-urlencoded"})
    assert response.status_code == status
    assert response.headers["content-type"].startswith("text/xml")
    root = ET.fromstring(response.content)  # noqa: S314  # our own answer
    found = [node.text for node in root.iter() if node.tag.endswith("}Code")]
    assert found == [code]


@pytest.mark.parametrize(("service", "root"), [
    ("Version=2010-05-08", "{https://iam.amazonaws.com/doc/2010-05-08/}ErrorResponse"),
    ("Version=2011-06-15", "{https://sts.amazonaws.com/doc/2011-06-15/}ErrorResponse"),
])  # fmt: skip
def test_an_error_has_its_services_namespace(live: Live, service: str, root: str) -> None:
    response = live.http.post("/", content=f"Action=Nothing&{service}")
    assert ET.fromstring(response.content).tag == root  # noqa: S314  # our own answer


def test_a_target_cannot_forge_anything(live: Live) -> None:
    response = live.http.post("/", headers={b"x-amz-target": b'a"\xff' + b"x" * 500})
    assert response.json()["message"].startswith('puna does not offer a"?xxx')
    assert len(response.content) < 500


def checked(sagemaker: Any, operation: str, **arguments: Any) -> Any:
    """An answer that has all that the service model demands, each of its type."""
    answer = getattr(sagemaker, operation)(**arguments)
    del answer["ResponseMetadata"]
    name = sagemaker.meta.method_to_api_mapping[operation]
    shape = sagemaker.meta.service_model.operation_model(name).output_shape
    assert not ParamValidator().validate(answer, shape).has_errors()
    return answer


def test_the_endpoint_is_described(client: Client) -> None:
    """What ``Endpoint.get`` of sagemaker 3 and boto3's waiters ask."""
    sagemaker = client("sagemaker")
    endpoint = checked(sagemaker, "describe_endpoint", EndpointName=ENDPOINT)
    assert endpoint["EndpointName"] == ENDPOINT
    assert endpoint["EndpointArn"] == f"arn:aws:sagemaker:eu-west-1:123456789012:endpoint/{ENDPOINT}"
    assert endpoint["EndpointStatus"] == "InService"
    assert "FailureReason" not in endpoint
    assert [variant["VariantName"] for variant in endpoint["ProductionVariants"]] == ["AllTraffic"]
    assert timedelta() <= datetime.now(UTC) - endpoint["CreationTime"] < timedelta(hours=1)
    assert endpoint["LastModifiedTime"] == endpoint["CreationTime"]
    config = checked(sagemaker, "describe_endpoint_config", EndpointConfigName=endpoint["EndpointConfigName"])
    assert config["EndpointConfigArn"].endswith(f":endpoint-config/{ENDPOINT}")
    assert [variant["VariantName"] for variant in config["ProductionVariants"]] == ["AllTraffic"]


def test_a_waiter_sees_the_endpoint_come_back(client: Client, live: Live) -> None:
    sagemaker = client("sagemaker")
    live.ready = False
    assert sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointStatus"] == "Updating"
    live.ready = True
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=ENDPOINT, WaiterConfig={"Delay": 1, "MaxAttempts": 1})


CREATED = datetime(2026, 11, 22, 12, 0, 0, 250_000, tzinfo=UTC)


def ask(target: str, body: str, state: str = "ready") -> httpx.Response:
    """One call to a control plane that nobody signed."""

    async def asked() -> httpx.Response:
        app = Exchanges(ControlPlane("Mine", lambda: state, CREATED, Deployments()), log=lambda _: None)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as http:
            return await http.post("/", content=body, headers={"x-amz-target": f"SageMaker.{target}"})

    return asyncio.run(asked())


@pytest.mark.parametrize(("state", "status"), [
    ("ready", "InService"),
    ("loading", "Creating"),
    ("restarting", "Updating"),
    ("stopping", "Deleting"),
    ("stopped", "Failed"),
])  # fmt: skip
def test_the_state_is_told_as_a_status(state: str, status: str) -> None:
    answer = ask("DescribeEndpoint", '{"EndpointName": "Mine"}', state).json()
    assert answer["EndpointStatus"] == status
    assert ("FailureReason" in answer) == (status == "Failed")
    assert answer["ProductionVariants"][0]["CurrentInstanceCount"] == (status == "InService")
    assert ask("ListEndpoints", "{}", state).json()["Endpoints"][0]["EndpointStatus"] == status


def test_times_are_seconds_and_names_in_arns_are_lower_case() -> None:
    answer = ask("DescribeEndpoint", '{"EndpointName": "Mine"}')
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"
    assert answer.json()["CreationTime"] == CREATED.timestamp()
    assert answer.json()["EndpointArn"] == "arn:aws:sagemaker:us-east-1:123456789012:endpoint/mine"


def test_all_endpoints_are_one(client: Client) -> None:
    sagemaker = client("sagemaker")
    (endpoint,) = checked(sagemaker, "list_endpoints")["Endpoints"]
    assert (endpoint["EndpointName"], endpoint["EndpointStatus"]) == (ENDPOINT, "InService")
    pages = sagemaker.get_paginator("list_endpoints").paginate(
        NameContains=ENDPOINT[2:5],
        StatusEquals="InService",
        SortBy="Status",
        SortOrder="Ascending",
        CreationTimeAfter=datetime.now(UTC) - timedelta(hours=1),
        LastModifiedTimeBefore=datetime.now(UTC) + timedelta(hours=1),
        MaxResults=1,
    )
    assert [found["EndpointName"] for page in pages for found in page["Endpoints"]] == [ENDPOINT]


CUT = CREATED.timestamp()
FILTERS = [
    ("{}", True),
    ('{"NameContains": null, "MaxResults": 100, "SortOrder": "Descending"}', True),
    ('{"NameContains": "in"}', True),
    ('{"NameContains": "mine"}', False),
    ('{"StatusEquals": "InService"}', True),
    ('{"StatusEquals": "Failed"}', False),
    (f'{{"CreationTimeAfter": {CUT}}}', True),
    (f'{{"CreationTimeAfter": {CUT + 1}}}', False),
    (f'{{"CreationTimeBefore": {CUT}}}', False),
    (f'{{"CreationTimeBefore": {int(CUT) + 1}}}', True),
    (f'{{"LastModifiedTimeAfter": {CUT}}}', False),
    (f'{{"LastModifiedTimeAfter": {int(CUT)}}}', True),
    (f'{{"LastModifiedTimeBefore": {CUT}}}', False),
    (f'{{"LastModifiedTimeBefore": {CUT + 1}}}', True),
]


@pytest.mark.parametrize(("body", "kept"), FILTERS, ids=[body for body, _ in FILTERS])
def test_a_list_is_filtered(body: str, kept: bool) -> None:
    answer = ask("ListEndpoints", body)
    assert answer.status_code == 200
    assert [found["EndpointName"] for found in answer.json()["Endpoints"]] == ["Mine"] * kept


# operation, body; code and part of the message
ODD = [
    (
        "DescribeEndpoint",
        "",
        "ValidationException",
        "Value null at 'endpointName' failed to satisfy constraint: Member must",
    ),
    ("DescribeEndpoint", "{", "SerializationException", "not JSON"),
    ("DescribeEndpoint", "[" * 60_000, "SerializationException", "not JSON"),
    ("DescribeEndpoint", "[1]", "SerializationException", "must be a JSON object"),
    ("DescribeEndpoint", '{"EndpointName": 3}', "SerializationException", "EndpointName must be text"),
    ("DescribeEndpoint", '{"EndpointName": ""}', "ValidationException", "Value '' at 'endpointName'"),
    ("DescribeEndpoint", '{"EndpointName": "a\\ud800"}', "ValidationException", "pattern"),
    ("ListEndpoints", '{"MaxResults": true}', "SerializationException", "MaxResults must be a whole number"),
    ("ListEndpoints", '{"MaxResults": 0}', "ValidationException", "value greater than or equal to 1"),
    ("ListEndpoints", '{"CreationTimeAfter": NaN}', "SerializationException", "not JSON"),
    ("ListEndpoints", '{"CreationTimeAfter": "today"}', "SerializationException", "a time in seconds since 1970"),
    (
        "ListEndpoints",
        '{"Sort": "Name"}',
        "SerializationException",
        "ListEndpoints has no member Sort; its members: SortBy",
    ),
    (
        "listendpoints",
        "{}",
        "UnknownOperationException",
        "puna does not offer SageMaker.listendpoints; of",
    ),
    ("ListEndpoints", " " * 70_000, "RequestEntityTooLarge", "65536"),
]


@pytest.mark.parametrize(("operation", "body", "code", "part"), ODD, ids=[str(n) for n in range(len(ODD))])
def test_odd_calls_get_an_exception_of_the_service(operation: str, body: str, code: str, part: str) -> None:
    answer = ask(operation, body)
    assert answer.status_code == (413 if code == "RequestEntityTooLarge" else 400)
    assert answer.headers["x-amzn-errortype"] == answer.json()["__type"] == code
    assert part in answer.json()["message"]
