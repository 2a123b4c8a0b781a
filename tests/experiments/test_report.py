import json
from dataclasses import replace

import pytest

from puna.errors import InputError
from puna.experiments import report
from puna.experiments.gallery import gallery, save
from puna.experiments.plan import Continuation, Record, Target
from puna.experiments.rows import State
from puna.experiments.store import Store

from . import made


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Runs, the oldest first: a grid with failures and distributions; three targets; one setting, nothing recorded."""
    with Store.open(tmp_path_factory.mktemp("report") / "runs.db") as store:
        grid = made.plan_of(temperatures=(0, 0.5, 1.2), top_ps=(1.0,))
        cells = tuple(replace(cell, continuations=(Continuation("unknown", "I don't know"),)) for cell in grid.cells)
        made.fill(store, replace(grid, cells=cells), failing={(1, 2), (4, 0)}, distributions=(1,))
        targets = (made.HERE, Target("again"), Target("other"))
        made.fill(store, made.plan_of(temperatures=(0.8,), top_ps=(1.0,), targets=targets, repeats=3, name="targets"))
        made.fill(store, made.plan_of(temperatures=(0.8,), top_ps=(1.0,), repeats=1, record=Record(), name="one"))
        yield store


@pytest.fixture
def ids(store):
    return [run.id for run in reversed(store.runs())]


def test_what_a_run_shows(store, ids):
    found = report.read(store, ids[0])
    assert (found.run.name, found.by, len(found.rows)) == ("story temperature", "setting", 36)
    assert [part.measure.name for part in found.parts] == ["diversity", "mean_logprob", "tokens", "mentions a llama"]
    assert found.failures == (("timeout: no answer within 300 s", 2),)
    assert found.answerers() == ("toy-1m (file 777777777777) on toy 1.0; the same seed gives the same answer",)
    diversity = found.parts[0]
    assert [each.label for each in diversity.summaries] == ["temperature=0", "temperature=0.5", "temperature=1.2"]
    assert sum(each.failed for each in diversity.summaries) == 2, "no failure is silent"
    assert diversity.significant[0].a.label == "temperature=0"
    assert {each.p_holm is not None and each.p_holm > 0.05 for each in diversity.open} <= {True}


def test_the_newest_run_is_reported(store, ids):
    assert report.read(store).run.id == ids[-1]


def test_equal_outputs_are_together_and_failures_are_not(store, ids):
    answers = report.read(store, ids[0]).answers()
    assert [len(answer.rows) for answer in answers[0]] == [6], "temperature 0"
    assert [answer.ok for answer in answers[1]].count(False) == 1
    assert sum(len(answer.rows) for found in answers.values() for answer in found) == 36


def test_what_had_arrived_of_a_failed_trial_is_no_equal_answer(store, ids):
    found = report.read(store, ids[0], measures=("tokens",))
    first = found.rows[0]
    cut = replace(first, repeat=9, outcome=replace(first.outcome, state=State.FAILED))
    (answers,) = replace(found, rows=(first, cut)).answers().values()
    assert [(answer.ok, len(answer.rows)) for answer in answers] == [(True, 1), (False, 1)]


def test_json_has_the_numbers(store, ids):
    told = json.loads(json.dumps(report.as_json(report.read(store, ids[0], measures=("tokens",), by="temperature"))))
    assert told["by"] == "temperature"
    assert told["run"]["failed"] == 2
    (part,) = told["measures"]
    assert [level["level"] for level in part["levels"]] == ["0", "0.5", "1.2"]
    assert set(part["levels"][0]["mean"]) == {"estimate", "low", "high"}
    assert [(each["a"], each["b"]) for each in part["comparisons"]] == [("0", "0.5"), ("0", "1.2"), ("0.5", "1.2")]
    assert len(told["likelihoods"]) == 6


def test_one_setting_is_compared_by_what_was_asked(store, ids):
    found = report.read(store, ids[2])
    assert (found.by, found.instead) == ("case", "there is one setting")


def test_several_targets_answer_for_themselves(store, ids):
    answerers = report.read(store, ids[1]).answerers()
    assert [each.split(":")[0] for each in answerers] == ["here", "again", "other"]


def test_parity_of_targets_and_of_runs(store, ids):
    first, second, _ = report.read(store, ids[1], parity=True).parities
    assert (first.a, first.b, first.same, len(first.twins)) == ("here", "again", 6, 6)
    assert (second.b, second.same) == ("other", 0)
    (against,) = report.read(store, ids[2], against=ids[1]).parities
    assert (against.same, against.only_b) == (2, 4)
    told = report.as_json(report.read(store, ids[1], parity=True))["parity"]
    assert told[1]["differs"]["output"] == 6
    assert len(told[1]["trials_that_differ"]) == 6


def test_what_cannot_be_told_is_a_sentence(store, ids):
    for given, sentence in {
        "measures": "unknown measure 'tokns'. Did you mean 'tokens'?",
        "by": "unknown factor 'temprature'. Did you mean 'temperature'?",
        "run": "begins with",
        "parity": "has one target, so there is nothing to compare it with",
        "against": "a run is compared with another one",
    }.items():
        values = {"measures": ("tokns",), "by": "temprature", "run": "nope", "parity": True, "against": ids[2]}
        with pytest.raises(InputError, match=sentence):
            report.read(store, **{given: values[given]})


def test_runs_without_a_common_trial(store, ids):
    with pytest.raises(InputError, match="no trial in common"):
        report.read(store, ids[1], against=ids[0])


def test_a_run_without_rows(tmp_path):
    with Store.open(tmp_path / "runs.db") as store:
        store.begin(made.plan_of())
        with pytest.raises(InputError, match="has no rows yet, of 96 planned"):
            report.read(store)


def test_all_that_failed_is_told_and_nothing_else(tmp_path):
    plan = made.plan_of(temperatures=(0.5, 1.0), top_ps=(1.0,), cases=made.CASES[:1], repeats=2)
    with Store.open(tmp_path / "runs.db") as store:
        made.fill(store, plan, failing={(cell, repeat) for cell in (0, 1) for repeat in (0, 1)})
        found = report.read(store)
        assert [each.failed for each in found.parts[0].summaries] == [2, 2]
        assert gallery(found) == ()


def test_every_figure_of_a_run_has_its_words_and_numbers(store, ids):
    drawings = gallery(report.read(store, ids[0], measures=("diversity",)))
    names = [each.name for each in drawings]
    assert names == [
        "diversity-by-temperature", "diversity-by-case", "diversity-differences", "tokens-of-outputs", "latency-of-outputs",
        "nucleus-llama-temperature-0-5", "choice-llama-temperature-0-5",
    ]  # fmt: skip
    for each in drawings:
        assert each.title
        assert each.caption.endswith(".")
        assert each.lines
        assert {len(line) for line in each.lines} == {len(each.header)}


def test_the_position_of_a_choice_can_be_said(store, ids):
    found = report.read(store, ids[0], measures=("tokens",))
    choice = gallery(found, 3)[-1]
    assert choice.caption.startswith("Position 3, after")
    with pytest.raises(InputError, match="no answer with recorded distributions has a position 4000"):
        gallery(found, 4000)
    with pytest.raises(InputError, match=r"`distributions = 1000` under \[record\]"):
        gallery(report.read(store, ids[2]), 3)


def test_figures_are_files(store, ids, tmp_path):
    drawings = gallery(report.read(store, ids[2], measures=("tokens",)))
    assert [path.name for path in save(drawings, tmp_path / "new", "png")] == [f"{each.name}.png" for each in drawings]
    assert all(path.read_bytes().startswith(b"<?xml") for path in save(drawings, tmp_path / "new", "svg"))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="figures cannot be written to"):
        save(drawings, tmp_path / "file", "png")
