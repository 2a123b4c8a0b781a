"""``puna serve`` as a process: who may call it, how it starts and how it stops."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import boto3
import httpx
import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from .test_cli import puna, start

BODY = json.dumps({"prompt": "<s>[INST] one two three four [/INST]"})


@contextmanager
def serving(*arguments: str, env: dict[str, str] | None = None) -> Iterator[tuple[Popen[str], str]]:
    """A process that is ready, and its address."""
    process = start("serve", "--engine", "scripted", "--port", "0", *arguments, env=env)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready "), process.communicate(timeout=20)
        yield process, line.split()[1]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=20)


def runtime(url: str, key: str, secret: str) -> Any:
    return boto3.client(
        "sagemaker-runtime", endpoint_url=url, region_name="us-east-1", aws_access_key_id=key,
        aws_secret_access_key=secret, config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )  # fmt: skip


def test_signatures_are_checked_by_the_configured_keys() -> None:
    with serving("--auth", "sigv4", env={"PUNA_AUTH_KEYS": "AKIDONE:first, AKIDTWO:second"}) as (_, url):
        for key, secret in (("AKIDONE", "first"), ("AKIDTWO", "second")):
            answer = runtime(url, key, secret).invoke_endpoint(EndpointName="llama-2-7b", Body=BODY)
            assert json.loads(answer["Body"].read()) == {"outputs": ["You said: one two three four"]}
            stream = runtime(url, key, secret).invoke_endpoint_with_response_stream(
                EndpointName="llama-2-7b", Body=BODY
            )
            assert b"".join(event["PayloadPart"]["Bytes"] for event in stream["Body"]).startswith(b'{"outputs"')
        for key, secret, code in (
            ("AKIDONE", "second", "InvalidSignatureException"),
            ("AKIDTHREE", "third", "UnrecognizedClientException"),
        ):
            with pytest.raises(ClientError) as caught:
                runtime(url, key, secret).invoke_endpoint(EndpointName="llama-2-7b", Body=BODY)
            assert caught.value.response["Error"]["Code"] == code
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert httpx.get(f"{url}/ping", trust_env=False).status_code == 200
        assert httpx.get(f"{url}/metrics", trust_env=False).status_code == 403


def test_a_token_lets_in() -> None:
    body = {"messages": [{"role": "user", "content": "x"}]}
    with serving("--auth", "token", "--log", "json", env={"PUNA_AUTH_TOKEN": "secret"}) as (process, url):
        for header, status in ((None, 401), ("Bearer wrong", 401), ("Bearer secret", 200)):
            headers = {"authorization": header} if header else {}
            answer = httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers, trust_env=False)
            assert answer.status_code == status
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["status"] for line in lines] == [401, 401, 200]
    assert [line["caller"] for line in lines] == [None, None, "token"]
    assert "secret" not in log


@pytest.mark.parametrize(
    ("arguments", "env", "part"),
    [
        (["--auth", "sigv4"], {}, "PUNA_AUTH_KEYS=ID:SECRET"),
        (["--auth", "sigv4"], {"PUNA_AUTH_KEYS": "no-secret"}, "PUNA_AUTH_KEYS=ID:SECRET"),
        (["--auth", "token"], {}, "PUNA_AUTH_TOKEN"),
        (["--auth", "password"], {}, "unknown choice 'password'"),
        (["--host", "0.0.0.0"], {}, "needs --auth sigv4 or --auth token; say --auth none if everyone may use it"),
        (["--faults", "nowhere.toml"], {}, "nowhere.toml"),
        (["--dialect", "lmj"], {}, "Did you mean 'lmi'?"),
        (["--invocation-seconds", "-1"], {}, "from 0 to 86400"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(arguments: list[str], env: dict[str, str], part: str) -> None:
    done = puna("serve", "--engine", "scripted", "--port", "0", *arguments, env=env)
    assert done.returncode == 2
    assert part in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_secret_has_no_flag() -> None:
    assert "--auth-token" not in puna("serve", "--help").stdout


def test_every_line_of_a_structured_log_is_an_object() -> None:
    with serving("--log", "json") as (process, url):
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.sendall(b"this is no HTTP\r\n\r\n")
            assert raw.recv(1000).startswith(b"HTTP/1.1 400")
        httpx.get(f"{url}/nothing%0A", trust_env=False)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
    garbage, request = (json.loads(line) for line in log.splitlines())
    assert garbage["note"] == "uvicorn: Invalid HTTP request received."
    assert (request["path"], request["status"]) == ("/nothing%0A", 404)


@pytest.fixture
def slow(tmp_path: Path) -> str:
    """Faults that make each answer last some 3 seconds."""
    file = tmp_path / "faults.toml"
    file.write_text('[[fault]]\nkind = "slow"\nevery = 1\nseconds = 0.5\n', encoding="utf-8")
    return str(file)


def stream(url: str, into: list[bytes], begun: threading.Event) -> None:
    with httpx.stream(
        "POST",
        f"{url}/invocations",
        content=json.dumps({**json.loads(BODY), "stream": True}),
        timeout=20,
        trust_env=False,
    ) as answer:
        for data in answer.iter_raw():
            into.append(data)
            begun.set()


def test_a_signal_lets_what_was_accepted_end_and_takes_nothing_new(slow: str) -> None:
    with serving("--faults", slow) as (process, url):
        got: list[bytes] = []
        begun = threading.Event()
        reader = threading.Thread(target=stream, args=(url, got, begun))
        reader.start()
        assert begun.wait(20)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        assert process.stderr.readline().startswith("stopping: 1 request is finished first, within 25 s")
        assert httpx.get(f"{url}/ping", trust_env=False).status_code == 503
        refused = httpx.post(f"{url}/endpoints/llama-2-7b/invocations", content=BODY, trust_env=False)
        assert (refused.status_code, refused.headers["x-amzn-errortype"]) == (503, "ServiceUnavailable")
        reader.join(20)
        assert process.wait(20) == 0
    texts = [json.loads(line)["outputs"][0] for line in b"".join(got).splitlines()]
    assert "".join(texts) == "You said: one two three four"


def test_a_second_signal_ends_at_once_and_says_so_in_the_stream(slow: str) -> None:
    with serving("--faults", slow) as (process, url):
        got: list[bytes] = []
        begun = threading.Event()
        reader = threading.Thread(target=stream, args=(url, got, begun))
        reader.start()
        assert begun.wait(20)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        reader.join(20)
        process.wait(20)
    *pieces, last = [json.loads(line) for line in b"".join(got).splitlines()]
    assert len(pieces) < 6
    assert last == {"code": 503, "error": "the engine has been closed; ask again once it is back"}


@pytest.mark.model
def test_the_port_is_open_while_the_model_loads(model_home: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = start("serve", "--port", str(port), env={"PUNA_HOME": str(model_home)})
    seen: set[tuple[int, str]] = set()
    try:
        while (200, "ready") not in seen:
            assert process.poll() is None
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False)
            except httpx.TransportError:
                continue
            seen.add((answer.status_code, answer.json()["status"]))
        assert seen <= {(503, "stopped"), (503, "loading"), (200, "ready")}
        assert (503, "loading") in seen
    finally:
        process.terminate()
        process.communicate(timeout=20)


def until(holds: Callable[[], bool], seconds: float) -> float:
    """Seconds until something holds, asked again and again; fails where it takes longer than that."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.mark.model
