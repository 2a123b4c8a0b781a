"""What does the endpoint cost? One run of puna against the engine called directly and against two other servers.

Rows. direct: llama.cpp's own ``/completion``, prompts as token ids, which is the raw engine. llama.cpp server: its own
``/v1/chat/completions``. puna, frames: invocations-response-stream, prompts as hand-written Llama 2 text, so that parsing,
rendering, tokenising and framing are in; boto3: the same, read by boto3. puna, OpenAI: ``/v1/chat/completions``.
llama-cpp-python, where an interpreter that has it is named: its server's ``/v1/chat/completions``.

Method: one engine process of 8 slots, with puna in front of it in a process of its own; llama-cpp-python as one more process with
the same file, threads and GOMP_SPINCOUNT, idle while others run. The same prompts and seeds go all ways in turn, in an order that
changes round by round, with 1, 8 and 32 streams at a time. The client is the same for all but boto3: a thread per stream that reads
chunks by http.client, keeps them with the time they came, and looks into them when no clock runs. Ratio: tokens/s over direct's of
the same round: median and quartiles of the rounds. First token: from before the connection to the first text, the median of all
streams. p99: of the times between two texts of a stream. CPU: of each process, user and system. It is checked that the rows
on puna's engine answer with the same text.

Then a chat of ten turns through boto3, alone and 8 such at a time: what the engine evaluates at each turn, by the receipts.
Run: python benchmarks/endpoint.py [--rounds N] [--tokens N] [--llama-cpp-python PYTHON]. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import itertools
import json
import math
import operator
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import boto3
import psutil
from botocore.config import Config

from puna import config
from puna.engines.process import SPIN_COUNT
from puna.server.app import create_app
from puna.server.listen import address_of, bind, listening, run
from puna.turn import Ask

SLOTS, CONTEXT, ENDPOINT, TARGETS = 8, 2048, "bench", {1: 0.97, 8: 0.95}
STREAMS = {1: 4, 8: 3, 32: 1}
"""Streams at a time, and how many of their rounds one round is: few tokens are soon made."""

QUESTIONS = [f"Tell me a long story about llama number {n} in the mountains." for n in range(max(STREAMS))]
PROMPTS = [f"<s>[INST] {question} [/INST]" for question in QUESTIONS]

_TEXT = re.compile(rb'"content": ?"(?!")|"outputs"')
"""A record with text in it: the first chunk of OpenAI's names the role, the last ones tell the end and the usage."""


async def serve() -> None:
    """The process that is measured: puna in front of a new engine. Tells where both are, until stdin closes."""
    wanted = config.settings({"slots": SLOTS, "context": CONTEXT, "port": 0})
    model = config.find_model(wanted)
    spine = await config.open_spine(wanted, model)
    assert model is not None
    engine: Any = spine.engine
    ids = [(await spine.prepare(Ask(prompt))).prompt.ids for prompt in PROMPTS]
    with bind("127.0.0.1", 0) as bound:
        async with listening(create_app(spine, ENDPOINT), bound, print):
            told = {
                "url": address_of(bound), "engine": engine.address, "key": engine.http.headers["Authorization"], "ids": ids,
                "pid": os.getpid(), "engine_pid": engine.worker.pid, "model": str(model.path),
                "threads": engine.settings.threads, "batch_threads": engine.settings.batch_threads,
            }  # fmt: skip
            print(json.dumps(told), flush=True)
            await asyncio.to_thread(sys.stdin.read)
            await engine.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """One stream, as it was read. records: when each came, and its bytes. made: its tokens, asked when no clock runs."""

    began: float
    records: Sequence[tuple[float, bytes]]
    made: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Way:
    """A row. pids: processes that serve it, the server's own first."""

    name: str
    ask: Callable[[int, int], Answer]
    pids: tuple[int, ...]


def read(url: str, body: Mapping[str, object], made: Callable[..., int], key: str = "") -> Answer:
    """One stream by http.client. made: from the body and the headers of the answer."""
    parts = urlsplit(url)
    data = json.dumps(body)
    began = time.perf_counter()
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port)
    connection.request("POST", parts.path, data, {"Content-Type": "application/json", "Authorization": key})
    answer = connection.getresponse()
    assert answer.status == http.HTTPStatus.OK, answer.read()
    records = []
    while chunk := answer.read1(1 << 16):
        records.append((time.perf_counter(), chunk))
    connection.close()
    return Answer(began, records, lambda: made(b"".join(data for _, data in records), answer.headers))


