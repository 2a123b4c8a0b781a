"""The container's recipe, read and carried out as far as that goes without Docker: its entry point runs here in its environment.

``container/rehearse.py`` carries out all of it; that takes minutes, root and a package registry, and is run by hand.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from puna.server.container_environment import IMAGE, PORT

ROOT = Path(__file__).parents[2]
RECIPE = (ROOT / "container" / "Dockerfile").read_text(encoding="utf-8")
USER = 10001


def rehearsal() -> Any:
    """``container/rehearse.py`` as a module."""
    spec = importlib.util.spec_from_file_location("rehearse", ROOT / "container" / "rehearse.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["rehearse"] = module
    spec.loader.exec_module(module)
    return module


REHEARSE = rehearsal()


def image(**arguments: str) -> Any:
    """The last stage."""
    return REHEARSE.stages(RECIPE, arguments)[-1]


def test_the_image_says_in_its_environment_what_sagemaker_needs() -> None:
    found = image()
    assert found.entrypoint == ["puna"]
    assert found.command == ["serve"]
    assert found.exposed == [str(PORT)]
    assert found.user == str(USER)
    assert found.environment == IMAGE
    assert found.labels == {"com.amazonaws.sagemaker.capabilities.accept-bind-to-port": "true"}


def test_a_model_in_the_image_is_fetched_when_it_is_built_and_named_to_the_container() -> None:
    found = image(MODEL="smollm2-135m")
    assert found.environment["PUNA_MODEL"] == "smollm2-135m"
    commands = [command for command, _ in found.run]
    assert any("puna models pull" in command for command in commands)


def test_what_is_copied_is_not_ignored() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    kept = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        source
        for stage in REHEARSE.stages(RECIPE, {})
        for words in stage.copies
        if words[0][:2] != "--"
        for source in words[:-1]
    }
    assert copied == kept
    assert all((ROOT / source).exists() for source in copied)
    again = [line for line in lines[1:] if line[0] != "!"]
    assert any(fnmatch("src/puna/__pycache__", line) for line in again)


def test_every_file_that_the_build_needs_is_copied() -> None:
    """Of what pyproject.toml names for a wheel."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = {project["project"]["readme"], *project["project"]["license-files"], "pyproject.toml", "src"}
    copied = {source for words in REHEARSE.stages(RECIPE, {})[0].copies for source in words[:-1]}
    assert needed == copied


@pytest.mark.parametrize("line", ["HEALTHCHECK CMD true", "ADD x y"])
def test_the_rehearsal_refuses_what_it_does_not_know(line: str) -> None:
    with pytest.raises(SystemExit, match="does not know the instruction"):
        REHEARSE.stages(f"FROM x\n{line}\n", {})


@cache
def as_user() -> tuple[str, ...] | None:
    """What runs a command as the image's user; None where this user cannot do that, or that user cannot run this Python."""
    words = ("setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups")
    if os.geteuid() or not shutil.which("setpriv"):
        return None
    python = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    done = subprocess.run([*words, sys.executable, "-c", python], cwd="/", capture_output=True, check=False)
    return None if done.returncode else words


