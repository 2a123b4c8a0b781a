"""What is put into a store is there, as it was, until it is removed."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from puna.errors import InputError
from puna.experiments.plan import Continuation
from puna.experiments.rows import Distribution, Failure, Likelihood, Outcome, State
from puna.experiments.store import Store
from puna.generation import Logprob
from tests.experiments import made


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "runs.db") as opened:
        yield opened


@pytest.fixture
def plan():
    return made.plan_of(temperatures=(0.0, 1.0), top_ps=(1.0,), repeats=3)


def without_run(rows):
    return [replace(row, run="", outcome=replace(row.outcome, prompt=None)) for row in rows]


def prompt_of(trial):
    prompt = made.outcome_of(trial).prompt
    assert prompt is not None
    return prompt


def test_rows_come_back_as_they_were_in_the_order_of_the_trials(store, plan):
    run = made.fill(store, plan, failing={(1, 2)})
    rows = store.rows(run, logprobs=True)
    assert without_run(rows) == without_run(made.rows_of(plan, failing={(1, 2)}))
    assert {row.run for row in rows} == {run}
    assert rows[0].outcome.logprobs
    assert store.rows(run)[0].outcome.logprobs is None


def test_trials_put_in_any_order_come_in_the_plans(store, plan):
    run, trials = store.begin(plan), list(plan.trials())
    for trial in reversed(trials):
        store.put(run, trial, made.outcome_of(trial), "")
    assert [(row.cell.index, row.repeat) for row in store.rows(run)] == [(t.cell.index, t.repeat) for t in trials]


@pytest.mark.parametrize("text", ["", "a\0b", "\ud800 lone", "🦙\r\n\x1b[31m", "x" * 300_000], ids=repr)
def test_any_text_is_kept(store, plan, text):
    run, trial = store.begin(plan), next(plan.trials())
    store.put(
        run, trial, Outcome(State.FAILED, text, 1.0, 2.0, failure=Failure.BROKEN, reason=text, stopped_by=text), ""
    )
    (row,) = store.rows(run)
    assert (row.output, row.outcome.reason, row.outcome.stopped_by) == (text, text, text)


def test_a_prompt_is_kept_once_and_found_by_its_hashes(store, plan):
    run = made.fill(store, plan)
    rows = store.rows(run)
    prompt = prompt_of(next(plan.trials()))
    assert store.prompt_text(rows[0].prompt_sha256) == prompt.text
    assert store.prompt_ids(rows[0].ids_sha256) == prompt.ids
    assert rows[0].prompt_tokens == len(prompt.ids)
    with store._database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM prompt").fetchone() == (2,), "one for each case"
    with pytest.raises(InputError, match="no prompt with the hash abc"):
        store.prompt_text("abc")


def test_the_plan_comes_back_and_the_newest_run_of_it_is_found(store, plan):
    other = replace(plan, definition={"name": "other"})
    runs = [store.begin(plan), store.begin(plan), store.begin(other)]
    assert store.plan(runs[0]) == plan
    assert store.cells(runs[0]) == plan.cells
    found = store.same(plan)
    assert found is not None
    assert found.id == runs[1]
    assert store.same(replace(plan, definition={})) is None
    assert [run.id for run in store.runs()] == runs[::-1]


def test_a_run_tells_how_it_stands(store, plan):
    run = store.begin(plan, "by another name")
    for trial in list(plan.trials())[:4]:
        store.put(run, trial, (made.failed_outcome_of if trial.repeat == 2 else made.outcome_of)(trial), "")
    info = store.run(run)
    assert (info.name, info.planned, info.done, info.failed, info.missing, info.cells) == (
        "by another name",
        12,
        3,
        1,
        8,
        4,
    )
    assert (info.targets, info.seeds, info.record, info.checks) == (plan.targets, plan.seeds, plan.record, plan.checks)
    assert store.done(run) == {(0, 0), (0, 1), (1, 0)}


def test_a_failure_is_replaced_and_an_answer_only_by_another(store, plan):
    run, trial = store.begin(plan), next(plan.trials())
    store.put(run, trial, made.failed_outcome_of(trial), "k")
    store.put(run, trial, made.outcome_of(trial), "k")
    store.put(run, trial, made.failed_outcome_of(trial), "k")
    (row,) = store.rows(run)
    assert row.ok
    store.put(run, trial, replace(made.outcome_of(trial), output="newer"), "k")
    assert [row.output for row in store.rows(run)] == ["newer"]


def test_answers_are_found_by_their_keys_in_any_run(store, plan):
    first, second = made.fill(store, plan, failing={(0, 0)}), store.begin(plan)
    keys = [f"{cell}-{repeat}" for cell in range(4) for repeat in range(3)] + [f"none-{n}" for n in range(2000)]
    found = store.with_keys([*keys, ""])
    assert sorted(found) == sorted(keys[1:12]), "the failed one and unknown ones are not there"
    row = found["1-1"]
    assert without_run([row]) == without_run([each for each in made.rows_of(plan) if each.key == "1-1"])
    assert row.run == first
    trial = next(t for t in plan.trials() if (t.cell.index, t.repeat) == (1, 1))
    store.put(second, trial, row.outcome, "1-1", reused=row.run)
    (taken,) = store.rows(second, logprobs=True)
    assert taken == replace(row, run=second, reused=first), "prompt and log-probabilities are taken with it"
    assert store.run(second).reused == 1
    assert store.with_keys(["1-1"])["1-1"].run == first, "the run that made it comes first"


def test_what_is_taken_stays_when_its_run_is_removed(store, plan):
    first, second = made.fill(store, plan), store.begin(plan)
    trial = next(plan.trials())
    store.put(second, trial, store.rows(first)[0].outcome, "0-0", reused=first)
    store.remove(first)
    assert [run.id for run in store.runs()] == [second]
    (row,) = store.rows(second)
    assert store.prompt_text(row.prompt_sha256) == prompt_of(trial).text
    with store._database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM prompt").fetchone() == (1,), "the other case's prompt is gone"
    for use in (store.rows, store.cells, store.done, store.plan, store.likelihoods, store.remove):
        with pytest.raises(InputError, match=f"run {first} is not in the store"):
            use(first)
    with pytest.raises(InputError, match="not in the store"):
        store.put(first, trial, made.outcome_of(trial), "")


def test_a_run_that_another_process_removes_takes_nothing_more(store, plan):
    run, trial = store.begin(plan), next(plan.trials())
    with Store.open(store.path) as other:
        other.remove(run)
        another = other.begin(plan)
    with pytest.raises(InputError, match=f"cell 0 of run {run} is not in the store"):
        store.put(run, trial, made.outcome_of(trial), "")
    assert store.rows(another) == [], "nor does the run that came in its place"


def test_a_removed_run_gives_its_room_back(store, plan):
    run = store.begin(plan)
    for trial in plan.trials():
        store.put(run, trial, replace(made.outcome_of(trial), output="x" * 200_000), "")
    with store._database.reading() as connection:
        (before,) = connection.execute("PRAGMA page_count").fetchone()
    store.remove(run)
    with store._database.reading() as connection:
        (after,) = connection.execute("PRAGMA page_count").fetchone()
    assert after < before / 10


def test_likelihoods_and_distributions_come_back(store):
    plan = made.plan_of(temperatures=(1.0,), top_ps=(1.0,), cases=made.CASES[:1])
    cell = replace(plan.cells[0], continuations=(Continuation("unknown", "I don't know"),))
    run = made.fill(store, replace(plan, cells=(cell,)), distributions=(0,))
    assert store.distributions(run) == tuple(made.distributions_of(plan, (0,)))
    told = [Likelihood(0, name, f" {name}", (Logprob(1, b"a", -0.1), Logprob(2, b"b", -2.5)), "g") for name in "ba"]
    for each in (*told, told[0]):
        store.put_likelihood(run, each)
    assert [each for each in store.likelihoods(run) if each.group] == told, "in the order in which they were first put"
    with pytest.raises(InputError, match="cell 7 of run"):
        store.put_distributions(run, [Distribution(7, 0, 0, "a", ("a",), (-0.1,))])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("2", "2 runs of .* begin with '2'; say which: .*, .*"),
        ("nope", "no run of .* begins with 'nope'; it has: .*"),
        ("", "must be named by its id or the beginning of it, but the name is empty; it has: 2.*, 2"),
        (" ", "the name is empty"),
    ],
)
def test_a_run_that_is_not_meant_clearly_is_refused(store, plan, given, sentence):
    with pytest.raises(InputError, match=r"holds no run; `puna sweep FILE --store .*` makes one"):
        store.run()
    one, two = store.begin(plan), store.begin(plan)
    assert (store.run().id, store.run(one).id, store.run(two[:-1]).id) == (two, one, two)
    with pytest.raises(InputError, match=sentence):
        store.run(given)


def test_threads_put_at_the_same_time(store):
    plan = made.plan_of(temperatures=(1.0,), top_ps=(1.0,), repeats=24)
    run, trials, failed = store.begin(plan), list(plan.trials()), []

    def work(some):
        try:
            for trial in some:
                store.put(run, trial, made.outcome_of(trial), "")
                store.done(run)
        except Exception as error:  # noqa: BLE001  # told to the test
            failed.append(error)

    threads = [threading.Thread(target=work, args=(trials[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(store.rows(run)) == len(trials)


# Who writes

CHILD = """
import sys
from puna.experiments.store import Store
from tests.experiments import made
path, what, run = sys.argv[1:]
with Store.open(path) as store:
    if what == "hold":
        with store.claim(run):
            print("held", flush=True)
            sys.stdin.readline()
    else:
        plan = made.plan_of(temperatures=(1.0,), top_ps=(1.0,))
        run = store.begin(plan)
        with store.claim(run):
            for trial in plan.trials():
                store.put(run, trial, made.outcome_of(trial), "")
            store.finish(run, "complete")
