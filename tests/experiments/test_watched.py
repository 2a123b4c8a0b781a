"""Scores that search are Python's own, and none takes for ever: an output that would has no value, never 0."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from puna.cli import main
from puna.errors import EngineError
from puna.experiments import watched as module
from puna.experiments.plan import Check
from puna.experiments.watched import MOST_LATE, WHY, Watched, watched

ENDLESS = Check("endless", "regex", "(a+)+$")
LONG = "a" * 60 + "!"
"""Takes 2 to the power of 60 steps."""


@pytest.fixture
def soon(monkeypatch):
    """A second is long enough for what ends, and soon enough for what does not."""
    monkeypatch.setattr(module, "SECONDS", 1.0)


def test_a_search_that_takes_too_long_has_no_value_and_the_next_ones_have(soon):
    score = watched(ENDLESS)
    assert [score(text, None) for text in ("baaa", LONG, "b", "aaaa")] == [1, None, 0, 1]


def test_a_schema_searches_too(soon):
    score = watched(Check("json", "json_schema", {"type": "string", "pattern": "^(a+)+$"}))
    assert [score(json.dumps(text), None) for text in ("aa", "b", LONG, "a")] == [1, 0, None, 1]


def test_after_some_outputs_a_score_judges_no_other_one_and_stands_by_what_it_said(monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.2)
    score, other = watched(ENDLESS), watched(Check("other", "regex", "b"))
    monkeypatch.setattr(module._Judge, "ask", lambda *_: 1.0)
    assert score("early", None) == 1
    monkeypatch.setattr(module._Judge, "ask", lambda *_: late())
    assert [score(f"{n}{LONG}", None) for n in range(MOST_LATE)] == [None] * MOST_LATE
    monkeypatch.setattr(module._Judge, "ask", lambda *_: 1.0)
    assert (score("later", None), score("0" + LONG, None), score("early", None)) == (None, None, 1)
    assert other("later", None) == 1


def late():
    raise TimeoutError


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (r"(?:foo){e<=1}", "fo"),  # means something else to other engines
        (r"[[:alpha:]", "x:"),
        (r"(?i)straße", "STRASSE"),
        (r"(?<=\d)x(?!y)", "1xz"),
        (r"^b$", "a\nb\n"),
        (r"(?m)^b$", "a\nb\n"),
        (r"(\w)\1", "llama"),
        (r"\Z", ""),
        ("\ud800", "lone \ud800"),
        ("🦙{2}", "🦙🦙"),
        (r"(?>a+)b", "aab"),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_an_expression_means_what_it_means_to_python(expression, text):
    wanted = float(re.search(expression, text) is not None)
    assert watched(Check("x", "regex", expression))(text, None) == wanted


def test_what_searches_nothing_is_judged_here():
    for check in (Check("x", "contains", "a"), Check("x", "json_schema", True), Check("x", "exact", True)):
        assert not isinstance(watched(check), Watched)


def test_a_process_that_was_ended_is_started_again():
    score = watched(Check("x", "regex", "a"))
    assert score("a", None) == 1
    module._JUDGES[-1].end()
    assert (score("b", None), score("ba", None)) == (0, 1)


def test_a_process_that_does_not_start_is_an_error_and_no_value(monkeypatch):
    monkeypatch.setattr(module, "_JUDGES", [])
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(EngineError, match="the score 'x' did not start: /bin/false"):
        watched(Check("x", "regex", "a"))("a", None)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="what a process does is read in /proc")
def test_a_search_whose_parent_was_killed_ends_by_itself():
    code = (
        "from puna.experiments import watched as w; from puna.experiments.plan import Check; w.SECONDS = 600.0\n"
        "s = w.watched(Check('x', 'regex', '(a+)+$')); s('a', None)\n"
        "print(w._JUDGES[-1]._process.pid, flush=True); s('a' * 60 + '!', None)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    until = time.monotonic() + 60
    while alive(child) and time.monotonic() < until:
        time.sleep(0.1)
    assert not alive(child)


def alive(pid):
    """Whether it still runs: one that has ended may wait for somebody to take note."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


FILE = f"""
repeats = 1
[[prompts]]
name = "endless"
user = "{LONG}"
[[prompts]]
name = "short"
user = "aa"
[[scores]]
name = "letters"
regex = "(a+)+$"
"""


def test_a_report_ends_and_says_what_has_no_value_and_why(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.toml").write_text(FILE)
    assert main(["sweep", "x.toml", "--engine", "scripted"]) == 0
    capsys.readouterr()
    assert main(["report", "--measure", "letters", "--html", "x.html"]) == 0
    told = capsys.readouterr().out
    assert "no value" in told.split("letters", 1)[1]
    assert WHY[:40] in told
    assert WHY[:40] in (tmp_path / "x.html").read_text()
    assert main(["report", "--measure", "letters", "--by", "prompt", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["measures"]
    assert [(each["level"], each["n"], each["undefined"]) for each in found["levels"]] == [
        ("endless", 0, 1),
        ("short", 1, 0),
    ]
    assert found["gap"] == WHY


def test_an_expectation_of_it_has_no_verdict(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.toml").write_text(
        f'repeats = 1\n[[tests]]\nuser = "{LONG}"\n[[tests.expect]]\nregex = "(a+)+$"\n[[tests.expect]]\nregex = "a"\n'
    )
    assert main(["expect", "x.toml", "--engine", "scripted"]) == 3
    told = " ".join(capsys.readouterr().out.split())
    assert "the score has no value: the search took longer than 2 s" in told
    assert "1 of 2 expectations passed, 1 could not be told" in told
