"""``puna ask`` as users meet it: whole processes, a real terminal, their output and their exit status."""

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import termios
import time

import pyte
import pytest

from puna.cli import main
from puna.cli.ask_output import skipped_line
from puna.retrieval.folder import OTHER_KIND, Skipped
from puna.retrieval.index import Documents
from tests.cli.test_cli import PUNA, TRACEBACK, puna

QUESTION = "Has the fleece grease?"


@pytest.fixture
def docs(tmp_path):
    """A folder of documents, in which the test runs."""
    found = tmp_path / "docs"
    found.mkdir()
    (found / "wool.md").write_text(
        "# Wool\n\nThe fleece of an alpaca has no grease.\n\n## Colours\n\nOf the fleece there are twenty-two.\n",
        encoding="utf-8",
    )
    (found / "food.txt").write_text("A llama eats ichu grass.\n", encoding="utf-8")
    return found


@pytest.fixture
def ask(docs, monkeypatch, capsys):
    """Asks about the folder, in this process; the engine has no model, and says the prompt back."""
    monkeypatch.chdir(docs.parent)

    def asked(*words, engine="scripted"):
        capsys.readouterr()
        status = main(["ask", "--engine", engine, "--docs", "docs", *words])
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(words, status, out, err)

    return asked


def test_the_answer_is_followed_by_the_passages_with_their_places(ask):
    done = ask("--max-tokens", "4000", "--context", "8000", QUESTION)
    assert done.returncode == 0, done.stderr
    answer, _, sources = done.stdout.partition("Question: " + QUESTION + "\n")
    assert answer.startswith("You said: Context:\n\n[1] Wool\nThe fleece of an alpaca has no grease.")
    assert sources == (
        "\n[1] docs/wool.md:3  Wool\n    The fleece of an alpaca has no grease.\n"
        "[2] docs/wool.md:7  Wool > Colours\n    Of the fleece there are twenty-two.\n"
    )


def test_what_the_answer_does_not_rest_on_has_its_place_and_headings_too(ask):
    done = ask("--max-tokens", "12", "--context", "8000", QUESTION)
    assert done.returncode == 0, done.stderr
    assert "[2]" not in done.stdout
    assert "puna: also shown to the model: [2] docs/wool.md:7 Wool > Colours\n" in done.stderr


def test_the_first_time_is_told_and_the_second_is_not(ask, docs):
    for path in docs.iterdir():
        os.utime(path, (1, 1))
    first, second = ask(QUESTION), ask(QUESTION)
    assert first.stderr.splitlines()[0] == "puna: reading 2 files for the first time"
    assert "3 passages of 2 files indexed in" in first.stderr.splitlines()[1]
    assert "puna: reading" not in second.stderr
    assert second.stdout == first.stdout


def test_nothing_found_is_told_and_nobody_is_asked(docs, monkeypatch):
    monkeypatch.chdir(docs.parent)
    done = puna("ask", "--docs", "docs", "--url", "http://127.0.0.1:9", "Who won the cup in 1998?")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(
        "puna: nothing found, so no model was asked: none of the 3 passages has to do with the question\n"
    )


def test_an_empty_folder_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    done = puna("ask", "--engine", "scripted", "--docs", str(tmp_path / "empty"), "Anything?")
    assert done.returncode == 1
    assert "the documents have no text" in done.stderr


def test_a_json_document_has_everything(ask):
    done = ask("--json", "--seed", "3", QUESTION)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["question"] == QUESTION
    assert told["answer"].startswith("You said: Context:")
    assert [(one["number"], one["source"], one["line"], one["cited"]) for one in told["sources"]] == [
        (1, os.path.join("docs", "wool.md"), 3, True),  # noqa: PTH118
        (2, os.path.join("docs", "wool.md"), 7, True),  # noqa: PTH118
    ]
    assert told["prompt_tokens"] == told["receipt"]["usage"]["prompt"] <= told["room"] == 4096 - 200
    assert told["claims"][0]["verdict"] in {"supported", "uncited", "elsewhere", "unsupported", "empty"}
    assert told["receipt"]["sampling"]["temperature"] == 0


