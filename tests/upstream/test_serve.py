"""``puna serve --engine openai|sagemaker --upstream ...`` as a process: what it says, and how it fails."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from subprocess import Popen
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.cli.test_cli import puna, start

PROMPT = json.dumps({"prompt": "<s>[INST] one two three [/INST]"})


@contextmanager
def serving(*words: str) -> Iterator[tuple[Popen[str], str, str]]:
    """A process that is ready, its address, and the line by which it said so."""
    process = start("serve", "--port", "0", *words)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready "), process.communicate(timeout=20)
        yield process, line.split()[1], line
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=20)


def asked(url: str) -> Any:
    """boto3's answer to a hand-written prompt."""
    config = Config(retries={"total_max_attempts": 1}, proxies={})
    client = boto3.client(
        "sagemaker-runtime", endpoint_url=url, region_name="us-east-1", aws_access_key_id="A", aws_secret_access_key="s",
        config=config,
    )  # fmt: skip
    with closing(client):
        return json.loads(client.invoke_endpoint(EndpointName="llama-2-7b", Body=PROMPT)["Body"].read())


@pytest.mark.parametrize("engine", ["openai", "sagemaker"])
def test_one_option_puts_it_in_front_of_another_server(engine: str) -> None:
    with ExitStack() as stack:
        _, behind, _ = stack.enter_context(serving("--engine", "scripted"))
        process, url, line = stack.enter_context(serving("--engine", engine, "--upstream", behind))
        assert f"upstream={behind}" in line
        assert asked(url) == {"outputs": ["You said: one two three"]} == asked(behind)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
        assert process.returncode == 0
        assert "Traceback" not in log


@pytest.mark.parametrize("engine", ["openai", "sagemaker"])
def test_a_server_that_is_not_there_is_one_sentence_or_a_503(engine: str) -> None:
    """The OpenAI API is asked at the start what it is; a SageMaker endpoint may be asked for the first time by a prompt."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    done = puna("serve", "--port", "0", "--engine", engine, "--upstream", address)
    assert done.returncode == 3
    assert "is it up?" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_engine_that_needs_an_address_says_so() -> None:
    done = puna("serve", "--port", "0", "--engine", "openai")
    assert done.returncode == 2
    assert "--upstream URL" in done.stderr
