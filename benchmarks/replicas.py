"""What do replicas on Ray Serve cost against one process, and how fast is one, for the capacity model?

Rows. one process: ``puna serve``. replica: one replica behind Ray's proxy (``puna serve --replicas`` with one). without front: the
same, and Ray's proxy does not know puna (no key, no errors in the protocol's words), which tells what that costs.

Overhead, with the scripted engine, which answers at once, so that nothing but the way is measured. request: seconds of a whole
answer of one word. token: seconds that each further word of a streamed answer takes, from the difference of a long and a short one.
All servers run side by side, and the rows take turns request by request; median of the rounds, alone and 8 at a time.

Speed, with the embedded engine: tokens/s of all streams together, at several numbers of streams, in one process and in one replica,
which take turns; time to the first text. The model of ``puna.deploy.capacity`` is fitted to the fewest and the most streams of the
replica, and its error told at the others. prefill: seconds per token of a prompt that is not cached.

People: threads that ask, read and think (exponentially) at the replica for a while; answers per second and seconds per answer
against what the model expects of the fitted speed.
Run: python benchmarks/replicas.py [--rounds N] [--tokens N] [--seconds N]. The last line is JSON.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from puna.deploy.capacity import Speed, Use, expected, fitted, worst_error

ENDPOINT, SLOTS, CONTEXT = "bench", 4, 2048
WORDS, AT_A_TIME = 400, (1, 8)
STREAMS = (1, 2, 3, 4)
STORY = "Write a very long story about llama number {n}, a mountain and the sea. Never stop."
"""Greedy, the default model's answers have more tokens than are asked for."""

_ONE = "import sys; from puna.cli import main; sys.exit(main(['serve']))"
_REPLICAS = "import sys; from puna import config, deploy; sys.exit(deploy.run(config.settings({})))"


