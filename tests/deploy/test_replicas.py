"""Two replicas with the real model behind Ray's proxy: real clients, one replica killed under load, an orderly end."""

from __future__ import annotations

import gc
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import boto3
import httpx
import openai
import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError, HTTPClientError

from puna.models.store import folder

from .cluster import PATIENCE, Cluster, address, cluster, figures, total, until

pytest.importorskip("ray", reason="replicas need Ray Serve: pip install 'puna[ray]'")
pytestmark = [
    pytest.mark.model,
    # Of a thread of boto3's pool, whose connection a killed replica has closed.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

NAME = "llama-2-7b"
SLOTS = 2
LONG = "Write a very long story about a llama, a mountain and the sea. Never stop."
"""The default model's greedy answer has at least 500 tokens."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, model_file: Path) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("home")
    folder(home).mkdir()
    (folder(home) / model_file.name).symlink_to(model_file)
    environ = {
        "PUNA_HOME": str(home), "PUNA_SLOTS": str(SLOTS), "PUNA_CONTEXT": "1024", "PUNA_QUEUE": "2", "PUNA_PORT": "0",
    }  # fmt: skip
    command = ["-m", "puna.cli", "serve", "--replicas", "2"]
    with cluster(command, environ, address) as found:
        yield found


CLIENTS = ExitStack()


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    """What clients leave of broken connections goes here, and not wherever the collector finds it: in a test of another file."""
    yield
    CLIENTS.close()
    gc.collect()


def runtime(url: str) -> Any:
    client = boto3.client(
        "sagemaker-runtime", endpoint_url=url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b",
        config=Config(retries={"total_max_attempts": 1}, proxies={}, read_timeout=PATIENCE, max_pool_connections=50),
    )  # fmt: skip
    return CLIENTS.enter_context(closing(client))


def chat(url: str) -> openai.OpenAI:
    return CLIENTS.enter_context(openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=PATIENCE))


def ask(url: str, *said: str, tokens: int = 1) -> httpx.Response:
    body = {"model": NAME, "max_tokens": tokens, "temperature": 0, "messages": _turns(*said)}
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=PATIENCE)


def _turns(*said: str) -> list[Any]:
    return [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(said)]


def _body(said: str, tokens: int, *, stream: bool) -> str:
    return json.dumps({"messages": _turns(said), "max_tokens": tokens, "temperature": 0, "stream": stream})


def begun(url: str, tokens: int = 300, text: str = LONG) -> tuple[Any, str]:
    """A stream of which something has come, and its receipt's address."""
    raw = chat(url).chat.completions.with_raw_response.create(
        model=NAME, messages=_turns(text), stream=True, max_tokens=tokens, temperature=0
    )
    stream = raw.parse()
    for event in stream:
        if event.choices[0].delta.content:
            break
    return stream, url + raw.headers["x-puna-receipt"]


def test_boto3_streams_through_the_proxy_piece_by_piece(served: Cluster) -> None:
    body = _body(LONG, 150, stream=True)
    answer = runtime(served.url).invoke_endpoint_with_response_stream(EndpointName=NAME, Body=body)
    pieces = iter(answer["Body"])
    first = next(pieces)["PayloadPart"]["Bytes"]
    assert first
    # The first piece is here while the rest is being made.
    assert total(served.url, "puna_requests_running") == 1
    assert len([event["PayloadPart"] for event in pieces]) > 50


def test_openai_streams_through_the_proxy_piece_by_piece(served: Cluster) -> None:
    stream, receipt = begun(served.url, tokens=100)
    assert httpx.get(receipt).status_code == 404  # not before its end
    assert len(list(stream)) > 50
    until(lambda: httpx.get(receipt).status_code == 200, "no receipt")
    assert httpx.get(receipt).json()["usage"]["output"] == 100


def test_an_answer_has_one_request_id(served: Cluster) -> None:
    headers = ask(served.url, "Hello").headers
    assert headers.get_list("x-request-id") == [headers["x-amzn-requestid"]]


def test_a_conversation_stays_with_the_replica_that_has_it_cached(served: Cluster) -> None:
    said = ["Name three mountains of the Andes, each with one sentence about it, for a child of six years."]
    replicas, cached = set(), []
    for _ in range(3):
        answer = ask(served.url, *said, tokens=24)
        replicas.add(answer.headers["x-puna-replica"])
        cached.append(httpx.get(served.url + answer.headers["x-puna-receipt"]).json()["usage"]["cached"])
        said += [answer.json()["choices"][0]["message"]["content"], "And three more?"]
    assert len(replicas) == 1
    assert 0 < cached[1] < cached[2]


def test_conversations_spread_over_the_replicas(served: Cluster) -> None:
    where = Counter(ask(served.url, f"Say {n}").headers["x-puna-replica"] for n in range(24))
    assert len(where) == 2, where


def test_a_conversation_goes_elsewhere_while_its_replica_is_full(served: Cluster) -> None:
    home = ask(served.url, LONG).headers["x-puna-replica"]
    streams = [begun(served.url, tokens=500)[0] for _ in range(SLOTS)]
    with ThreadPoolExecutor(
        3 * SLOTS
    ) as pool:  # of these, as many as there are slots may wait where their beginning is cached
        asked = [pool.submit(ask, served.url, LONG) for _ in range(3 * SLOTS)]
        until(lambda: sum(one.done() for one in asked) >= 2 * SLOTS, "all wait")
        elsewhere = {one.result().headers["x-puna-replica"] for one in asked if one.done()}
        for stream in streams:
            stream.close()
        assert {one.result().status_code for one in asked} == {200}
    assert len(elsewhere - {home}) == 1
    until(lambda: ask(served.url, LONG).headers["x-puna-replica"] == home, "it does not come back")


def test_any_replica_tells_the_receipts_and_figures_of_all(served: Cluster) -> None:
    paths = [ask(served.url, f"Say {n}").headers["x-puna-receipt"] for n in range(6)]
    for path in paths:
        assert httpx.get(served.url + path).json()["id"] == path.rpartition("/")[2]
    missing = httpx.get(f"{served.url}/receipts/none")
    assert (missing.status_code, missing.headers["x-amzn-errortype"]) == (404, "ResourceNotFound")
    found = figures(served.url)
    assert found["puna_replicas"] == 2
    assert len([name for name in found if name.startswith("puna_slots{")]) == 2
    only = httpx.get(f"{served.url}/metrics", params={"name[]": "puna_slots"}).text
    assert only.count("\npuna_slots{") == 2
    assert "puna_requests_total{" not in only


def test_a_client_that_leaves_frees_its_slot_in_the_replica(served: Cluster) -> None:
    left = [begun(served.url, tokens=800, text=f"{LONG} {n}") for n in range(2)]
    assert total(served.url, "puna_requests_running") == 2
    for stream, _ in left:
        stream.close()
    until(lambda: total(served.url, "puna_requests_running") == 0, "the replicas go on")
    for _, receipt in left:
        told = httpx.get(receipt).json()
        assert (told["status"], "went away" in told["error"]) == (200, True), told


def test_a_full_endpoint_says_so_in_the_protocols_words(served: Cluster) -> None:
    streams: list[Any] = []
    refused: list[Exception] = []

    def one(n: int) -> None:
        try:
            streams.append(begun(served.url, tokens=400, text=f"{LONG} {n}")[0])
        except openai.APIStatusError as error:
            refused.append(error)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(40)]
    for thread in threads:
        thread.start()
    until(lambda: len(refused) > 0, "nothing is refused")
    with pytest.raises(ClientError) as caught:
        for _ in range(20):
            runtime(served.url).invoke_endpoint(EndpointName=NAME, Body=_body(LONG, 400, stream=False))
    assert caught.value.response["Error"]["Code"] == "ThrottlingException"
    for thread in threads:
        while thread.is_alive():
            for stream in streams.copy():
                stream.close()
            thread.join(0.05)
    for stream in streams:
        stream.close()
    for error in refused:
        assert isinstance(error, openai.RateLimitError), error
        assert "every replica" in str(error)
        assert error.response.headers["retry-after"] == "1"
    until(lambda: total(served.url, "puna_requests_running") == 0, "the replicas go on")


