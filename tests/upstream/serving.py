"""Endpoints as ``puna serve`` has them, and servers to stand in front of, all in the test's own event loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import boto3
import httpx
import openai
from botocore.config import Config

from puna import config
from puna.chat import Spine
from puna.endpoint import Endpoint, Guards, put_together
from puna.engines.base import Engine
from puna.formats import catalog
from puna.formats.counting import PromptCounter
from puna.playground.web import add_to
from puna.server.app import Setup, create_app
from puna.server.invocations import Service
from puna.server.listen import address_of, bind, listening

T = TypeVar("T")

WAIT = 20
"""Seconds after which a test gives up waiting."""

ENDPOINT = "llama-2-7b"
MODEL = "acme/llama-7b"
CHAT = "/v1/chat/completions"
WHOLE = f"/endpoints/{ENDPOINT}/invocations"
STREAMED = f"{WHOLE}-response-stream"


@dataclass
class Front:
    """An endpoint that answers, and what a test needs of it."""

    url: str
    service: Service
    http: httpx.AsyncClient
    logged: list[str] = field(default_factory=list)

    async def receipt(self, answer: httpx.Response | str) -> dict[str, Any]:
        """The receipt of an answer, or at a path."""
        path = answer if isinstance(answer, str) else answer.headers["x-puna-receipt"]
        return dict((await self.http.get(path)).json())

    async def by_boto3(self, work: Callable[[Any], T]) -> T:
        """What ``work`` does with boto3's client, in a thread."""
        client = boto3.client(
            "sagemaker-runtime", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id="AKID",
            aws_secret_access_key="secret", config=Config(retries={"total_max_attempts": 1}, proxies={}),
        )  # fmt: skip
        try:
            return await asyncio.to_thread(work, client)
        finally:
            client.close()

    async def by_openai(self, work: Callable[[openai.OpenAI], T], *, retries: int = 0) -> T:
        """What ``work`` does with OpenAI's client, in a thread."""

        def inside() -> T:
            with openai.OpenAI(base_url=f"{self.url}/v1", api_key="any", max_retries=retries, timeout=WAIT) as client:
                return work(client)

        return await asyncio.to_thread(inside)


@asynccontextmanager
async def served(made: Endpoint, logged: list[str]) -> AsyncIterator[Front]:
    """An endpoint on a port of its own, loaded."""
    with bind("127.0.0.1", 0) as bound:
        url = address_of(bound)
        async with listening(made.app, bound, logged.append), client_of(url) as http:
            try:
                await made.load()
                yield Front(url, made.service, http, logged)
            finally:
                await made.engine.close()


@asynccontextmanager
async def puna(**flags: Any) -> AsyncIterator[Front]:
    """``puna serve`` with these options."""
    wanted = config.settings(
        {"threads": 1, "batch_threads": 1, "slots": 2, "context": 2048, **flags}
        if flags.get("engine") is None
        else flags
    )
    logged: list[str] = []
    made = put_together(wanted, config.find_model(wanted), Guards.of(wanted), logged.append, logged.append)
    async with served(made, logged) as front:
        yield front


@asynccontextmanager
async def in_front_of(url: str, engine: str = "openai", **flags: Any) -> AsyncIterator[Front]:
    """``puna serve --engine openai --upstream URL``."""
    path = "/v1" if engine == "openai" and not url.endswith("/v1") else ""
    async with puna(engine=engine, upstream=url + path, **flags) as front:
        yield front


@asynccontextmanager
async def over(engine: Engine, home: Any, *, family: str | None = "chatml") -> AsyncIterator[Front]:
    """An endpoint with its page over an engine of the test's own. family: of the format; None for one that takes messages."""
    info = await engine.start()
    form = None if family is None else catalog.get(family)
    counter = None if form is None else (lambda: PromptCounter(form, words()))
    spine = Spine(engine, info, form, counter=counter)
    app = create_app(spine, ENDPOINT, Setup(state=lambda: engine.state, reach=getattr(engine, "reachable", None)))
    add_to(app, spine, home / "sessions")
    with bind("127.0.0.1", 0) as bound:
        async with listening(app, bound, print), client_of(address_of(bound)) as http:
            try:
                yield Front(address_of(bound), app.state.service, http)
            finally:
                await engine.close()


def words() -> Any:
    """The vocabulary of the scripted engine."""
    from puna.engines.scripted import WORDS

    return WORDS


