"""What the playground's routes tell in front of another server: all that it tells, and of the rest that it is not told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from .serving import Front, Messages, chunk, in_front_of, messages_server, puna

HELLO = [{"role": "user", "content": "Hi"}]


def on_page(work: Any) -> Any:
    async def scenario() -> Any:
        async with messages_server() as server, in_front_of(server.url) as front:
            return await work(front, server)

    return asyncio.run(scenario())


async def records(front: Front, **body: object) -> list[dict[str, Any]]:
    answer = await front.http.post("/api/generate", json=body)
    return [json.loads(line) for line in answer.text.splitlines()]


def test_what_the_page_is_told_first() -> None:
    async def work(front: Front, server: Messages) -> None:
        info = (await front.http.get("/api/info")).json()
        assert info["ready"]
        assert (info["context"], info["slots"], info["format"]) == (None, None, None)
        assert (info["speaks"], info["continues"]) == ("messages", False)
        assert {param["name"]: param["max"] for param in info["params"]}["max_tokens"] is None

    on_page(work)


def test_the_messages_are_the_anatomy_where_no_more_is_told() -> None:
    async def work(front: Front, server: Messages) -> None:
        drawn = (await front.http.post("/api/anatomy", json={"system": "Be kind", "messages": HELLO})).json()
        assert [(run["kind"], run["tokens"]) for run in drawn["segments"]] == [
            ("system", [[None, "Be kind"]]), ("user", [[None, "Hi"]]),
        ]  # fmt: skip
        assert (drawn["prompt_tokens"], drawn["context"], drawn["free"], drawn["over"], drawn["parts"]) == (
            None,
            None,
            None,
            0,
            None,
        )
        assert "as they stand here" in drawn["untold"]
        assert not server.chats

    on_page(work)


@pytest.mark.parametrize("engine", ["openai", "sagemaker"])
def test_an_endpoint_of_punas_tells_its_prompt(engine: str) -> None:
    async def scenario() -> None:
        async with puna(engine="scripted") as behind, in_front_of(behind.url, engine) as front:
            body = {"system": "Be kind", "messages": HELLO, "params": {"max_tokens": 20}}
            there = (await behind.http.post("/api/anatomy", json=body)).json()
            here = (await front.http.post("/api/anatomy", json=body)).json()
            assert here["prompt"] == there["prompt"]
            assert here["prompt_tokens"] == there["prompt_tokens"]
            assert "".join(text for run in here["segments"] for _, text in run["tokens"]) == there["prompt"]
            kinds = [
                (run["kind"], text) for run in here["segments"] for _, text in run["tokens"] if run["kind"] != "marker"
            ]
            assert kinds == [("system", "Be kind"), ("user", "Hi")]
            assert "it does not tell" in here["untold"]

    asyncio.run(scenario())


def test_probabilities_without_ids_are_shown_and_answers_go_on_by_text_only() -> None:
    async def work(front: Front, server: Messages) -> None:
        def likely(text: str) -> dict[str, Any]:
            other = {"token": " x", "logprob": -2.0, "bytes": [32, 120]}
            return {
                "content": [{"token": text, "logprob": -0.5, "bytes": list(text.encode()), "top_logprobs": [other]}]
            }

        end = {"token": "", "logprob": -0.1, "bytes": [], "top_logprobs": []}
        server.script = [
            chunk("Ein", logprobs=likely("Ein")), chunk("", logprobs={"content": [end]}), chunk(finish_reason="stop"),
        ]  # fmt: skip
        start, *tokens, done = await records(front, messages=HELLO, top=1)
        assert start["prompt_tokens"] is None
        assert (tokens[0]["id"], tokens[0]["t"], tokens[0]["lp"], tokens[0]["top"]) == (
            None,
            "Ein",
            -0.5,
            [[None, " x", -2.0]],
        )
        assert done["type"] == "done"
        assert done["usage"] is None

    on_page(work)


def test_a_begun_answer_is_refused_kindly() -> None:
    async def work(front: Front, server: Messages) -> None:
        for more in ({"begun": [[7, "Ein"]]}, {"messages": [*HELLO, {"role": "assistant", "content": "Ein"}]}):
            answer = await front.http.post("/api/generate", json={"messages": HELLO, **more})
            error = answer.json()["error"]
            assert (answer.status_code, error["code"], error["retryable"]) == (400, "input", False)
            assert "whole messages" in error["message"]
        assert not server.chats

    on_page(work)


def test_raw_text_is_linted_without_its_tokens_and_not_exported_by_ids() -> None:
    async def work(front: Front, server: Messages) -> None:
        found = (await front.http.post("/api/lint", json={"prompt": "[INST]Hi [/INST]"})).json()
        assert found["tokens"] is None
        assert found["findings"]
        told = (await front.http.post("/api/anatomy", json={"prompt": "[INST]Hi [/INST]"})).json()
        assert told["prompt"] == "[INST]Hi [/INST]"
        answer = await front.http.post("/api/export", json={"target": "curl", "prompt": "[INST]Hi [/INST]"})
        assert answer.status_code == 400
        assert "export a chat instead" in answer.json()["error"]["message"]
        answer = await front.http.post("/api/export", json={"target": "curl", "messages": HELLO})
        assert "Hi" in answer.json()["text"]

    on_page(work)


@pytest.mark.parametrize(
    ("status", "code", "own", "retryable"),
    [(400, "input", 400, False), (401, "upstream", 502, False), (429, "busy", 429, True), (503, "stopped", 503, True), (500, "engine", 500, True)],
)  # fmt: skip
def test_refusals_as_the_page_reads_them(status: int, code: str, own: int, retryable: bool) -> None:
    async def work(front: Front, server: Messages) -> None:
        server.status = status
        answer = await front.http.post("/api/generate", json={"messages": HELLO})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["retryable"]) == (own, code, retryable)

    on_page(work)


def test_tokens_that_nobody_here_knows_are_refused_with_a_sentence() -> None:
    async def work(front: Front, server: Messages) -> None:
        for path, body in (("/tokenize", {"messages": HELLO}), ("/tokenize", {"prompt": "Hi"}), ("/detokenize", {"tokens": [1]}),
                           ("/v1/completions", {"prompt": [1, 2], "max_tokens": 1}),
                           ("/v1/completions", {"prompt": "a", "echo": True, "logprobs": 0, "max_tokens": 0})):  # fmt: skip
            answer = await front.http.post(path, json=body)
            assert answer.status_code == 400, (path, answer.text)
            assert len(answer.json()["error"]["message"]) > 30
        assert not server.chats

    on_page(work)
