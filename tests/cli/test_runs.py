"""puna runs: what it says of a store, in columns and as JSON."""

import csv
import io
import json
import sqlite3

import polars as pl
import pytest

from puna.cli import main
from puna.experiments.database import StoreError
from puna.experiments.store import Store
from tests.experiments import made


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A store with two runs, in the current folder."""
    monkeypatch.chdir(tmp_path)
    with Store.open("runs.db") as store:
        made.fill(store, made.plan_of(temperatures=(0.0, 1.0), top_ps=(1.0,), repeats=2, name="[bold]first"))
        plan = made.plan_of(temperatures=(0.0, 1.0), top_ps=(1.0,), systems=made.SYSTEMS, repeats=2)
        made.fill(store, plan, failing={(1, 0), (1, 1), (3, 1)})
    return tmp_path / "runs.db"


@pytest.fixture
def ids(path):
    with Store.open(path) as store:
        return [run.id for run in store.runs()]


def said(capfd, *args):
    status = main(["runs", *args])
    out, err = capfd.readouterr()
    return status, out, err


def test_ls_lists_the_newest_first(ids, capfd):
    status, out, _ = said(capfd, "ls")
    head, *lines = out.splitlines()
    assert status == 0
    assert head.split() == ["run", "experiment", "state", "done", "failed", "targets"]
    assert [line.split()[0] for line in lines] == ids
    assert lines[0].split()[1:] == ["story", "temperature", "complete", "13/16", "3", "toy-1m"]
    assert "[bold]first" in lines[1]


def test_ls_as_json(ids, capfd):
    told = json.loads(said(capfd, "ls", "--json")[1])
    assert [run["run"] for run in told] == ids
    assert (told[0]["planned"], told[0]["done"], told[0]["failed"], told[0]["missing"]) == (16, 13, 3, 0)
    assert told[0]["targets"][0]["settings"] == {"model": "toy-1m"}
    assert told[0]["created"].endswith("+00:00")


def test_show_tells_what_a_run_is_and_why_trials_failed(ids, capfd):
    status, out, _ = said(capfd, "show")
    lines = out.splitlines()
    told = {line.split()[0]: line for line in lines if line}
    assert status == 0
    assert ids[0] in told["run"]
    assert "16 planned, 13 done, 3 failed, 0 missing" in told["trials"]
    assert "8 cells, 2 seeds: 1, 2" in told["plan"]
    assert "toy-1m (777777777777) on toy 1.0" in told["model"]
    assert "3 x timeout: no answer within 300 s" in told["failed"]
    head = next(n for n, line in enumerate(lines) if line.startswith("cell"))
    assert lines[head].split() == ["cell", "system", "variant", "case", "done", "failed", "tokens", "seconds"]
    assert lines[head + 2].split()[:6] == ["1", "none", "temperature=1", "llama", "0", "2"]
    assert len(lines) == head + 9


def test_show_as_json(ids, capfd):
    told = json.loads(said(capfd, "show", "--json", "--run", ids[0])[1])
    assert told["failures"] == [{"failure": "timeout", "count": 3, "reason": "no answer within 300 s"}]
    assert [cell["done"] for cell in told["cells"]] == [2, 0, 2, 1, 2, 2, 2, 2]
    assert told["cells"][1]["tokens"] is None


def test_show_of_many_cells_is_cut(path, capfd):
    with Store.open(path) as store:
        store.begin(made.plan_of(temperatures=tuple(n / 50 for n in range(30)), top_ps=(1.0,), repeats=1))
    assert said(capfd, "show")[1].splitlines()[-1] == "... and 20 more cells; --json has all"


def test_show_of_a_cell_is_its_exact_prompt_and_all_answers(path, ids, capfd):
    out = said(capfd, "show", "--cell", "3")[1]
    with Store.open(path) as store:
        rows = [row for row in store.rows(ids[0]) if row.cell.index == 3]
        prompt = store.prompt_text(rows[0].prompt_sha256)
    assert out == (
        f"--- prompt of cell 3\n{prompt}\n--- repeat 0, seed 1\n{rows[0].output}\n"
        f"--- repeat 1, seed 2, timeout: no answer within 300 s\n{rows[1].output}\n"
    )
    told = json.loads(said(capfd, "show", "--cell", "3", "--json")[1])
    assert list(told["prompts"].values()) == [prompt]
    assert [row["output"] for row in told["rows"]] == [row.output for row in rows]
    assert told["cell"]["ask"][0]["role"] == "system"


def test_nothing_in_an_answer_reaches_the_terminal_as_a_command(path, capfd):
    with Store.open(path) as store:
        plan = made.plan_of(repeats=1)
        run, trial = store.begin(plan, "\x1b[31mred"), next(plan.trials())
        outcome = made.failed_outcome_of(trial, reason="no\x1b]0;title\x07")
        store.put(run, trial, outcome, "")
    for args in (["ls"], ["show"], ["show", "--cell", "0"]):
        out = said(capfd, *args)[1]
        assert "\x1b" not in out
        assert "\\x1b" in out


def test_export_writes_a_file_or_standard_output(path, ids, capfd):
    status, out, err = said(capfd, "export", "--to", "rows.parquet", "--run", ids[1])
    assert (status, out, err) == (0, "", f"8 rows of run {ids[1]} are in rows.parquet\n")
    assert pl.read_parquet("rows.parquet").height == 8
    assert len(list(csv.DictReader(io.StringIO(said(capfd, "export")[1])))) == 16
    assert len(said(capfd, "export", "--format", "jsonl")[1].splitlines()) == 16


def test_rm_removes_what_is_named(ids, capfd):
    assert said(capfd, "rm", "--run", ids[0])[1] == f"removed run {ids[0]} (story temperature) with 16 rows\n"
    assert json.loads(said(capfd, "rm", "--run", ids[1], "--json")[1]) == [ids[1]]
    status, out, err = said(capfd, "ls")
    assert (status, out, err) == (0, "", "puna: runs.db holds no run; `puna sweep FILE --store runs.db` makes one\n")


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["ls", "other.db"], "there is no store other.db; `puna sweep FILE --store other.db` makes one"),
        (["show", "--run", "1999"], "no run of runs.db begins with '1999'; it has: "),
        (["show", "--run", ""], "--run must be the id of a run or the beginning of one, but it is empty"),
        (["export", "--run", " "], "--run must be the id of a run or the beginning of one, but it is empty"),
        (["rm", "--run", ""], "--run must be the id of a run or the beginning of one, but it is empty"),
        (["show", "--cell", "8"], "the run's cells are numbered from 0 to 7, and --cell is 8"),
        (["export", "--to", "rows.xlsx"], "must end in .csv, .jsonl or .parquet"),
        (["export", "--to", "runs.db", "--format", "csv"], "runs.db is the store itself"),
        (["rm", "--run", "2", "--run", "x"], "2 runs of runs.db begin with '2'"),
    ],
    ids=[
        "missing",
        "show-unknown",
        "show-empty",
        "export-empty",
        "rm-empty",
        "no-cell",
        "format",
        "itself",
        "ambiguous",
    ],
)
def test_what_cannot_be_done_is_told_and_changes_nothing(path, capfd, args, sentence):
    before = path.read_bytes()
    status, out, err = said(capfd, *args)
    assert (status, out) == (2, "")
    assert err.startswith("puna: ")
    assert sentence in err
    assert path.read_bytes() == before


def test_each_reason_is_counted_by_itself(path, capfd):
    plan = made.plan_of(temperatures=(1.0,), top_ps=(1.0,), cases=made.CASES[:1], repeats=10)
    with Store.open(path) as store:
        run = store.begin(plan)
        for trial in plan.trials():
            reason = "slow" if trial.repeat < 3 else f"reason {trial.repeat}"
            store.put(run, trial, made.failed_outcome_of(trial, reason=reason), "")
    out = said(capfd, "show", "--run", run)[1]
    told = [" ".join(line.split()) for line in out.splitlines() if line.startswith("failed")]
    assert told == [
        "failed 3 x timeout: slow",
        *(f"failed 1 x timeout: reason {n}" for n in (3, 4, 5, 6)),
        "failed and 3 for other reasons",
    ]
    failures = json.loads(said(capfd, "show", "--json", "--run", run)[1])["failures"]
    assert [each["count"] for each in failures] == [3, *[1] * 7]


@pytest.mark.parametrize("gone", [False, True])
def test_rm_on_a_full_disk_says_what_helps(path, ids, capfd, monkeypatch, gone):
    remove = Store.remove

    def full(store, run):
        if gone:
            remove(store, run)
        cause = sqlite3.OperationalError("database or disk is full")
        cause.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise StoreError("go on with --resume") from cause

    monkeypatch.setattr(Store, "remove", full)
    status, out, err = said(capfd, "rm", "--run", ids[0])
    assert status != 0
    assert out == ""
    assert "--resume" not in err
    if gone:
        assert f"run {ids[0]} is removed, but runs.db is as large as before" in err
    else:
        assert f"run {ids[0]} is still in runs.db: removing it takes some room itself" in err
