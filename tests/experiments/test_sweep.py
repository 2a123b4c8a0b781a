"""A plan carried out: every trial is a row at once, whatever happens to the others."""

import asyncio
import itertools
from collections import Counter
from contextlib import suppress
from dataclasses import replace

import pytest

from puna import config
from puna.chat import Spine
from puna.engines.admission import Slots
from puna.engines.scripted import Scripted
from puna.errors import EngineError, InputError
from puna.experiments import sweep as module
from puna.experiments.afterwards import gone_through
from puna.experiments.plan import Continuation, Record, Target
from puna.experiments.rows import Failure, State
from puna.experiments.store import Store
from puna.experiments.sweep import groups, sweep
from puna.formats.chatml import CHATML
from puna.generation import NO_EXTRAS
from puna.turn import together
from tests.experiments.asking import HERE, cell, plan
from tests.server.live import Live

CELLS = (cell(0, "one", temperature=0.5), cell(1, "two"), cell(2, "one", temperature=1), cell(3, "two", top_k=1))


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "runs.db") as opened:
        yield opened


def carried_out(store, made, run=None, **options):
    run = run or store.begin(made)
    return asyncio.run(sweep(made, store, run, **options))


def on(monkeypatch, engine):
    """Let every embedded target be this engine."""

    async def open_spine(settings, model):
        return Spine(engine, replace(await engine.start(), slots=settings.slots), CHATML)

    monkeypatch.setattr(config, "open_spine", open_spine)
    return engine


class Watching(Scripted):
    """Counts how many answers are made at a time, and which; ``act`` is called with the number of each as it begins."""

    def __init__(self, act=None):
        super().__init__(slots=64)
        self.act = act
        self.now = self.most = 0
        self.begun = []

    async def start(self):
        self.slots = Slots(64, 256)  # it may be closed and started again
        return await super().start()

    async def stream(self, prompt, sampling, extras=NO_EXTRAS):
        self.begun.append((prompt.text, sampling.seed))
        number = len(self.begun)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0)
            if self.act is not None:
                await self.act(number)
            async for event in super().stream(prompt, sampling, extras):
                yield event
        finally:
            self.now -= 1


def test_every_trial_is_a_row(store):
    made = plan(*CELLS, repeats=3, record=Record(logprobs=1))
    done = carried_out(store, made)
    rows = store.rows(done.run, logprobs=True)
    assert [(row.cell, row.repeat, row.seed) for row in rows] == [
        (trial.cell, trial.repeat, trial.seed) for trial in made.trials()
    ]
    assert {row.output for row in rows} == {"You said: one", "You said: two"}
    assert all(row.outcome.sampling == replace(row.cell.sampling, seed=row.seed) for row in rows)
    assert all(row.outcome.logprobs and row.key and row.prompt_tokens for row in rows)
    assert len({row.key for row in rows}) == 12
    assert (done.progress.done, done.progress.failed, done.complete, done.before) == (12, 0, True, 0)
    assert done.progress.tokens == 36
    assert store.run(done.run).state == "complete"


def test_trials_with_one_prompt_go_together_in_the_order_of_the_prompts(store, monkeypatch):
    shared: list = []

    def seen(turns):
        shared.append(turns)
        return together(turns)

    monkeypatch.setattr(module, "together", seen)
    carried_out(store, plan(*CELLS))
    assert [[turn.sampling.seed for turn in turns] for turns in shared] == [[1, 2, 1, 2], [1, 2, 1, 2]]
    assert all(len({turn.prompt for turn in turns}) == 1 for turns in shared)
    made = plan(*CELLS)
    assert [[trial.cell.index for trial in group] for group in groups(made.trials())] == [[0, 0, 2, 2], [1, 1, 3, 3]]


@pytest.mark.parametrize("jobs", [1, 3, 50])
def test_there_are_no_more_at_a_time_than_jobs(store, monkeypatch, jobs):
    engine = on(monkeypatch, Watching())
    carried_out(store, plan(*CELLS, repeats=5), jobs=jobs)
    assert len(engine.begun) == 20
    assert engine.most == min(jobs, 20)


def test_a_row_is_in_the_store_before_it_is_told(store):
    told = []

    def tell(progress):
        told.append(progress)
        assert len(store.rows(run)) >= progress.done + progress.failed

    made = plan(*CELLS)
    run = store.begin(made)
    carried_out(store, made, run, tell=tell, jobs=2)
    assert [progress.done for progress in told if progress.phase == "answers"][-1] == 8
    assert {progress.phase for progress in told} == {"starting", "answers"}
    assert told[-1].left == 0
    assert [p.tokens for p in told] == sorted(p.tokens for p in told)