def test_nothing_found_is_a_json_document_too(ask):
    done = ask("--json", "Who won the cup in 1998?")
    told = json.loads(done.stdout)
    assert (done.returncode, told["answer"], told["abstained"], told["sources"]) == (1, None, True, [])


def test_what_would_be_sent_is_shown_with_its_exact_tokens_and_nobody_is_asked(ask):
    done = ask("--show", QUESTION)
    assert done.returncode == 0, done.stderr
    assert "You said" not in done.stdout
    assert "[1] docs/wool.md:3  Wool  score " in done.stdout
    shown = json.loads(ask("--show", "--json", QUESTION).stdout)
    sent = json.loads(ask("--json", QUESTION).stdout)
    tokens = shown["prompt_tokens"]
    assert tokens == sent["receipt"]["usage"]["prompt"]
    assert f"prompt {tokens} tokens, answer at most 200, free {4096 - 200 - tokens}, window 4096\n" in done.stdout
    assert [message["role"] for message in shown["messages"]] == ["system", "user"]


def test_what_does_not_fit_is_shown_as_left_out(ask, docs):
    (docs / "long.txt").write_text("fleece grease " * 50, encoding="utf-8")
    done = ask("--show", "--context", "130", "--max-tokens", "40", QUESTION)
    assert "left out: docs/long.txt:1 (" in done.stdout
    assert "answer at most 40" in done.stdout


def test_a_question_can_come_from_standard_input(ask):
    words = ["ask", "--engine", "scripted", "--docs", "docs", "--show", "--json", "-"]
    assert puna(*words, stdin=f"{QUESTION}\n").stdout == ask("--show", "--json", QUESTION).stdout


def test_what_a_terminal_would_obey_is_made_visible(ask, docs):
    (docs / "evil.md").write_text("grease \x1b]0;owned\x07 fleece \x1b[2J", encoding="utf-8")
    done = ask("--show", QUESTION)
    assert "\x1b" not in done.stdout
    assert "\u241b[2J" in done.stdout


def test_what_was_left_out_is_told(ask, docs):
    (docs / "old.txt").write_bytes(b"caf\xe9")
    (docs / "code.py").write_text("x", encoding="utf-8")
    first, second = ask(QUESTION).stderr, ask(QUESTION).stderr
    line = next(line for line in first.splitlines() if "left out" in line)
    assert "docs/old.txt (not UTF-8)" in line
    assert f"docs/code.py ({OTHER_KIND})" in line
    assert "puna: left out: docs/old.txt (not UTF-8)" in second.splitlines()
    assert "code.py" not in second


def test_what_was_left_out_fits_a_line():
    many = [Skipped(f"{n}.py", OTHER_KIND) for n in range(1000)] + [Skipped(f"{n}.txt", f"why {n}") for n in range(9)]
    line = skipped_line(many, whole=True)
    assert line is not None
    assert line.startswith(f"left out: 0.py and 999 more ({OTHER_KIND}); 0.txt (why 0); ")
    assert line.endswith("; and 6 more")
    assert skipped_line([Skipped(".git", "hidden")], whole=True) is None
    assert skipped_line(many[:5], whole=False) is None


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--docs", "no/such", "x"], "no/such: No such file"),
        (["--docs", "docs", " "], "must not be empty"),
        (["x"], "--docs"),
        (["--docs", "docs", "--passages", "0", "fleece"], "from 1 to 1000, not 0"),
        (["--docs", "", "fleece"], "empty"),
        (["--docs", "docs", "--temperature", "9", "fleece"], "from 0 to 2, not 9"),
        (["--docs", "docs", "--endpoint", "e", "fleece"], "--url"),
        (["--docs", "docs", "--context", "64", "--max-tokens", "60", "fleece"], "room for"),
    ],
)
def test_bad_input_exits_2_with_one_sentence(docs, monkeypatch, capsys, words, part):
    monkeypatch.chdir(docs.parent)
    try:
        status = main(["ask", "--engine", "scripted", *words])
    except SystemExit as refused:  # by argparse
        status = refused.code  # type: ignore[assignment]
    assert status == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert part in err
    assert TRACEBACK not in err


