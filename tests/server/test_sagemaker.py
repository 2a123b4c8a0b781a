from __future__ import annotations

import json
import re
from contextlib import closing
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from puna.errors import (
    ContextWindowError,
    DialogError,
    EngineBusyError,
    EngineError,
    EngineLoadingError,
    EngineStoppedError,
)
from puna.generation import Written
from puna.messages import Dialog
from puna.wire import eventstream

from .live import ENDPOINT, WAIT, Hold, Live, Speaker

BODY = json.dumps({"prompt": "<s>[INST] Hi [/INST]", "temperature": 0.5, "max_tokens_to_sample": 9})
OPERATIONS = ["invoke_endpoint", "invoke_endpoint_with_response_stream"]
ROUTES = {"invocations": OPERATIONS[0], "invocations-response-stream": OPERATIONS[1]}


def records(answer: Any) -> list[bytes]:
    """The parts of a streamed answer."""
    with closing(answer["Body"]) as stream:
        return [event["PayloadPart"]["Bytes"] for event in stream]


def test_invoke_endpoint(runtime: Any, speaker: Speaker) -> None:
    answer = runtime.invoke_endpoint(EndpointName=ENDPOINT, Body=BODY, ContentType="application/json")
    assert json.loads(answer["Body"].read()) == {"outputs": ["Ein Lama frißt."]}
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert "CustomAttributes" not in answer
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-puna-prompt"] == "translated; from=llama2; to=smollm2"
    assert headers["x-puna-receipt"] == f"/receipts/{answer['ResponseMetadata']['RequestId']}"
    assert {"date", "content-length"} <= set(headers)
    (ask,) = speaker.asked
    assert (ask.prompt, ask.sampling.temperature, ask.sampling.max_tokens) == ("<s>[INST] Hi [/INST]", 0.5, 9)
    assert ask.given == {"temperature", "max_tokens"}


def test_response_stream(runtime: Any) -> None:
    answer = runtime.invoke_endpoint_with_response_stream(EndpointName=ENDPOINT, Body=BODY)
    assert answer["ContentType"] == "application/jsonlines"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["content-type"] == "application/vnd.amazon.eventstream"
    assert headers["transfer-encoding"] == "chunked"
    assert {"date", "x-puna-prompt", "x-puna-receipt", "x-amzn-requestid"} <= set(headers)
    parts = records(answer)
    assert [json.loads(part) for part in parts] == [{"outputs": [text]} for text in ("Ein", " Lama", " frißt", ".")]
    assert all(part.endswith(b"\n") and part.count(b"\n") == 1 for part in parts)


def test_each_record_goes_out_as_it_comes(runtime: Any, live: Live) -> None:
    live.speaker.script = ["a", Hold(), "never"]
    with closing(runtime.invoke_endpoint_with_response_stream(EndpointName=ENDPOINT, Body=BODY)["Body"]) as stream:
        assert next(iter(stream))["PayloadPart"]["Bytes"] == b'{"outputs": ["a"]}\n'
    assert live.speaker.cleaned.wait(WAIT)
    live.log_of_one_that_left()


def test_pieces_and_the_whole_agree_and_no_piece_is_a_lone_space(runtime: Any, speaker: Speaker) -> None:
    speaker.script = ["a", " ", "b", "", "\n", " "]
    parts = records(runtime.invoke_endpoint_with_response_stream(EndpointName=ENDPOINT, Body=BODY))
    assert [json.loads(part)["outputs"][0] for part in parts] == ["a", " b", "\n"]
    whole = runtime.invoke_endpoint(EndpointName=ENDPOINT, Body=BODY)
    assert json.loads(whole["Body"].read()) == {"outputs": ["a b\n"]}


def test_an_answer_without_any_text(runtime: Any, speaker: Speaker) -> None:
    speaker.script = [" "]
    assert records(runtime.invoke_endpoint_with_response_stream(EndpointName=ENDPOINT, Body=BODY)) == []
    whole = runtime.invoke_endpoint(EndpointName=ENDPOINT, Body=BODY)
    assert json.loads(whole["Body"].read()) == {"outputs": [""]}


def test_a_request_that_says_how_is_answered_so_by_the_container(runtime: Any) -> None:
    """Both operations reach the same container, which goes by its request."""
    streamed = json.dumps({"prompt": "Hi", "stream": True})
    answer = runtime.invoke_endpoint(EndpointName=ENDPOINT, Body=streamed)
    assert answer["ContentType"] == "application/jsonlines"
    assert answer["Body"].read().count(b"\n") == 4
    whole = json.dumps({"prompt": "Hi", "stream": False})
    answer = runtime.invoke_endpoint_with_response_stream(EndpointName=ENDPOINT, Body=whole)
    assert answer["ContentType"] == "application/json"
    assert [json.loads(part) for part in records(answer)] == [{"outputs": ["Ein Lama frißt."]}]


