from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from starlette.datastructures import Headers

from puna.server.headers import NAME, STREAMED, WHOLE, ServiceError, attributes, check, no_components

from .live import ENDPOINT, Live

BODY = json.dumps({"prompt": "Hi"})
OPERATIONS = {False: "InvokeEndpoint", True: "InvokeEndpointWithResponseStream"}


def refusal(headers: dict[str, str], *, streamed: bool = False, name: str = "mine") -> str:
    """The sentence with which a request is refused."""
    with pytest.raises(ServiceError) as caught:
        check(name, Headers(headers), streamed=streamed, endpoint="mine")
    assert (caught.value.status, caught.value.code) == (400, "ValidationError")
    return str(caught.value)


@pytest.mark.parametrize("streamed", [False, True])
def test_the_table_is_the_service_models(runtime: Any, streamed: bool) -> None:
    """Names, lengths, patterns and secrets; what is 1 long at least is so because an empty header is none."""
    members = runtime.meta.service_model.operation_model(OPERATIONS[streamed]).input_shape.members
    known = {
        shape.serialization["name"]: (name, shape.metadata["max"], shape.metadata["pattern"], shape.metadata.get("sensitive"))
        for name, shape in members.items()
        if shape.serialization.get("location") in {"header", "uri"}
    }  # fmt: skip
    ours = {
        rule.header or "EndpointName": (rule.member[0].upper() + rule.member[1:], rule.longest, rule.pattern, rule.secret or None)
        for rule in (NAME, *(STREAMED if streamed else WHOLE))
    }  # fmt: skip
    more = {"X-Amzn-SageMaker-Target-Model", "X-Amzn-SageMaker-Enable-Explanations"} if streamed else set()
    assert {name: rule for name, rule in ours.items() if name not in more} == known


ACCEPTED = [
    {},
    {"X-Amzn-SageMaker-Custom-Attributes": "", "X-Amzn-SageMaker-Target-Model": "", "Accept": ""},
    {"X-Amzn-SageMaker-Custom-Attributes": "x" * 1024, "Accept": "*/*", "Content-Type": "application/json"},
    {"X-Amzn-SageMaker-Target-Variant": "AllTraffic"},
    {"X-Amzn-SageMaker-Inference-Id": "x" * 64, "X-Amzn-SageMaker-Prefix-Aware-Id": "my app ~"},
    {"X-Amzn-SageMaker-Unheard-Of": "ü", "X-Other": "x" * 9999},
]


@pytest.mark.parametrize("headers", ACCEPTED, ids=[str(n) for n in range(len(ACCEPTED))])
@pytest.mark.parametrize("streamed", [False, True])
def test_what_is_accepted(headers: dict[str, str], streamed: bool) -> None:
    check("mine", Headers(headers), streamed=streamed, endpoint="mine")


LENGTH = "failed to satisfy constraint: Member must have length less than or equal to"
PATTERN = "failed to satisfy constraint: Member must satisfy regular expression pattern:"