def test_once_it_is_to_stop_what_is_under_way_is_finished(store, monkeypatch):
    stop = asyncio.Event()

    async def act(n):
        if n == 5:
            stop.set()

    engine = on(monkeypatch, Watching(act))
    made = plan(*CELLS, repeats=5)
    done = carried_out(store, made, jobs=2, stop=stop)
    assert not done.complete
    assert done.progress.done == len(engine.begun) == len(store.rows(done.run))
    assert 5 <= done.progress.done <= 6
    assert store.run(done.run).state == "interrupted"


def test_cancelled_it_drops_what_is_under_way_and_keeps_the_rest(store, monkeypatch):
    made = plan(*CELLS, repeats=5)
    run = store.begin(made)

    async def scenario():
        async def act(n):
            if n == 8:
                task.cancel()
            if n >= 7:
                await asyncio.Event().wait()

        engine = on(monkeypatch, Watching(act))
        task = asyncio.ensure_future(sweep(made, store, run, jobs=2))
        with suppress(asyncio.CancelledError):
            await task
        return engine

    engine = asyncio.run(scenario())
    assert engine.now == 0
    assert engine.state == "stopped"
    assert len(store.rows(run)) == 6
    assert all(row.ok for row in store.rows(run))
    assert store.run(run).state == "interrupted"


def test_going_on_does_what_is_missing_and_what_failed(store, monkeypatch):
    made = plan(*CELLS, repeats=2, retries=0)

    async def act(n):
        if n in {2, 5}:
            raise EngineError("died")

    on(monkeypatch, Watching(act))
    first = carried_out(store, made)
    assert (first.progress.done, first.progress.failed, first.complete) == (6, 2, True)
    failed = [row for row in store.rows(first.run) if not row.ok]
    assert [(row.outcome.failure, row.outcome.reason) for row in failed] == [(Failure.BROKEN, "died")] * 2

    engine = on(monkeypatch, Watching())
    second = carried_out(store, made, first.run)
    assert (second.before, second.progress.planned, second.progress.done, second.progress.failed) == (6, 2, 2, 0)
    assert len(engine.begun) == 2
    assert all(row.ok for row in store.rows(first.run))


def test_answers_of_other_runs_are_taken_over_where_that_is_wanted(store, monkeypatch):
    engine = on(monkeypatch, Watching())
    first = carried_out(store, plan(*CELLS[:2], repeats=2))
    more = plan(*CELLS, repeats=3)
    second = carried_out(store, more, reuse=True)
    assert (second.progress.done, second.progress.reused) == (12, 4)
    assert len(engine.begun) == 4 + 8
    taken = [row for row in store.rows(second.run) if row.reused]
    assert {(row.cell.index, row.repeat) for row in taken} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert {row.reused for row in taken} == {first.run}
    assert all(row.ids_sha256 and row.prompt_tokens for row in taken)
    third = carried_out(store, more, reuse=True)
    assert {row.reused for row in store.rows(third.run)} == {first.run, second.run}
    assert carried_out(store, more).progress.reused == 0


def test_a_prompt_that_does_not_fit_is_a_row(store):
    large = replace(HERE, settings={"engine": "scripted", "context": 64})
    made = plan(cell(0, "word " * 100), cell(1), targets=(large,))
    done = carried_out(store, made)
    assert (done.progress.done, done.progress.failed, done.complete) == (2, 2, True)
    bad = store.rows(done.run)[0].outcome
    assert (bad.state, bad.failure) == (State.FAILED, Failure.REFUSED)
    assert "the context window holds 64" in bad.reason


def test_a_target_that_cannot_be_opened_leaves_the_others(store):
    made = plan(
        cell(0), cell(1, target="bad"), targets=(HERE, Target("bad", settings={"engine": "scripted", "format": "nope"}))
    )
    run = store.begin(made)
    with pytest.raises(InputError, match="nope"):
        carried_out(store, made, run)
    assert [row.cell.target for row in store.rows(run)] == ["here", "here"]
    assert store.run(run).state == "interrupted"


def test_a_store_that_fails_ends_it(store, monkeypatch):
    engine = on(monkeypatch, Watching())
    made = plan(*CELLS, repeats=10)
    run = store.begin(made)
    real = store.put
    puts = itertools.count()

    def put(*arguments, **more):
        if next(puts) >= 4:
            raise InputError("the disk is full")
        real(*arguments, **more)

    monkeypatch.setattr(store, "put", put)
    with pytest.raises(InputError, match="the disk is full"):
        carried_out(store, made, run, jobs=2)
    assert (len(store.rows(run)), engine.now) == (4, 0)
    assert len(engine.begun) < 10
    assert store.run(run).state == "interrupted"


def test_a_run_has_one_writer(store):
    made = plan(*CELLS)
    run = store.begin(made)
    with store.claim(run), pytest.raises(InputError, match="is writing run"):
        carried_out(store, made, run)


def test_what_a_target_cannot_score_is_said_and_costs_no_answer(store):
    made = plan(replace(CELLS[0], continuations=(Continuation("unknown", "I don't know"),)))
    done = carried_out(store, made)
    assert done.complete
    assert done.progress.done == 2
    assert len(done.notes) == 1
    assert done.notes[0].startswith("here: the scripted engine has no model")


