"""Ten minutes of everything at once: is anything lost, mixed up or leaked?

Method: ``puna serve`` as a process of its own with the embedded model (4 slots, a window of 1024 tokens), and clients of
several kinds, 64 at a time: boto3 whole and streamed in four dialects, the openai SDK, the container's plain HTTP, server-sent
events whose reader leaves at random, tokens, metrics, health. Every question has a fixed seed and was asked alone before; each
answer's text is compared with the one it had then, and its receipt (prompt, seed, tokens) with that one's. So a mix-up shows as
well as an answer that depends on what else runs or is cached. Resident memory is sampled each 5 s; growth is counted from the
end of the first minute on.

``--kill 3`` kills the engine's process three times meanwhile: what runs then fails with a documented error, and the endpoint is
back within 10 s.

Example: python benchmarks/soak.py --seconds 600
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import boto3
import httpx
import openai
import psutil
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

NAME = "soak"
CLIENTS = 64
EVERY = 5.0
"""Seconds between two looks at the memory."""
FIRST_MINUTE = 60.0
BACK_WITHIN = 10.0

DOCUMENTED = {
    "ThrottlingException", "ModelNotReadyException", "InternalFailure", "ServiceUnavailable", "ModelStreamError", "429", "500", "503",
    "424",  # a TGI container for what is 503 elsewhere
}  # fmt: skip
"""Codes and statuses that a request may end with, where the engine is killed or the queue is full."""

ATTRIBUTES = "accept_eula=true"
TOPICS = (
    "a llama",
    "the sea",
    "an old clock",
    "the moon",
    "a bicycle",
    "bread",
    "a violin",
    "winter",
    "a lighthouse",
    "tea",
)
RULES = "You are a patient guide in the mountains. Answer in plain words, and never in more than three sentences. "


@dataclass(frozen=True, slots=True)
class Question:
    """A request with a fixed seed."""

    number: int
    dialect: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reference:
    """What a question was answered with when nothing else ran. prompt: its hash. output: tokens."""

    text: str
    prompt: str
    seed: int
    output: int


@dataclass
class Result:
    """What a soak came to."""

    asked: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    unforeseen: list[str] = field(default_factory=list)
    mismatches: list[str] = field(default_factory=list)
    compared: int = 0
    tokens: int = 0
    cached: int = 0
    left: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def questions(count: int) -> list[Question]:
    """Questions of every dialect, some of them with the same beginning, so that they share what is cached."""
    made = []
    for n in range(count):
        rng = Random(n)
        told = f"Tell me something about {TOPICS[n % len(TOPICS)]}."
        rules = RULES * (n % 3)
        temperature = rng.choice((0.0, 0.7, 1.0))
        length, seed = rng.randrange(4, 33), rng.randrange(2**32 - 1)
        common = {"temperature": temperature, "seed": seed, "top_p": 0.9}
        messages = [*([{"role": "system", "content": rules}] if rules else []), {"role": "user", "content": told}]
        parameters = {**common, "max_new_tokens": length}
        written = (
            f"<s>[INST] {f'<<SYS>>{chr(10)}{rules}{chr(10)}<</SYS>>{chr(10)}{chr(10)}' if rules else ''}{told} [/INST]"
        )
        if temperature == 0.0:
            del parameters["top_p"]
        sampled = {} if temperature == 0.0 else {"do_sample": True}
        bodies: dict[str, dict[str, Any]] = {
            "workshop": {"prompt": written, "max_tokens_to_sample": length, **common},
            "chat": {"messages": messages, "max_tokens": length, **common},
            "completion": {
                "prompt": f"Once upon a time there was {TOPICS[n % len(TOPICS)]}",
                "max_tokens": length,
                **common,
            },
            "tgi": {"inputs": written, "parameters": {**parameters, **sampled, "best_of": 1}},
            "lmi": {"inputs": written, "parameters": {**parameters, **sampled}},
            "jumpstart": {"inputs": [messages], "parameters": parameters},
        }
        dialect = list(bodies)[n % len(bodies)]
        made.append(Question(n, dialect, bodies[dialect]))
    return made


# ---- clients: each asks a question and gives the answer's text and its receipt's path; perhaps only a beginning


class Clients:
    """What speaks to the endpoint. All of them are safe to be used by many threads."""

    def __init__(self, url: str) -> None:
        self.url = url
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=CLIENTS)
        self.http = httpx.Client(base_url=url, timeout=120, trust_env=False, limits=limits)
        self.openai = openai.OpenAI(
            base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=120,
            http_client=openai.DefaultHttpxClient(trust_env=False),
        )  # fmt: skip
        self.runtime = boto3.client(
            "sagemaker-runtime", endpoint_url=url, region_name="us-east-1", aws_access_key_id="AKIDSOAK",
            aws_secret_access_key="none",
            config=Config(max_pool_connections=CLIENTS, retries={"total_max_attempts": 1}, read_timeout=120, proxies={}),
        )  # fmt: skip

    def ways(self, question: Question) -> list[Callable[[Question], tuple[str, str]]]:
        """The ways in which a question can be asked."""
        if question.dialect == "chat":
            return [self.chat, self.chat_streamed, self.whole, self.streamed, self.container]
        if question.dialect == "completion":
            return [self.completion, self.completion_streamed]
        if question.dialect == "jumpstart":
            return [self.whole, self.container]
        return [self.whole, self.streamed, self.container, self.container_streamed]

    def whole(self, question: Question) -> tuple[str, str]:
        """boto3, invoke_endpoint."""
        answer = self.runtime.invoke_endpoint(
            EndpointName=NAME,
            Body=json.dumps(question.body),
            CustomAttributes=ATTRIBUTES if question.dialect == "jumpstart" else "",
        )
        return text_of(question.dialect, json.loads(answer["Body"].read())), _receipt(
            answer["ResponseMetadata"]["HTTPHeaders"]
        )

    def streamed(self, question: Question) -> tuple[str, str]:
        """boto3, invoke_endpoint_with_response_stream."""
        answer = self.runtime.invoke_endpoint_with_response_stream(EndpointName=NAME, Body=json.dumps(question.body))
        parts = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]
        return joined(question.dialect, parts), _receipt(answer["ResponseMetadata"]["HTTPHeaders"])

    def container(self, question: Question) -> tuple[str, str]:
        """The container's whole answer."""
        headers = {"X-Amzn-SageMaker-Custom-Attributes": ATTRIBUTES} if question.dialect == "jumpstart" else {}
        answer = self.http.post("/invocations", json=question.body, headers=headers)
        answer.raise_for_status()
        return text_of(question.dialect, answer.json()), _receipt(answer.headers)

    def container_streamed(self, question: Question) -> tuple[str, str]:
        """The container's lines or events as they come."""
        with self.http.stream("POST", "/invocations", json={**question.body, "stream": True}) as answer:
            answer.raise_for_status()
            return joined(question.dialect, answer.iter_lines()), _receipt(answer.headers)

    def chat(self, question: Question) -> tuple[str, str]:
        """The openai SDK."""
        raw = self.openai.chat.completions.with_raw_response.create(model=NAME, **question.body)
        return raw.parse().choices[0].message.content or "", _receipt(raw.headers)

    def chat_streamed(self, question: Question) -> tuple[str, str]:
        """The openai SDK, streamed."""
        raw = self.openai.chat.completions.with_raw_response.create(model=NAME, stream=True, **question.body)
        return "".join(chunk.choices[0].delta.content or "" for chunk in raw.parse()), _receipt(raw.headers)

    def completion(self, question: Question) -> tuple[str, str]:
        """The openai SDK."""
        raw = self.openai.completions.with_raw_response.create(model=NAME, **question.body)
        return raw.parse().choices[0].text, _receipt(raw.headers)

    def completion_streamed(self, question: Question) -> tuple[str, str]:
        """The openai SDK, streamed."""
        raw = self.openai.completions.with_raw_response.create(model=NAME, stream=True, **question.body)
        return "".join(chunk.choices[0].text for chunk in raw.parse()), _receipt(raw.headers)

    def beginning(self, question: Question, records: int) -> str:
        """The text of so many records; then the client leaves, perhaps before the first of them."""
        with self.http.stream("POST", "/invocations", json={**question.body, "stream": True}) as answer:
            answer.raise_for_status()
            lines = (line for line in answer.iter_lines() if line)
            return joined(question.dialect, itertools.islice(lines, records))