def test_nothing_listens_where_others_could_ask_without_a_token(served: Cluster) -> None:
    """What Ray opens on all addresses is one port of each replica, for calls between deployments, which wants Ray's token."""
    for process in [psutil.Process(served.process.pid), *served.family()]:
        listening = [found.laddr for found in process.net_connections("inet") if found.status == psutil.CONN_LISTEN]
        open_ = [address for address in listening if address.ip.removeprefix("::ffff:") not in {"127.0.0.1", "::1"}]
        assert len(open_) <= ("ServeReplica" in " ".join(process.cmdline())), process


def test_ray_reports_nothing(served: Cluster) -> None:
    for process in served.replicas():
        assert process.environ()["RAY_USAGE_STATS_ENABLED"] == "0"


def _spread(url: str, each: int) -> list[int]:
    """Numbers of questions that stick, by turns, to the one replica and the other: ``each`` for either."""
    found: dict[str, list[int]] = {}
    for n in range(1000):
        found.setdefault(ask(url, f"{LONG} {n}").headers["x-puna-replica"], []).append(n)
        if len(found) == 2 and min(map(len, found.values())) >= each:
            break
    one, other = found.values()
    return [n for pair in zip(one[:each], other[:each], strict=True) for n in pair]


def test_a_killed_replica_loses_no_request_without_a_word(served: Cluster) -> None:
    before = {process.pid for process in served.replicas()}
    engines = {child.pid for process in served.replicas() for child in process.children()}
    started = threading.Barrier(13, timeout=PATIENCE)
    victim = served.replicas()[0]  # found now: looking through all processes takes as long as an answer

    def watched(work: Callable[[int, Callable[[], Any]], str]) -> Callable[[int], tuple[str, str]]:
        def one(n: int) -> tuple[str, str]:
            try:
                return "done", work(n, started.wait)
            except (openai.APIError, ClientError, EventStreamError) as error:
                return "refused", f"{type(error).__name__}: {error}"
            except HTTPClientError as error:
                return "broken", f"{type(error).__name__}: {error}"

        return one

    def by_openai(n: int, go: Callable[[], Any]) -> str:
        stream = chat(served.url).chat.completions.create(
            model=NAME, messages=_turns(f"{LONG} {n}"), stream=True, max_tokens=500, temperature=0
        )
        go()
        reasons = [event.choices[0].finish_reason for event in stream]
        assert reasons[-1] in {"stop", "length"}, "an answer that just ends"
        return "finished"

    def by_boto3(n: int, go: Callable[[], Any]) -> str:
        body = _body(f"{LONG} {n}", 500, stream=True)
        answer = runtime(served.url).invoke_endpoint_with_response_stream(EndpointName=NAME, Body=body)
        go()
        with closing(answer["Body"]) as body:
            whole = b"".join(event["PayloadPart"]["Bytes"] for event in body)
        assert whole.rstrip().endswith(b"[DONE]"), "an answer that just ends"
        return "finished"

    def whole(n: int, go: Callable[[], Any]) -> str:
        go()
        body = _body(f"{LONG} {n}", 100, stream=False)
        return str(runtime(served.url).invoke_endpoint(EndpointName=NAME, Body=body)["ContentType"])

    numbers = _spread(served.url, 6)
    with ThreadPoolExecutor(12) as pool:
        # As many streams as there are slots at once, so that all of them begin; the rest is asked for as the replica dies.
        streams, wholes = numbers[: 2 * SLOTS], numbers[2 * SLOTS :]
        waiting = [pool.submit(watched((by_openai, by_boto3)[k // 2 % 2]), n) for k, n in enumerate(streams)]
        waiting += [pool.submit(watched(whole), n) for n in wholes]
        started.wait()
        victim.kill()
        outcomes = [one.result(PATIENCE) for one in waiting]
    counted = Counter(kind for kind, _ in outcomes)
    assert counted["broken"] == 0, outcomes
    assert counted["done"] > 0, outcomes
    assert counted["refused"] > 0, outcomes
    until(lambda: figures(served.url).get("puna_replicas") == 2, "no new replica")
    assert {process.pid for process in served.replicas()} != before
    where = {ask(served.url, f"Say {n}").headers["x-puna-replica"] for n in range(24)}
    assert len(where) == 2
    now = {child.pid for process in served.replicas() for child in process.children()}
    assert not [pid for pid in engines - now if psutil.pid_exists(pid)], (
        "the engine of the killed replica is still there"
    )


def test_a_stop_finishes_what_was_accepted_and_leaves_nothing(served: Cluster) -> None:
    """The last: it ends the cluster."""
    family = served.family()
    stream, _ = begun(served.url, tokens=150)
    stopped = ThreadPoolExecutor(1).submit(served.stop)
    until(lambda: ask(served.url, "Hello").status_code == 503, "new requests are still taken")
    refused = ask(served.url, "Hello")
    assert "stopping" in refused.json()["error"]["message"]
    assert [event.choices[0].finish_reason for event in stream][-1] == "length"
    assert stopped.result(PATIENCE) == 0
    psutil.wait_procs(family, timeout=10)
    assert not [process for process in family if process.is_running()]
    assert {path.name for path in served.folder.iterdir()} == {"log", "out"}