def client_of(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=WAIT, trust_env=False)


def chunk(text: str | None = None, **more: object) -> dict[str, object]:
    """A chunk of a chat."""
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": None, **more}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": MODEL, "choices": [choice]}


LISTED = {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "acme"}]}
USAGE = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}}
TOLD = [chunk("Ein"), chunk(" Lama"), chunk(finish_reason="stop"), {**USAGE, "id": "chatcmpl-1", "model": MODEL}]


@dataclass
class Asked:
    """One request that a server got."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    writer: asyncio.StreamWriter


class Messages:
    """A server of the OpenAI API that takes messages only, knows no tokens, and answers as a test tells it.

    status, refusal, headers: what every chat is refused with, where status is not 200. script: the stream's chunks; an event among
    them is waited for. left: set when a client's connection has gone while an answer was written. once: connections are kept open
    after an answer, and end without a word when they are used again; cut: how many did.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.status = 200
        self.refusal: object = {"error": {"message": "not now"}}
        self.headers: dict[str, str] = {}
        self.script: list[object] = list(TOLD)
        self.done = True
        self.left = asyncio.Event()
        self.once = False
        self.cut = 0
        self.port = 0
        self._listening: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Its address, without /v1."""
        return f"http://127.0.0.1:{self.port}"

    async def listen(self) -> None:
        """Be there, after a stop at the same address."""
        if self._listening is not None:
            return
        self._listening = await asyncio.start_server(self.handle, "127.0.0.1", self.port)
        self.port = self._listening.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Be there no more."""
        if self._listening is not None:
            self._listening.close()
            await self._listening.wait_closed()
            self._listening = None

    @property
    def chats(self) -> list[Asked]:
        """The chats among what was asked."""
        return [one for one in self.asked if one.path.endswith("/chat/completions")]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await self._read(reader, writer)
            if not self.once:
                await self._answer(asked, reader)
            elif asked.path != CHAT:
                await self._whole(asked, 200, LISTED)
            else:
                await self._chunked(asked)
                await reader.readuntil(b"\r\n\r\n")
                self.cut += 1
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Asked:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = lines[0].split()
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)
        }
        data = await reader.readexactly(int(headers.get("content-length", 0)))
        self.asked.append(Asked(method, path, headers, json.loads(data) if data else None, writer))
        return self.asked[-1]

    async def _answer(self, asked: Asked, reader: asyncio.StreamReader) -> None:
        if asked.path == "/v1/models":
            return await self._whole(asked, 200, LISTED)
        if asked.path != CHAT:
            return await self._whole(asked, 404, {"error": {"message": "no such route"}})
        if self.status != 200:
            return await self._whole(asked, self.status, self.refusal)
        gone = asyncio.ensure_future(reader.read(1))
        telling = asyncio.ensure_future(self._stream(asked))
        await asyncio.wait({gone, telling}, return_when=asyncio.FIRST_COMPLETED)
        if not telling.done():
            self.left.set()
        for task in (gone, telling):
            task.cancel()
        await asyncio.gather(gone, telling, return_exceptions=True)
        return None

    async def _whole(self, asked: Asked, status: int, value: object) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        media = "text/html" if isinstance(value, bytes) else "application/json"
        more = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {media}\r\nContent-Length: {len(data)}\r\n{more}Connection: close\r\n\r\n"
        asked.writer.write(head.encode() + data)
        await asked.writer.drain()

    async def _chunked(self, asked: Asked) -> None:
        """The stream so that its connection may be used again."""
        data = b"".join(b"data: " + json.dumps(part).encode() + b"\n\n" for part in self.script) + b"data: [DONE]\n\n"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {len(data)}\r\n\r\n"
        asked.writer.write(head.encode() + data)
        await asked.writer.drain()

    async def _stream(self, asked: Asked) -> None:
        writer = asked.writer
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for part in self.script:
            if isinstance(part, asyncio.Event):
                await part.wait()
            else:
                writer.write(b"data: " + json.dumps(part).encode() + b"\n\n")
                await writer.drain()
        if self.done:
            writer.write(b"data: [DONE]\n\n")
        await writer.drain()


@asynccontextmanager
async def messages_server() -> AsyncIterator[Messages]:
    """A server of messages, and its address."""
    server = Messages()
    await server.listen()
    try:
        yield server
    finally:
        await server.stop()