def test_messages_are_taken_in_the_place_of_a_prompt(runtime: Any, speaker: Speaker) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}]})
    runtime.invoke_endpoint(EndpointName=ENDPOINT, Body=body)["Body"].read()
    assert isinstance(speaker.asked[0].prompt, Dialog)


@pytest.mark.parametrize(
    ("written", "source", "format_", "header"),
    [
        (Written.AS_IS, "smollm2", "smollm2", "as-is"),
        (Written.REPAIRED, "llama2", "llama2", "repaired; from=llama2"),
        (Written.TRANSLATED, "llama2", "llama3.1", "translated; from=llama2; to=llama3.1"),
        (Written.RENDERED, None, "smollm2", "rendered; to=smollm2"),
        (Written.RENDERED, None, "jinja:/tmp/ü\r\nx: y", "rendered; to=jinja:/tmp/%C3%BC%0D%0Ax:%20y"),
    ],
)
def test_the_answer_says_how_its_prompt_came_about(
    live: Live, written: Written, source: str | None, format_: str, header: str
) -> None:
    live.speaker.written, live.speaker.source, live.speaker.format = written, source, format_
    for route in ROUTES:
        response = live.http.post(f"/endpoints/{ENDPOINT}/{route}", content=BODY)
        assert response.headers["x-puna-prompt"] == header


@pytest.mark.parametrize("headers", [{}, {"content-type": ""}, {"content-type": "text/csv"}, {"accept": "text/csv"}])
def test_json_is_json_whatever_the_headers_say(live: Live, headers: dict[str, str]) -> None:
    response = live.http.post(f"/endpoints/{ENDPOINT}/invocations", content=BODY, headers=headers)
    assert (response.status_code, response.json()) == (200, {"outputs": ["Ein Lama frißt."]})


BAD_BODIES: list[tuple[bytes, str]] = [
    (b"", "the body is empty"),
    (b" \n", "the body is empty"),
    (b"{not json", "the body must be JSON, but Expecting property name"),
    (b"\xff\xfe", "byte 0 is not UTF-8"),
    (b"\x00", "the body must be JSON"),
    (b"[]", "not a list"),
    (b"{}", "neither came"),
    (b'{"prompt": ""}', "prompt must not be empty"),
    (b'{"prompt": 1}', "prompt must be text, not a number"),
    (b'{"prompt": "a\\u0000"}', "character NUL"),
    (b'{"prompt": "\\ud800"}', "lone surrogate"),
    (b'{"prompt": "\xed\xa0\x80"}', "is not UTF-8"),
    (b'{"messages": [{"role": "user", "content": "\\ud800"}], "max_tokens_to_sample": 1}', "lone surrogate"),
    (b'{"prompt": "a", "\\ud800": 1}', "unknown field"),
    (b'{"prompt": "a", "temprature": 1}', "Did you mean 'temperature'?"),
    (b'{"prompt": "a", "temperature": NaN}', "NaN is no JSON number"),
    (b'{"prompt": "a", "temperature": -Infinity}', "-Infinity is no JSON number"),
    (b'{"prompt": "a", "temperature": 1e999}', "temperature must be a number from 0 to 2, not inf"),
    (b'{"prompt": "a", "temperature": 1' + b"0" * 400 + b"}", "has 401 digits"),
    (b'{"prompt": "a", "seed": ' + b"9" * 10_000 + b"}", "has 10000 digits"),
    (b'{"prompt": "a", "stop": "' + b"x" * 50 + b'", "stop": 1}', "'stop' stands twice"),
    (b'{"prompt": "a", "stop": [' + b"1," * 10_000 + b"1]}", "stop must be a text or a list"),
    (b"[" * 100_000, "nested too deeply"),
    (b'{"prompt": "a", "temperature": ' + b"[" * 700 + b"]" * 700 + b"}", ""),
    (b'{"prompt": "a", "max_tokens_to_sample": 0}', "max_tokens_to_sample must be a whole number from 1"),
]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("body", "part"), BAD_BODIES, ids=[str(n) for n in range(len(BAD_BODIES))])
def test_what_the_container_refuses_is_a_model_error(live: Live, route: str, body: bytes, part: str) -> None:
    response = live.http.post(f"/endpoints/{ENDPOINT}/{route}", content=body)
    assert response.status_code == 424
    assert response.headers["x-amzn-errortype"] == "ModelError"
    error = response.json()
    assert (error["ErrorCode"], error["OriginalStatusCode"]) == ("CLIENT_ERROR_FROM_MODEL", 400)
    assert len(error["OriginalMessage"]) < 1200
    original = json.loads(error["OriginalMessage"])
    assert original["code"] == 400
    assert part in original["error"]
    assert live.speaker.asked == []
    assert len(live.log(response)) == 1


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_model_error_as_boto3_raises_it(runtime: Any, operation: str) -> None:
    with pytest.raises(runtime.exceptions.ModelError) as caught:
        getattr(runtime, operation)(EndpointName=ENDPOINT, Body=b'{"prompt": "a", "temperature": 3}')
    answer = caught.value.response
    body = '{"code": 400, "error": "temperature must be a number from 0 to 2, not 3"}'
    assert answer["OriginalStatusCode"] == 400
    assert answer["OriginalMessage"] == body
    assert answer["LogStreamArn"] == (
        "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/sagemaker/Endpoints/llama-2-7b"
    )
    assert answer["Error"]["Message"] == (
        f'Received client error (400) from primary with message "{body}". See https://eu-west-1.console.aws.amazon.com/'
        f"cloudwatch/home?region=eu-west-1#logEventViewer:group=/aws/sagemaker/Endpoints/llama-2-7b in account "
        f"123456789012 for more information."
    )