def _receipt(headers: Mapping[str, str]) -> str:
    return headers["x-puna-receipt"]


def text_of(dialect: str, value: Any) -> str:
    """The text of a whole answer."""
    if dialect == "workshop":
        return str(value["outputs"][0])
    if dialect == "chat":
        return str(value["choices"][0]["message"]["content"])
    if dialect == "jumpstart":
        return str(value[0]["generation"]["content"])
    return str((value[0] if dialect == "tgi" else value)["generated_text"])


def joined(dialect: str, records: Any) -> str:
    """The text of a stream's records, as bytes or lines."""
    text = ""
    for record in records:
        line = (record.decode() if isinstance(record, bytes) else record).strip().removeprefix("data:").strip()
        if not line or line == "[DONE]":
            continue
        value = json.loads(line)
        if "error" in value or "code" in value:
            raise StreamEndedError(line)
        if dialect == "workshop":
            text += value["outputs"][0]
        elif dialect == "chat":
            text += value["choices"][0]["delta"].get("content", "")
        else:
            text += value["token"]["text"]
    return text


class StreamEndedError(Exception):
    """A stream of plain HTTP ended with its dialect's error."""


# ---- the run


def references(clients: Clients, asked: list[Question]) -> tuple[dict[int, Reference], list[str]]:
    """Each question asked alone, in each way: the first answer is the reference, and what differs from it is told."""
    found: dict[int, Reference] = {}
    differ: list[str] = []
    for question in asked:
        for way in clients.ways(question):
            text, path = way(question)
            receipt = clients.http.get(path).json()
            reference = Reference(
                text, receipt["prompt"]["sha256"], receipt["sampling"]["seed"], receipt["usage"]["output"]
            )
            known = found.setdefault(question.number, reference)
            if reference != known:
                differ.append(f"alone, {question.dialect} {way.__name__}: {reference} is not {known}")
    return found, differ


