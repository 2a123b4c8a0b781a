"""Bodies of every dialect with anything in every field: what is refused and what is answered, whole and streamed."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from random import Random
from typing import Any

from botocore.eventstream import EventStreamBuffer

from puna.generation import Prompt, Sampling
from puna.wire.dialects import AUTO, DIALECTS
from tests.fuzz import pool
from tests.fuzz.asking import ENDPOINT, Asked, Endpoint, Tally, spine_of

INVOKE = f"/endpoints/{ENDPOINT}/invocations".encode()
STREAM = f"/endpoints/{ENDPOINT}/invocations-response-stream".encode()
ROUTES: Mapping[str, tuple[bytes, ...]] = {
    "chat": (b"/v1/chat/completions", f"/endpoints/{ENDPOINT}/openai/v1/chat/completions".encode()),
    "completion": (b"/v1/completions", f"/endpoints/{ENDPOINT}/openai/v1/completions".encode()),
}
CONTAINER = (b"/invocations", INVOKE, STREAM)
EULA = ("X-Amzn-SageMaker-Custom-Attributes", "accept_eula=true")

_WORDS = re.compile(r"\s?\S+|\s")


def said_with(seed: int) -> str:
    """What the engine says with a seed: text that is hard on the wire."""
    rng = Random(seed)
    return "".join(pool.sound(rng) + rng.choice(("", " ", "\n\n", "  ")) for _ in range(rng.randrange(3)))


def answer(prompt: Prompt, sampling: Sampling) -> str:
    return said_with(sampling.seed or 0)


def expected(receipt: Mapping[str, Any]) -> list[str]:
    """The texts that an answer must have, by its receipt alone."""
    sampling = receipt["sampling"]
    seeds = [sampling["seed"], *(choice["seed"] for choice in receipt.get("choices", ()))]
    return [_cut(said_with(seed), sampling["stop"], sampling["max_tokens"]) for seed in seeds]


def _cut(text: str, stops: list[str], most: int) -> str:
    met = min((text.find(stop) for stop in stops if stop in text), default=len(text))
    return "".join(_WORDS.findall(text[:met])[:most])


async def run(count: int, seed: int, tally: Tally) -> None:
    """So many bodies, over the dialects in turn."""
    spine = await spine_of(answer)
    endpoints = {name: Endpoint(spine, tally, dialect=name) for name in (AUTO, *DIALECTS)}
    for n in range(count):
        rng = Random(f"{seed}:{n}")
        dialect = DIALECTS[list(DIALECTS)[n % len(DIALECTS)]]
        body = pool.body(rng, dialect)
        data = pool.encoded(rng, body)
        route = rng.choice((*CONTAINER, *ROUTES.get(dialect.name, ())))
        own = route in CONTAINER and rng.random() < 0.7
        headers = [EULA] if rng.random() < 0.5 else []
        asked = await endpoints[dialect.name if own else AUTO].ask("POST", route, data, headers)
        if asked.status != 200:
            refused(asked, route)
            continue
        endpoint = endpoints[dialect.name if own else AUTO]
        receipt = (await endpoint.ask("GET", asked.headers["x-puna-receipt"].encode())).json()
        answered(asked, receipt, json.loads(data.decode("utf-8-sig")), rng)
    assert spine.engine.waiting == 0


def refused(asked: Asked, route: bytes) -> None:
    """The error has the shape of its route and its dialect."""
    assert asked.media == "application/json", asked
    value = asked.json()
    if asked.status == 413:
        assert "exceeded 6291456 bytes" in str(value), asked
        return
    if route not in CONTAINER:
        _openai_error(value, asked)
        return
    dialect = DIALECTS[asked.headers["x-puna-dialect"]]
    if route == b"/invocations":
        _container_error(dialect.name, asked.status, value, asked)
        return
    assert asked.status == 424, asked
    assert asked.headers["x-amzn-errortype"] == "ModelError" or "x-amzn-ErrorType" in asked.headers, asked
    assert set(value) == {"Message", "ErrorCode", "LogStreamArn", "OriginalMessage", "OriginalStatusCode"}, asked
    assert value["ErrorCode"] == "CLIENT_ERROR_FROM_MODEL", asked
    _container_error(dialect.name, value["OriginalStatusCode"], json.loads(value["OriginalMessage"]), asked)


def _container_error(name: str, status: int, value: Any, asked: Asked) -> None:
    dialect = DIALECTS[name]
    assert status == dialect.statuses.get(400, 400), asked
    shape: Any = dialect.error(status, "")
    assert set(value) == set(shape), asked
    if name in {"chat", "completion", "lmi-chat"}:
        _openai_error(value, asked)
    else:
        assert all(value[key] == shape[key] or isinstance(value[key], str) for key in shape), asked


def _openai_error(value: Any, asked: Asked) -> None:
    assert set(value) == {"error"}, asked
    assert set(value["error"]) == {"message", "type", "param", "code"}, asked
    assert value["error"]["message"], asked
    assert value["error"]["type"] in {"invalid_request_error", "not_found_error"}, asked


# ---- answers: read by a reader of our own


def answered(asked: Asked, receipt: Mapping[str, Any], body: Mapping[str, Any], rng: Random) -> None:
    """The answer reads back, by any cut of its bytes, to the texts that its receipts account for."""
    wanted = expected(receipt)
    name, media = receipt["dialect"], asked.media
    if media == "application/vnd.amazon.eventstream":
        media = asked.headers["x-amzn-sagemaker-content-type"]
        records = frames(asked.body, rng)
        assert all(record.count(b"\n") == 1 or media != "application/jsonlines" for record in records), asked
        body_bytes = b"".join(records)
    else:
        body_bytes = asked.body
    try:
        got = READERS[media](name, body_bytes, len(wanted))
    except Exception as error:
        raise AssertionError(f"{error!r}: {asked}") from error
    prompts = _prompts(name, body, len(wanted))
    full = [prompt + text for prompt, text in zip(prompts, wanted, strict=True)]
    if name == "workshop":
        # A lone space at the very end is dropped: nobody would have seen it.
        full = [text if got[n] == text else text.removesuffix(" ") for n, text in enumerate(full)]
    assert got == full, (got, full, asked)


def _prompts(name: str, body: Mapping[str, Any], count: int) -> list[str]:
    """What stands before each answer."""
    if name == "completion":
        given = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
        if not body.get("echo"):
            return [""] * count
        if given and isinstance(given[0], int):
            given = [given]
        per = count // len(given)
        # Ids of the scripted vocabulary cannot be spelled: each is a question mark.
        spelled = [prompt if isinstance(prompt, str) else _spelled(prompt) for prompt in given]
        return [prompt for prompt in spelled for _ in range(per)]
    parameters = body.get("parameters") or {}
    full = parameters.get("return_full_text")
    if name == "hf":
        full = full is not False
    told = full and "inputs" in body and isinstance(body["inputs"], str)
    return [body["inputs"] if told else ""] * count


def _spelled(ids: list[int]) -> str:
    return "".join({0: "<|im_end|>", 1: "<|im_start|>"}.get(number, "?") for number in ids)


def _whole(name: str, data: bytes, count: int) -> list[str]:
    value = json.loads(data)
    if name == "workshop":
        return [value["outputs"][0]]
    if name in {"chat", "lmi-chat"}:
        return [choice["message"]["content"] for choice in value["choices"]]
    if name == "completion":
        return [choice["text"] for choice in value["choices"]]
    if name == "jumpstart":
        found = [entry["generation"] for entry in value]
        return [entry if isinstance(entry, str) else entry["content"] for entry in found]
    assert count == 1
    return [value["generated_text"] if name.startswith("lmi") and name != "lmi-tgi" else value[0]["generated_text"]]


def _records(name: str, records: list[Any], count: int) -> list[str]:
    """The texts of a stream's records."""
    texts = [""] * count
    if name == "workshop":
        assert all(record["outputs"][0] not in {"", " "} for record in records)
        return ["".join(record["outputs"][0] for record in records)]
    if name in {"chat", "lmi-chat", "completion"}:
        ended = 0
        for choice in (choice for record in records for choice in record["choices"]):
            delta = choice["text"] if name == "completion" else choice["delta"].get("content", "")
            texts[choice["index"]] += delta
            ended += choice["finish_reason"] is not None
        assert ended == count
        return texts
    last = records[-1]["generated_text"]
    assert last.endswith("".join(record["token"]["text"] for record in records))
    assert all(record.get("generated_text") is None for record in records[:-1])
    return [last]


