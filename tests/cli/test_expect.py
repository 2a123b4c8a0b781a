"""``puna expect`` as users meet it: whole processes, their output, their files and their exit status."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import pytest

from puna.cli import main
from puna.cli.verdicts import as_json
from puna.experiments.plan import Plan
from puna.experiments.stats import Interval
from puna.experiments.store import Store
from puna.experiments.suite import BUILTINS, builtin
from puna.experiments.verdicts import Result, Verdict

EXPECT = [sys.executable, "-m", "puna.cli", "expect"]
SCRIPTED = ("--engine", "scripted")

FILE = """
name = "echo"
repeats = 4
[[tests]]
name = "it says what it is told"
[[tests.prompts]]
name = "year"
user = "It was built in 1889."
[[tests.prompts]]
name = "nothing"
user = "\\u001b[31m[bold]I forgot.[/bold]"
[[tests.expect]]
contains = "1889"
of = "year"
[[tests.expect]]
contains = "1889"
of = "year"
more_than = "nothing"
[[tests.expect]]
contains = "1889"
of = "nothing"
at_least = 0.5
"""
PASSES = FILE[: FILE.rindex("[[tests.expect]]")]


@dataclass
class Done:
    status: int
    stdout: str
    stderr: str


@pytest.fixture
def expect(capsys, tmp_path, monkeypatch):
    """The verb in this process, in the folder of the file."""
    monkeypatch.chdir(tmp_path)

    def expect(*arguments):
        status = main(["expect", *map(str, arguments)])
        return Done(status, *capsys.readouterr())

    return expect


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "echo.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_what_is_expected_and_what_was_found_is_told_and_a_failure_exits_1(expect, file):
    done = expect(file, *SCRIPTED)
    assert done.status == 1, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines() if line.strip()]
    assert lines[:3] == ["echo, on scripted", "expected found 95 % interval", "it says what it is told"]
    assert lines[3] == 'passed year: contains "1889" in all 4 4 of 4 51 % to 100 %'
    assert lines[4].startswith('passed contains "1889": year more than nothing 100 % and')
    assert 'FAILED nothing: contains "1889" in at least 2 of 4 0 of 4 0 % to 49 %' in lines
    assert lines[-1] == "2 of 3 expectations passed, 1 failed"
    assert r"seed 1: You said: \x1b[31m[bold]I forgot.[/bold]" in lines  # no markup of rich's, no order to the terminal
    assert "\x1b" not in done.stdout


def test_all_as_expected_exits_0(expect, file):
    file.write_text(PASSES, encoding="utf-8")
    done = expect(file, *SCRIPTED)
    assert done.status == 0, done.stderr
    assert done.stdout.endswith("2 of 2 expectations passed\n")


def test_json_and_junit_say_the_same(expect, file, tmp_path):
    report = tmp_path / "echo.xml"
    done = expect(file, *SCRIPTED, "--json", "--junit", report)
    assert done.status == 1
    told = json.loads(done.stdout)
    assert (told["name"], told["run"], told["passed"], told["failed"], told["error"]) == ("echo", None, 2, 1, 0)
    failed = told["verdicts"][2]
    assert failed["result"] == "failed"
    assert (failed["held"], failed["of"], failed["wanted"]) == (0, 4, "at least 2 of 4")
    assert failed["interval"] == pytest.approx([0, 0, 0.4899], abs=1e-4)
    assert failed["example"]["seed"] == 1
    root = ET.fromstring(report.read_bytes())  # noqa: S314  # it was written here
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "1", "0")
    assert r"\x1b[31m[bold]I forgot." in str(root.findtext(".//failure"))


def test_answers_are_kept_in_a_store_where_one_is_named_and_judged_again(expect, file, tmp_path):
    kept = tmp_path / "kept.db"
    done = expect(file, *SCRIPTED, "--store", kept)
    with Store.open(kept) as store:
        (run,) = store.runs()
        assert (run.name, len(store.rows(run.id))) == ("echo", 8)
    assert done.stdout.endswith(f"puna report {kept} --run {run.id}\n")
    file.write_text(
        FILE.replace("at_least = 0.5", "at_most = 0"), encoding="utf-8"
    )  # another threshold, the same answers
    again = expect(file, *SCRIPTED, "--store", kept, "--resume")
    assert again.status == 0, again.stdout
    with Store.open(kept) as store:
        assert [each.id for each in store.runs()] == [run.id]


def test_fewer_repeats_and_nothing_left_behind(expect, file, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    done = expect(file, *SCRIPTED, "--repeats", "2", "--json")
    assert json.loads(done.stdout)["verdicts"][0]["of"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["echo.toml"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "either a file or --builtin NAME"),
        (("echo.toml", "--builtin", "workshop"), "but both were: echo.toml and workshop"),
        (("--builtin", "workshp"), "Did you mean 'workshop'?"),
        (("missing.toml",), "cannot read missing.toml"),
        (("echo.toml", "--jobs", "0"), "--jobs must be a whole number from 1 to 256, not 0"),
        (("echo.toml", "--repeats", "0"), "repeats must be a whole number from 1"),
        (("echo.toml", "--junit", "no/such/folder.xml"), "--junit must be a file in a folder that exists"),
        (("echo.toml", "--resume"), "name its store: --store FILE"),
        (("echo.toml", "--api", "openai"), "--url"),
        (("echo.toml", "--context", "1"), "puna: --context must be a whole number from 64"),
        (("echo.toml", "--model", "smolm2-135m"), "Did you mean 'smollm2-135m'"),
    ],
)
def test_bad_usage_exits_2_with_one_sentence(expect, file, arguments, part):
    done = expect(*arguments)
    assert done.status == 2
    assert part in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_bad_file_exits_2_and_names_the_line(expect, file):
    file.write_text(FILE.replace('of = "nothing"', 'of = "nothin"'), encoding="utf-8")
    done = expect(file, *SCRIPTED)
    assert done.status == 2
    assert f"puna: {file}, line 21: tests[0].expect[2].of: unknown" in done.stderr
    assert "Did you mean 'nothing'?" in done.stderr


def test_an_endpoint_that_is_not_there_exits_3(expect, file):
    done = expect(file, "--url", "http://127.0.0.1:9", "--api", "openai")
    assert done.status == 3, (done.stdout, done.stderr)


def test_of_an_endpoint_that_is_not_there_the_verdicts_are_errors_and_the_report_is_written(expect, file, tmp_path):
    file.write_text(PASSES.replace("repeats = 4", "repeats = 4\nretries = 0"), encoding="utf-8")
    report = tmp_path / "echo.xml"
    done = expect(file, "--url", "http://127.0.0.1:9", "--api", "openai", "--junit", report)
    assert done.status == 3
    assert "unreachable" in done.stdout
    root = ET.fromstring(report.read_bytes())  # noqa: S314  # it was written here
    assert (root.get("tests"), root.get("errors")) == ("2", "2")


def test_a_report_that_cannot_be_written_is_told_before_anything_is_asked(expect, file):
    done = expect(file, *SCRIPTED, "--junit", "x" * 300 + ".xml")
    assert (done.status, done.stdout) == (2, "")
    assert "--junit must be a file that can be written" in done.stderr


def test_a_report_for_which_there_is_no_room_does_not_cost_the_verdicts(expect, file):
    done = expect(file, *SCRIPTED, "--junit", "/dev/full")
    assert done.status == 3
    assert "2 of 3 expectations passed" in done.stdout
    assert "the verdicts could not be written to /dev/full" in done.stderr


def test_no_zero_has_a_sign(expect, file):
    told = json.loads(expect(file, *SCRIPTED, "--json").stdout)
    assert "-0.0" not in json.dumps(told)
    assert "-0.0" not in json.dumps(
        as_json(Plan("x", {}, (), (), ()), [Verdict(Result.PASSED, "", interval=Interval(-0.0, -0.0, 0.0))], None)
    )


def test_a_target_that_does_not_start_leaves_no_run(expect, file, tmp_path):
    kept = tmp_path / "kept.db"
    expect(file, *SCRIPTED, "--store", kept)
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"no model")
    assert expect(file, "--model", bad, "--store", kept).status == 2
    assert expect(file, *SCRIPTED, "--format", "nope", "--store", kept).status == 2
    with Store.open(kept) as store:
        assert len(store.runs()) == 1


def test_trials_that_fail_leave_no_verdict_and_exit_3(expect, file):
    file.write_text(PASSES.replace("repeats = 4", "repeats = 4\nretries = 0"), encoding="utf-8")
    done = expect(file, *SCRIPTED, "--context", "64")
    assert done.status == 3, (done.stdout, done.stderr)
    assert "2 could not be told" in done.stdout
    assert "refused" in done.stdout


def test_ctrl_c_keeps_what_was_answered_and_gives_no_verdicts(file, tmp_path):
    kept = tmp_path / "kept.db"
    file.write_text(FILE.replace("repeats = 4", "repeats = 20000"), encoding="utf-8")
    command = [*EXPECT, str(file), *SCRIPTED, "--store", str(kept)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        while "answers" not in running.stderr.readline():
            pass
        while not _some(kept):
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        rest = running.stderr.read()
        assert running.wait(30) == 130
    assert "without all answers there are no verdicts" in rest
    assert f"--store {kept} --resume goes on" in rest
    assert "Traceback" not in rest
    with Store.open(kept) as store:
        assert store.run().state == "interrupted"


def _some(path):
    with Store.open(path) as store:
        return store.rows(store.run().id)


@pytest.mark.parametrize("name", BUILTINS)
def test_what_puna_brings_can_be_planned(name):
    plan, tests = builtin(name).plan()
    assert len(tests) == 7
    assert {check.kind for check in plan.checks} >= {"contains", "abstains"}


@pytest.mark.model
def test_the_workshops_claims_are_judged_on_the_embedded_model(expect, model_home):
    """With two repeats: what passes then says little, and everything has a verdict."""
    done = expect("--builtin", "workshop", "--repeats", "2", "--json")
    assert done.status in {0, 1}, done.stderr
    told = json.loads(done.stdout)
    assert told["error"] == 0
    assert {verdict["model"] for verdict in told["verdicts"]} == {"smollm2-135m"}
    by = {(verdict["test"], verdict["expectation"]): verdict for verdict in told["verdicts"]}
    assert by["a follow-up needs its history", 'with history: contains "1889"']["held"] == 2
    assert by["the answer uses the given context", 'with context: contains "whiteboard"']["held"] == 2