WINDOW = ContextWindowError(4000, 200, 4096)

# where, what happens there, and how boto3 tells of it: status, code, part of the message
EARLY = [
    ("prepare", WINDOW, 424, "ModelError", "together 4200, but the context window holds 4096"),
    ("prepare", DialogError("two users in a row"), 424, "ModelError", "two users in a row"),
    ("prepare", EngineStoppedError("it is stopping"), 503, "ServiceUnavailable", "it is stopping"),
    ("prepare", RuntimeError("secret"), 500, "InternalFailure", "puna failed unexpectedly; its log says why"),
    ("stream", EngineBusyError("all slots are busy"), 400, "ThrottlingException", "all slots are busy"),
    ("prepare", EngineLoadingError("it is loading"), 429, "ModelNotReadyException", "it is loading"),
    ("stream", EngineStoppedError("it is stopping"), 503, "ServiceUnavailable", "it is stopping"),
    ("stream", EngineError("it broke"), 500, "InternalFailure", "it broke"),
    ("stream", RuntimeError("secret"), 500, "InternalFailure", "puna failed unexpectedly; its log says why"),
]  # fmt: skip


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("where", "error", "status", "code", "part"), EARLY)
def test_what_fails_before_the_first_record_is_an_http_error(  # noqa: PLR0917
    runtime: Any, live: Live, operation: str, where: str, error: Exception, status: int, code: str, part: str
) -> None:
    if where == "prepare":
        live.speaker.unprepared = error
    else:
        live.speaker.script = ["", " ", error]
    with pytest.raises(ClientError) as caught:
        getattr(runtime, operation)(EndpointName=ENDPOINT, Body=BODY)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
    assert answer["Error"]["Code"] == code
    assert part in answer["Error"]["Message"]
    assert "secret" not in str(answer)
    lines = live.log(answer["ResponseMetadata"]["RequestId"])
    assert ("Traceback" in lines[0] and "secret" in lines[0]) == isinstance(error, RuntimeError)


# the names under which JavaScript's SDK throws it and boto3 puts it into an EventStreamError
LATE = [
    (EngineError("it broke"), "ModelStreamError", "it broke"),
    (EngineStoppedError("it is stopping"), "ModelStreamError", "it is stopping"),
    (RuntimeError("secret"), "InternalStreamFailure", "puna failed unexpectedly; its log says why"),
]


@pytest.mark.parametrize(("error", "code", "part"), LATE)
def test_what_fails_later_ends_the_stream_with_an_exception_frame(
    runtime: Any, live: Live, error: Exception, code: str, part: str
) -> None:
    live.speaker.script = ["Ein", " Lama", error]
    answer = runtime.invoke_endpoint_with_response_stream(EndpointName=ENDPOINT, Body=BODY)
    with closing(answer["Body"]) as stream:
        events = iter(stream)
        assert [json.loads(next(events)["PayloadPart"]["Bytes"])["outputs"] for _ in range(2)] == [["Ein"], [" Lama"]]
        with pytest.raises(EventStreamError) as caught:
            next(events)
    assert caught.value.response["Error"]["Code"] == code
    assert part in caught.value.response["Error"]["Message"]
    assert "secret" not in str(caught.value.response)
    assert " 200 broken: " in live.log(answer["ResponseMetadata"]["RequestId"])[-1]


