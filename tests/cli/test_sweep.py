"""``puna sweep`` as a person uses it: whole processes, what they print, how they end."""

import argparse
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace

import pytest

from puna.cli.sweep_progress import told
from puna.cli.targets import add_targets, targets_of
from puna.errors import InputError
from puna.experiments.store import Store
from puna.experiments.sweep import Progress

PUNA = [sys.executable, "-m", "puna.cli", "sweep"]
TRACEBACK = "Traceback (most recent call last)"
STORY = """
name = "story"
repeats = {repeats}
[[prompts]]
name = "story"
user = "A story about a {{{{animal}}}}, please."
[variables]
animal = ["llama", "condor"]
[sampling]
temperature = [0, 0.5, 1.0]
max_tokens = 5
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "story.toml").write_text(STORY.format(repeats=3))
    (tmp_path / "long.toml").write_text(STORY.format(repeats=3000))
    return tmp_path


def puna(folder, *arguments):
    return subprocess.run(
        [*PUNA, *arguments], capture_output=True, text=True, timeout=120, check=False, cwd=folder, env=dict(os.environ)
    )


def newest(folder, name="runs.db"):
    with Store.open(folder / name, create=False) as store:
        return store.run(), store.rows(store.run().id)


def test_the_plan_then_the_rows_then_what_to_type_next(folder):
    done = puna(folder, "story.toml", "--engine", "scripted")
    assert (done.returncode, TRACEBACK in done.stderr) == (0, False)
    run, rows = newest(folder)
    first, *_, answers, following = done.stdout.splitlines()
    assert first == "story: 6 cells x 3 repeats = 18 answers"
    assert re.search(r"^  temperature +0, 0.5, 1$", done.stdout, re.MULTILINE)
    assert re.search(r"^  always +max_tokens=5$", done.stdout, re.MULTILINE)
    assert re.search(
        r"^  to do +18 answers to 2 prompts of \d+ tokens, \d+ in all; at most 90 tokens$", done.stdout, re.MULTILINE
    )
    assert "temperature=0: greedy" in done.stdout
    assert re.fullmatch(rf"run {run.id}: 18 answers, in .* s", answers)
    assert following == f"puna report runs.db --run {run.id}"
    assert len(rows) == 18
    assert "puna: scripted: answers: 0 of 18 done" in done.stderr


def test_a_dry_run_leaves_no_store(folder):
    done = puna(folder, "story.toml", "--engine", "scripted", "--dry-run", "--repeats", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("story: 6 cells x 2 repeats = 12 answers\n")
    assert not (folder / "runs.db").exists()


def test_resume_goes_on_with_the_newest_run_of_the_experiment(folder):
    puna(folder, "story.toml", "--engine", "scripted", "--store", "s.db")
    again = puna(folder, "story.toml", "--engine", "scripted", "--store", "s.db", "--resume")
    assert again.returncode == 0
    assert "all is done already" in again.stdout
    assert f"going on with run {newest(folder, 's.db')[0].id}: 18 answers are there" in again.stdout
    more = puna(folder, "story.toml", "--engine", "scripted", "--store", "s.db", "--resume", "--repeats", "4")
    assert re.search(r"^  to do +6 answers to 2 prompts", more.stdout, re.MULTILINE)
    assert "  18 answers are taken from other runs\n" in more.stdout
    assert re.search(r"24 answers, 18 of them from other runs", more.stdout)


@pytest.mark.parametrize(
    ("url", "api"), [("http://h:1/v1", "openai"), ("http://h:1/v1/", "openai"), ("http://h:1", "sagemaker")]
)
def test_an_address_tells_what_a_server_speaks(url, api):
    args = argparse.ArgumentParser()
    add_targets(args)
    (target,) = targets_of(args.parse_args(["--url", url]), ())
    assert (target.url, target.api) == (url, api)


def test_options_say_format_window_and_dialect_of_an_endpoint_whose_container_takes_text():
    args = argparse.ArgumentParser()
    add_targets(args)
    given = ("--url", "sagemaker:mine", "--format", "llama2", "--context", "4096", "--dialect", "lmi")
    (target,) = targets_of(args.parse_args(given), ())
    assert (target.endpoint, target.format, target.context, target.dialect) == ("mine", "llama2", 4096, "lmi")
    with pytest.raises(InputError, match="--threads is for a local model"):
        targets_of(args.parse_args([*given, "--threads", "2"]), ())
    with pytest.raises(InputError, match="--dialect is about a server"):
        targets_of(args.parse_args(["--dialect", "lmi"]), ())


@pytest.mark.parametrize("api", ["openai", "sagemaker"])
def test_of_a_server_that_is_not_there_every_trial_is_a_row(folder, api):
    (folder / "once.toml").write_text("retries = 0\n" + STORY.format(repeats=1))
    done = puna(folder, "once.toml", "--url", "http://127.0.0.1:9", "--api", api)
    assert done.returncode == 1
    run, rows = newest(folder)
    assert (run.state, len(rows)) == ("complete", 6)
    assert {row.outcome.failure for row in rows} == {"unreachable"}
    assert "does not answer" in rows[0].outcome.reason


def test_stop_texts_are_shown_as_a_file_has_them(folder):
    (folder / "stops.toml").write_text(STORY.format(repeats=1) + 'stop = ["a", "\\n"]\n')
    done = puna(folder, "stops.toml", "--engine", "scripted", "--dry-run")
    assert 'stop=["a", "\\n"]' in done.stdout


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "either a file or --builtin"),
        (("story.toml", "--builtin", "x"), "both were: story.toml and x"),
        (("--builtin", "hyperparametres"), "Did you mean 'hyperparameters'"),
        (("none.toml",), "none.toml"),
        (("story.toml", "--jobs", "0"), "--jobs must be a whole number from 1 to 256, not 0"),
        (("story.toml", "--api", "openai"), "--api is about a server, whose address --url must name"),
        (("story.toml", "--url", "http://127.0.0.1:9", "--api", "openai", "--endpoint", "e"), "give --model"),
        (("story.toml", "--engine", "scripted", "--store", "story.toml"), "story.toml"),
        (("story.toml", "--engine", "scripted", "--store", "no/such/folder.db"), "no/such"),
    ],
)
def test_bad_input_is_a_sentence(folder, arguments, part):
    done = puna(folder, *arguments)
    assert done.returncode == 2
    assert part in done.stderr
    assert TRACEBACK not in done.stderr


def test_failures_are_told_and_show_in_the_exit_status(folder):
    done = puna(folder, "story.toml", "--engine", "scripted", "--context", "64", "--resume")
    assert done.returncode == 0
    (folder / "large.toml").write_text(STORY.format(repeats=1).replace("A story", "A story " + "word " * 100))
    done = puna(folder, "large.toml", "--engine", "scripted", "--context", "64")
    assert done.returncode == 1
    assert "6 cells whose prompt does not fit" in done.stdout
    assert "0 answers, 6 failed" in done.stdout
    assert "--resume" in done.stdout


def begun(folder, *arguments, rows=0):
    """A sweep that has put some rows more than there were, and still has many to do."""
    process = subprocess.Popen(
        [*PUNA, "long.toml", "--engine", "scripted", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
        env=dict(os.environ),
    )  # fmt: skip
    for _ in range(3000):
        if process.poll() is not None:
            break
        with suppress(Exception):
            if len(newest(folder)[1]) > rows + 3:
                break
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_keeps_all_that_was_done_and_goes_on_later(folder, number):
    process = begun(folder)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "what is under way is finished first; Ctrl-C again drops it" in err
    assert TRACEBACK not in err
    run, rows = newest(folder)
    assert run.state == "interrupted"
    assert 3 < len(rows) < 18000
    assert re.search(rf"run {run.id}: {len(rows)} answers, {18000 - len(rows)} not begun", out)
    assert "--resume" in out


@pytest.mark.parametrize("times", [2, 4, 7])
def test_interrupted_twice_or_more_it_ends_at_once_and_says_what_was_kept(folder, times):
    process = begun(folder)
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)  # two signals of a kind at one moment are one
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert TRACEBACK not in err
    run, rows = newest(folder)
    assert run.state == "interrupted"
    dropped = (
        f"what was under way was dropped; run {run.id} has {len(rows)} of 18000 answers; the same command with --resume"
    )
    assert dropped in err or f"run {run.id}: {len(rows)} answers" in out  # the latter where the first one was enough


def test_once_it_is_to_end_no_time_is_told_but_what_is_finished():
    was = Progress(100, phase="answers", done=10, seconds=5.0, running=3)
    assert told(was).endswith("left")
    assert told(replace(was, stopping=True)) == "10 of 100 done, finishing 3"


def test_killed_it_goes_on_later(folder):
    process = begun(folder)
    process.kill()
    process.communicate(timeout=60)
    run, rows = newest(folder)
    assert run.state == "interrupted"
    again = begun(folder, "--resume", rows=len(rows))
    again.send_signal(signal.SIGINT)
    out, _ = again.communicate(timeout=60)
    assert f"going on with run {run.id}" in out
    assert len(newest(folder)[1]) > len(rows)


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_there_is_a_bar_and_no_line_is_too_long(folder, columns):
    fd, terminal = pty.openpty()
    env = {**os.environ, "COLUMNS": str(columns), "LINES": "40", "TERM": "xterm-256color"}
    with subprocess.Popen(
        [*PUNA, "story.toml", "--engine", "scripted"], stdout=terminal, stderr=terminal, cwd=folder, env=env
    ) as process:
        os.close(terminal)
        data = b""
        with suppress(OSError):  # how a terminal says that nobody writes any more
            while some := os.read(fd, 65536):
                data += some
    os.close(fd)
    assert process.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data.decode())
    assert "18 of 18 done" in text or "answers" in text
    assert max(len(line) for line in re.split(r"[\r\n]+", text)) <= columns


def test_the_options_of_a_target_are_kept_with_the_run(folder):
    puna(folder, "story.toml", "--engine", "scripted", "--context", "300")
    run, _ = newest(folder)
    (target,) = run.targets
    assert (target.name, dict(target.settings)) == ("scripted", {"engine": "scripted", "context": 300})
    assert json.dumps(run.definition)
