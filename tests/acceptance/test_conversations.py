"""One file of conversations over every engine: scripted, embedded, llama.cpp's own server, puna's SageMaker endpoint, two replicas.

Only the address changes. The embedded model, its server, the endpoint and the replicas are one engine, so their greedy answers are equal,
and so is what the model got: token by token where the ids are known here, by their hash where an endpoint's receipt tells it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import puna
from puna import config
from puna.engines.llamacpp import LlamaCpp
from puna.models.store import folder
from puna.sync import bridge

FILE = Path(__file__).with_name("conversations.toml")
CONVERSATIONS: list[dict[str, Any]] = tomllib.loads(FILE.read_text(encoding="utf-8"))["conversations"]
GREEDY = {"temperature": 0, "max_tokens": 16, "seed": 1}
ONE_ENGINE = {"threads": 1, "slots": 2, "context": 1024}
"""One decoding thread, with which answers are reproducible."""

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="replicas need Ray Serve: pip install 'puna[ray]'")


@dataclass(frozen=True)
class Said:
    """What came of one turn. ids_sha256: of the prompt that the model got; None where nobody tells."""

    text: str
    finish: str
    prompt_tokens: int | None
    output_tokens: int | None
    ids_sha256: object


def held(where: Mapping[str, Any]) -> dict[str, list[Said]]:
    """Every conversation of the file, at one place."""
    found = {}
    for conversation in CONVERSATIONS:
        with puna.Chat(system=conversation.get("system"), sampling=GREEDY, **where) as chat:
            found[conversation["name"]] = [_said(chat.send(turn)) for turn in conversation["turns"]]
            assert [m.content for m in chat.history if m.role == "user"] == conversation["turns"]
    return found


def _said(reply: puna.Reply) -> Said:
    receipt = reply.receipt
    assert receipt is not None
    told: Any = receipt.remote or {}
    own: Any = receipt.as_json()
    prompt = told.get("prompt") or own["prompt"]
    usage = receipt.usage
    asked, made = (usage.prompt, usage.output) if usage else (None, None)
    return Said(reply.text, str(receipt.finish), asked, made, prompt.get("ids_sha256"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, model_file: Path) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("home")
    folder(made).mkdir()
    (folder(made) / model_file.name).symlink_to(model_file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUNA_HOME", str(made))
        yield made


@pytest.fixture(scope="module")
def embedded(home: Path) -> dict[str, list[Said]]:
    return held(ONE_ENGINE)


@contextmanager
def serving(home: Path, *options: str) -> Iterator[str]:
    """The address of a ``puna serve``, or of several behind one."""
    with ExitStack() as stack:
        # Ray's sockets lie below the temporary folder, and their paths may have 107 bytes.
        short = stack.enter_context(tempfile.TemporaryDirectory(prefix="rt-", ignore_cleanup_errors=True))
        log = stack.enter_context((home / "log").open("w+"))
        engine = [f"--{name}={value}" for name, value in ONE_ENGINE.items()]
        process = subprocess.Popen(
            [sys.executable, "-m", "puna.cli", "serve", "--port=0", *engine, *options],
            stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, "PUNA_HOME": str(home), "TMPDIR": short},
        )  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("ready "), (home / "log").read_text()
            yield line.split()[1]
        finally:
            process.terminate()
            process.communicate(timeout=60)


@contextmanager
def llama_server(home: Path) -> Iterator[Mapping[str, Any]]:
    """llama.cpp's own HTTP server, with the same parameters as the embedded engine, which runs it."""
    wanted = config.settings(ONE_ENGINE, {"PUNA_HOME": str(home)})
    engine = config.engine_of(wanted, config.find_model(wanted))
    assert isinstance(engine, LlamaCpp)
    bridge().run(engine.start)
    try:
        key = engine.http.headers["Authorization"].removeprefix("Bearer ")
        yield {"url": f"{engine.address}/v1", "key": key}
    finally:
        bridge().run(engine.close)


def test_the_scripted_engine() -> None:
    said = held({"engine": "scripted"})
    assert [reply.text.split("\n")[0] for reply in said["no system message"]] == [
        "You said: Write one line about the sea."
    ]


@pytest.mark.model
def test_llama_cpps_own_server(home: Path, embedded: dict[str, list[Said]]) -> None:
    with llama_server(home) as where:
        assert held(where) == embedded


@pytest.mark.model
def test_punas_sagemaker_endpoint(home: Path, embedded: dict[str, list[Said]]) -> None:
    with serving(home) as url:
        assert held({"url": url}) == embedded


@pytest.mark.model
def test_punas_endpoint_as_an_openai_server(home: Path, embedded: dict[str, list[Said]]) -> None:
    with serving(home) as url:
        assert held({"url": f"{url}/v1"}) == embedded


@pytest.mark.model
def test_puna_in_front_of_llama_cpps_own_server(
    home: Path, embedded: dict[str, list[Said]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with llama_server(home) as where:
        monkeypatch.setenv("PUNA_UPSTREAM_KEY", where["key"])
        # Its window, its slots and its threads are its own.
        monkeypatch.setattr(f"{__name__}.ONE_ENGINE", {})
        with serving(home, "--engine=openai", f"--upstream={where['url']}") as url:
            assert held({"url": url}) == embedded


@needs_ray
@pytest.mark.model
def test_two_replicas(home: Path, embedded: dict[str, list[Said]]) -> None:
    with serving(home, "--replicas=2") as url:
        assert held({"url": url}) == embedded