# header, value; AWS's sentence after "1 validation error detected: "
ILL_FORMED = [
    ("Content-Type", "x" * 1025, f"Value '{'x' * 200}...' at 'contentType' {LENGTH} 1024"),
    ("Content-Type", "text/ü", rf"Value 'text/ü' at 'contentType' {PATTERN} \p{{ASCII}}*"),
    ("X-Amzn-SageMaker-Custom-Attributes", "x" * 1025, f"Value at 'customAttributes' {LENGTH} 1024"),
    ("X-Amzn-SageMaker-Custom-Attributes", "ü", rf"Value at 'customAttributes' {PATTERN} \p{{ASCII}}*"),
    ("X-Amzn-SageMaker-Inference-Id", "a" * 65, f"Value '{'a' * 65}' at 'inferenceId' {LENGTH} 64"),
    ("X-Amzn-SageMaker-Inference-Id", "a\x7f", rf"Value 'a\x7f' at 'inferenceId' {PATTERN} \A\S[\p{{Print}}]*\z"),
    ("X-Amzn-SageMaker-Prefix-Aware-Id", "aü", rf"Value 'aü' at 'prefixAwareId' {PATTERN} \A\S[\p{{Print}}]*\z"),
    ("X-Amzn-SageMaker-Target-Model", "m" * 1025, f"Value '{'m' * 200}...' at 'targetModel' {LENGTH} 1024"),
    ("X-Amzn-SageMaker-Target-Variant", "a_b", f"Value 'a_b' at 'targetVariant' {PATTERN} ^[a-zA-Z0-9](-*[a-zA-Z0-9])*"),
    ("X-Amzn-SageMaker-Target-Variant", "v" * 64, f"Value '{'v' * 64}' at 'targetVariant' {LENGTH} 63"),
    ("X-Amzn-SageMaker-Target-Container-Hostname", "-a", ("Value '-a' at 'targetContainerHostname' "
     f"{PATTERN} ^[a-zA-Z0-9](-*[a-zA-Z0-9])*")),
    ("X-Amzn-SageMaker-Enable-Explanations", "x" * 65, f"Value '{'x' * 65}' at 'enableExplanations' {LENGTH} 64"),
    ("X-Amzn-SageMaker-Inference-Component", "a-", ("Value 'a-' at 'inferenceComponentName' "
     rf"{PATTERN} ^[a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?$")),
    ("X-Amzn-SageMaker-Session-Id", "s" * 257, f"Value '{'s' * 200}...' at 'sessionId' {LENGTH} 256"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("header", "value", "sentence"), ILL_FORMED, ids=[f"{r[0]}-{n}" for n, r in enumerate(ILL_FORMED)]
)
@pytest.mark.parametrize("streamed", [False, True])
def test_what_is_ill_formed(header: str, value: str, sentence: str, streamed: bool) -> None:
    told = refusal({header: value}, streamed=streamed)
    assert told.replace("\x7f", r"\x7f") == f"1 validation error detected: {sentence}"


def test_accept_has_another_name_on_a_stream() -> None:
    for header, streamed in (("Accept", False), ("X-Amzn-SageMaker-Accept", True)):
        assert "at 'accept' failed" in refusal({header: "x" * 1025}, streamed=streamed)
        check("mine", Headers({header: "x" * 1025}), streamed=not streamed, endpoint="mine")


def test_all_that_is_ill_formed_is_told_at_once_and_before_all_else() -> None:
    told = refusal(
        {"X-Amzn-SageMaker-Inference-Id": "ü" * 65, "X-Amzn-SageMaker-Target-Model": "other"}, name="bad name"
    )
    assert told.startswith("3 validation errors detected: Value 'bad name' at 'endpointName' failed")
    assert told.count("; Value 'üüü") == 2
    assert "multi-model" not in told


def test_a_value_that_is_secret_is_not_repeated() -> None:
    assert "secret" not in refusal({"X-Amzn-SageMaker-Custom-Attributes": "secret" * 200})


# name of the endpoint, the whole sentence
NAMES = [
    ("", f"1 validation error detected: Value '' at 'endpointName' {PATTERN} ^[a-zA-Z0-9](-*[a-zA-Z0-9])*"),
    ("mine\n", f"1 validation error detected: Value 'mine\n' at 'endpointName' {PATTERN} ^[a-zA-Z0-9](-*[a-zA-Z0-9])*"),
    ("é", f"1 validation error detected: Value 'é' at 'endpointName' {PATTERN} ^[a-zA-Z0-9](-*[a-zA-Z0-9])*"),
    ("x" * 64, f"1 validation error detected: Value '{'x' * 64}' at 'endpointName' {LENGTH} 63"),
    ("Mine", "Endpoint Mine of account 123456789012 not found."),
]


@pytest.mark.parametrize(("name", "sentence"), NAMES, ids=["empty", "line", "foreign", "long", "case"])
def test_the_name(name: str, sentence: str) -> None:
    assert refusal({}, name=name) == sentence


def test_a_name_that_is_not_found_comes_before_what_is_not_offered() -> None:
    assert "not found" in refusal({"X-Amzn-SageMaker-Target-Model": "other"}, name="other")


NOT_OFFERED = {
    "X-Amzn-SageMaker-Target-Variant": (
        "alltraffic", "Variant alltraffic of endpoint mine not found. Its only variant is AllTraffic."
    ),
    "X-Amzn-SageMaker-Target-Model": (
        "a{endpoint}.tar.gz", "Endpoint mine is not a multi-model endpoint and does not support target model header."
    ),
    "X-Amzn-SageMaker-Target-Container-Hostname": (
        "first",
        ("Endpoint mine is not a multi-container endpoint with direct invocation and does not support target container "
        "hostname header."),
    ),
    "X-Amzn-SageMaker-Enable-Explanations": (
        "`true`", "Endpoint mine has no explainer and does not support enable explanations header."
    ),
    "X-Amzn-SageMaker-Inference-Component": (
        "part-1",
        ("Inference Component Name header is not allowed for endpoints to which you dont plan to deploy inference "
        "components. Please remove the Inference Component Name header and try again."),
    ),
    "X-Amzn-SageMaker-Session-Id": (
        "abc-1",
        ("Endpoint mine does not support stateful sessions, its container keeps none. Please remove the Session Id header "
        "and try again."),
    ),
}  # fmt: skip


@pytest.mark.parametrize("header", NOT_OFFERED)
@pytest.mark.parametrize("streamed", [False, True])
def test_what_is_not_offered(header: str, streamed: bool) -> None:
    value, sentence = NOT_OFFERED[header]
    assert refusal({header: value}, streamed=streamed) == sentence


def test_no_stream_opens_a_session() -> None:
    new = {"X-Amzn-SageMaker-Session-Id": "NEW_SESSION"}
    assert "does not support stateful sessions" in refusal(new)
    assert "Value 'NEW_SESSION' at 'sessionId' failed" in refusal(new, streamed=True)


@pytest.mark.parametrize(("value", "pairs"), [
    ("", {}),
    ("accept_eula=true", {"accept_eula": "true"}),
    (" accept_eula = true ; a=b=c,d=,=e,trace-1", {"accept_eula": "true", "a": "b=c", "d": ""}),
    ("a=1,a=2", {"a": "2"}),
    ("c000b4f9-df62-4c85-a0bf-7c525f9104a4", {}),
    ('{"feature": "flat"}', {}),
])  # fmt: skip
def test_custom_attributes(value: str, pairs: dict[str, str]) -> None:
    assert attributes(Headers({"x-amzn-sagemaker-custom-attributes": value})) == pairs


def test_a_header_that_came_twice_is_read_whole() -> None:
    name = b"x-amzn-sagemaker-custom-attributes"
    headers = Headers(raw=[(name, b"accept_eula=true"), (name, b""), (name, b"x=" + b"y" * 1010)])
    assert set(attributes(headers)) == {"accept_eula", "x"}
    with pytest.raises(ServiceError, match="less than or equal to 1024"):
        check("mine", headers, streamed=False, endpoint="mine")


@pytest.mark.parametrize("operation", ["invoke_endpoint", "invoke_endpoint_with_response_stream"])
def test_boto3_reads_the_refusal(runtime: Any, operation: str) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(runtime, operation)(EndpointName=ENDPOINT, Body=BODY, InferenceComponentName="part")
    answer = caught.value.response
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]) == (400, "ValidationError")
    assert answer["Error"]["Message"].startswith("Inference Component Name header is not allowed")


