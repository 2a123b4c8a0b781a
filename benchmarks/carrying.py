"""How many records does the endpoint itself carry, whatever the engine? Beside bare servers that send the same bytes.

Method: the scripted engine, which has its whole answer at once, behind puna; beside it a bare Starlette app (StreamingResponse) and
a bare ASGI function, which send the very chunks that puna sent, read off it beforehand. All run under puna's uvicorn
settings and event loop, each in a process of its own on one core. The client has another core: it writes requests to plain sockets and
counts bytes, which are checked. 1, 32 and 256 streams at a time (16 requests one after the other, 1 each, 1 each), rows in
turn, in an order that changes round by round. Two ways: *at once*, where nothing waits, so that one answer goes out before the next;
*one by one*, where every record waits for a turn of the event loop, as with a real engine, so that the streams take turns. records/s:
medians of the rounds. us: processor time of the server per record, user and system, all rounds. over Starlette: the median
of the rounds' ratios of records/s.

Run: python benchmarks/carrying.py [--rounds N] [--words N]. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import urlsplit

import psutil
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from puna.chat import Spine
from puna.engines.scripted import Scripted
from puna.formats import catalog
from puna.server.app import Setup, create_app
from puna.server.listen import address_of, bind, listening, run

STREAMS = {1: 16, 32: 1, 256: 1}
"""Streams at a time, and how many requests each makes."""

SERVERS = ("puna", "starlette", "asgi")
PACES = ("at once", "one by one")
TYPES = {"frames": "application/vnd.amazon.eventstream", "sse": "text/event-stream"}
PATHS = {"frames": "/endpoints/bench/invocations-response-stream", "sse": "/v1/chat/completions"}
HEAD = (b"content-type", b"x")

Chunks = dict[str, list[bytes]]


def text(words: int) -> str:
    """Words of 1 to 9 letters; some are not ASCII, as in life."""
    rng = Random(0)
    return " ".join("".join(rng.choices("abcdefghijklmnopqrstuvwxyzé", k=rng.randint(1, 9))) for _ in range(words))


def bodies(words: int) -> dict[str, bytes]:
    """What is asked."""
    asked = {"messages": [{"role": "user", "content": "Tell me a long story."}], "seed": 1}
    return {
        "frames": json.dumps({**asked, "max_tokens_to_sample": words}).encode(),
        "sse": json.dumps({**asked, "max_tokens": words, "stream": True}).encode(),
    }


async def _turn(_: int = 0) -> None:
    await asyncio.sleep(0)


def puna_app(words: int, pace: str) -> ASGIApp:
    """The endpoint, as ``puna serve`` makes it."""
    said = text(words)
    options: dict[str, Any] = {} if pace == "at once" else {"pace": _turn}
    engine = Scripted(lambda *_: said, context=2 * words + 1000, slots=max(STREAMS), **options)
    return create_app(Spine(engine, engine.info, catalog.get("chatml")), "bench", Setup())


def starlette_app(chunks: Chunks, pace: str) -> ASGIApp:
    """Nothing but Starlette."""

    async def records(kind: str) -> AsyncIterator[bytes]:
        for chunk in chunks[kind]:
            if pace != "at once":
                await _turn()
            yield chunk

    def route(kind: str) -> Route:
        async def answer(request: Request) -> StreamingResponse:
            await request.body()
            return StreamingResponse(records(kind), media_type=TYPES[kind])

        return Route(PATHS[kind], answer, methods=["POST"])

    return Starlette(routes=[route(kind) for kind in PATHS])


def asgi_app(chunks: Chunks, pace: str) -> ASGIApp:
    """Nothing at all."""
    kinds = {path: kind for kind, path in PATHS.items()}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        kind = kinds[scope["path"]]
        while (await receive()).get("more_body", False):
            pass
        headers = [(b"content-type", TYPES[kind].encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for chunk in chunks[kind]:
            if pace != "at once":
                await _turn()
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


async def serve(name: str, pace: str, core: int) -> None:
    """One server on its core, until stdin closes. Its first line of stdin tells the words, and the chunks of bare ones."""
    os.sched_setaffinity(0, {core})
    told = json.loads(sys.stdin.readline())
    chunks = {kind: [base64.b64decode(chunk) for chunk in values] for kind, values in told["chunks"].items()}
    made = {"starlette": starlette_app, "asgi": asgi_app}
    app = puna_app(told["words"], pace) if name == "puna" else made[name](chunks, pace)
    with bind("127.0.0.1", 0) as bound:
        async with listening(app, bound, print):
            print(address_of(bound), flush=True)
            await asyncio.to_thread(sys.stdin.read)


@contextmanager
def server(name: str, pace: str, core: int, words: int, chunks: Chunks) -> Iterator[tuple[str, int]]:
    """Its URL and its process."""
    told = {kind: [base64.b64encode(chunk).decode() for chunk in values] for kind, values in chunks.items()}
    command = [sys.executable, __file__, "--serve", name, pace, str(core)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"words": words, "chunks": told}) + "\n")
        process.stdin.flush()
        yield process.stdout.readline().strip(), process.pid
        process.stdin.close()


def chunks_of(url: str, words: int) -> Chunks:
    """What puna sends, chunk by chunk."""
    found: Chunks = {}
    parts = urlsplit(url)
    for kind, body in bodies(words).items():
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port)
        connection.request("POST", PATHS[kind], body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == http.HTTPStatus.OK, answer.read()
        found[kind] = list(iter(lambda: answer.read1(1 << 20), b""))  # noqa: B023
        connection.close()
    return found


class Reader(asyncio.Protocol):
    """Sends one request, counts what comes until the server closes the connection."""

    def __init__(self, request: bytes, done: asyncio.Future[int]) -> None:
        self.request = request
        self.done = done
        self.read = 0
        self.last = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        assert isinstance(transport, asyncio.WriteTransport) or hasattr(transport, "write")
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Count."""
        self.read += len(data)
        self.last = data

    def connection_lost(self, error: Exception | None) -> None:
        """All has come."""
        complete = error is None and self.last.endswith(b"0\r\n\r\n")
        self.done.set_result(self.read if complete else 0)


