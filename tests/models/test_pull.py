"""The order of a pull: one at a time, room first, nothing under its final name before it is verified."""

from __future__ import annotations

import errno
import hashlib
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from puna.errors import InputError, ModelFileError
from puna.models import store
from puna.models.catalog import Entry, Hub
from puna.models.pull import pull
from puna.models.transfer import Phase, Progress
from tests.models.gguf_writer import gguf_bytes
from tests.models.hub_server import REPO, FakeHub, running

CONTENT = gguf_bytes({"general.description": "x" * 300_000})
NAME = f"hf:{REPO}:tiny.gguf"
ENTRY = Entry(NAME, "Tiny", None, Hub(REPO, "tiny.gguf"))
PINNED = replace(ENTRY, size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with running(FakeHub({"tiny.gguf": CONTENT})) as server:
        yield server


def ignore(_step: Progress) -> None:
    pass


def test_two_pulls_at_once_fetch_once(hub: FakeHub, tmp_path: Path) -> None:
    fetching, waiting, hub.gate = threading.Event(), threading.Event(), threading.Event()
    phases: list[Phase] = []

    def first_report(step: Progress) -> None:
        if step.phase == Phase.FETCHING:
            fetching.set()

    def second_report(step: Progress) -> None:
        phases.append(step.phase)
        waiting.set()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(pull, ENTRY, tmp_path, first_report, endpoint=hub.url)
        try:
            assert fetching.wait(30)
            second = pool.submit(pull, ENTRY, tmp_path, second_report, endpoint=hub.url)
            assert waiting.wait(30)
            with pytest.raises(InputError, match="just being pulled"):
                store.remove(ENTRY, tmp_path)
        finally:
            hub.gate.set()
        assert first.result(30) == second.result(30)
    assert phases == [Phase.WAITING, Phase.PRESENT]
    assert len(hub.ranges()) == 1


def test_nothing_has_the_final_name_before_it_is_verified(hub: FakeHub, tmp_path: Path) -> None:
    path = store.path_of(ENTRY, tmp_path)

    def look(step: Progress) -> None:
        assert path.exists() == (step.phase == Phase.DONE)

    assert pull(ENTRY, tmp_path, look, endpoint=hub.url) == path


def test_a_pinned_checksum_is_stronger_than_the_hub(hub: FakeHub, tmp_path: Path) -> None:
    wrong = replace(PINNED, sha256="0" * 64)
    with pytest.raises(ModelFileError, match=f"{PINNED.sha256}, not {'0' * 64}"):
        pull(wrong, tmp_path, ignore, endpoint=hub.url)


def test_a_pinned_file_with_a_flipped_bit_is_fetched_anew(hub: FakeHub, tmp_path: Path) -> None:
    path = pull(PINNED, tmp_path, ignore, endpoint=hub.url)
    path.write_bytes(CONTENT[:-1] + b"\x01")
    phases: list[Phase] = []
    pull(PINNED, tmp_path, lambda step: phases.append(step.phase), endpoint=hub.url)
    assert path.read_bytes() == CONTENT
    assert Phase.FETCHING in phases
    pull(PINNED, tmp_path, lambda step: phases.append(step.phase), endpoint=hub.url)
    assert phases[-1] == Phase.PRESENT


def test_no_room_is_told_before_anything_is_fetched(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10**9, 10**9, 12_345))
    with pytest.raises(ModelFileError, match=f"has 12345 bytes free, and {len(CONTENT)} more are needed"):
        pull(ENTRY, tmp_path, ignore, endpoint=hub.url)
    assert hub.ranges() == []


def test_a_disk_that_becomes_full_keeps_what_came(hub: FakeHub, tmp_path: Path) -> None:
    def full(step: Progress) -> None:
        if step.phase == Phase.FETCHING and step.done:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ModelFileError, match="became full; make room"):
        pull(ENTRY, tmp_path, full, endpoint=hub.url)
    path = pull(ENTRY, tmp_path, ignore, endpoint=hub.url)
    assert path.read_bytes() == CONTENT
    assert len(hub.ranges()) == 2
    assert hub.ranges()[1] is not None


def test_a_store_that_cannot_be_written(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(ModelFileError, match="set PUNA_HOME to a folder that you can write"):
        pull(ENTRY, tmp_path, ignore, endpoint=hub.url)