def test_an_engine_that_dies_ends_its_streams_with_a_frame_and_is_back_by_itself(model_home: Path) -> None:
    process = start("serve", "--port", "0", "--slots", "2", "--context", "2048", env={"PUNA_HOME": str(model_home)})
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        body = json.dumps({"prompt": "Once upon a time", "max_tokens_to_sample": 1500, "temperature": 1, "seed": 2})
        for n, number in enumerate((signal.SIGKILL, signal.SIGSTOP, signal.SIGABRT), 1):
            client = runtime(url, "AKID", "secret")
            answer = client.invoke_endpoint_with_response_stream(EndpointName="llama-2-7b", Body=body)
            with closing(answer["Body"]) as events:
                parts = iter(events)
                next(parts)
                (engine,) = psutil.Process(process.pid).children()
                engine.send_signal(number)
                with pytest.raises(EventStreamError, match="ModelStreamError"):
                    for _ in parts:
                        pass
            until(lambda: httpx.get(f"{url}/ping", trust_env=False).status_code == 200, 10)
            assert httpx.get(f"{url}/health", trust_env=False).json()["restarts"] == n
            again = client.invoke_endpoint(EndpointName="llama-2-7b", Body=json.dumps({"prompt": "Hi"}))
            assert json.loads(again["Body"].read())["outputs"]
    finally:
        process.terminate()
        _, log = process.communicate(timeout=20)
    assert log.count("the engine is back after") == 3
    assert log.count("loading the model again") == 3
