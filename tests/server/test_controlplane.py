from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .live import Live

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
        "list_endpoints",
        {},
        400,
        "UnknownOperationException",
        "puna does not offer SageMaker.ListEndpoints",
    ),
    ("sagemaker", "describe_endpoint", {"EndpointName": "x"}, 400, "UnknownOperationException", "the endpoint is up"),
]


@pytest.mark.parametrize("row", REFUSED, ids=[f"{row[1]}-{n}" for n, row in enumerate(REFUSED)])
def test_errors_are_such_as_boto3_reads(client: Client, row: tuple[str, str, dict[str, str], int, str, str]) -> None:
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
