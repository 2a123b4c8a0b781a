"""Sweeps from Python."""

import asyncio
from dataclasses import replace

import pytest

from puna.errors import InputError
from puna.experiments.experiment import Experiment
from puna.experiments.results import Results
from puna.experiments.running import begun, sweep, unfinished
from puna.experiments.store import Store
from tests.experiments.asking import HERE, cell, plan

HERE_TOML = {"name": "here", "engine": "scripted"}


def experiment(**more):
    return Experiment(
        name="x", prompts="Say {{it}}", variables={"it": ["a", "b"]}, repeats=3, targets=[HERE_TOML], **more
    )


def test_an_experiment_gives_its_rows(tmp_path):
    told: list = []
    found = sweep(experiment(), tmp_path / "runs.db", jobs=2, progress=told.append)
    assert isinstance(found, Results)
    assert [row.output for row in found] == ["You said: Say a"] * 3 + ["You said: Say b"] * 3
    assert told[-1].done == 6
    assert found.run.state == "complete"


def test_it_works_where_a_loop_runs_already(tmp_path):
    async def in_a_notebook():
        return sweep(plan(cell(0)), tmp_path / "runs.db")

    assert len(asyncio.run(in_a_notebook())) == 2


def test_going_on_needs_nothing_to_be_done_twice(tmp_path):
    first = sweep(experiment(), tmp_path / "runs.db")
    again = sweep(experiment(), tmp_path / "runs.db", resume=True)
    assert again.run.id == first.run.id
    assert [row.outcome.started for row in again] == [row.outcome.started for row in first]
    assert sweep(experiment(), tmp_path / "runs.db").run.id != first.run.id


def test_more_repeats_are_another_run_that_takes_over_what_there_is(tmp_path):
    first = sweep(experiment(), tmp_path / "runs.db")
    more = sweep(experiment().plan(repeats=5), tmp_path / "runs.db", resume=True)
    assert more.run.id != first.run.id
    assert [bool(row.reused) for row in more] == [True, True, True, False, False] * 2


@pytest.mark.parametrize(
    "other",
    [
        plan(cell(0), repeats=3),
        plan(cell(0), targets=(replace(HERE, settings={"engine": "scripted", "context": 999}),)),
    ],
)
def test_another_plan_is_not_gone_on_with(tmp_path, other):
    with Store.open(tmp_path / "runs.db") as store:
        run = begun(plan(cell(0)), store, resume=True)
        assert unfinished(plan(cell(0)), store) == run == begun(plan(cell(0)), store, resume=True)
        assert unfinished(other, store) is None


def test_what_is_wrong_is_raised_where_it_was_called(tmp_path):
    bad = replace(HERE, settings={"engine": "scripted", "format": "nope"})
    with pytest.raises(InputError, match="nope"):
        sweep(plan(cell(0), targets=(bad,)), tmp_path / "runs.db")
    with Store.open(tmp_path / "runs.db") as store:
        assert store.runs() == ()  # it would hide the run before it


def test_a_file_is_to_be_read_first(tmp_path):
    with pytest.raises(InputError, match=r"not str; use puna.Experiment.read"):
        sweep("story.toml", tmp_path / "runs.db")  # type: ignore[arg-type]  # what is tested
