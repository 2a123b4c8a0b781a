"""A sweep whose process is killed at any moment: what was told to be done is in the store, and going on with it ends as if nothing had been."""

import multiprocessing
import random
import signal
import sqlite3
from contextlib import closing, suppress

import pytest

from puna.experiments.plan import Record
from puna.experiments.running import sweep
from puna.experiments.store import Store
from tests.experiments.asking import cell, plan

KILLS = 50
CELLS = tuple(cell(n, f"question {n % 7}", temperature=round(0.1 + n / 10, 1)) for n in range(20))
LONG = plan(*CELLS, repeats=150, record=Record(logprobs=1))
"""More trials than all lives together can do."""

BRIEF = plan(*CELLS[:4], repeats=3, record=Record(logprobs=1))


def life(path, told, made):
    """A process's life: a sweep that tells of every row that it knows to be kept. Ends by being killed, or with the sweep."""
    kept = 0

    def tell(progress):
        nonlocal kept
        if progress.done > kept:
            kept = progress.done
            told.send_bytes(b".")

    sweep(made, path, resume=True, progress=tell)


def lived(path, made, until):
    """Let a process live until it has told of so many rows, and kill it then; None: to its end. Gives how many it has told of."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["puna.experiments.running", "puna.engines.scripted"])
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=life, args=(str(path), writer, made))
    process.start()
    writer.close()
    told = 0
    with reader, suppress(EOFError):
        while told != until:
            reader.recv_bytes()
            told += 1
        process.kill()
        while True:  # what it had still told before it knew
            reader.recv_bytes()
            told += 1
    process.join(60)
    assert process.exitcode == (0 if until is None else -signal.SIGKILL)
    process.close()
    return told


def rows_of(path):
    """What is in the store, which must be whole."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    with Store.open(path, create=False) as store:
        return {(row.cell.index, row.repeat): row for row in store.rows(store.run().id, logprobs=True)}


def what(row):
    """What does not depend on when the row was made."""
    outcome = row.outcome
    return (row.cell, row.seed, row.key, row.prompt_sha256, row.ids_sha256, row.output, outcome.state, outcome.finish, outcome.usage,
            outcome.sampling, outcome.logprobs, outcome.model, outcome.engine)  # fmt: skip


@pytest.mark.parametrize("kills", [KILLS])
def test_killed_at_any_moment(tmp_path, kills):
    path, points = tmp_path / "runs.db", random.Random(20261128)
    before: dict = {}
    for _ in range(kills):
        # From the first moment of a life to some rows later; each of the moments between two rows is as likely.
        told = lived(path, LONG, points.randrange(12))
        if not path.exists():
            continue
        rows = rows_of(path)
        assert len(rows) >= len(before) + told, "a row that was told to be kept is gone"
        assert all(rows[place] == row for place, row in before.items()), "a kept row was made again"
        before = rows
    assert kills < len(before) < 3000


def test_going_on_after_a_kill_ends_as_if_nothing_had_been(tmp_path):
    killed, whole = tmp_path / "killed.db", tmp_path / "whole.db"
    for until in (0, 1, 3, 2):
        lived(killed, BRIEF, until)
    assert 6 <= len(rows_of(killed)) < 12
    with Store.open(killed) as store:
        assert store.run().state == "interrupted"
    lived(killed, BRIEF, None)
    lived(whole, BRIEF, None)
    one, other = rows_of(killed), rows_of(whole)
    assert len(one) == 12
    assert {place: what(row) for place, row in one.items()} == {place: what(row) for place, row in other.items()}
    with Store.open(killed) as store:
        assert len(store.runs()) == 1
        assert store.run().state == "complete"