class Container:
    """``docker run IMAGE serve`` without Docker: the image's entry point, command and environment, and a folder for a model."""

    def __init__(self, folder: Path, model: Path, **environment: str) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        found = image()
        variables = {
            **found.environment,
            "PUNA_MODEL": str(model),
            "PUNA_HOME": str(self.home),
            "SAGEMAKER_BIND_TO_PORT": str(self.port),
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HTTPS_PROXY": "http://127.0.0.1:9",  # nothing answers there: whatever asks the network fails
            "HTTP_PROXY": "http://127.0.0.1:9",
            **environment,
        }
        words = [*found.entrypoint, *found.command]
        if (demoted := as_user()) is not None:
            os.chown(self.home, USER, USER)
            words = [*demoted, *words]
        self.process = subprocess.Popen(
            words,
            env=variables,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        return httpx.request(method, f"http://127.0.0.1:{self.port}{path}", timeout=60, trust_env=False, **more)

    def pings(self) -> list[tuple[int, float]]:
        """Status and seconds of each, until the first 200."""
        found: list[tuple[int, float]] = []
        while not found or found[-1][0] != 200:
            assert self.process.poll() is None, self.process.communicate()
            began = time.monotonic()
            try:
                found.append((self.call("GET", "/ping").status_code, time.monotonic() - began))
            except httpx.ConnectError:
                time.sleep(0.05)
        return found

    def stop(self) -> tuple[int, str, str, float]:
        """Exit status, output, log, and the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        out, log = self.process.communicate(timeout=40)
        return self.process.returncode, out, log, time.monotonic() - began


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user can enter; pytest's own are private."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        for each in folder.rglob("*"):
            if each.is_dir():
                each.chmod(0o755)


@pytest.fixture
def model(shared: Path, model_file: Path) -> Path:
    """A folder with the default model that cannot be written to."""
    folder = shared / "model"
    folder.mkdir()
    shutil.copy(model_file, folder / "some-model.gguf")
    (folder / "some-model.gguf").chmod(0o444)
    folder.chmod(0o555)
    return folder


@pytest.mark.model
def test_the_container_answers_as_sagemaker_asks(shared: Path, model: Path) -> None:
    container = Container(
        shared,
        model,
        PUNA_CONTEXT="1024",
        PUNA_SLOTS="2",
        SAGEMAKER_REGION="x",
        SM_MODEL_DIR="/opt/ml/model",
        HF_TASK="text-generation",
    )
    try:
        pings = container.pings()
        assert {status for status, _ in pings} <= {503, 200}
        assert max(seconds for _, seconds in pings) < 2
        body = {"prompt": "<s>[INST] What is a llama? [/INST]", "max_tokens_to_sample": 8, "temperature": 0}
        whole = container.call("POST", "/invocations", json=body)
        assert whole.status_code == 200
        streamed = container.call("POST", "/invocations", json={**body, "stream": True}).content.splitlines()
        assert len(streamed) > 1
        assert "".join(json.loads(line)["outputs"][0] for line in streamed) == whole.json()["outputs"][0]
        assert container.call("GET", "/health").json()["model"] == "some-model"
    finally:
        status, out, log, seconds = container.stop()
    assert (status, out.count("\n")) == (0, 1)
    assert out.startswith(f"ready http://0.0.0.0:{container.port} ")
    assert "POST /invocations 200" in log
    assert seconds < 30
    assert [each.name for each in model.iterdir()] == ["some-model.gguf"]


@pytest.mark.model
def test_a_container_may_stream_where_the_body_does_not_say(shared: Path, model: Path) -> None:
    container = Container(shared, model, PUNA_CONTEXT="512", PUNA_SLOTS="1", PUNA_INVOCATIONS="stream")
    try:
        container.pings()
        body = {"prompt": "<s>[INST] Hi [/INST]", "max_tokens_to_sample": 4, "temperature": 0}
        answer = container.call("POST", "/invocations", json=body)
        assert answer.headers["content-type"] == "application/jsonlines"
        assert len(answer.content.splitlines()) > 1
        answer = container.call("POST", "/invocations", json={**body, "stream": False})
        assert answer.headers["content-type"] == "application/json"
    finally:
        container.stop()


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([], "there is no .gguf file in MODEL: it is empty; put the model's file there, or name a model with --model (PUNA_MODEL)"),
        (["config.json"], "there is no .gguf file in MODEL: it holds config.json; put"),
        (["a.gguf", "b.gguf"], "there must be one model in MODEL, but there are 2: a.gguf, b.gguf; name the file with --model (PUNA_MODEL)"),
        ([f"m-0000{n}-of-00003.gguf" for n in (1, 2, 3)], "the model in MODEL is split into 3 parts; merge them with `llama-gguf-split --merge` first"),
    ],
)  # fmt: skip
def test_a_folder_without_one_model_is_one_sentence(shared: Path, files: list[str], sentence: str) -> None:
    model = shared / "model"
    model.mkdir()
    for name in files:
        (model / name).write_bytes(b"x")
    container = Container(shared, model)
    _, log = container.process.communicate(timeout=60)
    assert container.process.returncode == 2
    assert log.startswith(f"puna: {sentence.replace('in MODEL', f'in {model}')}")
    assert len(log.splitlines()) == 1


@pytest.mark.model
def test_a_home_that_cannot_be_written_to_is_one_sentence(shared: Path, model: Path) -> None:
    container = Container(shared, model, PUNA_HOME="/proc/nothing")
    _, log = container.process.communicate(timeout=60)
    assert container.process.returncode == 2
    assert "cannot write in /proc/nothing/logs" in log
    assert "Traceback" not in log
