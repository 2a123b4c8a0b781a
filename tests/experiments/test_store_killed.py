"""A process that writes a store is killed at random points: the file stays whole, and whatever a put returned from is in it."""

import random
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from puna.experiments.store import Store
from tests.experiments import made

ROUNDS = 20

CHILD = """
import sys
from puna.experiments.store import Store
from tests.experiments import made

path, run = sys.argv[1:]
with Store.open(path) as store:
    plan = made.plan_of(temperatures=(0.7, 1.0), top_ps=(0.8, 1.0), repeats=40)
    run = run or store.begin(plan)
    print(run, flush=True)
    with store.claim(run):
        done = store.done(run)
        for trial in plan.trials():
            place = (trial.cell.index, trial.repeat)
            if place not in done:
                store.put(run, trial, made.outcome_of(trial), "%d-%d" % place)
                print(*place, flush=True)
        store.finish(run, "complete")
print("complete", flush=True)
"""


def write(path, run, lines):
    """A process that begins a run or goes on with it, killed after so many lines; the lines that it wrote."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), run], stdout=subprocess.PIPE, text=True, bufsize=1
    ) as child:
        assert child.stdout is not None
        told = []
        for line in child.stdout:
            told.append(line.split())
            if len(told) == lines:
                child.kill()  # it has gone on meanwhile, and is anywhere between two of its steps
        child.wait()
    return told


def check(path, run, told):
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    with Store.open(path) as store:
        assert told <= store.done(run), "a put had returned, and its row is not there"
        assert store.run(run).state in {"interrupted", "complete"}


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_nothing_is_lost_to_sigkill(tmp_path):
    path, chance, run, told = tmp_path / "runs.db", random.Random(5), "", set()
    killed = 0
    for _ in range(ROUNDS):
        first, *lines = write(path, run, chance.randint(1, 10))
        run = first[0]
        finished = lines[-1:] == [["complete"]]
        killed += not finished
        told |= {(int(cell), int(repeat)) for cell, repeat in lines[: -1 if finished else None]}
        check(path, run, told)
    assert killed >= ROUNDS / 2
    write(path, run, -1)
    with Store.open(path) as store, Store.open(tmp_path / "whole.db") as whole:
        plan = store.plan(run)
        other = made.fill(whole, plan)
        facts = [(row.cell, row.repeat, row.seed, row.outcome, row.key) for row in store.rows(run, logprobs=True)]
        assert facts == [(r.cell, r.repeat, r.seed, r.outcome, r.key) for r in whole.rows(other, logprobs=True)]
        assert store.run(run).state == "complete"