@pytest.mark.parametrize("cut", [{"temperature": 0}, {"top_k": 1}, {"top_p": 0}, {"min_p": 1}])
def test_what_the_sampler_chose_from_is_told_of_a_cell_that_samples(cut):
    chosen = gone_through([cell(0, "one", **cut), cell(1, "one", temperature=1)])
    assert [each.index for each in chosen] == [1]


@pytest.mark.parametrize("api", ["openai", "sagemaker"])
def test_a_remote_target(store, api):
    live = Live()
    try:
        there = Target("there", api, url=live.url, model="llama-2-7b")
        made = plan(cell(0, "Hi", target="there"), cell(1, "Hi", target="there", form="llama2"), targets=(there,))
        done = carried_out(store, made)
        rows = store.rows(done.run)
        asked = [ask.prompt for ask in live.speaker.asked]
    finally:
        live.close()
    assert [row.output for row in rows] == ["Ein Lama frißt."] * 4
    assert [row.outcome.model for row in rows] == ["stand-in"] * 4
    assert {row.outcome.sampling.seed for row in rows} == {7}  # what the stand-in says was in effect
    assert {row.outcome.receipt_id for row in rows}
    assert asked.count("<s>[INST] Hi [/INST]") == 2


def test_an_endpoint_of_aws_whose_container_takes_text_only(store, monkeypatch):
    live = Live(dialect="lmi")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", live.url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    there = Target("there", "sagemaker", url="sagemaker:llama-2-7b", format="llama2", context=64, dialect="lmi")
    cells = (cell(0, "Hi", target="there"), cell(1, "Hi", target="there", form="chatml"))
    try:
        done = carried_out(store, plan(*cells, targets=(there,)))
        silent = carried_out(store, plan(cells[0], targets=(replace(there, format=None),), retries=0))
        asked = [ask.prompt for ask in live.speaker.asked]
    finally:
        live.close()
    assert [row.output for row in store.rows(done.run)] == ["Ein Lama frißt."] * 4
    assert Counter(asked) == {"<s>[INST] Hi [/INST]": 2, "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n": 2}
    refused = store.rows(silent.run)
    assert [row.outcome.failure for row in refused] == [Failure.REFUSED] * 2
    assert "must be written in the model's own format" in refused[0].outcome.reason


def test_a_server_that_is_not_there(store):
    made = plan(cell(0, target="there"), targets=(Target("there", "sagemaker", url="http://127.0.0.1:9"),), retries=0)
    done = carried_out(store, made)
    assert [row.outcome.failure for row in store.rows(done.run)] == [Failure.UNREACHABLE] * 2


def test_a_server_that_is_not_there_leaves_the_other_targets(store):
    dead = Target("dead", "openai", url="http://127.0.0.1:9")
    made = plan(cell(0, target="dead"), cell(1), targets=(dead, HERE), retries=0)
    done = carried_out(store, made)
    rows = store.rows(done.run)
    assert [(row.cell.target, row.outcome.failure) for row in rows] == [
        *[("dead", Failure.UNREACHABLE)] * 2,
        *[("here", None)] * 2,
    ]
    assert (done.complete, done.progress.failed, store.run(done.run).state) == (True, 2, "complete")
    assert [row.seed for row in rows] == [row.outcome.sampling.seed for row in rows]


@pytest.mark.model
def test_on_the_model_a_prompt_is_evaluated_once_and_answers_are_those_of_each_alone(store, model_home):
    text = "Tell a story about a llama on a long road. " * 12
    cells = [cell(n, text, temperature=0.4 + 0.2 * n, max_tokens=6) for n in range(4)]
    told = Continuation("once", "Once upon a time")
    made = plan(
        *[replace(c, continuations=(told,)) for c in cells],
        targets=(Target("here"),),
        record=Record(1, 30),
        seconds=300,
    )
    rows = store.rows(carried_out(store, made, jobs=4).run)
    alone = store.rows(carried_out(store, made, jobs=1).run)
    assert [row.output for row in rows] == [row.output for row in alone]
    assert len({row.output for row in rows}) > 1
    length = rows[0].prompt_tokens
    assert sum(row.outcome.usage.evaluated for row in rows) <= 1.2 * length
    assert all(row.outcome.model_sha256 for row in rows)
    (likely,) = store.likelihoods(rows[0].run)
    assert (likely.cell, likely.name) == (0, "once")
    assert -60 < likely.logprob < 0
    found = store.distributions(rows[0].run)
    assert {(d.cell, d.repeat) for d in found} == {(0, 0)}
    assert "".join(d.chosen for d in found).startswith(rows[0].output)
    assert all(len(d.logprobs) == 30 and len(d.tokens) == 20 for d in found)
