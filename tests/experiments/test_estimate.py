"""How much a plan has to do and how long it may take."""

import asyncio
from dataclasses import replace

import pytest

from puna.experiments import sweep as sweeping
from puna.experiments.estimate import Estimate, Load, Speed, earlier, estimate, load_of, overview, speed_of
from puna.experiments.lengths import asked
from puna.experiments.plan import Target
from puna.experiments.rows import Outcome, Row, State
from puna.experiments.store import Store
from puna.experiments.targets import find
from puna.generation import Sampling, Timing, Usage
from tests.experiments.asking import HERE, cell, plan

CELLS = (cell(0, "one", max_tokens=10), cell(1, "one", max_tokens=30), cell(2, "two", max_tokens=10))


def test_a_prompt_counts_once_and_its_answers_at_their_longest():
    made = plan(*CELLS, repeats=3)
    counted = {asked(CELLS[0]): 100, asked(CELLS[2]): 50}
    assert load_of(CELLS, made.trials(), counted, 120) == Load(
        prompts=2, answers=6, most=60, prompt_tokens=150, shortest=50, longest=100, refused=1
    )
    assert load_of(CELLS, made.trials(), counted, 130).refused == 0
    assert load_of(CELLS, made.trials(), {}, None) == Load(prompts=2, answers=9, most=150)


def test_a_prompt_that_cannot_be_written_is_refused():
    counted = {asked(CELLS[0]): None, asked(CELLS[2]): 50}
    assert load_of(CELLS, plan(*CELLS).trials(), counted, None).refused == 2


def test_the_range_is_from_the_fastest_and_shortest_to_the_slowest_and_longest():
    load = Load(prompts=1, answers=10, most=1000, prompt_tokens=400)
    slow, fast = Speed(200, 50, share=0.5), Speed(400, 100, share=0.4)
    assert estimate(load, [slow, fast], "x") == Estimate(high=2 + 20, low=1 + 4, by="x")
    assert estimate(load, [Speed(400, 100)], "x") == Estimate(high=11, low=None, by="x")
    assert estimate(load, [], "x") is None
    assert estimate(replace(load, answers=0), [slow], "x") is None


def row(n, *, began, seconds, tokens=20, evaluated=0, prefill=0.0, most=40):
    outcome = Outcome(
        State.OK, "x", began, seconds, usage=Usage(100, 100 - evaluated, tokens), timing=Timing(prefill=prefill),
        sampling=Sampling(max_tokens=most),
    )  # fmt: skip
    return Row("r", CELLS[0], n, n, outcome)


def test_the_speed_of_earlier_answers_is_that_of_all_at_a_time():
    """Two at a time for 4 s, one second of which evaluated the prompt."""
    rows = [row(0, began=0, seconds=2, evaluated=100, prefill=1), row(1, began=0, seconds=2), row(2, began=2, seconds=2),
            row(3, began=2, seconds=2)]  # fmt: skip
    assert speed_of(rows, 2) == Speed(prefill=100, decode=80 / 3, share=0.5)


def test_answers_that_were_made_more_or_fewer_at_a_time_tell_nothing():
    rows = [row(n, began=2 * n, seconds=2) for n in range(6)]
    assert speed_of(rows, 1) is not None
    assert speed_of(rows, 4) is None


def test_earlier_answers_of_the_same_model_count(tmp_path):
    with Store.open(tmp_path / "runs.db") as store:
        made = plan(*CELLS, repeats=4)
        run = store.begin(made)
        asyncio.run(sweeping.sweep(made, store, run, jobs=1))
        found = find(HERE, 1)
        speeds, count = earlier(store, found, 1)
        assert count in {0, 12}  # so quick are these that a pause of the machine can look like fewer at a time
        assert len(speeds) == (count > 0)
        assert earlier(store, replace(found, model_sha256="other"), 1) == ([], 0)
        assert earlier(store, find(Target("r", "openai", url="http://127.0.0.1:1"), 1), 1) == ([], 0)


def test_a_target_that_nothing_is_known_of_is_measured():
    made = plan(*CELLS)
    loads, times = asyncio.run(overview(made, [find(HERE, 2).with_context(200)], list(made.trials()), None, 2))
    assert loads["here"].answers == 6
    found = times["here"]
    assert found is not None
    assert (found.low, found.by) == (None, "by a short measurement")
    assert found.high > 0


@pytest.mark.parametrize("left", [[], None])
def test_nothing_is_asked_of_a_remote_target_or_where_all_is_done(left):
    there = Target("here", "openai", url="http://127.0.0.1:9/v1")
    made = plan(*CELLS, targets=(there,))
    target = find(there, 1) if left is None else find(HERE, 1)
    trials = list(made.trials()) if left is None else left
    _, times = asyncio.run(overview(made, [target], trials, None, 1))
    assert times == {"here": None}