async def load(url: str, request: bytes, streams: int, times: int) -> tuple[float, set[int]]:
    """Seconds for all of it, and the sizes of the answers."""
    parts, loop = urlsplit(url), asyncio.get_running_loop()

    async def one() -> list[int]:
        sizes = []
        for _ in range(times):
            done: asyncio.Future[int] = loop.create_future()
            await loop.create_connection(lambda: Reader(request, done), str(parts.hostname), int(parts.port or 0))  # noqa: B023
            sizes.append(await done)
        return sizes

    began = time.perf_counter()
    sizes = await asyncio.gather(*[one() for _ in range(streams)])
    return time.perf_counter() - began, {size for several in sizes for size in several}


@dataclass
class Figures:
    """Of one row. cpu: seconds."""

    speeds: list[float] = field(default_factory=list)
    cpu: float = 0.0
    records: int = 0
    sizes: set[int] = field(default_factory=set)


Row = tuple[str, str, str]
"""Server, pace, kind of records."""


def measure(at: dict[tuple[str, str], tuple[str, int]], chunks: Chunks, rounds: int, words: int) -> dict[str, Any]:
    """All rows at each number of streams."""
    requests = {kind: request_of(kind, words) for kind in PATHS}
    rows: Sequence[Row] = [(name, pace, kind) for pace in PACES for kind in PATHS for name in SERVERS]
    found: dict[str, Any] = {}
    for streams in STREAMS:
        figures = {row: Figures() for row in rows}
        for n in range(rounds + 1):
            turned = [*rows[n % len(rows) :], *rows[: n % len(rows)]]
            for row in turned if n % 2 else reversed(turned):
                once(at[row[:2]], requests[row[2]], streams, len(chunks[row[2]]), figures[row] if n else Figures())
        for row, one in figures.items():
            size, bare = one.sizes, figures["starlette", row[1], row[2]]
            least = sum(len(chunk) for chunk in chunks[row[2]])
            assert len(size) == 1, f"{row}: answers of {size} bytes"
            assert min(size) > least, f"{row}: answers of {size} bytes, with {least} in records"
            ratio = statistics.median(a / b for a, b in zip(one.speeds, bare.speeds, strict=True))
            key = f"{row[1]}, {row[2]}, {row[0]}"
            found.setdefault(str(streams), {})[key] = {
                "records_per_s": round(statistics.median(one.speeds)),
                "over_starlette": round(ratio, 3),
                "us": round(1e6 * one.cpu / one.records, 2),
            }
            print(f"{streams:>3} streams  {key:<30} {found[str(streams)][key]}", flush=True)
    return found


def request_of(kind: str, words: int) -> bytes:
    """As it goes over the wire."""
    body = bodies(words)[kind]
    head = f"POST {PATHS[kind]} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def once(at: tuple[str, int], request: bytes, streams: int, records: int, figures: Figures) -> None:
    """One row, once. records: of an answer."""
    (url, pid), times = at, STREAMS[streams]
    before = psutil.Process(pid).cpu_times()
    took, sizes = run(load(url, request, streams, times))
    after = psutil.Process(pid).cpu_times()
    figures.speeds.append(streams * times * records / took)
    figures.cpu += after.user + after.system - before.user - before.system
    figures.records += streams * times * records
    figures.sizes |= sizes


def main() -> None:
    """Start, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--words", type=int, default=1000)
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        run(serve(args.serve[0], args.serve[1], int(args.serve[2])))
        return
    cores = sorted(os.sched_getaffinity(0))
    assert len(cores) > 1, "a core for the server and one for the client are needed"
    os.sched_setaffinity(0, {cores[1]})
    with ExitStack() as stack:
        at = {}
        chunks: Chunks = {}
        for name in SERVERS:
            for pace in PACES:
                at[name, pace] = stack.enter_context(server(name, pace, cores[0], args.words, chunks))
            chunks = chunks or chunks_of(at["puna", "one by one"][0], args.words)
        sizes = {kind: round(statistics.mean(map(len, values))) for kind, values in chunks.items()}
        print(
            f"bytes per record: {sizes}; records per answer: { {kind: len(values) for kind, values in chunks.items()} }"
        )
        found = measure(at, chunks, args.rounds, args.words)
    print(
        json.dumps(
            {
                "benchmark": "carrying",
                "rounds": args.rounds,
                "words": args.words,
                "cores": os.cpu_count(),
                "bytes": sizes,
                "streams": found,
            }
        )
    )


if __name__ == "__main__":
    main()