"""


def child(store, what, run=""):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(store.path), what, run],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_run_is_running_while_it_is_claimed(store, plan):
    run = store.begin(plan)
    assert store.run(run).state == "interrupted", "nobody writes it yet"
    with store.claim(run):
        assert (store.run(run).state, store.run(run).ended) == ("running", None)
        assert f"process {os.getpid()} on " in store.run(run).holder
    info = store.run(run)
    assert (info.state, info.holder) == ("interrupted", None)
    assert info.ended is not None
    with store.claim(run):
        store.finish(run, "complete")
    assert store.run(run).state == "complete"
    assert sorted(path.name for path in store.path.parent.glob("*.lock")) == []


@pytest.mark.parametrize(
    "error", [TimeoutError("slow"), OSError(28, "full"), KeyboardInterrupt(), RuntimeError("mine")], ids=repr
)
def test_errors_of_what_a_claim_holds_are_its_own(store, plan, error):
    run = store.begin(plan)
    with pytest.raises(type(error)) as raised, store.claim(run):
        raise error
    assert raised.value is error
    assert store.run(run).state == "interrupted"


def test_only_one_process_writes_a_run_and_others_are_told_which(store, plan):
    run, other = store.begin(plan), store.begin(plan)
    with child(store, "hold", run) as holder:
        assert holder.stdout.readline() == "held\n"
        assert store.run(run).state == "running"
        with pytest.raises(InputError, match=f"process {holder.pid} on .* is writing run {run}"), store.claim(run):
            pass
        with pytest.raises(InputError, match=f"process {holder.pid} on .* is writing run {run}"):
            store.remove(run)
        with store.claim(other):
            store.put(other, next(plan.trials()), made.outcome_of(next(plan.trials())), "")
        holder.communicate("\n")
    with store.claim(run):
        pass


def test_a_run_whose_process_was_killed_is_interrupted_and_can_be_claimed(store, plan):
    run = store.begin(plan)
    with child(store, "hold", run) as holder:
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    assert list(store.path.parent.glob("*.lock")) != []
    assert (store.run(run).state, store.run(run).holder) == ("interrupted", None)
    assert list(store.path.parent.glob("*.lock")) == [], "what the killed process left is removed"
    with store.claim(run):
        assert store.run(run).state == "running"


def test_several_processes_write_runs_of_their_own(store):
    children = [child(store, "write") for _ in range(3)]
    for each in children:
        each.communicate()
        assert each.returncode == 0
    assert [(run.state, run.done) for run in store.runs()] == [("complete", 12)] * 3