@contextmanager
def server(program: str, engine: str, **more: str) -> Iterator[str]:
    """A server of its own process; gives its address."""
    # Ray's sockets lie below the temporary folder, and their paths may have 107 bytes.
    folder = tempfile.mkdtemp(prefix="rb-")
    environ = {
        **os.environ, "PUNA_ENGINE": engine, "PUNA_PORT": "0", "PUNA_NAME": ENDPOINT, "PUNA_SLOTS": str(SLOTS), "PUNA_CONTEXT":
        str(CONTEXT), "PUNA_INVOCATION_SECONDS": "0", "TMPDIR": folder, **more,
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready "), line
        yield line.split()[1]
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Took:
    """One answer. first: seconds to its first text; seconds: to its end; tokens: by its usage."""

    first: float
    seconds: float
    tokens: int


def ask(url: str, said: str, tokens: int, *, stream: bool) -> Took:
    """One answer, on a connection of its own."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)
    body: dict[str, Any] = {
        "model": ENDPOINT, "max_tokens": tokens, "temperature": 0, "messages": [{"role": "user", "content": said}]
    }  # fmt: skip
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    began = time.monotonic()
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    first, last = 0.0, b""
    while line := answer.readline() if stream else answer.read():
        if line.startswith(b"data: {"):
            first = first or time.monotonic() - began
            last = line
        elif not stream:
            last = b"data: " + line
    took = time.monotonic() - began
    connection.close()
    return Took(first, took, json.loads(last[6:])["usage"]["completion_tokens"])


def together(url: str, count: int, tokens: int, words: int = 0, *, stream: bool = True) -> tuple[float, list[Took]]:
    """So many at a time; seconds of all, and each. words: of what the scripted engine says back, 0 for a story."""
    said = [" ".join(["word"] * words) if words else STORY.format(n=random.randrange(10**6)) for _ in range(count)]
    with ThreadPoolExecutor(count) as pool:
        began = time.monotonic()
        found = list(pool.map(lambda text: ask(url, text, tokens, stream=stream), said))
        return time.monotonic() - began, found


def overhead(rows: Mapping[str, str], rounds: int) -> dict[str, Any]:
    """Seconds per request and per token of each row, and what each has more than the first."""
    told: dict[str, Any] = {}
    for count in AT_A_TIME:
        taken: dict[str, dict[str, list[float]]] = {name: {"request": [], "token": []} for name in rows}
        for _ in range(rounds):
            for name in random.sample(list(rows), len(rows)):
                whole, _ = together(rows[name], count, 1, 1, stream=False)
                short, _ = together(rows[name], count, 10, WORDS)
                long_, found = together(rows[name], count, WORDS, WORDS)
                made = sum(one.tokens for one in found) - 10 * count
                taken[name]["request"].append(whole / count)
                taken[name]["token"].append((long_ - short) / made)
        middle = {
            name: {kind: statistics.median(values) for kind, values in kinds.items()} for name, kinds in taken.items()
        }
        told[str(count)] = middle
        base = middle[next(iter(rows))]
        for name, kinds in middle.items():
            print(
                f"  {count} at a time, {name}: {kinds['request'] * 1e3:.2f} ms a request, {kinds['token'] * 1e6:.0f} us a token; "
                f"more than one process: {(kinds['request'] - base['request']) * 1e3:+.2f} ms, "
                f"{(kinds['token'] - base['token']) * 1e6:+.0f} us"
            )
    return told


def speeds(rows: Mapping[str, str], rounds: int, tokens: int) -> dict[str, dict[int, dict[str, float]]]:
    """Tokens per second of all streams together, and the median time to the first text."""
    taken: dict[str, dict[int, list[tuple[float, float]]]] = {name: {n: [] for n in STREAMS} for name in rows}
    for _ in range(rounds):
        for count in random.sample(STREAMS, len(STREAMS)):
            for name in random.sample(list(rows), len(rows)):
                seconds, found = together(rows[name], count, tokens)
                rate = sum(one.tokens for one in found) / seconds
                taken[name][count].append((rate, statistics.median(one.first for one in found)))
    told = {
        name: {
            count: {
                "tokens_per_second": statistics.median(r for r, _ in pairs),
                "first": statistics.median(f for _, f in pairs),
            }
            for count, pairs in points.items()
        }
        for name, points in taken.items()
    }
    for name, points in told.items():
        print(
            f"  {name}: "
            + ", ".join(f"{n} streams {point['tokens_per_second']:.1f} tokens/s" for n, point in points.items())
        )
    return told


def prefill(url: str) -> float:
    """Seconds per token of a prompt that is not cached, the median of three."""
    taken: list[float] = []
    for _ in range(3):
        said = " ".join(str(random.randrange(10**6)) for _ in range(150))
        empty = ask(url, f"{random.randrange(10**6)}", 1, stream=False).seconds
        began = time.monotonic()
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
        body = {"model": ENDPOINT, "max_tokens": 1, "temperature": 0, "messages": [{"role": "user", "content": said}]}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        usage = json.loads(connection.getresponse().read())["usage"]
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        taken.append(max(time.monotonic() - began - empty, 1e-6) / (usage["prompt_tokens"] - cached))
    return statistics.median(taken)


def people(url: str, users: int, use: Use, seconds: float) -> tuple[float, float]:
    """Answers per second, and seconds of an answer, of people who ask and think for so long."""
    stop, took = threading.Event(), []

    def one(n: int) -> None:
        rng = random.Random(n)
        while not stop.wait(rng.expovariate(1 / use.think)):
            took.append(ask(url, STORY.format(n=rng.randrange(10**6)), int(use.output), stream=True).seconds)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(users)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    return len(took) / (time.monotonic() - began), statistics.fmean(took) if took else 0.0


def checked(speed: Speed, url: str, seconds: float, tokens: int) -> list[dict[str, float]]:
    """The model's expectation against people."""
    use, told = Use(think=3.0, prompt=8, output=tokens), []
    for users in (2, 6, 12):
        answers, took = people(url, users, use, seconds)
        hoped = expected(speed, use, users)
        print(
            f"  {users} people: {answers:.2f} answers/s of {took:.2f} s; expected {hoped.answers:.2f} of {hoped.seconds:.2f} s"
        )
        told.append(
            {"users": users, "answers": answers, "seconds": took, "expected_answers": hoped.answers,
             "expected_seconds": hoped.seconds}
        )  # fmt: skip
    return told


def fit(points: Mapping[int, Mapping[str, float]], cost: float) -> tuple[Speed, float, Sequence[tuple[int, float]]]:
    """The speed by the fewest and the most streams, and the largest error at the numbers between."""
    rates = [(count, point["tokens_per_second"]) for count, point in points.items()]
    speed = fitted([rates[0], rates[-1]], cost, SLOTS)
    return speed, worst_error(speed, rates[1:-1]), rates


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--seconds", type=float, default=60)
    wanted = parser.parse_args()
    random.seed(7)
    ways: dict[str, tuple[str, dict[str, str]]] = {"one process": (_ONE, {}), "replica": (_REPLICAS, {})}
    bare = {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": ""}
    with ExitStack() as stack:
        rows = {
            name: stack.enter_context(server(program, "scripted", **more))
            for name, (program, more) in {**ways, "without front": (_REPLICAS, bare)}.items()
        }
        print("overhead, scripted engine")
        over = overhead(rows, wanted.rounds)
    with ExitStack() as stack:
        rows = {
            name: stack.enter_context(server(program, "llamacpp", **more)) for name, (program, more) in ways.items()
        }
        print(f"speed, embedded engine, {SLOTS} slots")
        fast = speeds(rows, max(1, wanted.rounds // 3), wanted.tokens)
        cost = prefill(rows["replica"])
        speed, missed, _ = fit(fast["replica"], cost)
        print(
            f"  model: a step takes {speed.base * 1e3:.1f} ms + {speed.each * 1e3:.1f} ms a stream; largest error {missed:.1%}"
        )
        crowd = checked(speed, rows["replica"], wanted.seconds, wanted.tokens)
    print(json.dumps({"overhead": over, "speed": fast, "model": asdict(speed), "model_error": missed, "people": crowd}))


if __name__ == "__main__":
    main()
