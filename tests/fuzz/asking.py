"""An endpoint without a socket, asked by bytes: every answer is checked for what holds of all answers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from starlette.types import Message, Scope

from puna import config
from puna.chat import Spine
from puna.engines.scripted import Answer, Scripted
from puna.server.app import Setup, create_app

ENDPOINT = "e"
HANGS = 10.0
"""Seconds after which an answer counts as one that never comes."""
SLOW = 3.0
"""Seconds that no input here may take, on a busy machine: the loop stands still for everybody meanwhile."""

Headers = Iterable[tuple[str, str]]

MEDIA = {
    "application/json", "application/jsonlines", "text/event-stream", "application/vnd.amazon.eventstream", "text/xml",
    "text/plain", "application/x-amz-json-1.1", "application/openmetrics-text",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """What came back. parts: the body as it was sent. request: for a person who wants to see it again."""

    request: str
    status: int
    headers: dict[str, str]
    parts: list[bytes]
    seconds: float

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    @property
    def media(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Tally:
    """What a run of inputs came to."""

    inputs: int = 0
    slowest: float = 0.0
    slowest_input: str = ""
    statuses: dict[int, int] = field(default_factory=dict)

    def add(self, asked: Asked) -> None:
        self.inputs += 1
        self.statuses[asked.status] = self.statuses.get(asked.status, 0) + 1
        if asked.seconds > self.slowest:
            self.slowest, self.slowest_input = asked.seconds, asked.request


class Endpoint:
    """The app of one dialect over a scripted engine."""

    def __init__(self, spine: Spine, tally: Tally, **setup: Any) -> None:
        self.tally = tally
        self.lines: list[str] = []
        self.app = create_app(spine, ENDPOINT, Setup(log=self.lines.append, **setup))
        self.service = self.app.state.service

    async def ask(
        self, method: str, path: bytes, body: bytes | list[bytes] = b"", headers: Headers = (), query: bytes = b""
    ) -> Asked:
        """One request. path: percent-encoded. body: perhaps in pieces.

        Raises:
            AssertionError: a server error, no answer, more than one, an unknown media type, a log that is not one line.
        """
        pieces = [body] if isinstance(body, bytes) else body
        whole = b"".join(pieces)
        shown = f"{method} {path!r} {dict(headers)} {whole[:400]!r}{'...' if len(whole) > 400 else ''}"
        sent: list[Message] = []
        self.lines.clear()
        began = time.perf_counter()
        async with asyncio.timeout(HANGS):
            await self.app(_scope(method, path, headers, query), _receiver(pieces), _collector(sent))
        asked = _asked(shown, sent, time.perf_counter() - began)
        self._check(asked)
        self.tally.add(asked)
        return asked

    def _check(self, asked: Asked) -> None:
        assert not any(line.startswith("unexpected") for line in self.lines), (asked.request, self.lines)
        assert 200 <= asked.status < 500, (asked.request, asked.status, asked.body[:2000])
        assert len(self.lines) == 1, (asked.request, self.lines)
        assert self.lines[0].isprintable(), (asked.request, self.lines)
        assert asked.seconds < SLOW, (asked.request, asked.seconds)
        assert "x-amzn-requestid" in asked.headers, asked.request
        if asked.body or asked.media:
            assert asked.media in MEDIA, (asked.request, asked.headers)
        assert self.service.running == 0, asked.request


def _scope(method: str, path: bytes, headers: Headers, query: bytes) -> Scope:
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": unquote(path.decode("latin-1")), "raw_path": path, "query_string": query, "root_path": "",
        "headers": [(b"host", b"puna"), *raw], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip


def _receiver(pieces: list[bytes]) -> Any:
    messages: list[Message] = [
        {"type": "http.request", "body": piece, "more_body": n < len(pieces) - 1} for n, piece in enumerate(pieces)
    ]

    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        await asyncio.Event().wait()  # a client that stays
        raise AssertionError

    return receive


def _collector(sent: list[Message]) -> Any:
    async def send(message: Message) -> None:
        sent.append(message)

    return send


def _asked(shown: str, sent: list[Message], seconds: float) -> Asked:
    """What an ASGI server would make of the messages, where they are as ASGI demands."""
    assert [message["type"] for message in sent] == ["http.response.start", *["http.response.body"] * (len(sent) - 1)]
    assert len(sent) > 1, shown
    assert [message.get("more_body", False) for message in sent[1:]] == [True] * (len(sent) - 2) + [False], shown
    found: dict[str, str] = {}
    for name, value in sent[0]["headers"]:
        assert not set(b"\r\n\0") & set(name + value), shown
        assert name.decode("latin-1") not in found, (shown, name)
        found[name.decode("latin-1")] = value.decode("latin-1")
    parts = [message.get("body", b"") for message in sent[1:]]
    if "content-length" in found:
        assert int(found["content-length"]) == sum(map(len, parts)), shown
    return Asked(shown, sent[0]["status"], found, [part for part in parts if part], seconds)


async def spine_of(answer: Answer) -> Spine:
    """A scripted engine that gives way between its words. answer: what it says."""
    wanted = config.settings({"engine": "scripted"}, environ={})
    return await config.spine_of(wanted, None, Scripted(answer, pace=lambda _: asyncio.sleep(0)))