def test_a_home_that_cannot_be_written_exits_3_with_one_sentence(docs, tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    done = puna("ask", "--engine", "scripted", "--docs", str(docs), "x", env={"PUNA_HOME": str(tmp_path / "file")})
    assert done.returncode == 3
    assert "PUNA_HOME" in done.stderr
    assert TRACEBACK not in done.stderr


def test_a_server_is_asked_by_its_address(docs, monkeypatch):
    """puna's own server tells its window and counts, so that what is sent is packed exactly there too."""
    monkeypatch.chdir(docs.parent)
    words = [
        *PUNA,
        "exec",
        "--engine",
        "scripted",
        "--port",
        "0",
        "--",
        *PUNA,
        "ask",
        "--docs",
        "docs",
        "--json",
        QUESTION,
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, env={**os.environ})
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["answer"].startswith("You said: Context:")
    assert told["sources"][0]["source"] == os.path.join("docs", "wool.md")  # noqa: PTH118
    if told["prompt_tokens"] is None:
        assert "sent uncounted" in told["notes"][0]
    else:
        assert told["prompt_tokens"] == told["receipt"]["usage"]["prompt"]


def test_another_process_may_index_the_same_documents_at_once(ask, docs, own_home):
    words = [*PUNA, "ask", "--engine", "scripted", "--docs", "docs", "--show", "--json", QUESTION]
    both = [subprocess.Popen(words, stdout=-1, stderr=-1, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in both]
    assert outputs[0] == outputs[1]
    assert json.loads(outputs[0])["passages"]


def screen_of(words, columns, rows, cwd):
    """What a terminal of this size shows after the command."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    env = {**os.environ, "TERM": "xterm-256color"}
    with subprocess.Popen(words, stdin=follower, stdout=follower, stderr=follower, cwd=cwd, env=env) as process:
        os.close(follower)
        screen = pyte.Screen(columns, rows)
        stream = pyte.ByteStream(screen)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if not select.select([leader], [], [], 1)[0]:
                continue
            try:
                data = os.read(leader, 65536)
            except OSError:
                break
            if not data:
                break
            stream.feed(data)
        process.wait(10)
    os.close(leader)
    return [line.rstrip() for line in screen.display]


def test_on_a_terminal_the_passages_stand_below_the_answer_within_its_width(docs):
    words = [
        *PUNA,
        "ask",
        "--engine",
        "scripted",
        "--context",
        "8000",
        "--max-tokens",
        "4000",
        "--docs",
        "docs",
        QUESTION,
    ]
    lines = screen_of(words, 60, 40, docs.parent)
    at = lines.index("[1] docs/wool.md:3  Wool")
    assert lines[at - 1] == ""
    assert lines[at + 1] == "    The fleece of an alpaca has no grease."
    assert lines[at + 2] == "[2] docs/wool.md:7  Wool > Colours"


def test_help_tells_the_exit_status():
    assert "Exit status 1" in puna("ask", "--help").stdout


def test_documents_of_the_command_line_are_those_of_python(ask, docs, own_home, monkeypatch):
    found = Documents.open("docs", folder=own_home / "documents").search(QUESTION)
    shown = json.loads(ask("--show", "--json", QUESTION).stdout)
    assert [one["text"] for one in shown["passages"]] == [one.piece.text for one in found]


def test_a_score_that_cannot_be_told_is_not_made_up(ask):
    done = ask("--score", "--context", "8000", "--max-tokens", "4000", QUESTION)
    assert done.returncode == 0
    assert "estimated probability" not in done.stdout
    assert "puna: how likely the answer is right cannot be told: " in done.stderr
    assert json.loads(ask("--score", "--json", QUESTION).stdout)["score"] is None


@pytest.mark.model
def test_the_embedded_model_is_asked_and_its_prompt_is_what_was_counted(ask, model_home):
    done = ask("--max-tokens", "16", "--score", "--json", "What is missing in the fleece?", engine="llamacpp")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert 0 < told["score"]["probability"] < 1
    assert told["score"]["model"] == "smollm2-135m"
    assert told["score"]["answers"] > 1
    assert told["prompt_tokens"] == told["receipt"]["usage"]["prompt"]
