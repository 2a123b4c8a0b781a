"""What clients see where Ray has nobody to ask, or loses who answers. Ray's proxy is played as ray 2.60.0 does it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from puna.deploy.front import BROKEN, BUSY, LOST, NOBODY, Front
from puna.wire import eventstream

Said = list[dict[str, Any]]
Proxy = Callable[[Any, Any, Any], Awaitable[None]]

INVOKE = "/endpoints/llama-2-7b/invocations"
STREAM = f"{INVOKE}-response-stream"
CHAT = "/v1/chat/completions"
CALLS = [INVOKE, STREAM, CHAT, "/v1/completions", "/invocations", f"/endpoints/llama-2-7b/openai{CHAT}"]
BODY = b'{"inputs": "hello"}'


def asked(
    proxy: Proxy, path: str, body: bytes = BODY, headers: dict[str, str] | None = None, method: str = "POST"
) -> Said:
    """What is sent to a client that sends its body in two parts and then waits."""
    scope = {
        "type": "http", "method": method, "path": path, "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
    }  # fmt: skip
    coming = [{"type": "http.request", "body": body[:5], "more_body": True}, {"type": "http.request", "body": body[5:]}]
    sent: Said = []

    async def receive() -> Any:
        return coming.pop(0) if coming else await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Front(proxy)(scope, receive, send))
    return sent


def page(status: int, text: str) -> Proxy:
    """As Ray's proxy answers by itself."""

    async def proxy(_scope: Any, _receive: Any, send: Any) -> None:
        head = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": text.encode()})

    return proxy


def head(dialect: str = "chat", *more: tuple[bytes, bytes]) -> dict[str, Any]:
    headers = [(b"x-amzn-requestid", b"1"), (b"x-puna-dialect", dialect.encode()), *more]
    return {"type": "http.response.start", "status": 200, "headers": headers}


def lost(*sent: dict[str, Any]) -> Proxy:
    """As Ray's proxy ends where the replica dies after it has sent so much."""

    async def proxy(_scope: Any, _receive: Any, send: Any) -> None:
        for message in sent:
            await send(message)

    return proxy


def answer(sent: Said) -> tuple[int, dict[str, str], bytes]:
    headers = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


def sentence(path: str, body: bytes) -> str:
    told = json.loads(body)
    found = told["Message"] if path in {INVOKE, STREAM} else json.dumps(told)
    return str(found)


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize(("proxy", "told"), [(page(429, "dropped"), BUSY), (page(503, "gone"), NOBODY), (page(404, "no"), NOBODY),
                                              (lost(), LOST)])  # fmt: skip
def test_what_ray_refuses_is_told_as_the_protocol_has_it(path: str, proxy: Proxy, told: str) -> None:
    status, headers, body = answer(asked(proxy, path))
    assert told in sentence(path, body)
    assert headers["content-type"] == "application/json"
    assert int(headers["content-length"]) == len(body)
    assert "x-amzn-requestid" in headers
    aws = path in {INVOKE, STREAM}
    if told is BUSY:
        assert status == (400 if aws else 429)
        assert headers.get("x-amzn-errortype" if aws else "retry-after") == ("ThrottlingException" if aws else "1")
    else:
        assert status == 503
        assert headers.get("x-amzn-errortype" if aws else "retry-after") == ("ServiceUnavailable" if aws else "1")


def piece(data: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": True}


def test_a_broken_aws_stream_ends_with_the_frame_that_sdks_raise() -> None:
    first = eventstream.payload_part(b"one")
    _, _, body = answer(asked(lost(head("workshop"), piece(first)), STREAM))
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    frames = list(buffer)
    assert frames[0].payload == b"one"
    assert frames[1].headers[":exception-type"] == "ModelStreamError"
    assert json.loads(frames[1].payload) == {"Message": BROKEN, "ErrorCode": "StreamBroken"}


@pytest.mark.parametrize(
    ("path", "dialect"), [(CHAT, "chat"), ("/v1/completions", "completion"), ("/invocations", "tgi")]
)
def test_a_broken_stream_ends_with_a_record_that_sdks_raise(path: str, dialect: str) -> None:
    sent = asked(lost(head(dialect), piece(b"data: {}\n\n")), path)
    assert sent[-1] == {"type": "http.response.body", "body": b""}
    last = sent[-2]["body"]
    assert last.startswith(b"data:")
    assert BROKEN in last.decode()
    assert "error" in json.loads(last.removeprefix(b"data:"))


def test_a_broken_answer_of_known_length_is_left_short() -> None:
    """No client takes it for whole."""
    sent = asked(lost(head("workshop", (b"content-length", b"10")), piece(b"half")), INVOKE)
    assert [message.get("body") for message in sent[1:]] == [b"half"]


def test_a_complete_answer_is_left_as_it_is() -> None:
    sent = [head(), piece(b"data: 1\n\n"), {"type": "http.response.body", "body": b""}]
    assert asked(lost(*sent), CHAT) == sent


def test_puna_s_own_errors_are_left_as_they_are() -> None:
    refused = {**head(), "status": 503}
    end = {"type": "http.response.body", "body": b"{}"}
    assert asked(lost(refused, end), INVOKE) == [refused, end]


@pytest.mark.parametrize("path", ["/metrics", "/other/app", "/-/healthz"])
def test_other_routes_are_ray_s(path: str) -> None:
    assert answer(asked(page(404, "no"), path))[0] == 404


def test_one_request_id_is_left() -> None:
    doubled = head("chat", (b"x-request-id", b"puna"), (b"X-Request-ID", b"ray"))
    for path in (CHAT, "/metrics"):
        headers = asked(lost(doubled, {"type": "http.response.body", "body": b""}), path)[0]["headers"]
        assert [value for name, value in headers if name.lower() == b"x-request-id"] == [b"puna"]


def seen(body: bytes, headers: dict[str, str] | None = None) -> tuple[list[str], bytes]:
    """The keys that a replica sees, and the body."""
    found: list[tuple[list[str], bytes]] = []

    async def proxy(scope: Any, receive: Any, _send: Any) -> None:
        came = b""
        while True:
            message = await receive()
            came += message["body"]
            if not message.get("more_body", False):
                break
        found.append(([value.decode() for name, value in scope["headers"] if name == b"x-session-id"], came))

    asked(proxy, INVOKE, body, headers)
    return found[0]


def test_a_request_gets_its_key_and_keeps_its_body() -> None:
    keys, body = seen(BODY)
    assert (len(keys), body) == (1, BODY)
    assert seen(BODY)[0] == keys
    assert seen(b'{"inputs": "other"}')[0] != keys


def test_a_request_without_a_beginning_goes_anywhere() -> None:
    assert seen(b"not json")[0] != seen(b"not json")[0]


def test_the_caller_s_own_key_is_kept() -> None:
    assert seen(BODY, {"x-session-id": "mine"})[0] == ["mine"]


def test_a_client_that_leaves_within_its_body_is_nobody_s_request() -> None:
    async def proxy(_scope: Any, _receive: Any, _send: Any) -> None:
        raise AssertionError("asked")

    async def left() -> Any:
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        raise AssertionError("answered")

    scope = {"type": "http", "method": "POST", "path": INVOKE, "headers": []}
    asyncio.run(Front(proxy)(scope, left, send))
