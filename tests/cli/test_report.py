"""puna report: what a user sees. The numbers are ``tests/experiments/test_report.py``'s."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from puna.cli import main
from puna.experiments.plan import Target
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
    assert "6      story, llama, temperature=0" in out, "equal outputs, with how many seeds gave them"
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
    assert "[red]hello[/red]" in out, "nor is it markup of the tables"
