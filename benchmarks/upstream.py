"""What does puna in front of another server cost? llama.cpp's own server, asked directly and through ``puna serve --engine openai``.

Method: one process with llama.cpp's server (8 slots, the default model), one with ``puna serve`` in front of it, both on loopback. Each
round asks both ways, in an order that changes round by round, with 1 and 8 streams at a time: the same questions, temperature 0, the
same number of tokens. Direct: llama.cpp's ``/v1/chat/completions``. puna, OpenAI: the same route of puna's, so that request and answer
are written alike. puna, frames: ``invocations-response-stream`` with a hand-written Llama 2 prompt, so that reading, rendering, token
ids and event-stream frames are in. A thread per stream reads chunks by http.client and keeps them with the time they came; they are
looked into when no clock runs. Every stream has a question of its own, so that no prompt is in the cache from another way.

First token: from before the connection to the first text. Per token: from there to the last text, by the texts between. Ratio: over
direct's of the same round, the mean of its streams: median and quartiles of the rounds. puna's own part: of the receipts (``spent``).
It is checked that all ways answer with the same text.
Run: python benchmarks/upstream.py [--rounds N] [--tokens N]. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import operator
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

from puna import config

SLOTS, CONTEXT, NAME = 8, 2048, "bench"
STREAMS = {1: 3, 8: 1}
"""Streams at a time, and how many of their rounds one round is: few tokens are soon made."""

_PIECE = re.compile(rb'"content": ?("(?:[^"\\]|\\.)+")|"outputs": \[("(?:[^"\\]|\\.)*")')


async def serve() -> None:
    """The process of llama.cpp's own server. Tells where it is, until stdin closes."""
    wanted = config.settings({"slots": SLOTS, "context": CONTEXT})
    spine = await config.open_spine(wanted, config.find_model(wanted))
    engine: Any = spine.engine
    print(json.dumps({"url": engine.address, "key": engine.http.headers["Authorization"]}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await engine.close()


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream, as it was read. records: when each came, and its bytes. receipt: where puna tells of it."""

    began: float
    records: Sequence[tuple[float, bytes]]
    receipt: str

    def texts(self) -> list[tuple[float, str]]:
        """Each piece of text, and when it came."""
        return [
            (at, json.loads(piece.group(1) or piece.group(2)))
            for at, data in self.records
            for piece in _PIECE.finditer(data)
        ]

    def times(self) -> tuple[float, float]:
        """Seconds to the first text, and from one text to the next."""
        found = self.texts()
        first, last = found[0][0], found[-1][0]
        return first - self.began, (last - first) / max(1, len(found) - 1)


@dataclass(frozen=True, slots=True)
class Way:
    """A row. body: of the n-th question and a number of tokens."""

    name: str
    url: str
    key: str
    body: Callable[[int, int], Mapping[str, object]]

    def ask(self, n: int, tokens: int) -> Stream:
        """One stream by http.client."""
        parts = urlsplit(self.url)
        data = json.dumps(self.body(n, tokens))
        began = time.perf_counter()
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port)
        connection.request("POST", parts.path, data, {"Content-Type": "application/json", "Authorization": self.key})
        answer = connection.getresponse()
        assert answer.status == http.HTTPStatus.OK, answer.read()
        records = []
        while chunk := answer.read1(1 << 16):
            records.append((time.perf_counter(), chunk))
        connection.close()
        return Stream(began, records, answer.headers.get("x-puna-receipt", ""))


def question(n: int) -> str:
    """Long enough for a prefill to be seen."""
    return f"Tell me a long story about llama number {n} in the mountains, her friends, the weather and the way home."


GREEDY = {"temperature": 0, "top_p": 1, "top_k": 0, "min_p": 0, "seed": 1}


def by_chat(n: int, tokens: int) -> dict[str, object]:
    """A chat of the OpenAI API."""
    return {"messages": [{"role": "user", "content": question(n)}], "max_tokens": tokens, "stream": True, **GREEDY}


def by_hand(n: int, tokens: int) -> dict[str, object]:
    """The workshop's body."""
    return {"prompt": f"<s>[INST] {question(n)} [/INST]", "max_tokens_to_sample": tokens, **GREEDY}


@contextmanager
def process(words: Sequence[str], **env: str) -> Iterator[str]:
    """A process that is there once it has said a line, until its stdin closes or it is told to end."""
    said = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, *words],
        stdin=said,
        stdout=said,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **env},
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        try:
            yield running.stdout.readline()
        finally:
            running.stdin.close()
            running.terminate()


