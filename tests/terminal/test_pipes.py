"""puna run and puna chat in pipes: answers alone on standard output, no codes, nothing lost."""

import json
import re
import signal
import subprocess
import sys

import pytest

from puna.server.fault_plan import KINDS, Fault
from puna.server.faults import Faults
from tests.server.live import Live
from tests.terminal.terminal import DRIVER, ROOT, Terminal, chat

PUNA = [sys.executable, "-m", "puna.cli"]


def piped(words, stdin):
    return subprocess.run(words, input=stdin, capture_output=True, timeout=60, check=False, cwd=ROOT)


def driven(tmp_path, stdin, **script):
    file = tmp_path / "script.json"
    file.write_text(json.dumps({"answers": {}, **script}))
    return piped([*DRIVER, str(file)], stdin)


def test_run_takes_its_prompt_from_a_pipe():
    done = piped([*PUNA, "run", "--engine", "scripted", "-"], b"What is a llama?\n")
    assert done.stdout == b"You said: What is a llama?\n"
    assert done.stderr == b""


def test_run_as_json_lines():
    done = piped([*PUNA, "run", "--engine", "scripted", "--json", "hi"], b"")
    *pieces, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert "".join(piece["text"] for piece in pieces) == "You said: hi"
    assert last["receipt"]["finish"] == "stop"


def test_run_shows_on_a_terminal_what_a_terminal_would_obey():
    with Terminal([*PUNA, "run", "--engine", "scripted", "a\x1b[2Jb\u202e"]) as t:
        assert t.left() == 0
        assert b"\x1b" not in t.raw
        assert "You said: a␛[2Jb⟨U+202E⟩" in t.seen


def test_an_answer_goes_through_a_pipe_byte_by_byte(tmp_path):
    text = "# A\r\n\x1b[31mred\n\n* x\u202e"
    done = driven(tmp_path, b"go\n/history\n/prompt\n", answers={"go": text})
    assert done.stdout == f"{text}\n".encode()
    assert b"\x1b" not in done.stderr


def test_a_file_of_turns_and_commands(tmp_path):
    done = driven(tmp_path, b'one\n/edit 1 two\n"""three\nfour"""\n/quit\nnever')
    assert done.stdout == b"You said: one\nYou said: two\nYou said: three\nfour\n"
    assert done.returncode == 0


def test_a_line_that_is_refused_does_not_end_the_chat(tmp_path):
    done = driven(tmp_path, b"/nothing\n" + b"word " * 400 + b"\nhi\n", context=300)
    assert b"unknown command '/nothing'" in done.stderr
    assert b"context window" in done.stderr
    assert done.stdout == b"You said: hi\n"


def test_an_empty_input_ends_at_once(tmp_path):
    assert driven(tmp_path, b"").stdout == b""


def test_a_chat_that_waits_for_a_pipe_ends_with_ctrl_c(tmp_path):
    file = tmp_path / "script.json"
    file.write_text(json.dumps({"answers": {}}))
    with subprocess.Popen([*DRIVER, str(file)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stderr is not None
        assert b"/help" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) != 0


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--api", "openai"], "no --url names one"),
        (["--endpoint", "x"], "no --url names one"),
        (["--url", "http://127.0.0.1:9", "--threads", "2"], "--threads is for a local model"),
        (["--url", "http://127.0.0.1:9", "--endpoint", "a", "--model", "b"], "give one of them"),
        (["--url", "http://127.0.0.1:9", "--context", "many"], "whole number"),
    ],
)
@pytest.mark.parametrize("verb", ["run", "chat"])
def test_options_that_do_not_go_together(verb, words, part):
    done = piped([*PUNA, verb, *words, *(["hi"] if verb == "run" else [])], b"")
    assert done.returncode == 2
    assert part in done.stderr.decode()


def test_the_conversation_is_on_the_playgrounds_list(tmp_path, own_home):
    driven(tmp_path, b"one\n", session="from-here")
    from puna.sessions.store import Sessions

    (row,) = Sessions(own_home / "sessions").list()
    assert (row["id"], row["title"], row["turns"]) == ("from-here", "from-here", 1)


@pytest.mark.parametrize("verb", ["run", "ask"])
def test_what_is_said_of_an_answer_that_breaks_off_begins_a_line(tmp_path, verb):
    (tmp_path / "wool.md").write_text("# Wool\n\nThe fleece has no grease.\n")
    words = {"run": [], "ask": ["--docs", str(tmp_path)]}[verb]
    live = Live()
    live.service.faults = Faults([Fault("stream-broken", KINDS["stream-broken"].routes, every=1, after=2)])
    try:
        with Terminal([*PUNA, verb, "--url", live.url, *words, "Has the fleece grease?"], 200) as t:
            assert t.left() == 3
    finally:
        live.close()
    assert re.search(r"^Ein$\n^puna: the stream of .* broke off", t.seen, re.MULTILINE)


def test_a_home_that_cannot_be_written_is_told_and_the_chat_goes_on(tmp_path):
    home = tmp_path / "file"
    home.write_text("")
    with chat(tmp_path, columns=200, env={"PUNA_HOME": str(home)}) as t:
        t.ready()
        assert f"what is typed is not kept: {home}/chat_history cannot be written (File exists)" in t.seen
        t.line("hi")
        t.until("You said: hi").ready().line("/quit")
        assert t.left() == 0