def sampling(n: int) -> dict[str, object]:
    """The same for every row."""
    return {"temperature": 1.0, "top_p": 0.9, "top_k": 50, "min_p": 0.0, "seed": n}


SAMPLERS = {"samplers": ["temperature", "top_k", "top_p", "min_p"]}
"""llama.cpp's own order is another, and has more in it."""


def direct(at: Mapping[str, Any]) -> Way:
    """llama.cpp's own native route."""

    def ask(n: int, tokens: int) -> Answer:
        body = {
            "prompt": at["ids"][n], "n_predict": tokens, "stream": True, "return_tokens": True, **sampling(n), **SAMPLERS,
        }  # fmt: skip
        return read(at["engine"] + "/completion", body, lambda told, _: _last("tokens_predicted", told), at["key"])

    return Way("direct", ask, (at["engine_pid"],))


def openai(name: str, url: str, pids: tuple[int, ...], key: str = "", **extra: object) -> Way:
    """A server's chat route of OpenAI's API."""

    def ask(n: int, tokens: int) -> Answer:
        body = {
            "messages": [{"role": "user", "content": QUESTIONS[n]}], "max_tokens": tokens, "stream": True,
            "stream_options": {"include_usage": True}, **sampling(n), **extra,
        }  # fmt: skip

        def made(told: bytes, _: object) -> int:
            if b"completion_tokens" in told:
                return _last("completion_tokens", told)
            # llama-cpp-python tells none; a token that ends the answer has no text.
            return tokens if b'"finish_reason": "length"' in told else len(_TEXT.findall(told)) + 1

        return read(url + "/v1/chat/completions", body, made, key)

    return Way(name, ask, pids)


def frames(at: Mapping[str, Any]) -> Way:
    """The AWS route, read by a client that is as light as the others'."""
    url = f"{at['url']}/endpoints/{ENDPOINT}/invocations-response-stream"

    def ask(n: int, tokens: int) -> Answer:
        body = {"prompt": PROMPTS[n], "max_tokens_to_sample": tokens, **sampling(n)}
        return read(url, body, lambda _, headers: receipt(at, headers["x-puna-receipt"])["output"])

    return Way("puna, frames", ask, (at["pid"], at["engine_pid"]))


def receipt(at: Mapping[str, Any], path: str) -> dict[str, int]:
    """What an answer cost, in tokens."""
    found: dict[str, int] = json.loads(urlopen(at["url"] + path).read())["usage"]
    return found


def invoke(client: Any, body: Mapping[str, object]) -> tuple[list[tuple[float, bytes]], str]:
    """A streamed answer's records by boto3, and where its receipt is."""
    answer = client.invoke_endpoint_with_response_stream(EndpointName=ENDPOINT, Body=json.dumps(body))
    records = [(time.perf_counter(), event["PayloadPart"]["Bytes"]) for event in answer["Body"]]
    return records, answer["ResponseMetadata"]["HTTPHeaders"]["x-puna-receipt"]


def through_boto3(at: Mapping[str, Any], client: Any) -> Way:
    """The same, as any AWS program calls it."""

    def ask(n: int, tokens: int) -> Answer:
        body = {"prompt": PROMPTS[n], "max_tokens_to_sample": tokens, **sampling(n)}
        began = time.perf_counter()
        records, path = invoke(client, body)
        return Answer(began, records, lambda: receipt(at, path)["output"])

    return Way("puna, boto3", ask, (at["pid"], at["engine_pid"]))


def _last(name: str, told: bytes) -> int:
    return int(re.findall(rb'"%s": ?(\d+)' % name.encode(), told)[-1])


def text_of(answer: Answer) -> str:
    """What was answered, whatever it came in."""
    told = b"".join(chunk for _, chunk in answer.records)
    pieces = re.findall(rb'(?:"content": ?|"outputs": \[)("(?:[^"\\]|\\.)*")', told)
    return "".join(json.loads(piece) for piece in pieces)


