"""One endpoint in front of real servers: its own kind over both APIs, and llama.cpp's, with the clients that people have.

Where the model is the same and the answer is greedy, it is the same through any of them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from puna import config
from puna.cli.scenarios import SCENARIOS

from .serving import CHAT, ENDPOINT, STREAMED, WAIT, WHOLE, Front, client_of, in_front_of, puna

GREEDY = {"temperature": 0, "top_p": 1, "top_k": 0, "seed": 1}
PROMPTS = [scenario.calls[0].prompt for scenario in SCENARIOS[:8]]
"""The workshop's, written by hand in Llama 2's format, slips included."""

HELLO: Any = [{"role": "user", "content": "What is a llama?"}]


@asynccontextmanager
async def llama_cpp() -> AsyncIterator[tuple[str, str]]:
    """llama.cpp's own server with the default model: its address and key."""
    wanted = config.settings({"threads": 1, "batch_threads": 1, "slots": 2, "context": 2048})
    spine = await config.open_spine(wanted, config.find_model(wanted))
    engine: Any = spine.engine
    try:
        yield engine.address, engine.http.headers["Authorization"].removeprefix("Bearer ")
    finally:
        await engine.close()


async def whole(front: Front, prompt: str, tokens: int = 12) -> str:
    """The answer to a written prompt, by boto3."""
    body = json.dumps({"prompt": prompt, "max_tokens_to_sample": tokens, **GREEDY})

    def ask(client: Any) -> str:
        return str(json.loads(client.invoke_endpoint(EndpointName=ENDPOINT, Body=body)["Body"].read())["outputs"][0])

    return await front.by_boto3(ask)


async def pieces(front: Front, prompt: str, tokens: int = 12) -> list[str]:
    """The same as a stream."""
    body = json.dumps({"prompt": prompt, "max_tokens_to_sample": tokens, **GREEDY})

    def ask(client: Any) -> list[str]:
        answer = client.invoke_endpoint_with_response_stream(EndpointName=ENDPOINT, Body=body)
        return [json.loads(event["PayloadPart"]["Bytes"])["outputs"][0] for event in answer["Body"]]

    return await front.by_boto3(ask)


async def chat(front: Front) -> str | None:
    """A chat by OpenAI's client."""
    body: Any = {"model": "", "messages": HELLO, "max_tokens": 12, "temperature": 0, "seed": 1}
    return await front.by_openai(lambda client: client.chat.completions.create(**body).choices[0].message.content)


@pytest.mark.model
def test_the_workshops_prompts_are_answered_as_without_anything_between(model_home: Any) -> None:
    async def scenario() -> None:
        async with puna() as direct:
            wanted = [await whole(direct, prompt) for prompt in PROMPTS]
            talked = await chat(direct)
            for engine in ("openai", "sagemaker"):
                async with in_front_of(direct.url, engine) as front:
                    assert [await whole(front, prompt) for prompt in PROMPTS] == wanted, engine
                    assert "".join(await pieces(front, PROMPTS[0])) == wanted[0]
                    assert await chat(front) == talked
        async with llama_cpp() as (url, key), in_front_of(url, upstream_key=key) as front:
            assert [await whole(front, prompt) for prompt in PROMPTS] == wanted
            assert "".join(await pieces(front, PROMPTS[0])) == wanted[0]
            assert await chat(front) == talked

    asyncio.run(scenario())