class Soak:
    """Threads that ask until the time is over."""

    def __init__(self, clients: Clients, asked: list[Question], known: Mapping[int, Reference]) -> None:
        self.clients = clients
        self.asked = asked
        self.known = known
        self.result = Result()
        self.over = threading.Event()
        self.began = time.monotonic()

    def client(self, number: int) -> None:
        """One client: a question after the other."""
        rng = Random(number)
        while not self.over.is_set():
            one = rng.random()
            if one < 0.7:
                self._question(rng)
            elif one < 0.85:
                self._leaving(rng)
            else:
                self._look(rng)

    def _question(self, rng: Random) -> None:
        question = rng.choice(self.asked)
        way = rng.choice(self.clients.ways(question))
        with self._counted(f"{question.dialect} {way.__name__}") as told:
            text, path = way(question)
            receipt = self.clients.http.get(path).json()
            told(lambda: self._compare(question, way.__name__, text, receipt))

    def _compare(self, question: Question, way: str, text: str, receipt: Mapping[str, Any]) -> None:
        known, result = self.known[question.number], self.result
        usage = receipt["usage"]
        found = Reference(text, receipt["prompt"]["sha256"], receipt["sampling"]["seed"], usage["output"])
        result.compared += 1
        result.tokens += usage["output"]
        result.cached += usage["cached"] > 1
        if found != known:
            result.mismatches.append(
                f"after {time.monotonic() - self.began:.1f} s, question {question.number}, {question.dialect} {way}, {usage}: "
                f"{found} is not {known}"
            )

    def _leaving(self, rng: Random) -> None:
        question = rng.choice([entry for entry in self.asked if entry.dialect in {"workshop", "tgi", "lmi", "chat"}])
        records = rng.choice((0, 1, 2, 5))
        with self._counted(f"{question.dialect} left") as told:
            text = self.clients.beginning(question, records)
            told(lambda: self._beginning(question, text))

    def _beginning(self, question: Question, text: str) -> None:
        self.result.left += 1
        if not self.known[question.number].text.startswith(text):
            self.result.mismatches.append(
                f"question {question.number}, left: {text!r} does not begin {self.known[question.number]}"
            )

    def _look(self, rng: Random) -> None:
        path = rng.choice(("/metrics", "/health", "/v1/models", "/tokenize", "/ping"))
        with self._counted(path):
            if path == "/tokenize":
                answer = self.clients.http.post(path, json={"prompt": rng.choice(TOPICS)})
            else:
                answer = self.clients.http.get(path)
            answer.raise_for_status()

    def _counted(self, kind: str) -> _Counted:
        return _Counted(self.result, kind)