@dataclass
class Figures:
    """Of one row at one number of streams."""

    speeds: list[float] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    cpu: dict[int, float] = field(default_factory=dict)
    tokens: int = 0

    def as_json(self, way: Way, others: Mapping[str, Figures]) -> dict[str, object]:
        """Speeds in tokens/s, times in ms; CPU in s per 1000 tokens."""
        ratios = {name: list(map(operator.truediv, self.speeds, other.speeds)) for name, other in others.items()}
        cpu = [round(1000 * self.cpu[pid] / self.tokens, 3) for pid in way.pids]
        return {
            "tokens_per_s": round(statistics.median(self.speeds), 1),
            "over": {name: _quartiles(values) for name, values in ratios.items()},
            "first_token_ms": round(1000 * statistics.median(self.firsts), 1),
            "gap_p99_ms": round(1000 * sorted(self.gaps)[math.ceil(0.99 * len(self.gaps)) - 1], 1),
            "cpu_s_per_1000": dict(zip(("server", "engine"), cpu, strict=False)),
            "tokens": self.tokens,
        }


def _quartiles(values: Sequence[float]) -> list[float]:
    """Median, then the first and the third quartile."""
    first, median, third = statistics.quantiles(values, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return [round(value, 3) for value in (median, first, third)]


def once(way: Way, streams: int, tokens: int, figures: Figures) -> list[Answer]:
    """So many streams at a time."""
    before = {pid: _cpu(pid) for pid in way.pids}
    with ThreadPoolExecutor(streams) as pool:
        began = time.perf_counter()
        answers = list(pool.map(way.ask, range(streams), [tokens] * streams))
        took = time.perf_counter() - began
    for pid in way.pids:
        figures.cpu[pid] = figures.cpu.get(pid, 0.0) + _cpu(pid) - before[pid]
    figures.tokens += (made := sum(answer.made() for answer in answers))
    figures.speeds.append(made / took)
    for answer in answers:
        times = [at for at, data in answer.records if _TEXT.search(data)]
        figures.firsts.append(times[0] - answer.began)
        figures.gaps += [later - earlier for earlier, later in itertools.pairwise(times)]
    return answers


def _cpu(pid: int) -> float:
    return float(sum(psutil.Process(pid).cpu_times()[:2]))


def compare(ways: Sequence[Way], rounds: int, tokens: int) -> dict[str, Any]:
    """All rows at each number of streams."""
    found: dict[str, Any] = {}
    for streams, times in STREAMS.items():
        warm = {way.name: once(way, streams, tokens, Figures()) for way in ways}
        if streams == 1:
            texts = {text_of(answers[0]) for name, answers in warm.items() if name != "llama-cpp-python"}
            assert len(texts) == 1, f"other texts than the engine's own: {texts}"
        figures = {way.name: Figures() for way in ways}
        for n in range(times * rounds):
            turned = [*ways[n % len(ways) :], *ways[: n % len(ways)]]
            for way in turned if n % 2 else reversed(turned):
                once(way, streams, tokens, figures[way.name])
        servers = {name: one for name, one in figures.items() if not name.startswith("puna")}
        rows = found[str(streams)] = {way.name: figures[way.name].as_json(way, servers) for way in ways}
        print(f"\n{streams} streams, {times * rounds} rounds of {tokens} tokens each")
        print("\n".join(f"{name:<18}{row}" for name, row in rows.items()), flush=True)
    return found


OPENING = "You are a patient guide in the mountains, and you answer in plain words."
ASKED = (
    "What should I know about {}?", "Why is that?", "Tell me more about the second thing.", "What do old people say of it?",
    "Is there a song about it?", "How does it change in winter?", "What would a child ask about it?", "And what would you answer?",
    "Is any of that dangerous?", "Now sum it up in one sentence.",
)  # fmt: skip
TOPICS = ("llamas", "glaciers", "huts", "maps", "storms", "eagles", "cheese", "paths")


def chat(at: Mapping[str, Any], client: Any, tokens: int, topic: str) -> list[dict[str, int]]:
    """Ten turns. new: tokens of the prompt beyond the last prompt and its answer, which are the new turn and the template's."""
    messages, known, turns = [{"role": "system", "content": OPENING}], 0, []
    for n, asked in enumerate(ASKED):
        messages.append({"role": "user", "content": asked.format(topic)})
        records, path = invoke(client, {"messages": messages, "max_tokens_to_sample": tokens, **sampling(n)})
        text = "".join(json.loads(data)["outputs"][0] for _, data in records)
        messages.append({"role": "assistant", "content": text})
        used = receipt(at, path)
        prompt = used["prompt"]
        turns.append({"prompt": prompt, "new": prompt - known, "evaluated": prompt - used["cached"]})
        known = prompt + used["output"]
    return turns


def chats(at: Mapping[str, Any], client: Any, tokens: int) -> dict[str, Any]:
    """One chat alone, then 8 at a time on 8 slots; figures from the second turn on."""
    found: dict[str, Any] = {}
    for topics in (TOPICS[:1], TOPICS):
        with ThreadPoolExecutor(len(topics)) as pool:
            held = list(pool.map(partial(chat, at, client, tokens), topics))
        later = [turn for turns in held for turn in turns[1:]]
        beyond = Counter(turn["evaluated"] - turn["new"] for turn in later)
        totals = {name: sum(turn[name] for turn in later) for name in ("prompt", "new", "evaluated")}
        found[str(len(topics))] = {**totals, "turns": len(later), "turns_by_tokens_beyond_new": dict(beyond)}
        print(f"\n{len(topics)} chats of {len(ASKED)} turns: {found[str(len(topics))]}", *held[0], sep="\n")
        # One: an answer's last token was drawn, not evaluated. A few: its end is encoded otherwise before the template's tag.
        assert max(beyond) <= 4, f"more than the new turn was evaluated: {held}"
    return found


@contextmanager
def server() -> Iterator[dict[str, Any]]:
    """The measured process."""
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.stdin.close()


@contextmanager
def llama_cpp_python(python: str, at: Mapping[str, Any]) -> Iterator[Way]:
    """Its server, with the settings that puna gives its engine. Not interrupted: by default a new request cuts off the one that runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = (
        f"--n_ctx {CONTEXT} --n_threads {at['threads']} --n_threads_batch {at['batch_threads']} --port {port} "
        "--host 127.0.0.1 --interrupt_requests false --verbose false"
    )
    command = [python, "-m", "llama_cpp.server", "--model", at["model"], *settings.split()]
    said, env = subprocess.DEVNULL, {"GOMP_SPINCOUNT": SPIN_COUNT, **os.environ}
    process = subprocess.Popen(command, env=env, cwd="/", stdout=said, stderr=said)
    url = f"http://127.0.0.1:{port}"
    try:
        while process.poll() is None:
            time.sleep(0.1)
            with suppress(OSError), urlopen(f"{url}/v1/models"):
                break
        assert process.poll() is None, f"{python} has no llama_cpp[server]"
        yield openai("llama-cpp-python", url, (process.pid,))
    finally:
        process.kill()
        process.wait()


def missed(found: Mapping[str, Any]) -> list[str]:
    """Targets that were not met: a share of the raw engine; and behind a server is a row that is slower in three rounds of four."""
    return [
        f"{streams} streams: {name} makes {median} of {other}"
        for streams, rows in found.items()
        for name in rows
        for other, (median, _, third) in rows[name]["over"].items()
        if name.startswith("puna") and (median < TARGETS.get(int(streams), 0) if other == "direct" else third < 1)
    ]


def main() -> None:
    """Start, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--llama-cpp-python", metavar="PYTHON", help="an interpreter that has llama-cpp-python[server]")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        run(serve())
        return
    with ExitStack() as stack:
        at = stack.enter_context(server())
        own = openai("llama.cpp server", at["engine"], (at["engine_pid"],), at["key"], **SAMPLERS)
        mine = openai("puna, OpenAI", at["url"], (at["pid"], at["engine_pid"]))
        client = boto3.client(
            "sagemaker-runtime", endpoint_url=at["url"], region_name="us-east-1", aws_access_key_id="AKIDBENCH",
            aws_secret_access_key="none", config=Config(max_pool_connections=max(STREAMS)),
        )  # fmt: skip
        ways = [direct(at), own, frames(at), through_boto3(at, client), mine]
        if args.llama_cpp_python:
            ways.append(stack.enter_context(llama_cpp_python(args.llama_cpp_python, at)))
        found = compare(ways, args.rounds, args.tokens)
        talked = chats(at, client, 48)
    print("\nmissed: " + ("; ".join(missed(found)) or "no target"))
    facts = {"benchmark": "endpoint", "rounds": args.rounds, "tokens": args.tokens, "cores": os.cpu_count()}
    print(json.dumps({**facts, "streams": found, "chats": talked, "missed": missed(found)}))


if __name__ == "__main__":
    main()
