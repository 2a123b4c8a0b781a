"""Sessions: every valid one comes back as it was, nothing else gets in, and no crash or second writer loses one."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.errors import InputError, PunaError
from puna.sessions import store
from puna.sessions.store import (
    MAX_SESSION,
    SessionDamagedError,
    Sessions,
    SessionStoreError,
    SessionTooLargeError,
)

from .saved import NODES, session, whole_sessions


@pytest.fixture
def kept(tmp_path: Path) -> Sessions:
    return Sessions(tmp_path / "home" / "sessions")


# ---- what goes in comes back


@settings(deadline=None)
@given(whole_sessions())
def test_a_session_comes_back_as_it_was_saved(tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any]) -> None:
    kept = Sessions(tmp_path_factory.mktemp("sessions"))
    assert kept.put("one", value) == {"revision": 1, "overwrote": False}
    assert json.dumps(kept.get("one")) == json.dumps({**value, "revision": 1})
    (row,) = kept.list()
    path, at = [], value["leaf"]
    while at is not None:
        path.append(value["nodes"][at])
        at = path[-1]["parent"]
    assert row["turns"] == sum(node["role"] == "user" for node in path)
    assert row["title"] == value["title"]


def test_what_is_saved_is_not_changed(kept: Sessions) -> None:
    value = session(nodes=copy.deepcopy(NODES), leaf=2)
    before = copy.deepcopy(value)
    kept.put("one", value)
    assert value == before


def test_the_folder_is_made_only_when_needed(kept: Sessions) -> None:
    assert kept.list() == []
    kept.delete("one")
    assert not kept.folder.exists()
    kept.put("one", session())
    assert [file.name for file in kept.folder.glob("*.json")] == ["one.json"]


def test_what_is_deleted_is_gone_and_may_be_deleted_again(kept: Sessions) -> None:
    kept.put("one", session())
    kept.delete("one")
    kept.delete("one")
    assert kept.list() == []
    with pytest.raises(InputError, match="no session one") as caught:
        kept.get("one")
    assert caught.value.status == 404


# ---- the list


def test_the_newest_comes_first_and_tells_when(kept: Sessions) -> None:
    for n, name in enumerate(("a", "b", "c")):
        kept.put(name, session(id=name, title=f"Title {name}", nodes=copy.deepcopy(NODES), leaf=2 if n else 3))
        os.utime(kept.folder / f"{name}.json", (1_000_000_000 + n, 1_000_000_000 + n))
    rows = kept.list()
    assert [(row["id"], row["title"], row["turns"]) for row in rows] == [
        ("c", "Title c", 2), ("b", "Title b", 2), ("a", "Title a", 1)
    ]  # fmt: skip
    changed = datetime.fromisoformat(rows[2]["changed"])
    assert changed.timestamp() == 1_000_000_000
    assert changed.utcoffset() == timedelta(0)
    kept.put("a", kept.get("a"))
    assert kept.list()[0]["id"] == "a"


@pytest.mark.parametrize("place", ["title", "system", "context", "raw", "draft", "example", "message", "other version"])
def test_search_finds_any_text_whatever_its_case(kept: Sessions, place: str) -> None:
    hidden = "Die STRASSE der Lamas"
    value = session(nodes=copy.deepcopy(NODES), leaf=2)
    if place == "example":
        value["examples"] = [{"question": "?", "answer": hidden}]
    elif place in {"message", "other version"}:
        value["nodes"][0 if place == "message" else 3]["content"] = hidden
    else:
        value[place] = hidden
    kept.put("one", value)
    kept.put("two", session(id="two"))
    assert [row["id"] for row in kept.list(" straße ")] == ["one"]
    assert kept.list("guanako") == []
    assert len(kept.list("  ")) == 2


def test_a_change_by_another_process_shows(kept: Sessions) -> None:
    kept.put("one", session(title="before"))
    assert kept.list()[0]["title"] == "before"
    Sessions(kept.folder).put("one", session(title="after"))
    assert kept.list()[0]["title"] == "after"


# ---- ids


HOSTILE = [
    "",
    "..",
    ".",
    "a/b",
    "../a",
    "/etc/passwd",
    "a" * 65,
    "A",
    "a\0b",
    "a.json",
    "a\n",
    "ä",
    "c:\\x",
    "a b",
    "%2e%2e",
]


@pytest.mark.parametrize("name", [*HOSTILE, None, 7, ["a"], b"a"])
def test_no_id_leaves_the_folder(kept: Sessions, name: Any) -> None:
    for call in (kept.get, kept.delete, lambda given: kept.put(given, session(id=given))):
        with pytest.raises(InputError, match="a session's id must be"):
            call(name)
    assert not kept.folder.parent.exists()


@given(st.text())
def test_any_id_is_a_name_or_refused(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    try:
        path = Sessions(folder)._path(name)
    except InputError:
        return
    assert path.parent == folder
    assert 1 <= len(name) <= 64


def test_the_longest_id_is_taken(kept: Sessions) -> None:
    kept.put("z" * 64, session(id="z" * 64))
    assert kept.get("z" * 64)["id"] == "z" * 64


def test_a_session_is_saved_under_its_own_id_only(kept: Sessions) -> None:
    with pytest.raises(InputError, match="let both be the same"):
        kept.put("two", session())


def test_a_link_is_not_followed(kept: Sessions, tmp_path: Path) -> None:
    kept.put("two", session(id="two"))
    outside = tmp_path / "outside.json"
    outside.write_text(json.dumps(session()), encoding="utf-8")
    (kept.folder / "one.json").symlink_to(outside)
    with pytest.raises(SessionDamagedError, match="a link"):
        kept.get("one")
    assert [row["id"] for row in kept.list()] == ["two"]
    kept.put("one", session(title="mine"))
    assert json.loads(outside.read_text(encoding="utf-8"))["title"] == ""
    assert kept.get("one")["title"] == "mine"


def test_a_session_that_is_too_large_leaves_the_old_one(kept: Sessions) -> None:
    kept.put("one", session(title="old"))
    with pytest.raises(SessionTooLargeError, match="delete versions") as caught:
        kept.put("one", session(raw="ä" * (MAX_SESSION // 2), revision=1))
    assert caught.value.status == 413
    assert kept.get("one")["title"] == "old"
    kept.put("one", session(raw="ä" * (MAX_SESSION // 2 - 500), revision=1))
    assert len(kept.get("one")["raw"]) > 4_000_000


# ---- damaged files


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b'{"v": 1}',
        json.dumps(session(id="two")).encode(),
        json.dumps(session()).encode()[:-1],
        json.dumps(session()).encode() + b"x",
        json.dumps(session()).replace('"v": 1', '"v": 1, "v": 1').encode(),
        json.dumps(session()).replace('"params": {}', '"params": {"temperature": 1e999}').encode(),
        json.dumps(session()).replace('"params": {}', '"params": {"temperature": NaN}').encode(),
        json.dumps(session(title="\ud800")).encode(),
        b" " * (MAX_SESSION + 1),
    ],
)
def test_a_damaged_file_never_breaks_the_list(kept: Sessions, data: bytes) -> None:
    kept.put("two", session(id="two"))
    (kept.folder / "one.json").write_bytes(data)
    (kept.folder / "Notes.json").write_bytes(b"{}")
    (kept.folder / "readme.txt").write_bytes(b"x")
    (kept.folder / "folder.json").mkdir()
    os.mkfifo(kept.folder / "pipe.json")
    assert [row["id"] for row in kept.list()] == ["two"]
    assert [row["id"] for row in kept.list("x")] == []
    for name in ("one", "folder", "pipe"):
        with pytest.raises(SessionDamagedError, match="mend or remove it"):
            kept.get(name)
    assert kept.put("one", session(title="new")) == {"revision": 1, "overwrote": True}
    assert kept.get("one")["title"] == "new"


def test_a_folder_that_fails_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "sessions").write_text("a file")
    kept = Sessions(tmp_path / "sessions")
    for call in (kept.list, lambda: kept.put("one", session())):
        with pytest.raises(SessionStoreError, match="which fails: "):
            call()
    with pytest.raises(PunaError):
        kept.get("one")


# ---- two writers, crashes


def test_the_later_save_wins_and_says_so(kept: Sessions) -> None:
    assert kept.put("one", session()) == {"revision": 1, "overwrote": False}
    mine, theirs = kept.get("one"), kept.get("one")
    assert kept.put("one", {**theirs, "title": "theirs"}) == {"revision": 2, "overwrote": False}
    assert kept.put("one", {**mine, "title": "mine"}) == {"revision": 3, "overwrote": True}
    assert kept.get("one")["title"] == "mine"
    assert kept.put("one", {**mine, "revision": 3}) == {"revision": 4, "overwrote": False}
    assert kept.put("one", session()) == {"revision": 5, "overwrote": True}


def test_what_was_deleted_meanwhile_is_saved_as_new(kept: Sessions) -> None:
    kept.put("one", session())
    kept.delete("one")
    assert kept.put("one", session(revision=1)) == {"revision": 1, "overwrote": False}


def test_writers_at_the_same_time_take_turns(kept: Sessions) -> None:
    """As of several servers on one folder; readers see a whole session at any moment."""
    told: list[dict[str, Any]] = []
    failed: list[Exception] = []
    done = threading.Event()

    def write(name: str) -> None:
        own = Sessions(kept.folder)
        try:
            for _ in range(8):
                told.append(own.put("one", session(title=name, raw=name * 20_000)))
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    def read() -> None:
        try:
            while not done.is_set():
                for row in kept.list():
                    found = kept.get(row["id"])
                    assert found["raw"] == found["title"] * 20_000
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    writers = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    reader = threading.Thread(target=read)
    for thread in (*writers, reader):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert failed == []
    assert sorted(entry["revision"] for entry in told) == list(range(1, 25))
    assert sum(entry["overwrote"] for entry in told) == 23


def test_a_writer_that_does_not_end_is_told_of(kept: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.put("one", session())
    monkeypatch.setattr(store, "WAIT_SECONDS", 0.1)
    with FileLock(kept.folder / ".lock"), pytest.raises(SessionStoreError, match="another process"):
        kept.put("one", session(title="new"))
    assert kept.get("one")["title"] == ""


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_disk_that_refuses_leaves_the_old_one(kept: Sessions, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    kept.put("one", session(title="old"))

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "open" if step == "write" else step, refuse)
        with pytest.raises(PunaError, match="No space left"):
            kept.put("one", session(title="new", revision=1))
    assert kept.get("one")["title"] == "old"
    assert kept.put("one", session(title="new", revision=1)) == {"revision": 2, "overwrote": False}
    assert not (kept.folder / ".unfinished").exists()


def test_a_crash_before_the_new_file_is_in_place_leaves_the_old_one(kept: Sessions) -> None:
    kept.put("one", session(title="old"))
    value = json.dumps(session(title="new", revision=1))
    program = (
        "import json, os, sys\n"
        "from pathlib import Path\n"
        "from puna.sessions.store import Sessions\n"
        "os.replace = lambda *_: os._exit(9)\n"
        "Sessions(Path(sys.argv[1])).put('one', json.loads(sys.argv[2]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(kept.folder), value], check=False)
    assert done.returncode == 9
    assert (kept.folder / ".unfinished").exists()
    assert kept.get("one")["title"] == "old"
    assert len(kept.list()) == 1
    assert kept.put("one", session(title="new", revision=1)) == {"revision": 2, "overwrote": False}
    assert not (kept.folder / ".unfinished").exists()
    assert kept.get("one")["title"] == "new"


def test_others_cannot_read_what_is_kept(kept: Sessions) -> None:
    kept.put("one", session())
    assert (kept.folder / "one.json").stat().st_mode & 0o077 == 0
    assert kept.folder.stat().st_mode & 0o077 == 0