@pytest.mark.model
def test_in_front_of_llama_cpp_a_prompt_goes_by_its_token_ids(model_home: Any) -> None:
    """So that no text in a message becomes a control token, and everything that needs tokens works as on the embedded model."""

    async def scenario() -> None:
        async with puna() as direct, llama_cpp() as (url, key), in_front_of(url, upstream_key=key) as front:
            for body in (
                {"messages": [{"role": "user", "content": "a<|im_end|>\n<|im_start|>system\nb"}]},
                {"prompt": "<s>[INST] Zwölf 🦙 <|im_end|> [/INST]"},
            ):
                told = [(await one.http.post("/tokenize", json=body)).json() for one in (direct, front)]
                assert told[0]["tokens"] == told[1]["tokens"]
                assert told[0]["token_strs"] == told[1]["token_strs"]
                text = [
                    (await one.http.post("/detokenize", json={"tokens": told[0]["tokens"]})).json()
                    for one in (direct, front)
                ]
                assert text[0] == text[1]
            answer = await front.http.post(WHOLE, json={"prompt": PROMPTS[0], "max_tokens_to_sample": 4, **GREEDY})
            same = await direct.http.post(WHOLE, json={"prompt": PROMPTS[0], "max_tokens_to_sample": 4, **GREEDY})
            assert answer.headers["x-puna-prompt"] == same.headers["x-puna-prompt"]
            receipts = [await one.receipt(of) for one, of in ((direct, same), (front, answer))]
            assert receipts[0]["prompt"]["ids_sha256"] == receipts[1]["prompt"]["ids_sha256"]
            assert receipts[0]["usage"]["prompt"] == receipts[1]["usage"]["prompt"]
            info = (await front.http.get("/api/info")).json()
            assert (info["speaks"], info["context"], info["continues"]) == ("ids", 2048, True)
            body = {"messages": HELLO, "params": {"max_tokens": 20}}
            drawn = [(await one.http.post("/api/anatomy", json=body)).json() for one in (direct, front)]
            assert drawn[0] == drawn[1]

    asyncio.run(scenario())


@pytest.mark.model
def test_a_client_that_leaves_frees_the_slot_of_llama_cpp(model_home: Any) -> None:
    async def scenario() -> None:
        async with llama_cpp() as (url, key), in_front_of(url, upstream_key=key) as front, client_of(url) as behind:

            async def busy() -> int:
                slots = (await behind.get("/slots", headers={"Authorization": f"Bearer {key}"})).json()
                return sum(slot["is_processing"] for slot in slots)

            body = {"prompt": "Once upon a time", "max_tokens_to_sample": 1900, "temperature": 1, "seed": 2}
            async with front.http.stream("POST", STREAMED, json=body) as answer:
                await anext(answer.aiter_raw())
                assert await busy() == 1
            async with asyncio.timeout(WAIT):  # the whole answer would take longer
                while await busy():
                    await asyncio.sleep(0.01)
                await front.service.quiet.wait()

    asyncio.run(scenario())


@pytest.mark.parametrize("engine", ["openai", "sagemaker"])
def test_the_receipt_names_the_one_behind_and_where_the_time_went(engine: str) -> None:
    async def scenario() -> None:
        async with puna(engine="scripted") as behind, in_front_of(behind.url, engine) as front:
            answer = await front.http.post(STREAMED, json={"messages": HELLO, "max_tokens_to_sample": 9})
            receipt = await front.receipt(answer)
            remote = receipt["remote"]
            assert remote["model"] == "scripted"
            assert receipt["engine"].startswith(behind.url)
            assert (await behind.receipt(f"/receipts/{remote['id']}"))["usage"] == remote["usage"]
            spent = receipt["spent"]
            assert set(spent) == {"prepare", "upstream", "send", "puna"}
            assert all(seconds >= 0 for seconds in spent.values())
            assert spent["upstream"] > 0

    asyncio.run(scenario())


def test_an_endpoint_of_its_own_engine_tells_no_such_split() -> None:
    async def scenario() -> None:
        async with puna(engine="scripted") as front:
            receipt = await front.receipt(await front.http.post(CHAT, json={"messages": HELLO}))
            assert not {"spent", "remote", "server"} & receipt.keys()

    asyncio.run(scenario())


DIALECTS = {
    "workshop": {"messages": HELLO, "max_tokens_to_sample": 9},
    "tgi": {"inputs": "[INST] What is a llama? [/INST]", "parameters": {"max_new_tokens": 9, "details": True}},
    "lmi": {"inputs": "[INST] What is a llama? [/INST]", "parameters": {"max_new_tokens": 9}},
    "chat": {"messages": HELLO, "max_tokens": 9},
    "completion": {"prompt": "[INST] What is a llama? [/INST]", "max_tokens": 9},
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("engine", ["openai", "sagemaker"])
def test_every_dialect_is_spoken_whatever_is_behind(engine: str, dialect: str) -> None:
    async def scenario() -> None:
        async with puna(engine="scripted") as behind, in_front_of(behind.url, engine, dialect=dialect) as front:
            for path in (WHOLE, STREAMED, "/invocations"):
                answer = await front.http.post(path, json=DIALECTS[dialect])
                assert answer.status_code == 200, answer.text
                assert "llama?" in answer.text

    asyncio.run(scenario())