class _Counted:
    """One request: counted, and how it failed, if it did."""

    def __init__(self, result: Result, kind: str) -> None:
        self.result = result
        self.kind = kind

    def __enter__(self) -> Callable[[Callable[[], None]], None]:
        return self._locked

    def _locked(self, work: Callable[[], None]) -> None:
        with self.result.lock:
            work()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if error is not None and not isinstance(error, Exception):
            return False
        with self.result.lock:
            self.result.asked[self.kind] += 1
            if error is not None:
                code = code_of(error)
                self.result.failed[code] += 1
                if code not in DOCUMENTED:
                    self.result.unforeseen.append(f"{self.kind}: {error!r:.300}")
        if error is not None:
            time.sleep(0.2)
        return True


def code_of(error: Exception) -> str:
    """The code or status by which an error is documented, or its own name."""
    if isinstance(error, ClientError):
        return str(error.response["Error"]["Code"])
    if isinstance(error, openai.APIStatusError):
        return str(error.status_code)
    if isinstance(error, httpx.HTTPStatusError):
        return str(error.response.status_code)
    if isinstance(error, StreamEndedError):
        value = json.loads(str(error))
        return str(value.get("code") or ("500" if value["error"] else ""))
    if isinstance(error, openai.APIError) and not isinstance(error, openai.APIConnectionError):
        return "500"  # the record that ends a broken stream; the SDK gives no status for it
    if isinstance(error, BotoCoreError | httpx.HTTPError | openai.APIConnectionError):
        return type(error).__name__
    return type(error).__name__


@dataclass
class Memory:
    """Resident memory over time. samples: seconds since the start, MiB of puna, MiB of the engine."""

    samples: list[tuple[float, float, float]] = field(default_factory=list)

    def look(self, puna: psutil.Process, since: float) -> None:
        """One sample, where the engine is there."""
        with suppress(psutil.Error, IndexError):
            engine = puna.children()[0]
            now = time.monotonic() - since
            self.samples.append((round(now, 1), puna.memory_info().rss / 2**20, engine.memory_info().rss / 2**20))

    def growth(self, column: int) -> dict[str, float]:
        """The largest after the first minute against that at its end, and how the last minute's median compares."""
        later = [sample for sample in self.samples if sample[0] >= FIRST_MINUTE] or self.samples
        first = later[0][column]
        last = statistics.median(sample[column] for sample in later[-12:])
        most = max(sample[column] for sample in later)
        return {"after_first_minute_mib": round(first, 1), "last_minute_mib": round(last, 1), "most_mib": round(most, 1),
                "most_growth": round(most / first - 1, 4), "growth": round(last / first - 1, 4)}  # fmt: skip


def soak(run: Soak, puna: psutil.Process, seconds: float, kills: int) -> tuple[Memory, list[float]]:
    """Let the clients ask for so long. Gives the memory, and seconds from each kill to the next answer of /ping."""
    memory, backs = Memory(), []
    threads = [threading.Thread(target=run.client, args=(n,), daemon=True) for n in range(CLIENTS)]
    since = time.monotonic()
    for thread in threads:
        thread.start()
    due = [seconds * (n + 1) / (kills + 1) for n in range(kills)]
    while (now := time.monotonic() - since) < seconds:
        memory.look(puna, since)
        if due and now >= due[0]:
            due.pop(0)
            backs.append(kill(run.clients, puna))
        time.sleep(min(EVERY, max(0.1, seconds - now)))
    run.over.set()
    for thread in threads:
        thread.join(180)
    assert not any(thread.is_alive() for thread in threads), "a request never ended"
    return memory, backs


def kill(clients: Clients, puna: psutil.Process) -> float:
    """Kill the engine; gives the seconds until the endpoint is ready again."""
    puna.children()[0].send_signal(signal.SIGKILL)
    began = time.monotonic()
    while clients.http.get("/ping").status_code == 200 and time.monotonic() - began < 1:
        time.sleep(0.01)
    while clients.http.get("/ping").status_code != 200:
        time.sleep(0.02)
    return round(time.monotonic() - began, 2)


