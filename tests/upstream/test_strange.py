"""A server that was one when the endpoint began, and is something else now: a refusal of each route's own, one sentence, and never a 500."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import botocore.exceptions
import openai
import pytest

from tests.engines.openai_server import whole
from tests.engines.strange import Act, Forever, strange
from tests.engines.test_bodies import GZIP, bomb

from .serving import CHAT, LISTED, STREAMED, WHOLE, Front, in_front_of

HELLO: Any = [{"role": "user", "content": "Hi"}]
BODY = {"messages": HELLO, "max_tokens_to_sample": 9}
MODELS: list[Act] = [whole(200, LISTED)]
NO_ROUTE: list[Act] = [whole(404, {"error": {"message": "no such route"}})]

LINES = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
EVENTS = LINES.replace(b"application/json", b"text/event-stream")
PAGE = b"<!DOCTYPE html><title>Sign in</title>"
ANSWER = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}


def usage(told: bytes) -> bytes:
    """A whole answer whose counts are no counts."""
    return whole(200, b'{"choices": [{"message": {"content": "Hi"}}], "usage": ' + told + b"}")


def likely(told: bytes) -> bytes:
    """A whole answer whose log-probabilities are none."""
    return whole(
        200, b'{"choices": [{"message": {"content": "Hi"}, "logprobs": {"content": [{"token": "a", ' + told + b"}]}}]}"
    )


@asynccontextmanager
async def now(acts: list[Act]) -> AsyncIterator[Front]:
    """An endpoint whose server has become this."""
    async with strange(MODELS, NO_ROUTE, acts) as url, in_front_of(url) as front:
        yield front


STRANGE: dict[str, tuple[list[Act], int, str]] = {
    # what is said, the status of the container and of the OpenAI routes, a part of the sentence
    "page": ([whole(200, PAGE, "text/html")], 502, "web page (200: 'Sign in')"),
    "page-400": ([whole(400, PAGE, "text/html")], 502, "web page (400: 'Sign in')"),
    "page-404": ([whole(404, PAGE, "text/html")], 502, "web page (404: 'Sign in')"),
    "page-413": ([whole(413, PAGE, "text/html")], 400, "web page (413: 'Sign in')"),
    "page-500": ([whole(500, PAGE, "text/html")], 503, "web page (500: 'Sign in')"),
    "page-502": ([whole(502, PAGE, "text/html")], 503, "web page (502: 'Sign in')"),
    "page-521": ([whole(521, PAGE, "text/html")], 503, "web page (521: 'Sign in')"),
    "page-as-json": ([whole(200, PAGE)], 502, "web page (200: 'Sign in')"),
    "empty": ([whole(200, b"")], 502, "was expected, but nothing came"),
    "empty-stream": ([EVENTS], 502, "was expected, but nothing came"),
    "only-the-end": ([EVENTS, b"data: [DONE]\n\n"], 502, "was expected, but nothing came"),
    "list": ([whole(200, [1, 2])], 502, "an answer of the OpenAI API was expected, or a chunk of one, but it is [1, 2]"),
    "number": ([whole(200, 5)], 502, "but it is 5; is it a server of that API"),
    "no-choices": ([whole(200, {"choices": []})], 502, "the stream ended before the answer had ended"),
    "no-text": ([whole(200, {"choices": [{}]})], 502, "the stream ended before the answer had ended"),
    "text-is-a-number": ([whole(200, {"choices": [{"message": {"content": 5}}]})], 502, "but it is {'choices'"),
    "truncated": ([LINES, b'{"choices": [{"mess'], 502, "must be JSON, but Unterminated string"),
    "cut": ([LINES.replace(b"\r\n\r\n", b"\r\nContent-Length: 99\r\n\r\n"), b'{"cho'], 502, "broke the answer off"),
    "no-utf-8": ([whole(200, b'{"choices": "\xff"}')], 502, "byte 13 is not UTF-8"),
    "brackets": ([whole(200, b"[" * 200_000)], 502, "it is nested too deeply"),
    "text": ([whole(200, b"Hello", "text/plain")], 502, "it begins 'Hello'; ask again"),
    "redirect": ([b"HTTP/1.1 302 X\r\nLocation: http://other/\r\nContent-Length: 0\r\n\r\n"], 502, "on to 'http://other/' (302)"),
    "redirect-nowhere": ([b"HTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n"], 502, "status 302 (Found), which sends its callers elsewhere without"),
    "204": ([b"HTTP/1.1 204 X\r\n\r\n"], 502, "status 204 (No Content), where 200 and an answer in JSON was expected"),
    "201": ([whole(201, ANSWER)], 502, "status 201 (Created), where 200"),
    "999": ([whole(999, {"error": "no"})], 502, "status 999, which HTTP does not have"),
    "no-gzip": ([GZIP, b"rubbish"], 502, "says that its answer is gzip, but it is not"),
    "brotli": ([LINES.replace(b"\r\n\r\n", b"\r\nContent-Encoding: br\r\n\r\n"), b"x"], 502, "in the encoding 'br', where gzip or none"),
    "cut-gzip": ([GZIP, gzip.compress(json.dumps(ANSWER).encode())[:20]], 502, "must be JSON, but Unterminated"),
    "refused-in-no-gzip": ([GZIP.replace(b"200 OK", b"503 X"), b"rubbish"], 503, "refused the request (503)"),
    "not-http": ([b"\x15\x03\x01\x00\x02\x02\x46"], 502, "answered, but not by HTTP (illegal request line)"),
    "bytes-without-end": ([likely(b'"bytes": 1000000000000, "logprob": -1')], 502, "but it is {'choices'"),
    "infinite-count": ([usage(b'{"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1e999}}')], 502, "but it is {'choices'"),
    "a-year-without-end": ([b"HTTP/1.1 503 X\r\nRetry-After: Sun, 06 Nov 99999999999999999999 08:49:37 GMT\r\nContent-Length: 2\r\n\r\n{}"], 503, "(503)"),
    "line-without-end": ([LINES, b'{"choices": "', Forever(b"x" * 2**16)], 502, "has no line within its first 8388608 bytes"),
    "bomb": ([GZIP, bomb(b" ", 2**26)], 502, "has no line within its first 8388608 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_no_answer_is_told_on_every_route(name: str) -> None:
    acts, status, part = STRANGE[name]

    async def scenario() -> None:
        async with now(acts) as front:
            for path in (WHOLE, STREAMED):
                answer = await front.http.post(path, json=BODY)
                assert answer.status_code == (503 if status == 503 else 424)
                assert part in re.sub(r'\\+"', '"', answer.json()["Message"] + answer.json().get("OriginalMessage", ""))
            for path, body in (("/invocations", BODY), (CHAT, {"messages": HELLO})):
                for streamed in (False, True):
                    answer = await front.http.post(path, json={**body, "stream": streamed})
                    assert answer.status_code == status
                    error = answer.json()["error"]
                    assert part in (error if isinstance(error, str) else error["message"])
            assert not any("Traceback" in line for line in front.logged)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "acts",
    [
        [whole(200, ANSWER, "image/png")],
        [whole(200, ANSWER, "text/html")],
        [GZIP, gzip.compress(json.dumps(ANSWER).encode())],
        [usage(b'{"prompt_tokens": -5, "completion_tokens": -1}')],
        [likely(b'"bytes": null, "logprob": -1e999')],
        [whole(200, ANSWER).replace(b"Connection", b"x-puna-receipt: /r\r\nConnection")],
    ],
)  # fmt: skip
def test_what_can_still_be_read_is_answered(acts: list[Act]) -> None:
    async def scenario() -> None:
        async with now(acts) as front:
            for path in (WHOLE, CHAT):
                answer = await front.http.post(
                    path, json={"messages": HELLO, **({"logprobs": True} if path == CHAT else {})}
                )
                assert answer.status_code == 200
                assert "Hi" in answer.text
                assert "Infinity" not in answer.text

    asyncio.run(scenario())


def test_a_web_page_in_the_place_of_the_server_is_what_sdks_raise() -> None:
    async def scenario() -> None:
        async with now([whole(200, PAGE, "text/html")]) as front:

            def by_openai(client: openai.OpenAI) -> None:
                with pytest.raises(openai.InternalServerError, match="answered with a web page") as caught:
                    client.chat.completions.create(model="", messages=HELLO)
                assert caught.value.status_code == 502

            await front.by_openai(by_openai)

            def by_boto3(client: Any) -> Any:
                with pytest.raises(client.exceptions.ModelError, match="answered with a web page") as caught:
                    client.invoke_endpoint(EndpointName="llama-2-7b", Body=json.dumps(BODY))
                return caught.value.response

            assert (await front.by_boto3(by_boto3))["OriginalStatusCode"] == 502

    asyncio.run(scenario())


def test_rubbish_in_the_middle_breaks_the_stream_off() -> None:
    begun = b'data: {"choices": [{"delta": {"content": "Ein"}}]}\n\n'

    async def scenario() -> None:
        async with now([EVENTS, begun, b"data: <html>oops</html>\n\n"]) as front:

            def by_boto3(client: Any) -> bytes:
                body = client.invoke_endpoint_with_response_stream(EndpointName="llama-2-7b", Body=json.dumps(BODY))[
                    "Body"
                ]
                with closing(body), pytest.raises(botocore.exceptions.EventStreamError, match="must be JSON"):
                    for event in body:
                        came: bytes = event["PayloadPart"]["Bytes"]
                return came

            assert await front.by_boto3(by_boto3) == b'{"outputs": ["Ein"]}\n'

    asyncio.run(scenario())
