"""Options of ``puna serve`` that do not go together are one sentence, and what is loaded is told before."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import httpx
import pytest

from puna import config
from puna.errors import InputError

from .test_cli import puna, start
from .test_serving import serving

UP = ["--engine", "openai", "--upstream", "http://127.0.0.1:1"]


@pytest.mark.parametrize(
    ("arguments", "env", "parts"),
    [
        (["--upstream", "http://127.0.0.1:1"], {}, ["--upstream", "--engine openai", "the engine is llamacpp"]),
        (["--engine", "scripted", "--upstream-name", "m"], {}, ["--upstream-name", "the engine is scripted"]),
        ([], {"PUNA_UPSTREAM_KEY": "secret"}, ["PUNA_UPSTREAM_KEY", "the engine is llamacpp"]),
        (["--engine", "openai"], {}, ["--engine openai needs", "--upstream URL"]),
        ([], {"PUNA_ENGINE": "sagemaker"}, ["PUNA_ENGINE sagemaker needs", "--upstream URL"]),
        ([*UP, "--model", "smollm2-135m"], {}, ["--model", "--upstream-name"]),
        ([*UP, "--slots", "2"], {}, ["--slots", "a server elsewhere"]),
        ([*UP, "--prompt-cache", "1"], {}, ["--prompt-cache", "a server elsewhere"]),
        ([*UP], {"PUNA_CACHE_TYPE": "q8_0"}, ["PUNA_CACHE_TYPE", "a server elsewhere"]),
        ([*UP, "--upstream-dialect", "lmi"], {}, ["--upstream-dialect", "the engine is openai"]),
        (["--engine", "openai", "--upstream", "host:1"], {}, ["--upstream must be an address", "'host:1'"]),
        (["--engine", "sagemaker", "--upstream", "sagemaker:"], {}, ["endpoint's name"]),
        (["--engine", "openai", "--upstream", "sagemaker:e"], {}, ["sagemaker:e", "openai"]),
        (["--cache-type", "q5"], {}, ["--cache-type", "q8_0"]),
        (["--replicas", "0"], {}, ["--replicas", "1 to 64"]),
    ],
)
def test_what_does_not_go_together_is_one_sentence(arguments: list[str], env: dict[str, str], parts: list[str]) -> None:
    done = puna("serve", "--port", "0", *arguments, env=env)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert all(part in done.stderr for part in parts), done.stderr
    assert "secret" not in done.stderr


def test_an_upstream_that_is_not_there_is_exit_status_3() -> None:
    done = puna("serve", "--port", "0", *UP)
    assert done.returncode == 3
    assert "http://127.0.0.1:1" in done.stderr


@pytest.mark.parametrize("verb", [["exec", "--", "true"], ["demo"]])
def test_only_puna_serve_has_replicas(verb: list[str]) -> None:
    done = puna(*verb, env={"PUNA_ENGINE": "scripted", "PUNA_REPLICAS": "2"})
    assert done.returncode == 2
    assert "--replicas is for puna serve" in done.stderr


def test_an_endpoint_in_front_of_an_endpoint_answers_and_names_it() -> None:
    body = {"prompt": "<s>[INST] one two [/INST]"}
    with serving() as (_, behind):
        for engine in ("openai", "sagemaker"):
            process = start("serve", "--port", "0", "--engine", engine, "--upstream", behind)
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                assert line.rstrip().endswith(f" upstream={behind}"), line
                answer = httpx.post(f"{line.split()[1]}/invocations", json=body, trust_env=False)
                assert answer.json() == {"outputs": ["You said: one two"]}
            finally:
                process.kill()
                process.communicate(timeout=20)


@pytest.mark.model
def test_a_load_tells_the_window_of_one_request_and_the_memory_of_all(model_home: Path) -> None:
    process = start("serve", "--port", "0", "--slots", "3", "--context", "1000", "--cache-type", "q8_0",
                    "--threads", "1", "--batch-threads", "1", "--log", "json", env={"PUNA_HOME": str(model_home)})  # fmt: skip
    try:
        assert process.stdout is not None
        assert " context=1000 slots=3" in process.stdout.readline()
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
    note = json.loads(log.splitlines()[0])["note"]
    assert re.search(r"3 requests at a time, each with a window of 1000 tokens", note)
    assert "36 MiB of KV cache (q8_0)" in note
    assert "1 thread for one stream, 1 for prefill" in note


@pytest.mark.model
@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"cache_type": "q8_0", "flash_attention": "off"}, "needs flash attention"),
        ({"slots": 256, "context": 8192, "prompt_cache": 1_048_576}, "what would fit"),
    ],
)
def test_what_cannot_be_loaded_is_refused_before_the_load(
    model_home: Path, settings: dict[str, object], part: str
) -> None:
    with pytest.raises(InputError, match=part):
        config.find_model(config.settings(settings))