def idle(clients: Clients, puna: psutil.Process, connections: int = 0) -> dict[str, Any]:
    """What is left once nobody asks any more, and idle connections have been closed (5 s). connections: how many may stay."""
    found: dict[str, Any] = {}
    for _ in range(100):
        scraped = clients.http.get("/metrics").text.splitlines()
        figures = dict(line.split(" ")[:2] for line in scraped if not line.startswith("#"))
        found = {name: int(float(figures[f"puna_requests_{name}"])) for name in ("running", "waiting")}
        found |= {
            "connections": len(puna.net_connections()),
            "descriptors": puna.num_fds(),
            "threads": puna.num_threads(),
        }
        if not found["running"] and not found["waiting"] and found["connections"] <= (connections or CLIENTS):
            break
        time.sleep(0.2)
    return found


def serving(arguments: list[str], log: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``puna serve``; its address."""
    command = [sys.executable, "-m", "puna.cli", "serve", "--port", "0", "--name", NAME, "--slots", "4", "--context", "1024",
               "--queue", "256", "--receipts", "text", *arguments]  # fmt: skip
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("ready "), log.read_text()
            yield process, line.split()[1]
        finally:
            process.terminate()
            process.wait(60)


def main() -> int:
    """Start, soak, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--kill", type=int, default=0, help="times that the engine's process is killed meanwhile")
    parser.add_argument("--questions", type=int, default=48)
    parser.add_argument("--model", default="smollm2-135m")
    args = parser.parse_args()
    log = Path(tempfile.gettempdir()) / f"puna-soak-{os.getpid()}.log"
    for process, url in serving(["--model", args.model], log):
        puna, clients, asked = psutil.Process(process.pid), Clients(url), questions(args.questions)
        known, differ = references(clients, asked)
        before = idle(clients, puna)
        run = Soak(clients, asked, known)
        load = os.getloadavg()[0]
        memory, backs = soak(run, puna, args.seconds, args.kill)
        after = idle(clients, puna, before["connections"])
        restarts = clients.http.get("/health").json()["restarts"]
    unexpected = log.read_text().count("unexpected error")
    log.unlink()
    report = summary(run.result, memory, args.seconds) | {"unexpected_in_log": unexpected}
    report |= {"alone_differ": len(differ), "idle_before": before, "idle_after": after, "restarts": restarts, "back_after_s": backs,
               "load_before": round(load, 1), "load_after": round(os.getloadavg()[0], 1), "cores": os.cpu_count()}  # fmt: skip
    for line in (*differ, *run.result.mismatches[:20], *run.result.unforeseen[:20]):
        print(line)
    print("\n".join(f"{name:<32} {count}" for name, count in sorted(run.result.asked.items())))
    print(json.dumps(report))
    return verdict(run.result, report, kills=args.kill)


def summary(result: Result, memory: Memory, seconds: float) -> dict[str, Any]:
    """The figures."""
    return {
        "benchmark": "soak", "seconds": seconds, "clients": CLIENTS, "requests": sum(result.asked.values()), "left": result.left,
        "answers_compared": result.compared, "tokens_compared": result.tokens, "of_a_cached_prompt": result.cached,
        "mismatches": len(result.mismatches), "failed": dict(result.failed), "unforeseen": len(result.unforeseen),
        "puna": memory.growth(1), "engine": memory.growth(2),
    }  # fmt: skip


def verdict(result: Result, report: Mapping[str, Any], *, kills: int) -> int:
    """0 where all holds that the endpoint promises, else 1, and what does not."""
    broken = []
    if result.mismatches or report["alone_differ"]:
        broken.append("an answer is not the one that was given alone")
    if report["unexpected_in_log"]:
        broken.append("puna failed in a way that nobody foresaw; it is in its log")
    if result.unforeseen or (result.failed and not kills):
        broken.append(f"requests failed: {report['failed']}")
    if not kills and max(report["puna"]["most_growth"], report["engine"]["most_growth"]) > 0.05:
        broken.append("memory grew by more than 5 % after the first minute")
    if any(report["idle_after"][name] > report["idle_before"][name] for name in ("running", "waiting", "connections")):
        broken.append("a request or a connection is left")
    backs = report["back_after_s"]
    if len(backs) != report["restarts"] or max(backs, default=0) > BACK_WITHIN:
        broken.append("the engine was not back in time")
    for sentence in broken:
        print(f"NOT SO: {sentence}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
