"""Whether an endpoint can answer when that depends on another server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from puna.server import upstream
from puna.server.upstream import Reach

from .serving import CHAT, in_front_of, messages_server


def test_ping_says_when_the_server_behind_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "FRESH_SECONDS", 0.0)

    async def scenario() -> None:
        async with messages_server() as server, in_front_of(server.url) as front:
            target = {"x-amz-target": "SageMaker.DescribeEndpoint"}
            body = {"EndpointName": "llama-2-7b"}
            for word, status, aws in (
                ("ready", 200, "InService"),
                ("away", 503, "OutOfService"),
                ("ready", 200, "InService"),
            ):
                await (server.stop() if word == "away" else server.listen())
                assert (await front.http.get("/ping")).status_code == status
                health = await front.http.get("/health")
                assert (health.status_code, health.json()["status"]) == (status, word)
                described = await front.http.post("/", json=body, headers=target)
                assert described.json()["EndpointStatus"] == aws
                metrics = (await front.http.get("/metrics")).text
                assert f"puna_engine_ready {float(word == 'ready')}" in metrics

    asyncio.run(scenario())


def test_what_nobody_knows_is_null_and_no_limit() -> None:
    async def scenario() -> None:
        async with messages_server() as server, in_front_of(server.url) as front:
            health = (await front.http.get("/health")).json()
            assert (health["context"], health["slots"]) == (None, None)
            models = (await front.http.get("/v1/models")).json()["data"]
            assert {model["max_model_len"] for model in models} == {None}
            assert [model["id"] for model in models] == ["llama-2-7b", "acme/llama-7b"]
            assert "puna_slots " not in (await front.http.get("/metrics")).text
            long = [{"role": "user", "content": "llama " * 20_000}]
            answer = await front.http.post(CHAT, json={"messages": long, "max_tokens": 100_000})
            assert answer.status_code == 200
            assert server.chats[0].body["max_tokens"] == 100_000
            receipt = await front.receipt(answer)
            assert receipt["limits"]["context"] is None

    asyncio.run(scenario())


def test_a_longest_answer_that_nobody_set_is_not_made_up() -> None:
    """Without ``max_tokens`` a chat goes on to the end of the window, which only the server behind knows."""

    async def scenario() -> None:
        async with messages_server() as server, in_front_of(server.url) as front:
            await front.http.post(CHAT, json={"messages": [{"role": "user", "content": "Hi"}]})
            assert "max_tokens" not in server.chats[0].body

    asyncio.run(scenario())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """The time as ``upstream`` sees it."""
    now: dict[str, float] = {"now": 0.0}

    class Clock:
        monotonic = staticmethod(lambda: now["now"])

    monkeypatch.setattr(upstream, "time", Clock)
    return lambda at: now.update(now=at)


def test_it_is_asked_once_a_second_at_most_and_once_for_all_who_ask(clock: Callable[[float], None]) -> None:
    answers: list[Any] = [True, False]

    async def probe() -> bool:
        await asyncio.sleep(0)
        return bool(answers.pop(0))

    async def scenario() -> None:
        reach = Reach(probe)
        assert reach.there
        clock(10.0)
        assert list(await asyncio.gather(reach.look(), reach.look(), reach.look())) == [True] * 3
        clock(10.9)
        assert await reach.look()
        clock(11.1)
        assert not await reach.look()
        assert not reach.there

    asyncio.run(scenario())
    assert not answers