@dataclass
class Figures:
    """Of one row at one number of streams: a value for each round."""

    first: list[float] = field(default_factory=list)
    each: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)

    def as_json(self, direct: Figures) -> dict[str, object]:
        """Times in ms; ratios over direct's of the same round as median and quartiles."""
        return {
            "first_token_ms": round(1000 * statistics.median(self.first), 2),
            "per_token_ms": round(1000 * statistics.median(self.each), 3),
            "first_token_ratio": _quartiles(list(map(operator.truediv, self.first, direct.first))),
            "per_token_ratio": _quartiles(list(map(operator.truediv, self.each, direct.each))),
            **({"own_ms": round(1000 * statistics.median(self.own), 2)} if self.own else {}),
        }


def _quartiles(values: Sequence[float]) -> list[float]:
    """Median, then the first and the third quartile."""
    first, median, third = statistics.quantiles(values, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return [round(value, 3) for value in (median, first, third)]


def once(way: Way, numbers: Sequence[int], tokens: int, figures: Figures) -> list[str]:
    """So many streams at a time; their texts."""
    with ThreadPoolExecutor(len(numbers)) as pool:
        streams = list(pool.map(way.ask, numbers, [tokens] * len(numbers)))
    firsts, gaps = zip(*(stream.times() for stream in streams), strict=True)
    figures.first.append(statistics.mean(firsts))
    figures.each.append(statistics.mean(gaps))
    for stream in streams:
        if stream.receipt:
            root = f"http://{urlsplit(way.url).netloc}"
            spent = json.loads(urlopen(root + stream.receipt).read())["spent"]
            figures.own.append(spent["puna"] + spent["prepare"])
    return ["".join(text for _, text in stream.texts()).strip() for stream in streams]


def compare(ways: Sequence[Way], rounds: int, tokens: int) -> dict[str, Any]:
    """All rows at each number of streams."""
    found: dict[str, Any] = {}
    number = 0
    for streams, times in STREAMS.items():
        figures = {way.name: Figures() for way in ways}
        for n in range(-1, times * rounds):
            turned = [*ways[n % len(ways) :], *ways[: n % len(ways)]]
            texts = []
            for way in turned if n % 2 else reversed(turned):
                # Its own questions: a prompt that another way has asked would be in the cache.
                kept = figures[way.name] if n >= 0 else Figures()  # the first round warms up
                numbers = [number := number + 1 for _ in range(streams)]
                texts.append(once(way, numbers, tokens, kept))
        rows = found[str(streams)] = {name: one.as_json(figures[ways[0].name]) for name, one in figures.items()}
        print(f"\n{streams} streams, {times * rounds} rounds of {tokens} tokens each")
        print("\n".join(f"{name:<14}{row}" for name, row in rows.items()), flush=True)
    return found


def same_texts(ways: Sequence[Way], tokens: int) -> None:
    """All ways answer alike: else they are not the same work."""
    texts = {once(way, [0], tokens, Figures())[0] for way in ways}
    assert len(texts) == 1, f"other texts than the server's own: {texts}"


def main() -> None:
    """Start, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        asyncio.run(serve())
        return
    with process([__file__, "--serve"]) as told:
        at = json.loads(told)
        words = [
            "-m",
            "puna.cli",
            "serve",
            "--engine",
            "openai",
            "--upstream",
            f"{at['url']}/v1",
            "--port",
            "0",
            "--name",
            NAME,
        ]
        key = at["key"].removeprefix("Bearer ")
        with process(words, PUNA_UPSTREAM_KEY=key) as ready:
            url = ready.split()[1]
            ways = [
                Way("direct", f"{at['url']}/v1/chat/completions", at["key"], by_chat),
                Way("puna, OpenAI", f"{url}/v1/chat/completions", "", by_chat),
                Way("puna, frames", f"{url}/endpoints/{NAME}/invocations-response-stream", "", by_hand),
            ]
            same_texts(ways, args.tokens)
            found = compare(ways, args.rounds, args.tokens)
    facts = {"benchmark": "upstream", "rounds": args.rounds, "tokens": args.tokens, "cores": os.cpu_count()}
    print(json.dumps({**facts, "streams": found}))


if __name__ == "__main__":
    main()
