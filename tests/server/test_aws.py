from __future__ import annotations

import json

import pytest

from puna.server import aws


@pytest.mark.parametrize(
    ("authorization", "region"),
    [
        ("AWS4-HMAC-SHA256 Credential=AKID/20261122/eu-west-1/sagemaker/aws4_request, SignedHeaders=host", "eu-west-1"),
        ("AWS4-HMAC-SHA256 SignedHeaders=host,Credential=A/20261122/us-gov-west-1/sts/aws4_request", "us-gov-west-1"),
        ("AWS4-HMAC-SHA256 Credential=AKID/20261122/<b>/sagemaker/aws4_request", "us-east-1"),
        ("Bearer sagemaker-api-key-x", "us-east-1"),
        ("", "us-east-1"),
    ],
)
def test_the_region_that_was_signed_for(authorization: str, region: str) -> None:
    assert aws.region_of(authorization) == region


def test_a_server_error_of_the_container() -> None:
    response = aws.model_error(500, b'{"code": 500}', "e", "us-east-1")
    body = json.loads(bytes(response.body))
    assert (response.status_code, body["ErrorCode"]) == (424, "SERVER_ERROR_FROM_MODEL")
    assert body["Message"].startswith(
        'Received server error (500) from primary with message "{"code": 500}". See https'
    )


def test_json_is_readable_and_always_utf_8() -> None:
    assert aws.to_json({"a": "ü"}) == '{"a": "ü"}'.encode()
    assert json.loads(aws.to_json("\ud800")) == "\ud800"
