"""The pages on production are done by a reader, and their tables are held to the code."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from puna.models.folder import model_in
from puna.server.control_inputs import INPUTS
from puna.server.deployments import MOST, SETTLING_SECONDS
from tests.howto.pages import Reader, blocks, left_out

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("production", "howto/deploy-sagemaker", "howto/vllm-sglang", "howto/ray-replicas", "howto/real-sagemaker")
BIN = Path(sys.executable).parent


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def written(name: str, folder: Path, *files: str) -> None:
    """Files of a page, as they stand there."""
    found = {block.file: block.text for block in blocks(page(name)) if block.file}
    for file in files:
        (folder / file).write_text(found[file], encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_what_is_not_run_says_why(name: str) -> None:
    for block in left_out(page(name)):
        assert len((block.reason or "").split()) > 3, block.text


@pytest.mark.model
def test_a_reader_deploys(tmp_path: Path, model_home: Path) -> None:
    Reader(tmp_path).follow(page("howto/deploy-sagemaker"))


def test_a_reader_prepares_for_the_real_one(tmp_path: Path) -> None:
    Reader(tmp_path).follow(page("howto/real-sagemaker"))


def test_a_reader_has_replicas(tmp_path: Path) -> None:
    pytest.importorskip("ray.serve")
    Reader(tmp_path).follow(page("howto/ray-replicas"))


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **more}


@contextmanager
def started(*words: str, env: dict[str, str], folder: Path) -> Iterator[str]:
    """A program until the block ends, and the first line that it printed."""
    process = subprocess.Popen(
        words,
        env=env,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=40)


def output(*words: str, env: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        words, env=env, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def endpoint(folder: Path) -> Iterator[str]:
    """The address of ``puna serve`` with the engine that needs no model."""
    with started("puna", "serve", "--engine", "scripted", "--port", "0", env=environment(), folder=folder) as line:
        assert line.startswith("ready "), line
        yield line.split()[1]


def aws(url: str) -> dict[str, str]:
    """A user's own configuration, and the one variable that makes it go here."""
    keys = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    return environment(**keys, AWS_ENDPOINT_URL=url, NO_PROXY="127.0.0.1")


def test_one_variable_sends_the_program_here(tmp_path: Path) -> None:
    written("howto/deploy-sagemaker", tmp_path, "deploy.py")
    with endpoint(tmp_path) as url:
        printed = output(sys.executable, "deploy.py", env=aws(url), folder=tmp_path)
        again = output(sys.executable, "deploy.py", env=aws(url), folder=tmp_path)  # nothing is left of the first one
    said = "You said: What is a llama?"
    assert printed == again == f"InService\n{said}\n{said}\n"


def shown(name: str, containing: str) -> str:
    """The ``text`` block of a page that holds a text."""
    (found,) = (block for block in blocks(page(name)) if block.language == "text" and containing in block.text)
    return found.text


def test_parity_of_the_laptop_and_a_created_endpoint_is_the_one_that_is_shown(tmp_path: Path) -> None:
    written("howto/deploy-sagemaker", tmp_path, "deploy.py")
    written("howto/real-sagemaker", tmp_path, "parity.toml")
    create = (tmp_path / "deploy.py").read_text(encoding="utf-8").partition("    print(sagemaker.describe")[0]
    (tmp_path / "create.py").write_text(f"{create}finally:\n    pass\n", encoding="utf-8")
    with endpoint(tmp_path) as url:
        file = tmp_path / "parity.toml"
        file.write_text(file.read_text(encoding="utf-8").replace("http://127.0.0.1:8080", url), encoding="utf-8")
        output(sys.executable, "create.py", env=aws(url), folder=tmp_path)
        env = environment(PUNA_ENGINE="scripted")
        output("puna", "sweep", "parity.toml", env=env, folder=tmp_path)
        report = output("puna", "report", "--parity", "--measure", "tokens", env=env, folder=tmp_path)
    assert shown("howto/real-sagemaker", "Parity:").strip() in report


@pytest.mark.model
def test_parity_of_the_laptop_and_a_server_is_the_one_that_is_shown(
    tmp_path: Path, model_home: Path, model_file: Path
) -> None:
    written("howto/vllm-sglang", tmp_path, "parity.toml", "standin.py")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = tmp_path / "parity.toml"
    file.write_text(file.read_text(encoding="utf-8").replace(":8000/", f":{port}/"), encoding="utf-8")
    words = (sys.executable, "standin.py", str(model_file), str(port), "F16")
    with started(*words, env=environment(), folder=tmp_path) as line:
        assert line == "ready\n"
        output("puna", "sweep", "parity.toml", env=environment(), folder=tmp_path)
    report = output("puna", "report", "--parity", "--measure", "tokens", env=environment(), folder=tmp_path)
    assert shown("howto/vllm-sglang", "12 of 12").strip() in report


# ---- tables


def rows(name: str, *head: str) -> list[list[str]]:
    """The rows of the table with this head."""
    wanted = f"| {' | '.join(head)} |"
    found = re.search(rf"^{re.escape(wanted)}\n\|[-| ]+\|\n((?:\|.*\n)+)", page(name), re.MULTILINE)
    assert found is not None, wanted
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in found[1].splitlines()]


def test_the_operations_are_those_of_the_code() -> None:
    told = {
        name
        for operations, _ in rows("endpoint", "operation", "what happens here")
        for name in re.findall(r"`(\w+)`", operations)
    }
    assert told == set(INPUTS)
    section = page("endpoint").partition("### Endpoints that are created")[2]
    assert f"at most {MOST} of each kind" in section
    assert f"`Creating` for {SETTLING_SECONDS:g} s" in section


def test_the_build_arguments_are_those_of_the_recipe() -> None:
    recipe = (DOCS.parent / "container" / "Dockerfile").read_text(encoding="utf-8")
    defaults = dict(re.findall(r"^ARG (\w+)=?(.*)$", recipe, re.MULTILINE))
    told = {
        name.strip("`"): default.strip("`")
        for name, default, _ in rows("production", "build argument", "default", "what it is")
    }
    assert told == {**defaults, "PIP_INDEX_URL": "pip's own"}


@pytest.mark.parametrize(
    ("row", "files"),
    [
        (0, ["config.json", "model.safetensors"]),
        (1, ["a.gguf", "b.gguf"]),
        (2, [f"m-0000{n}-of-00003.gguf" for n in (1, 2, 3)]),
    ],
)
def test_what_a_folder_is_told_is_what_the_page_says(tmp_path: Path, row: int, files: list[str]) -> None:
    for name in files:
        (tmp_path / name).touch()
    sentence = rows("production", "what is in the folder", "what is said")[row][1].strip("`").removesuffix("...")
    with pytest.raises(Exception, match="model|gguf") as caught:
        model_in(tmp_path)
    assert str(caught.value).replace(str(tmp_path), "/opt/ml/model").replace("`", "").startswith(sentence)


def test_the_seconds_of_a_stop_are_those_of_the_code() -> None:
    from puna.endpoint import DRAIN_SECONDS

    assert f"what was accepted has {DRAIN_SECONDS} s" in page("production")


def test_json_on_a_page_is_json() -> None:
    (inline,) = re.findall(r'`("ModelDataSource": .*)`\.', page("howto/deploy-sagemaker"))
    assert json.loads(f"{{{inline}}}")