def test_boto3_may_send_what_is_offered(runtime: Any) -> None:
    answer = runtime.invoke_endpoint(
        EndpointName=ENDPOINT,
        Body=BODY,
        Accept="application/json",
        CustomAttributes="",
        TargetVariant="AllTraffic",
        InferenceId="call 1",
        PrefixAwareId="app",
    )
    assert b"outputs" in answer["Body"].read()
    assert answer["InvokedProductionVariant"] == "AllTraffic"


def test_what_needs_s3_or_http2_is_refused_by_name(client: Callable[[str], Any], live: Live) -> None:
    runtime = client("sagemaker-runtime")
    for name, part in (
        (ENDPOINT, "puna does not offer asynchronous inference"),
        ("other", "Endpoint other of account"),
    ):
        with pytest.raises(ClientError, match=part) as caught:
            runtime.invoke_endpoint_async(EndpointName=name, InputLocation="s3://a/b")
        assert caught.value.response["Error"]["Code"] == "ValidationError"
    answer = live.http.post(f"/endpoints/{ENDPOINT}/invocations-bidirectional-stream", content=b"")
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (400, "ValidationError")
    assert "does not offer bidirectional streaming" in answer.json()["Message"]


def test_a_path_to_a_component_says_what_to_do() -> None:
    assert "remove inference-components" in no_components("mine")