def lines(name: str, data: bytes, count: int) -> list[str]:
    r"""JSON lines, cut at ``\n`` alone and, as some readers do, wherever ``str.splitlines`` does."""
    records = [json.loads(line) for line in data.split(b"\n") if line]
    assert not data or data.endswith(b"\n")
    assert records == [json.loads(line) for line in data.decode().splitlines()]
    return _records(name, records, count)


def events(name: str, data: bytes, count: int) -> list[str]:
    """Server-sent events, by the letter of the standard."""
    found: list[str] = []
    waiting: list[str] = []
    for line in re.split(r"\r\n|\r|\n", data.decode())[:-1]:
        if not line:
            found += ["\n".join(waiting)] if waiting else []
            waiting = []
        else:
            field, _, value = line.partition(":")
            assert field == "data", line
            waiting.append(value.removeprefix(" "))
    assert not waiting
    if name in {"chat", "completion"}:
        assert found.pop() == "[DONE]"
    return _records(name, [json.loads(event) for event in found], count)


READERS = {
    "application/json": _whole,
    "application/jsonlines": lines,
    "text/event-stream": events,
}


def frames(data: bytes, rng: Random) -> list[bytes]:
    """The parts of an event stream, by botocore's own reader, fed in pieces."""
    buffer, found, at = EventStreamBuffer(), [], 0
    while at < len(data):
        cut = at + rng.choice((1, 7, 100, 4096, len(data)))
        buffer.add_data(data[at:cut])
        at = cut
        for event in buffer:
            assert event.headers[":message-type"] == "event"
            assert event.headers[":event-type"] == "PayloadPart"
            found.append(event.payload)
    assert b"".join(found) or not data
    return found


def main(count: int, seed: int, tally: Tally) -> None:
    """The run from outside any loop."""
    asyncio.run(run(count, seed, tally))
