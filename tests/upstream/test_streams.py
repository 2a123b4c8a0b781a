"""A stream goes through an endpoint piece by piece, and ends when its reader leaves: at once, on both sides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from puna.engines.scripted import Scripted

from .serving import (
    CHAT,
    ENDPOINT,
    STREAMED,
    TOLD,
    WAIT,
    WHOLE,
    Front,
    chunk,
    in_front_of,
    messages_server,
    over,
)

HELLO: Any = [{"role": "user", "content": "Hi"}]
BODY = {"messages": HELLO, "max_tokens_to_sample": 9}
ROUTES = [
    (STREAMED, BODY),
    ("/invocations", {**BODY, "stream": True}),
    (CHAT, {"messages": HELLO, "stream": True}),
    ("/api/generate", {"messages": HELLO}),
]


@pytest.mark.parametrize(("path", "body"), ROUTES, ids=[path for path, _ in ROUTES])
def test_each_piece_goes_through_before_the_next_one_is_made(path: str, body: dict[str, Any]) -> None:
    """The server goes on only once the client has read what it had said until then."""

    async def scenario() -> None:
        async with messages_server() as server, in_front_of(server.url) as front:
            words = ["Ein", "zwei", "drei"]
            gates = {word: asyncio.Event() for word in words}
            server.script = [part for word in words for part in (chunk(word), gates[word])] + TOLD[2:]
            async with front.http.stream("POST", path, json=body) as answer:
                read = b""
                async with asyncio.timeout(WAIT):
                    async for data in answer.aiter_raw():
                        read += data
                        for word, gate in gates.items():
                            if word.encode() in read:
                                gate.set()
            assert all(gate.is_set() for gate in gates.values())

    asyncio.run(scenario())


async def leaves(front: Front, path: str, body: object, *, after: bytes | Callable[[], object]) -> None:
    """A client that closes its connection: after these bytes of the answer, or once something is so."""
    host, port = front.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    async with asyncio.timeout(WAIT):
        if isinstance(after, bytes):
            await reader.readuntil(after)
        else:
            while not after():
                await asyncio.sleep(0.005)
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(("path", "body"), [*ROUTES, (WHOLE, BODY)], ids=[*(path for path, _ in ROUTES), WHOLE])
@pytest.mark.parametrize("begun", [True, False], ids=["in-decode", "before-the-first-token"])
def test_a_client_that_leaves_closes_the_request_behind(path: str, body: dict[str, Any], begun: bool) -> None:
    async def scenario() -> None:
        async with messages_server() as server, in_front_of(server.url) as front:
            server.script = [*([chunk("Ein")] if begun else []), asyncio.Event()]
            await leaves(front, path, body, after=b"Ein" if begun and path != WHOLE else lambda: server.chats)
            await asyncio.wait_for(server.left.wait(), WAIT)
            await asyncio.wait_for(front.service.quiet.wait(), WAIT)
            assert front.service.running == 0

    asyncio.run(scenario())


@asynccontextmanager
async def paced(tmp_path: Any) -> AsyncIterator[tuple[Front, asyncio.Event]]:
    """An endpoint over the scripted engine, whose second piece waits."""
    go = asyncio.Event()

    async def pace(n: int) -> None:
        if n:
            await go.wait()

    async with over(Scripted(slots=1, pace=pace), tmp_path) as behind:
        yield behind, go


@pytest.mark.parametrize("engine", ["openai", "sagemaker"])
def test_a_client_that_leaves_frees_the_slot_of_an_endpoint_behind(engine: str, tmp_path: Any) -> None:
    async def scenario() -> None:
        async with paced(tmp_path) as (behind, go), in_front_of(behind.url, engine) as front:
            await leaves(front, STREAMED, BODY, after=b"You")
            await asyncio.wait_for(behind.service.quiet.wait(), WAIT)
            go.set()
            answer = await front.http.post(WHOLE, json=BODY)  # the one slot is free again
            assert answer.json() == {"outputs": ["You said: Hi"]}

    asyncio.run(scenario())


def test_several_answers_are_asked_for_at_the_same_time() -> None:
    """How many a server behind works on at a time is its own affair."""

    async def scenario() -> None:
        async with messages_server() as server, in_front_of(server.url) as front:
            go = asyncio.Event()
            server.script = [go, *TOLD]
            asking = asyncio.ensure_future(front.http.post(CHAT, json={"messages": HELLO, "n": 3}))
            async with asyncio.timeout(WAIT):
                while len(server.chats) < 3:
                    await asyncio.sleep(0.005)
            go.set()
            choices = (await asking).json()["choices"]
            assert [choice["message"]["content"] for choice in choices] == ["Ein Lama"] * 3
            assert len({one.body["seed"] for one in server.chats}) == 3

    asyncio.run(scenario())


def test_what_was_accepted_is_finished_when_the_endpoint_stops() -> None:
    async def scenario() -> None:
        async with messages_server() as server, in_front_of(server.url) as front:
            go = asyncio.Event()
            server.script = [chunk("Ein"), go, *TOLD[1:]]
            asking = asyncio.ensure_future(front.http.post(WHOLE, json=BODY))
            while not server.chats:
                await asyncio.sleep(0.005)
            front.service.draining = True
            assert (await front.http.get("/ping")).status_code == 503
            assert (await front.http.post(WHOLE, json=BODY)).status_code == 503
            go.set()
            assert (await asking).json() == {"outputs": ["Ein Lama"]}
            await asyncio.wait_for(front.service.quiet.wait(), WAIT)

    asyncio.run(scenario())


def test_what_a_caller_bears_goes_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUNA_AUTH_TOKEN", "own-token")
    monkeypatch.setenv("PUNA_UPSTREAM_KEY", "upstream-key")

    async def scenario() -> None:
        async with messages_server() as server, in_front_of(server.url, auth="token") as front:
            assert (await front.http.post(CHAT, json={"messages": HELLO})).status_code == 401
            bearer = {"Authorization": "Bearer own-token", "X-Amzn-SageMaker-Custom-Attributes": "a=b"}
            answer = await front.http.post(f"/endpoints/{ENDPOINT}/invocations", json=BODY, headers=bearer)
            assert answer.status_code == 200
            (asked,) = server.chats
            assert asked.headers["authorization"] == "Bearer upstream-key"
            assert "own-token" not in str(asked.headers)
            assert "x-amzn-sagemaker-custom-attributes" not in asked.headers

    asyncio.run(scenario())


def test_a_connection_that_the_server_has_closed_meanwhile_is_no_failure() -> None:
    """Servers close idle connections, llama.cpp's after 5 s, and may do so at the moment at which the next request is sent."""

    async def scenario() -> None:
        async with messages_server() as server, in_front_of(server.url) as front:
            server.once = True
            for _ in range(3):
                answer = await front.http.post(WHOLE, json=BODY)
                assert (answer.status_code, answer.json()) == (200, {"outputs": ["Ein Lama"]})
            assert server.cut, "no connection was used again"

    asyncio.run(scenario())
