"""Whatever a store's file or disk is like: a sentence, and nothing lost."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from puna.errors import InputError, PunaError
from puna.experiments import database, migrations
from puna.experiments.store import Store, StoreError
from tests.experiments import made


@pytest.fixture
def plan():
    return made.plan_of(temperatures=(1.0,), top_ps=(1.0,), repeats=2)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs.db"


def filled(path, plan):
    with Store.open(path) as store:
        return made.fill(store, plan)


def version(path):
    with sqlite3.connect(path) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def test_a_store_is_one_file_once_it_is_closed(path, plan):
    filled(path, plan)
    assert [each.name for each in path.parent.iterdir()] == ["runs.db"]


def test_a_store_logs_ahead_and_waits_for_the_disk(path):
    with Store.open(path) as store, store._database.reading() as connection:
        told = {name: connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous", "foreign_keys", "application_id", "user_version")}  # fmt: skip
    full = 2
    assert told == {
        "journal_mode": "wal", "synchronous": full, "foreign_keys": 1, "application_id": int.from_bytes(b"puna", "big"), "user_version": 1,
    }  # fmt: skip


def test_the_drawing_names_every_table(path):
    with Store.open(path) as store, store._database.reading() as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'")}  # fmt: skip
    drawn = sys.modules["puna.experiments.store"].__doc__ or ""
    assert {name for name in names if f"\n    {name} " not in drawn} == set()


def test_people_find_the_answers_with_any_tool(path, plan):
    run = filled(path, plan)
    with sqlite3.connect(path) as connection:
        lines = connection.execute("SELECT run, prompt, output FROM answer").fetchall()
    assert lines[0] == (run, "story", made.outcome_of(next(plan.trials())).output)


def test_the_log_does_not_grow_with_the_run(path, monkeypatch):
    monkeypatch.setattr(database, "_LOGGED", 10)
    plan = made.plan_of(temperatures=(1.0,), top_ps=(1.0,), repeats=100)
    with Store.open(path) as store:
        run = store.begin(plan)
        sizes = []
        for trial in plan.trials():
            store.put(run, trial, made.outcome_of(trial), "")
            sizes.append(path.with_name("runs.db-wal").stat().st_size)
    assert sizes[-1] < 2 * sizes[20]


# What is no store, or not here


def other_programs(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()


def test_a_missing_store_is_not_made_unless_it_should_be(path):
    with pytest.raises(InputError, match=r"there is no store .*runs.db; `puna sweep FILE --store .*runs.db` makes one"):
        Store.open(path, create=False)
    assert not path.exists()


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path.mkdir(), "a store is a file, but .* is a folder; name a file in it"),
        (lambda path: path.write_text("name = 'story'\n" * 100), "is not a store of puna: it is no SQLite file"),
        (lambda path: path.write_text("short"), "is not a store of puna: it is no SQLite file"),
        (other_programs, "is not a store of puna, but another program's SQLite file"),
    ],
    ids=["folder", "text", "short", "other"],
)
def test_what_is_no_store_is_refused_and_left_as_it_is(path, make, sentence, create):
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(InputError, match=sentence):
        Store.open(path, create=create)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_an_empty_file_becomes_a_store_only_where_one_is_to_be_made(path):
    path.touch()
    with pytest.raises(InputError, match="is empty and holds no run"):
        Store.open(path, create=False)
    with Store.open(path) as store:
        assert store.runs() == ()


def test_a_folder_that_is_not_there_is_not_made(path):
    with pytest.raises(InputError, match=r"the folder .*nowhere of the store does not exist; make it first"):
        Store.open(path.parent / "nowhere" / "runs.db")


def test_a_store_of_a_newer_puna_is_left_alone(path, plan):
    filled(path, plan)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(
        InputError, match=r"newer puna: it has version 7, and this puna knows those up to 1; upgrade puna"
    ):
        Store.open(path)
    assert version(path) == 7


# Migrations


def test_a_step_is_done_once_and_keeps_what_is_there(path, plan, monkeypatch):
    run = filled(path, plan)
    done = []

    def step(connection):
        done.append(1)
        connection.execute("ALTER TABLE run ADD COLUMN note TEXT")

    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, step))
    for _ in range(2):
        with Store.open(path) as store:
            assert len(store.rows(run)) == 4
    assert (done, version(path)) == ([1], 2)


def test_a_step_that_fails_changes_nothing(path, plan, monkeypatch):
    run = filled(path, plan)

    def first(connection):
        connection.execute("DELETE FROM run")

    def second(connection):
        connection.execute("nonsense")

    with monkeypatch.context() as patch:
        patch.setattr(migrations, "STEPS", (*migrations.STEPS, first, second))
        with pytest.raises(StoreError, match="syntax error"):
            Store.open(path)
    with Store.open(path) as store:
        assert len(store.rows(run)) == 4
    assert version(path) == 1


def test_many_open_a_new_store_at_the_same_time(path):
    barrier = threading.Barrier(8)

    def work(_):
        barrier.wait()
        with Store.open(path) as store:
            return store.begin(made.plan_of(repeats=1))

    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(work, range(8)))
    with Store.open(path) as store:
        assert {run.id for run in store.runs()} == set(runs)
        assert len(set(runs)) == 8


# A disk that refuses


def test_a_full_disk_loses_nothing(path, plan):
    run = filled(path, plan)
    with Store.open(path) as store:
        with store._database.reading() as connection:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages}")
        trial = next(plan.trials())
        big = replace(made.outcome_of(trial), output="x" * 500_000)
        with pytest.raises(
            StoreError,
            match=r"no room is left on the disk .* is kept: make room, then do the same again \(a sweep: with --resume\)",
        ):
            store.put(run, trial, big, "")
        assert len(store.rows(run)) == 4
        with store._database.reading() as connection:
            connection.execute("PRAGMA max_page_count = 1000000")
        store.put(run, trial, big, "")
        assert store.rows(run)[0].output == big.output


def test_a_store_that_another_process_does_not_let_go_is_told(path, plan, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    run = filled(path, plan)
    with Store.open(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"another process has been writing to .* for 0.1 s"):
            store.finish(run, "complete")
        assert len(store.rows(run)) == 4, "readers do not wait"
        other.execute("ROLLBACK")
        store.finish(run, "complete")


def test_a_damaged_store_is_told(path):
    plan = made.plan_of(temperatures=(1.0,), repeats=4)
    run = filled(path, plan)
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * (path.stat().st_size - 16384))
    sentence = r"is damaged .*; keep a copy, and save what is readable with: sqlite3 .* \.recover"
    with pytest.raises(StoreError, match=sentence), Store.open(path) as store:
        store.rows(run)
        store.runs()


def test_a_closed_store_is_told(path):
    store = Store.open(path)
    store.close()
    with pytest.raises(PunaError, match="closed"):
        store.runs()


READ_ONLY = """
import os, sys
from puna.errors import PunaError
from puna.experiments.store import Store
from tests.experiments import made
os.setuid(65534)
path, run = sys.argv[1:]
with Store.open(path, create=False) as store:
    print(len(store.rows(run)), store.run().state)
    for attempt in (lambda: store.begin(made.plan_of()), lambda: store.remove(run)):
        try:
            attempt()
        except PunaError as error:
            print(error)
try:
    Store.open(path.replace("runs.db", "new.db"))
except PunaError as error:
    print(error)
"""


@pytest.fixture
def shared():
    """A folder that other users can reach; pytest's own they cannot."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become a user who may not write"
)
@pytest.mark.parametrize("folder_mode", [0o555, 0o777], ids=["folder", "file"])
def test_a_store_that_cannot_be_written_can_be_read(plan, folder_mode, shared):
    """By a user who may not write the folder, or only not the file."""
    folder, path = shared, shared / "runs.db"
    run = filled(path, plan)
    folder.chmod(folder_mode)
    path.chmod(0o444)
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY, str(path), run], capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines() or [done.stderr]
    assert lines[0] == "4 complete"
    assert all("cannot be opened for writing; make its file and folder writable" in line for line in lines[1:3])
    assert lines[3:] == ([f"{lines[1].replace('runs.db', 'new.db')}"] if folder_mode == 0o555 else [])
    assert {each.name for each in folder.iterdir()} <= {"runs.db", "new.db"}
