"""What an endpoint makes of the refusals of the server behind it, on every route, for the SDKs that read them."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from typing import Any

import botocore.exceptions
import openai
import pytest

from .serving import CHAT, STREAMED, WHOLE, Front, Messages, chunk, in_front_of, messages_server

HELLO: Any = [{"role": "user", "content": "Hi"}]
BODY = {"messages": HELLO, "max_tokens_to_sample": 9}
"""Of the workshop's dialect."""


def behind(work: Any, setup: Any = None) -> Any:
    """Run ``work(front, server)``. setup(server): before anything is asked."""

    async def scenario() -> Any:
        async with messages_server() as server, in_front_of(server.url) as front:
            if setup is not None:
                setup(server)
            return await work(front, server)

    return asyncio.run(scenario())


def refusing(status: int, sentence: str = "mind the llama", **headers: str) -> Any:
    def setup(server: Messages) -> None:
        server.status, server.refusal, server.headers = status, {"error": {"message": sentence}}, headers

    return setup


ANSWERS = {
    # of the server behind: status and error type of InvokeEndpoint, status of the container and of the OpenAI routes
    400: (424, "ModelError", 400, 400),
    413: (424, "ModelError", 400, 400),
    422: (424, "ModelError", 400, 400),
    401: (424, "ModelError", 502, 502),
    403: (424, "ModelError", 502, 502),
    404: (424, "ModelError", 502, 502),
    429: (400, "ThrottlingException", 429, 429),
    500: (500, "InternalFailure", 500, 500),
    502: (503, "ServiceUnavailable", 503, 503),
    503: (503, "ServiceUnavailable", 503, 503),
    504: (503, "ServiceUnavailable", 503, 503),
    529: (503, "ServiceUnavailable", 503, 503),
}


@pytest.mark.parametrize("status", ANSWERS)
def test_a_refusal_in_the_terms_of_each_route(status: int) -> None:
    async def work(front: Front, server: Messages) -> None:
        invoke, kind, container, api = ANSWERS[status]
        for path in (WHOLE, STREAMED):
            answer = await front.http.post(path, json=BODY)
            assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (invoke, kind)
            assert "mind the llama" in answer.json()["Message"]
        answer = await front.http.post("/invocations", json=BODY)
        assert answer.status_code == container
        assert "mind the llama" in answer.json()["error"]
        answer = await front.http.post(CHAT, json={"messages": HELLO})
        assert answer.status_code == api
        assert "mind the llama" in answer.json()["error"]["message"]
        receipt = await front.receipt(answer)
        assert (receipt["status"], "mind the llama" in receipt["error"]) == (api, True)
        assert not any("Traceback" in line for line in front.logged)

    behind(work, refusing(status))


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("told", "passed"), [("7", "7"), (None, "1")])
def test_when_to_ask_again_is_passed_on(status: int, told: str | None, passed: str) -> None:
    async def work(front: Front, server: Messages) -> None:
        for path in (WHOLE, STREAMED, "/invocations", CHAT):
            answer = await front.http.post(path, json={"messages": HELLO})
            assert answer.headers["retry-after"] == passed, path

    behind(work, refusing(status, **({} if told is None else {"Retry-After": told})))


def test_no_caller_is_blamed_for_the_endpoints_own_key() -> None:
    """And nobody's SDK asks again in vain: what is wrong here does not mend itself."""

    async def work(front: Front, server: Messages) -> None:
        def by_openai(client: openai.OpenAI) -> None:
            with pytest.raises(openai.InternalServerError, match="not your request") as caught:
                client.chat.completions.create(model="", messages=HELLO)
            assert not isinstance(caught.value, openai.AuthenticationError)

        await front.by_openai(by_openai, retries=2)
        assert len(server.chats) == 1

        def by_boto3(client: Any) -> Any:
            with pytest.raises(client.exceptions.ModelError, match="not your request") as caught:
                client.invoke_endpoint(EndpointName="llama-2-7b", Body=json.dumps(BODY))
            return caught.value.response

        assert (await front.by_boto3(by_boto3))["OriginalStatusCode"] == 502

    behind(work, refusing(401, "bad key"))


def test_a_busy_server_is_what_sdks_ask_again() -> None:
    async def work(front: Front, server: Messages) -> None:
        def ask(client: openai.OpenAI) -> str | None:
            return client.chat.completions.create(model="", messages=HELLO).choices[0].message.content

        with pytest.raises(openai.RateLimitError):
            await front.by_openai(ask)
        asking = asyncio.ensure_future(front.by_openai(ask, retries=2))
        while len(server.chats) < 2:
            await asyncio.sleep(0.01)
        server.status = 200
        assert await asking == "Ein Lama"

    behind(work, refusing(429))


def test_a_server_that_has_gone_is_503_and_comes_back() -> None:
    async def scenario() -> None:
        async with messages_server() as server, in_front_of(server.url) as front:
            assert (await front.http.post(WHOLE, json={"messages": HELLO})).status_code == 200
            assert (await front.http.get("/ping")).status_code == 200
            await server.stop()
            for path, status in ((WHOLE, 503), (STREAMED, 503), ("/invocations", 503), (CHAT, 503)):
                answer = await front.http.post(path, json={"messages": HELLO})
                assert (answer.status_code, answer.headers["retry-after"]) == (status, "1")
                assert "is it up?" in answer.text
            await server.listen()
            assert (await front.http.post(WHOLE, json={"messages": HELLO})).status_code == 200

    asyncio.run(scenario())


BROKEN = [chunk("Ein"), {"error": {"message": "out of memory", "code": 500}}]


def test_a_stream_that_breaks_off_ends_as_each_route_has_it() -> None:
    async def work(front: Front, server: Messages) -> None:
        server.script, server.done = list(BROKEN), False

        def by_boto3(client: Any) -> list[bytes]:
            body = client.invoke_endpoint_with_response_stream(EndpointName="llama-2-7b", Body=json.dumps(BODY))["Body"]
            pieces = []
            with closing(body), pytest.raises(botocore.exceptions.EventStreamError, match="out of memory"):
                for event in body:
                    pieces.append(event["PayloadPart"]["Bytes"])
            return pieces

        assert await front.by_boto3(by_boto3) == [b'{"outputs": ["Ein"]}\n']

        def by_openai(client: openai.OpenAI) -> list[str | None]:
            texts = []
            stream = client.chat.completions.create(model="", messages=HELLO, stream=True)
            with stream, pytest.raises(openai.APIError, match="out of memory"):
                for part in stream:
                    texts.append(part.choices[0].delta.content)
            return texts

        assert "Ein" in await front.by_openai(by_openai)
        answer = await front.http.post(CHAT, json={"messages": HELLO})  # whole: nothing was sent yet
        assert answer.status_code == 502
        assert "out of memory" in answer.json()["error"]["message"]

    behind(work)


def test_a_stream_that_ends_too_early_is_told() -> None:
    async def work(front: Front, server: Messages) -> None:
        server.script, server.done = [chunk("Ein")], False
        answer = await front.http.post("/invocations", json={**BODY, "stream": True})
        lines = answer.text.splitlines()
        assert lines[0] == '{"outputs": ["Ein"]}'
        assert '"code": 502' in lines[-1]
        receipt = await front.receipt(answer)
        assert receipt["error"]

    behind(work)


def test_a_page_in_its_place_is_told() -> None:
    async def work(front: Front, server: Messages) -> None:
        server.status, server.refusal = 502, b"<html><h1>Bad gateway</h1></html>"
        answer = await front.http.post(CHAT, json={"messages": HELLO})
        assert answer.status_code == 503
        assert "<html>" not in answer.text

    behind(work)
