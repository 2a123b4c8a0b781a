"""puna report: what a user sees. The numbers are ``tests/experiments/test_report.py``'s."""

import errno
import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from puna.cli import main
from puna.experiments.plan import Continuation, Target
from puna.experiments.store import Store
from tests.experiments import made


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "runs.db"
    with Store.open(path) as store:
        grid = made.plan_of(temperatures=(0, 0.5, 1.2), top_ps=(1.0,), cases=made.CASES[:1])
        made.fill(store, grid, failing={(1, 2)})
        targets = (made.HERE, Target("again"), Target("other"))
        made.fill(store, made.plan_of(temperatures=(0.8,), top_ps=(1.0,), targets=targets, repeats=2, name="targets"))
    return path


def run(capsys, *words):
    status = main(["report", *map(str, words)])
    told = capsys.readouterr()
    return status, told.out, told.err


def of(store, name):
    with Store.open(store) as opened:
        return next(each.id for each in opened.runs() if each.name == name)


def test_tables_tell_what_happened(store, capsys):
    status, out, err = run(capsys, store, "--run", of(store, "story temperature"), "--measure", "diversity,tokens")
    assert (status, err) == (0, "")
    assert "story temperature" in out
    assert "18 trials, 3 cells with 6 seeds: 17 answered, 1 failed" in out
    assert "failed 1 x timeout: no answer within 300 s" in out
    assert "differences" in out
    assert "6      temperature=0  lost" in out, "equal outputs, with how many seeds gave them"
    diversity, tokens = out.index("diversity:"), out.index("tokens (tokens):")
    assert diversity < tokens


