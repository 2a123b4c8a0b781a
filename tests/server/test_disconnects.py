"""Hundreds of clients that leave at any moment, beside others that stay: nothing is left of the first, nothing happens to the second."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from puna import config
from puna.chat import Spine
from puna.engines.base import Event
from puna.engines.llamacpp import LlamaCpp
from puna.engines.scripted import WORDS, Scripted
from puna.formats.chatml import CHATML
from puna.formats.counting import PromptCounter
from puna.generation import NO_EXTRAS, Delta, Extras, Logprob, Prompt, Sampling
from puna.server.app import Setup, create_app
from puna.server.invocations import Service
from puna.server.listen import address_of, bind, listening, run

ROOT = Path(__file__).parents[2]
LEAVERS = 500
AT_ONCE = 24
STAYERS = 6
STEP = 0.001
"""Seconds between two words of the engine."""
SOON = 15.0
"""Seconds within which a place must be free, on a busy machine; an answer of a client that left would go on for ever."""

ON_MODEL = int(os.environ.get("PUNA_DISCONNECTS", "36"))
"""Clients that leave the real engine."""


class Endless(Scripted):
    """Says back what it was told, a word a step; where that has the word ``endless``, it goes on for ever.

    ended: when a stream ended, by the prompt's last word; began: the same of its first word.
    """

    def __init__(self) -> None:
        super().__init__(slots=4, queue=1000, pace=lambda _: asyncio.sleep(STEP))
        self.began: dict[str, float] = {}
        self.ended: dict[str, float] = {}

    async def stream(
        self, prompt: Prompt, sampling: Sampling, extras: Extras = NO_EXTRAS
    ) -> AsyncGenerator[Event, None]:
        text = prompt.text
        name = text.partition("endless ")[2].partition(";")[0]
        if not name:
            async with aclosing(super().stream(prompt, sampling, extras)) as events:
                async for event in events:
                    yield event
            return
        try:
            async with self.slots.slot():
                self.began.setdefault(name, time.monotonic())
                while True:
                    yield Delta(" on", 1, (Logprob(5, b" on", 0.0),) if extras.logprobs is not None else ())
                    await asyncio.sleep(STEP)
        finally:
            self.ended[name] = time.monotonic()


@dataclass
class Served:
    """A server in this loop. lines: of its log."""

    url: str
    engine: Endless
    service: Service
    lines: list[str]


@asynccontextmanager
async def serving(engine: Any, spine: Spine, lines: list[str]) -> AsyncIterator[Served]:
    app = create_app(spine, "e", Setup(log=lines.append, prompts=True, waiting=lambda: engine.waiting))
    with bind("127.0.0.1", 0) as bound:
        async with listening(app, bound, lines.append):
            yield Served(address_of(bound), engine, app.state.service, lines)


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 20) -> float:
    """Seconds until something holds."""
    began = time.monotonic()
    while True:
        found = condition()
        if found if isinstance(found, bool) else await found:
            return time.monotonic() - began
        assert time.monotonic() - began < seconds, "it never came to that"
        await asyncio.sleep(0.001)


# ---- those who leave

INVOKE, STREAM = "/endpoints/e/invocations", "/endpoints/e/invocations-response-stream"
CHAT, COMPLETION = "/v1/chat/completions", "/v1/completions"


def asking(rng: Random, told: str) -> tuple[str, dict[str, Any]]:
    """A request that somebody will not wait for: a route and a body."""
    said = [{"role": "user", "content": told}]
    return rng.choice((
        (INVOKE, {"prompt": told}),
        (STREAM, {"prompt": told}),
        (STREAM, {"inputs": told, "parameters": {"details": True}}),
        ("/invocations", {"messages": said, "max_tokens_to_sample": 9}),
        ("/invocations", {"messages": said, "stream": True}),
        (CHAT, {"messages": said, "n": 3, "stream": True}),
        (CHAT, {"messages": said, "n": 3}),
        ("/endpoints/e/openai/v1/chat/completions", {"messages": said, "stream": True, "stream_options": {"include_usage": True}}),
        (COMPLETION, {"prompt": [told, told], "n": 2, "stream": True}),
        (COMPLETION, {"prompt": told, "echo": True}),
    ))  # fmt: skip


def message_of(rng: Random, path: str, body: dict[str, Any]) -> bytes:
    """The request on the wire, perhaps chunked."""
    data = json.dumps(body).encode()
    if rng.random() < 0.3:
        half = len(data) // 2
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (data[:half], data[half:]))
        return f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + chunks + b"0\r\n\r\n"
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


async def connected(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    return await asyncio.open_connection(parts.hostname, parts.port)


def leave(rng: Random, writer: asyncio.StreamWriter) -> None:
    """In one of the ways in which connections end: closed, reset as by a killed process, or half closed first."""
    kind = rng.randrange(3)
    if kind == 0:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    elif kind == 1:
        writer.write_eof()
    writer.close()


async def leaver(served: Served, n: int, left: dict[str, float]) -> None:
    """One client that leaves: before its request is whole, before its turn, or in the middle of the answer."""
    rng = Random(n)
    path, body = asking(rng, f"endless {n}; please")
    message = message_of(rng, path, body)
    where = rng.choice(("before the end", "at once", "soon", "reading"))
    reader, writer = await connected(served.url)
    if where == "before the end":
        message = message[: rng.randrange(len(message) - 1)]
    writer.write(message)
    await writer.drain()
    if where == "soon":
        await asyncio.sleep(rng.random() * 0.03)
    elif where == "reading":
        streams = body.get("stream") or path == STREAM
        async with asyncio.timeout(20):
            await (reader.readexactly(rng.randrange(1, 2000)) if streams else asyncio.sleep(rng.random() * 0.1))
    leave(rng, writer)
    left[str(n)] = time.monotonic()


# ---- those who stay


@dataclass
class Stayer:
    """A client that wants its answers. answers: how many it had; receipts: their paths."""

    answers: int = 0
    receipts: list[str] = field(default_factory=list)


async def stayer(served: Served, number: int, over: asyncio.Event) -> Stayer:
    """Ask on and on, in several ways; every text must be the one that the engine says."""
    rng, found = Random(-number), Stayer()
    async with httpx.AsyncClient(base_url=served.url, timeout=60, trust_env=False) as http:
        while not over.is_set():
            told = f"stay {number} {found.answers} " + "".join(rng.choice("abc ") for _ in range(rng.randrange(40)))
            said = f"You said: {told}".strip()
            kind = rng.randrange(3)
            if kind == 0:
                body = {"messages": [{"role": "user", "content": told}], "max_tokens_to_sample": 99}
                answer = await http.post(INVOKE, json=body)
                got = [answer.json()["outputs"][0].strip()]
            else:
                more = {"messages": [{"role": "user", "content": told}], "stream": True, "n": kind}
                answer = await http.post(CHAT, json=more)
                got = [text.strip() for text in streamed(answer.text, kind)]
            assert answer.status_code == 200, answer.text
            assert got == [said] * len(got)
            found.answers += 1
            found.receipts.append(answer.headers["x-puna-receipt"])
            receipt = (await http.get(found.receipts[-1])).json()
            assert told.strip() in receipt["prompt"]["text"]
            assert receipt["finish"] == "stop"
            assert len(receipt.get("choices", [])) == max(0, kind - 1)
    return found


def streamed(text: str, count: int) -> list[str]:
    """The texts of a stream of chunks."""
    *events, done, _ = text.split("\n\n")
    assert done == "data: [DONE]"
    texts = [""] * count
    for event in events:
        for choice in json.loads(event.removeprefix("data: "))["choices"]:
            texts[choice["index"]] += choice["delta"].get("content", "")
    return texts


# ---- with the scripted engine


@dataclass(frozen=True)
class Held:
    """What this process holds."""

    tasks: int
    threads: int
    descriptors: int

    @classmethod
    def now(cls) -> Held:
        gc.collect()
        return cls(len(asyncio.all_tasks()), threading.active_count(), psutil.Process().num_fds())


async def hundreds(count: int) -> None:
    engine, lines = Endless(), list[str]()
    spine = Spine(engine, await engine.start(), CHATML, counter=lambda: PromptCounter(CHATML, WORDS))
    await spine.spelled([1])  # loads the vocabulary, in a thread that stays
    async with serving(engine, spine, lines) as served:
        async with httpx.AsyncClient(base_url=served.url, trust_env=False) as http:
            assert (await http.get("/ping")).status_code == 200
        await until(lambda: len(psutil.Process().net_connections()) == 1)  # the one that listens
        before = Held.now()
        over, left, gate = asyncio.Event(), dict[str, float](), asyncio.Semaphore(AT_ONCE)

        async def one(n: int) -> None:
            async with gate:
                await leaver(served, n, left)

        staying = [asyncio.create_task(stayer(served, n, over)) for n in range(STAYERS)]
        await asyncio.gather(*(one(n) for n in range(count)))
        over.set()
        stayed = await asyncio.gather(*staying)
        await until(lambda: not (engine.slots.busy or engine.slots.waiting or served.service.running), SOON)
        await until(lambda: Held.now() == before, 5)
    assert all(client.answers > 3 for client in stayed), stayed
    queued = set(engine.ended) - set(engine.began)
    early = count - len(engine.ended)
    assert min(len(engine.began), len(queued), early) > count // 20, "hardly anyone left there"
    assert set(engine.began) <= set(engine.ended)
    assert max(engine.ended[name] - left[name] for name in engine.ended) < SOON
    logged(lines, served, stayed)


def logged(lines: list[str], served: Served, stayed: list[Stayer]) -> None:
    """A line for each request: those who left are told from those who stayed, and so say their receipts."""
    assert not [line for line in lines if line.startswith("unexpected")]
    ids = {path.rpartition("/")[2] for client in stayed for path in client.receipts}
    for line in lines:
        if not line.startswith("POST"):
            continue
        name = line.rpartition("id=")[2]
        receipt = served.service.receipts.get(name)
        assert ("client left" in line) == (name not in ids), line
        if name not in ids and receipt is not None:
            assert receipt["status"] in {200, 499}
            assert "error" in receipt


def test_hundreds_who_leave_leave_nothing_behind_and_touch_nobody() -> None:
    # In a process of its own: descriptors and threads of other tests' servers come and go.
    code = "from tests.server.test_disconnects import LEAVERS, hundreds, run; run(hundreds(LEAVERS))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


# ---- with the real engine


async def busy(engine: LlamaCpp) -> int:
    """Slots that llama.cpp works on."""
    async with engine.http.get("/slots") as answered:
        return sum(slot["is_processing"] for slot in await answered.json())


STORY = "<s>[INST] Tell me a very long story about llama number {} and its way home. [/INST]"
LONG = "<s>[INST] {} " + "the llama walks on and on and " * 230 + "[/INST]"


async def one_leaves(url: str, engine: LlamaCpp, n: int) -> tuple[str, float]:
    """Where a client left, and the seconds until its place was free, in puna and in llama.cpp. One other client stays."""
    rng = Random(n)
    where, path = ("queue", "prefill", "decode")[n % 3], rng.choice((INVOKE, STREAM))
    body = {
        "prompt": (LONG if where == "prefill" else STORY).format(n),
        "max_tokens_to_sample": 400,
        "temperature": 1.0,
        "seed": n,
    }
    queued = None
    reader, writer = await connected(url)
    writer.write(message_of(rng, path, body))
    await until(lambda: engine.slots.busy == 2)
    if where == "queue":
        queued = (await connected(url))[1]
        queued.write(message_of(rng, path, body))
        await until(lambda: engine.slots.waiting == 1)
    elif where == "decode" and path == STREAM:
        await reader.readuntil(b"outputs")
    await asyncio.sleep(rng.random() * 0.1)
    leave(rng, queued or writer)
    if queued:
        seconds = await until(lambda: engine.slots.waiting == 0)
        leave(rng, writer)
        await until(lambda: engine.slots.busy < 2)
        return where, seconds

    async def free() -> bool:
        return engine.slots.busy < 2 and await busy(engine) < 2

    return where, await until(free)


async def on_the_model(count: int) -> dict[str, list[float]]:
    wanted = config.settings({"slots": 2, "context": 3000, "threads": 1, "batch_threads": 1})
    spine = await config.open_spine(wanted, config.find_model(wanted))
    engine: Any = spine.engine
    took: dict[str, list[float]] = {"queue": [], "prefill": [], "decode": []}
    try:
        async with serving(engine, spine, []) as served:
            over = asyncio.Event()
            staying = asyncio.create_task(same_answer(served.url, over))
            await until(lambda: engine.slots.busy == 1)
            for n in range(count):
                where, seconds = await one_leaves(served.url, engine, n)
                took[where].append(seconds)
                assert not staying.done(), staying.exception()
            over.set()
            assert await staying > 0
            await until(lambda: engine.slots.busy == 0 and served.service.running == 0)
            assert await busy(engine) == 0
    finally:
        await engine.close()
    return took


async def same_answer(url: str, over: asyncio.Event) -> int:
    """Ask the same thing with the same seed again and again; how many answers there were, all of one text."""
    body = {"prompt": STORY.format("zero"), "max_tokens_to_sample": 24, "temperature": 1.0, "seed": 5}
    texts = []
    async with httpx.AsyncClient(base_url=url, timeout=120, trust_env=False) as http:
        while not over.is_set():
            texts.append((await http.post(INVOKE, json=body)).json()["outputs"][0])
            assert texts[-1] == texts[0]
    return len(texts)


@pytest.mark.model
def test_who_leaves_the_real_engine_frees_its_place_and_changes_nobodys_answer(model_home: Path) -> None:
    took = run(on_the_model(ON_MODEL))
    figures = {
        where: {
            "clients": len(values),
            "median_ms": round(1000 * statistics.median(values), 1),
            "p99_ms": round(1000 * sorted(values)[int(0.99 * (len(values) - 1))], 1),
            "most_ms": round(1000 * max(values), 1),
        }
        for where, values in took.items()
    }
    print(json.dumps({"disconnects": ON_MODEL, **figures}))  # noqa: T201  # PUNA_DISCONNECTS=500 pytest -s
    assert max(map(max, took.values())) < 3
