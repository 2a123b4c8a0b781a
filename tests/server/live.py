"""A real server in a thread, with a speaker that says and does what a test tells it."""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx
import uvicorn

from puna.dialog.prune import Dropped
from puna.engines.base import EngineInfo, Scored
from puna.generation import (
    Delta,
    Finish,
    Kind,
    Logprob,
    Prompt,
    Receipt,
    Sampling,
    Segment,
    Timing,
    Usage,
    Written,
)
from puna.server.app import Setup, create_app
from puna.server.invocations import Service
from puna.turn import Ask

ENDPOINT = "llama-2-7b"
WAIT = 10
"""Seconds after which a test gives up waiting for an event."""


class Hold:
    """In a script: say that this point is reached, then wait until the work is cancelled."""


Script = list[str | Exception | Hold]


PROMPT = Prompt((Segment(Kind.CONTENT, "a b"),), (1, 2))


@dataclass
class Turn:
    """A turn of the stand-in."""

    speaker: Speaker
    sampling: Sampling
    written: Written
    source: str | None
    format: str
    prompt: Prompt = PROMPT
    extra_stops: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    dropped: tuple[Dropped, ...] = ()

    def facts(self, *, prompts: bool) -> dict[str, object]:
        return {"sampling": self.sampling.as_json(), "told_prompts": prompts}

    def again(self, n: int) -> Turn:
        return replace(self, sampling=replace(self.sampling, seed=(self.sampling.seed or 0) + n))

    async def score(self, top: int) -> tuple[Scored, Receipt]:
        tokens = (None, Logprob(2, b" b", -0.5, (Logprob(2, b" b", -0.5),)[:top]))
        return Scored(tokens, Usage(2, 0, 0)), self._receipt(0)

    def answers(self, n: int) -> list[AsyncGenerator[Delta | Receipt, None]]:
        return [self.again(k).stream() for k in range(n)]

    async def stream(self) -> AsyncGenerator[Delta | Receipt, None]:
        said = 0
        try:
            for step in self.speaker.script:
                if isinstance(step, str):
                    said += 1
                    yield Delta(step, 1, (Logprob(said, step.encode(), -0.5),))
                else:
                    await self.speaker.do(step)
            yield self._receipt(said)
        finally:
            # An engine's cleanup waits, too: a cancellation that comes again and again would cut it short.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            self.speaker.cleaned.set()

    def _receipt(self, said: int) -> Receipt:
        return Receipt(
            written=self.written,
            source=self.source,
            format=self.format,
            sampling=self.sampling,
            defaulted=("top_k",),
            finish=Finish.STOP,
            usage=Usage(prompt=41, cached=0, output=said) if self.speaker.tells_usage else None,
            timing=Timing(),
            model=self.speaker.info.model,
            engine=self.speaker.info.build,
            prompt=self.prompt if self.speaker.remembers else None,
        )


class Speaker:
    """The stand-in. script: what every turn does. unprepared: what ``prepare`` does instead."""

    def __init__(self) -> None:
        self.info = EngineInfo("stand-in", "stand-in-1", 4096, 4)
        self.writes = "smollm2"
        self.reset()

    def reset(self) -> None:
        self.script: Script = ["Ein", " Lama", " frißt", "."]
        self.unprepared: Exception | Hold | None = None
        self.written = Written.TRANSLATED
        self.source: str | None = "llama2"
        self.format = "smollm2"
        self.tells_usage = True
        self.remembers = False
        self.asked: list[Ask] = []
        self.reached, self.cleaned = threading.Event(), threading.Event()

    async def prepare(self, ask: Ask) -> Turn:
        self.asked.append(ask)
        if self.unprepared is not None:
            try:
                await self.do(self.unprepared)
            finally:
                self.cleaned.set()
        return Turn(self, replace(ask.sampling, seed=7), self.written, self.source, self.format)

    async def encoded(self, ask: Ask) -> Prompt:
        self.asked.append(ask)
        return PROMPT

    async def spelled(self, ids: Sequence[int]) -> list[bytes]:
        return [{1: b"a", 2: b" b"}[token] for token in ids]

    async def do(self, step: Exception | Hold) -> None:
        if isinstance(step, Exception):
            raise step
        self.reached.set()
        await asyncio.Event().wait()


class Listening(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class Live:
    """The server, and what a test needs to talk to it."""

    def __init__(self, **setup: Any) -> None:
        self.speaker = Speaker()
        self.ready = True
        self.logged: list[str] = []
        self.lines: queue.Queue[str] = queue.Queue()
        self.restarts = 0
        how = Setup(
            log=self.lines.put, state=lambda: "ready" if self.ready else "restarting", restarts=lambda: self.restarts,
            **setup,
        )  # fmt: skip
        app = create_app(self.speaker, ENDPOINT, how)
        self.service: Service = app.state.service
        self._made = self.service.dialect, self.service.faults
        # By its protocol number asyncio knows that it may switch Nagle's delay off: 40 ms a request otherwise.
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        bound.bind(("127.0.0.1", 0))
        self.address = bound.getsockname()
        self.url = f"http://127.0.0.1:{self.address[1]}"
        self._server = Listening(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none", http="h11")
        )
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [bound]})
        self._thread.start()
        assert self._server.listening.wait(WAIT)
        self.http = httpx.Client(base_url=self.url, timeout=WAIT, trust_env=False)

    def close(self) -> None:
        self.http.close()
        self._server.should_exit = True
        self._thread.join(WAIT)
        assert not self._thread.is_alive()

    def reset(self) -> None:
        self.speaker.reset()
        self.service.dialect, self.service.faults = self._made
        self.ready = True
        self.logged.clear()
        while not self.lines.empty():
            self.lines.get()

    def log(self, answered: httpx.Response | str) -> list[str]:
        """What was logged of one request, by its answer or id; its line is the last, a moment after the answer."""
        request_id = answered if isinstance(answered, str) else answered.headers["x-amzn-requestid"]
        found: list[str] = []
        while not found or "\n" in found[-1]:
            entry = self._next()
            if f"id={request_id}" in entry:
                found.append(entry)
        return found

    def log_of_one_that_left(self) -> list[str]:
        """What was logged from the start of the test to the line of a request whose client left."""
        found: list[str] = []
        while not found or " client left " not in found[-1]:
            found.append(self._next())
        return found

    def _next(self) -> str:
        self.logged.append(self.lines.get(timeout=WAIT))
        return self.logged[-1]

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=WAIT)

    def raw(self, data: bytes) -> bytes:
        """Send bytes on a connection of their own; all that comes back."""
        with self.connect() as sock:
            sock.sendall(data)
            received = b""
            while chunk := sock.recv(65536):
                received += chunk
            return received