@pytest.mark.parametrize("columns", [80, 120])
def test_lines_fit_the_terminal(store, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    _, out, _ = run(capsys, store, "--parity")
    out = re.sub(r"\x1b\[[0-9;]*m", "", out)
    assert max(map(len, out.splitlines())) <= columns
    assert "Parity: here against again, 4 of 4 answers are equal" in out
    assert "Parity: here against other, 0 of 4 answers are equal" in out


def test_means_that_differ_by_more_than_the_factor_carry_a_warning(tmp_path, capsys):
    """A high temperature was tried with one top_p only, so the mean of the other temperature is of other settings too."""
    variants = {
        "cool": {"temperature": 0.4, "top_p": 0.5},
        "warm": {"temperature": 0.8, "top_p": 0.5},
        "warm, open": {"temperature": 0.8, "top_p": 1},
    }
    path = tmp_path / "runs.db"
    with Store.open(path) as store:
        made.fill(store, made.plan_of(variants=variants))
    page = tmp_path / "page.html"
    for by, warned in (("temperature", True), ("setting", False)):
        _, out, _ = run(capsys, path, "--by", by, "--measure", "diversity", "--html", page)
        assert ("were not all asked the same" in " ".join(out.split())) is warned
        assert ("were not all asked the same" in page.read_text(encoding="utf-8")) is warned


def test_repeats_that_lack_a_setting_are_counted(store, capsys):
    _, out, _ = run(capsys, store, "--run", of(store, "story temperature"), "--measure", "tokens", "--by", "prompt")
    assert re.search(r"incomplete *\nstory .* 5 +1 +1", out), out
    _, out, _ = run(capsys, store, "--run", of(store, "story temperature"), "--measure", "tokens")
    assert "incomplete" not in out


def test_json_is_one_document(store, capsys):
    status, out, _ = run(capsys, store, "--json", "--by", "temperature", "--run", of(store, "story temperature"))
    assert status == 0
    assert json.loads(out)["by"] == "temperature"


def test_page_and_figures_are_written(store, capsys, tmp_path):
    page, png, svg = tmp_path / "out.html", tmp_path / "png", tmp_path / "svg"
    status, _, err = run(capsys, store, "--measure", "tokens", "--html", page, "--png", png, "--svg", svg)
    assert status == 0
    assert "wrote" in err
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert {path.stem for path in png.iterdir()} == {path.stem for path in svg.iterdir()} != set()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--measure", "tokns"], "Did you mean 'tokens'?"),
        (["--by", "temprature"], "Did you mean 'temperature'?"),
        (["--run", "2099"], "no run of"),
        (["--run", ""], "--run must be the id of a run"),
        (["--against", ""], "--against must be the id of a run"),
        (["--position", "3"], "say where figures shall go"),
        (["--html", "/nowhere/at/all.html", "--measure", "tokens"], "the page cannot be written to"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(store, capsys, words, sentence):
    status, _, err = run(capsys, store, *words)
    assert status == 2
    assert err.startswith("puna: ")
    assert sentence in err


def test_no_store(capsys, tmp_path):
    status, _, err = run(capsys, tmp_path / "none.db")
    assert status == 2
    assert "none.db" in err


@pytest.mark.parametrize(("missing", "words"), [("numpy", []), ("matplotlib", ["--html", "out.html"])])
def test_without_the_extra_it_says_what_to_install(store, tmp_path, missing, words):
    code = f"import sys; sys.modules[{missing!r}] = None; from puna.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "report", str(store), "--measure", "tokens", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install 'puna[experiments]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_output_steers_the_terminal(tmp_path, capsys):
    plan = made.plan_of(temperatures=(0.8,), top_ps=(1.0,), cases=made.CASES[:1], repeats=2, name="a \x1b[31m name")
    with Store.open(tmp_path / "runs.db") as store:
        run_id = store.begin(plan)
        with store.claim(run_id):
            for trial in plan.trials():
                outcome = replace(made.outcome_of(trial), output="\x1b]0;title\x07 [red]hello[/red]")
                store.put(run_id, trial, outcome, str(trial.repeat))
    status, out, _ = run(capsys, tmp_path / "runs.db", "--measure", "words")
    assert status == 0
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "a \\x1b[31m name" in out, "told as puna runs does"
    assert "[red]hello[/red]" in out, "nor is it markup of the tables"


def test_cells_are_called_by_all_that_varies(tmp_path, capsys):
    plan = made.plan_of(temperatures=(0, 1), top_ps=(1.0,), cases=made.CASES[:1], systems=made.SYSTEMS, repeats=2)
    cells = tuple(replace(cell, continuations=(Continuation("unknown", "I don't know"),)) for cell in plan.cells)
    with Store.open(tmp_path / "runs.db") as store:
        made.fill(store, replace(plan, cells=cells), distributions=(0, 2))
    page, png = tmp_path / "page.html", tmp_path / "png"
    _, out, _ = run(capsys, tmp_path / "runs.db", "--measure", "words", "--html", page, "--png", png)
    equal, likely = out[out.index("Equal outputs") :].split("Likelihoods")
    for name in ("none, temperature=0", "pirate, temperature=0"):
        assert name in equal
        assert f"{name} unknown" in " ".join(likely.split())
        assert f"word by word ({name})" in page.read_text(encoding="utf-8")
    assert "llama, " not in equal + likely, "the case is always the same"
    assert {"nucleus-none-temperature-0.png", "nucleus-pirate-temperature-0.png"} <= {
        each.name for each in png.iterdir()
    }


def test_trials_that_part_are_called_by_all_that_varies(tmp_path, capsys):
    targets = (made.HERE, Target("other"))
    plan = made.plan_of(temperatures=(1,), top_ps=(1.0,), cases=made.CASES[:1], systems=made.SYSTEMS, targets=targets, repeats=1)  # fmt: skip
    with Store.open(tmp_path / "runs.db") as store:
        made.fill(store, plan)
    page = tmp_path / "page.html"
    _, out, _ = run(capsys, tmp_path / "runs.db", "--measure", "words", "--parity", "--html", page)
    lines = out[out.index("outputs that part") :].splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["none", "pirate"], "the target stands above"
    assert "pirate, seed 1. First difference" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("option", ["--html", "--png", "--svg"])
def test_what_was_there_stays_when_the_disk_is_full(store, capsys, tmp_path, monkeypatch, option):
    place = tmp_path / ("page.html" if option == "--html" else "figures")
    words = (store, "--measure", "tokens", option, place)
    assert run(capsys, *words)[0] == 0
    files = (place,) if option == "--html" else tuple(place.iterdir())
    for each in files:
        each.write_text("as it was")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    status, _, err = run(capsys, *words)
    assert status == 2
    assert "No space left on device" in err
    assert [each.read_text() for each in files] == ["as it was"] * len(files)
    assert set(tmp_path.rglob("*.part")) == set()


@pytest.fixture
def one_dead(tmp_path):
    """Two targets of which one never answered, each time for another reason."""
    plan = made.plan_of(temperatures=(1,), top_ps=(1.0,), cases=made.CASES[:1], targets=(made.HERE, Target("dead")), repeats=12)  # fmt: skip
    with Store.open(tmp_path / "runs.db") as store:
        run_id = store.begin(plan)
        with store.claim(run_id):
            for trial in plan.trials():
                bad = made.failed_outcome_of(trial, reason=f"reason {trial.repeat}")
                store.put(run_id, trial, bad if trial.cell.target == "dead" else made.outcome_of(trial), str(trial))
            store.finish(run_id, "complete")
    return tmp_path / "runs.db"


def test_where_nothing_can_be_compared_nothing_is_said_of_differences(one_dead, capsys, tmp_path):
    page = tmp_path / "page.html"
    _, out, _ = run(capsys, one_dead, "--measure", "tokens", "--html", page)
    for text in (out, page.read_text(encoding="utf-8")):
        assert "1 not comparable: no pair has an answer on both sides" in text
        assert "significant (" not in text
        assert "differences are significant" not in text
        assert "no number of repeats" not in text


def test_only_what_can_be_tested_is_counted(tmp_path, capsys):
    targets = (made.HERE, Target("other"), Target("dead"))
    plan = made.plan_of(temperatures=(1,), top_ps=(1.0,), cases=made.CASES[:1], targets=targets, repeats=3)
    with Store.open(tmp_path / "runs.db") as store:
        made.fill(store, plan, failing={(2, repeat) for repeat in range(3)})
    _, out, _ = run(capsys, tmp_path / "runs.db", "--measure", "tokens")
    assert "0 of 1 differences are significant" in out
    assert "2 not comparable: no pair has an answer on both sides" in out


def test_one_pair_does_not_tell_what_repeats_would(tmp_path, capsys):
    plan = made.plan_of(temperatures=(0.5, 1.2), top_ps=(1.0,), cases=made.CASES[:1], repeats=1)
    with Store.open(tmp_path / "runs.db") as store:
        made.fill(store, plan)
    _, out, _ = run(capsys, tmp_path / "runs.db", "--measure", "words")
    assert "1 not shown to differ: one pair does not tell how many repeats it would take" in out
    assert "no number of repeats" not in out
    assert "2 trials, 2 cells with 1 seed: 2 answered" in out


def test_of_many_reasons_the_first_are_told(one_dead, capsys, tmp_path):
    page = tmp_path / "page.html"
    _, out, _ = run(capsys, one_dead, "--measure", "tokens", "--html", page)
    assert [line for line in out.splitlines() if "reason" in line] == [
        *(f"failed 1 x timeout: reason {n}" for n in range(8)),
        "and 4 other reasons, of 4 trials",
    ]
    assert page.read_text(encoding="utf-8").count("<dt>Failed</dt>") == 9
    told = json.loads(run(capsys, one_dead, "--measure", "tokens", "--json")[1])
    assert len(told["failures"]) == 12


def test_nothing_to_draw_is_said(tmp_path, capsys):
    plan = made.plan_of(temperatures=(1,), top_ps=(1.0,), cases=made.CASES[:1], repeats=1)
    with Store.open(tmp_path / "runs.db") as store:
        made.fill(store, plan, failing={(0, 0)})
    status, _, err = run(capsys, tmp_path / "runs.db", "--measure", "tokens", "--png", tmp_path / "png")
    assert (status, err) == (0, f"wrote no figure to {tmp_path / 'png'}: there was nothing to draw\n")
    assert not (tmp_path / "png").exists()