def test_a_broken_stream_says_stream_broken_and_ends_cleanly(live: Live) -> None:
    live.speaker.script = ["Ein", EngineError("it broke")]
    data = live.http.post(f"/endpoints/{ENDPOINT}/invocations-response-stream", content=BODY).content
    decoder = eventstream.Decoder()
    last = list(decoder.feed(data))[-1]
    decoder.close()
    assert json.loads(last.payload) == {"Message": "it broke", "ErrorCode": "StreamBroken"}


def test_a_whole_answer_that_fails_half_way_is_an_http_error(runtime: Any, speaker: Speaker) -> None:
    speaker.script = ["Ein", " Lama", EngineError("it broke")]
    with pytest.raises(ClientError, match=r"\(InternalFailure\).*it broke"):
        runtime.invoke_endpoint(EndpointName=ENDPOINT, Body=BODY)


NAMES = [
    ("no-such-endpoint", "Endpoint no-such-endpoint of account 123456789012 not found."),
    ("Llama-2-7b", "Endpoint Llama-2-7b of account 123456789012 not found."),
    ("x" * 63, f"Endpoint {'x' * 63} of account 123456789012 not found."),
    ("x" * 64, "at 'endpointName' failed to satisfy constraint: Member must have length less than or equal to 63"),
    ("bad name/../x", "Value 'bad name/../x' at 'endpointName' failed to satisfy constraint: Member must satisfy"),
    ("-a", "Member must satisfy regular expression pattern: ^[a-zA-Z0-9](-*[a-zA-Z0-9])*"),
    ("a-", "Member must satisfy regular expression pattern"),
    ("llama-2-7b\n", "Member must satisfy regular expression pattern"),
    ("lläma", "Member must satisfy regular expression pattern"),
    ("%2e%2e/%00", "Member must satisfy regular expression pattern"),
]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("name", "part"), NAMES)
def test_names(runtime: Any, live: Live, operation: str, name: str, part: str) -> None:
    with pytest.raises(runtime.exceptions.ValidationError) as caught:
        getattr(runtime, operation)(EndpointName=name, Body=b"{}")
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert part in answer["Error"]["Message"]
    (line,) = live.log(answer["ResponseMetadata"]["RequestId"])
    assert "\n" not in line


LIMIT = 6 * 1024 * 1024


@pytest.mark.parametrize("route", ROUTES)
def test_a_body_of_six_mebibytes_is_taken_and_one_byte_more_is_not(runtime: Any, route: str) -> None:
    body = BODY.encode().ljust(LIMIT)
    assert getattr(runtime, ROUTES[route])(EndpointName=ENDPOINT, Body=body)["Body"]
    with pytest.raises(ClientError) as caught:
        getattr(runtime, ROUTES[route])(EndpointName=ENDPOINT, Body=body + b" ")
    assert caught.value.response["Error"] == {"Code": "413", "Message": "HTTP content length exceeded 6291456 bytes."}


def test_a_body_that_does_not_say_its_length_is_measured_as_it_comes(live: Live) -> None:
    response = live.http.post(f"/endpoints/{ENDPOINT}/invocations", content=(b" " * 2**20 for _ in range(7)))
    assert response.status_code == 413
    assert "x-amzn-errortype" not in response.headers


def test_a_body_that_says_it_is_too_long_is_not_read(live: Live) -> None:
    head = f"POST /endpoints/{ENDPOINT}/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {LIMIT + 1}\r\n\r\n"
    with live.connect() as sock:
        sock.sendall(head.encode())
        assert sock.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_async_inference_is_refused_in_a_sentence(runtime: Any) -> None:
    with pytest.raises(runtime.exceptions.ValidationError, match="puna does not offer asynchronous inference"):
        runtime.invoke_endpoint_async(EndpointName=ENDPOINT, InputLocation="s3://bucket/key")


def test_every_answer_has_an_id_of_its_own(live: Live) -> None:
    ids = [
        live.http.post(f"/endpoints/{name}/invocations").headers["x-amzn-requestid"] for name in (ENDPOINT, "a", "b")
    ]
    assert len(set(ids)) == 3
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", request_id) for request_id in ids)
