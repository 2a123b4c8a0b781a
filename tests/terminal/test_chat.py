"""The chat as a person has it: a process in a terminal, keys in, a screen out."""

import json
import re
import signal
import stat

import pytest

from puna.terminal.commands import COMMANDS
from tests.terminal.terminal import CTRL_C, CTRL_D, CTRL_R, ENTER, ESC, TAB, Gate, chat

LONG = "\n\n".join(f"Paragraph {n} of a long answer." for n in range(60))


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path / "gate")


def session(home, name):
    return json.loads((home / "sessions" / f"{name}.json").read_text())


def test_an_answer_is_laid_out_and_ctrl_d_leaves(tmp_path):
    markdown = "# Title\n\nSome **bold** text.\n\n1. one\n1. two\n\n```python\nprint(1)\n```\n"
    with chat(tmp_path, {"go": markdown}) as t:
        t.ready().line("go")
        t.until("print(1)").ready()
        assert "Some bold text." in t.seen
        assert " 1 one\n 2 two" in t.seen
        assert "```python\nprint(1)\n```" in t.seen
        t.send(CTRL_D)
        assert t.left() == 0
        assert t.mode() == t.before


def test_a_long_answer_stands_in_the_scrollback_once(tmp_path, gate):
    with chat(tmp_path, {"go": LONG}, gate) as t:
        t.ready().line("go")
        for n in range(0, 360, 7):
            gate.to(n)
            t.read()
        gate.open()
        t.ready()
        found = re.findall(r"Paragraph (\d+) of a long answer\.", t.seen)
        assert found == [str(n) for n in range(60)]


@pytest.mark.parametrize("rows", [6, 10])
def test_what_is_taller_than_the_screen_is_not_smeared(tmp_path, gate, rows):
    table = "| a | b |\n|---|---|\n" + "".join(f"| row {n} | {'x' * n} |\n" for n in range(25))
    listed = "".join(f"- item {n}\n" for n in range(25))
    code = "```python\n" + "".join(f"value_{n} = {n}\n" for n in range(25)) + "```\n"
    with chat(tmp_path, {"go": f"{table}\n{listed}\n{code}\nThe end."}, gate, rows=rows) as t:
        t.ready().line("go")
        for n in range(0, 500, 3):
            gate.to(n)
            t.read(0.005)
        gate.open()
        t.until("The end.").ready()
        assert re.findall(r"row (\d+)", t.seen) == [str(n) for n in range(25)]
        assert re.findall(r"item (\d+)", t.seen) == [str(n) for n in range(25)]
        assert re.findall(r"value_(\d+) =", t.seen) == [str(n) for n in range(25)]
        assert "⋮" not in t.seen


@pytest.mark.parametrize("key", [ESC, CTRL_C])
def test_a_key_stops_an_answer_and_keeps_its_text(tmp_path, gate, own_home, key):
    with chat(tmp_path, {"go": "one two three four"}, gate, session="s") as t:
        t.ready().line("go")
        gate.to(2)
        t.until("one two")
        t.send(key)
        t.until("stopped; what had come is kept").ready()
        assert "three" not in t.seen
        node = session(own_home, "s")["nodes"][-1]
        assert (node["content"], node["finish"]) == ("one two", "stopped")
        assert list((own_home / "sessions").glob("*.journal")) == []


def test_an_arrow_key_is_no_esc_and_what_is_typed_meanwhile_is_on_the_next_line(tmp_path, gate):
    with chat(tmp_path, {"go": "one two three"}, gate) as t:
        t.ready().line("go")
        gate.to(1)
        t.until("one")
        t.send("\x1b[A")
        t.send("next qqq\x7f\x7fuestion")
        gate.open()
        t.until("one two three")
        t.until("> next question")
        assert "stopped" not in t.seen
        t.send(ENTER)
        t.until("You said: next question").ready()
        gate.to(0)
        t.line("go")
        t.until(lambda t: t.seen.count("> go") == 2).read(0.5)
        t.line("sent ahead")
        gate.open()
        t.until("You said: sent ahead").ready()


def test_the_terminal_has_its_mode_again_when_the_chat_is_ended_in_mid_answer(tmp_path, gate):
    with chat(tmp_path, {"go": "one two"}, gate) as t:
        t.ready().line("go")
        gate.to(1)
        t.until("one")
        assert t.mode() != t.before
        t.kill(signal.SIGTERM)
        assert t.left() == -signal.SIGTERM
        assert t.mode() == t.before


def test_after_a_crash_in_mid_answer_every_piece_that_was_shown_is_there(tmp_path, gate, own_home):
    words = "".join(f"word{n} " for n in range(50))
    with chat(tmp_path, {"go": words}, gate, session="s") as t:
        t.ready().line("first")
        gate.to(9)
        t.until("You said: first").ready()
        gate.to(0)
        t.line("go")
        gate.to(20)
        t.until("word19")
        t.kill()
        t.left()
        shown = re.findall(r"word\d+", t.seen)
    gate.open()
    with chat(tmp_path, gate=gate, session="s") as t:
        t.until("the last answer was cut off").ready()
        t.line("/history")
        t.until("[cut off]").ready()
        node = session(own_home, "s")["nodes"][3]
        assert shown == [f"word{n}" for n in range(20)]
        assert node["content"].split() == shown
        assert node["finish"] == "broken"
        t.line("and on")
        t.until("You said: and on").ready()
        assert [n["content"] for n in session(own_home, "s")["nodes"]][::2] == ["first", "go", "and on"]


def test_a_session_open_in_one_terminal_is_refused_in_another(tmp_path):
    with chat(tmp_path, session="s") as first:
        first.ready()
        with chat(tmp_path, session="s") as second:
            assert second.left() == 2
            assert "open in another terminal" in second.seen
        first.line("/quit")
        assert first.left() == 0
    with chat(tmp_path, session="s") as third:
        third.ready()


def test_what_another_program_saves_meanwhile_is_not_overwritten(tmp_path, own_home):
    from puna.sessions.store import Sessions

    with chat(tmp_path, session="s") as t:
        t.ready().line("one")
        t.until("You said: one").ready()
        store = Sessions(own_home / "sessions")
        store.put("s", store.get("s") | {"title": "from the page"})
        t.line("two")
        t.until("goes on as s-2").ready()
        assert session(own_home, "s")["title"] == "from the page"
        assert [n["content"] for n in session(own_home, "s-2")["nodes"]] == [
            "one",
            "You said: one",
            "two",
            "You said: two",
        ]


def test_nothing_in_an_answer_is_obeyed_by_the_terminal(tmp_path):
    hostile = "a\x1b[2Jb \x1b]0;title\x07 c\rd \u202eevil\u202c &#27;[31m x\x9by `\x1b[5m` <b>tag</b>\n\n```\x1b[7m\ncode\x1b[H\n```\n"
    with chat(tmp_path, {"go": hostile}) as t:
        t.ready().line("go")
        t.until("code␛[H").ready()
        answer = t.raw[t.raw.index("a␛[2Jb".encode()) : t.raw.index("code␛[H".encode())]
        for code in (
            b"\x1b[2J",
            b"\x1b]0;",
            b"\x07",
            b"\x1b[5m",
            b"\x1b[7m",
            b"\x1b[H",
            b"\x1b[31m",
            "\u202e".encode(),
            b"\xc2\x9b",
        ):
            assert code not in answer, code
        assert "a␛[2Jb" in t.seen
        assert "c␍d" in t.seen
        assert "⟨U+202E⟩evil" in t.seen
        assert "<b>tag</b>" in t.seen


def test_a_window_that_changes_its_size_in_mid_answer(tmp_path, gate):
    text = "alpha beta gamma delta " * 12
    with chat(tmp_path, {"go": f"{text}\n\nThe end."}, gate) as t:
        t.ready().line("go")
        gate.to(20)
        t.until(lambda t: t.seen.count("alpha") >= 5)
        t.resize(120, 24)
        gate.to(40)
        t.until(lambda t: t.seen.count("alpha") >= 10)
        gate.open()
        t.until("The end.").ready()
        assert t.seen.count("alpha") == 12
        assert max(len(line) for line in t.seen.splitlines()) > 80


def test_a_broken_stream_keeps_its_text_and_says_what_to_do(tmp_path, own_home):
    with chat(tmp_path, {"go": "one two three four"}, fail_after=2, session="s") as t:
        t.ready().line("go")
        t.until("/regenerate asks again").ready()
        assert "one two" in t.seen
        node = session(own_home, "s")["nodes"][-1]
        assert (node["content"], node["finish"]) == ("one two", "broken")


def test_many_lines(tmp_path):
    with chat(tmp_path) as t:
        t.ready()
        t.send("one" + ESC + ENTER + "two")
        t.until("· two").send(ENTER)
        t.until("You said: one").ready()
        t.send("three\\" + ENTER)
        t.until("·")
        t.send("four" + ENTER)
        t.until("You said: three").ready()
        t.send('"""five' + ENTER)
        t.send('six"""' + ENTER)
        t.until("You said: five").ready()
        t.send("\x1b[200~seven\neight\x1b[201~")
        t.until("· eight")
        assert "You said: seven" not in t.seen
        t.send(ENTER)
        t.until("You said: seven").ready()
        t.line("/history")
        t.until("7 user: seven\neight").ready()
        for before, after in (("one", "two"), ("three", "four"), ("five", "six")):
            assert f"user: {before}\n{after}\n" in t.seen


def test_completion_and_the_history_of_what_was_typed(tmp_path, own_home):
    with chat(tmp_path) as t:
        t.ready().line("a question to find")
        t.until("You said: a question").ready()
        t.send("/se")
        t.until("/sessions")
        t.send(TAB)
        t.until("> /set")
        t.send(" temp" + TAB)
        t.until("> /set temperature")
        t.send(" 0.2" + ENTER)
        t.until("temperature 0.2").ready()
        t.send(CTRL_R + "to find")
        t.until("a question to find", lambda t: t.shown)
        t.send(ENTER + ENTER)
        t.until(lambda t: t.seen.count("You said: a question to find") == 2)
        kept = own_home / "chat_history"
        assert "a question to find" in kept.read_text()
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_ctrl_c_on_a_line_takes_it_away(tmp_path):
    with chat(tmp_path) as t:
        t.ready().send("not this" + CTRL_C)
        t.until("^C") if "^C" in t.seen else None
        t.line("but this")
        t.until("You said: but this").ready()
        assert "You said: not" not in t.seen


COMMAND_LINES = {
    "/help": [("/help", "the exact prompt that the next turn sends"), ("/help set", "/set temperature default takes that back")],
    "/system": [("/system Be brief.", "system message set"), ("/system", "Be brief.")],
    "/set": [
        ("/set", "repetition_penalty"), ("/set temperature 3", "from 0 to 2, not 3"), ("/set top_p 0.5", "top_p 0.5"),
        ("/set tempreature 1", "Did you mean 'temperature'"), ("/set top_p", "(default 0.9, range 0 to 1)"), ('/set stop ["a", "b"]', 'stop "a", "b"'),
    ],
    "/prompt": [("/prompt hello", "tokens: control"), ("/prompt ids hello", "hello⟨")],
    "/budget": [("/budget", "tokens are free")],
    "/edit": [("/edit 1 another", "You said: another"), ("/edit 9", "there is no message 9")],
    "/regenerate": [("/regenerate", "You said: first")],
    "/versions": [("/regenerate", "You said: first"), ("/versions", "2 of 2"), ("/versions 1", "version 1 of 2"), ("/versions 7", "there are 2 versions")],
    "/undo": [("/undo", "the conversation is at its beginning"), ("/undo", "there is nothing to undo")],
    "/fork": [("/fork branch", "goes on as branch")],
    "/new": [("/new", "begun again"), ("/undo", "ends with assistant: You said: first")],
    "/history": [("/history", "2 assistant: You said: first")],
    "/save": [("/save", "kept as first"), ("/save {folder}/copy.json", "written to")],
    "/load": [("/save {folder}/copy.json", "written to"), ("/load {folder}/copy.json", "2 messages, not kept"), ("/load nowhere", "neither a session nor a file")],
    "/sessions": [("/sessions", "no session is kept yet"), ("/save", "kept as first"), ("/sessions", "first")],
    "/export": [
        ("/export md", "**assistant**"), ("/export json", '"messages"'), ("/export curl", "curl"), ("/export boto3", "boto3"), ("/export openai", "openai"),
        ("/export python", "import puna"), ("/export notebook {folder}/n.ipynb", "written to"), ("/export pdf", "Known: boto3"),
    ],
    "/lint": [("/lint [INST] hi [/INST]", "starts without <s>"), ("/lint", "nothing is wrong with it")],
    "/tokens": [("/tokens", "least sure"), ("/tokens 2", "100.0 %"), ("/tokens 99", "1 to 3")],
    "/stats": [("/stats", "tokens in, 3 out")],
    "/model": [("/model", "scripted")],
    "/quit": [],
}  # fmt: skip


def test_every_command_is_tried():
    assert COMMAND_LINES.keys() == COMMANDS.keys()


@pytest.mark.parametrize("name", COMMAND_LINES)
def test_a_command_does_what_it_says(tmp_path, name):
    with chat(tmp_path, columns=100, rows=40) as t:
        t.ready().line("first")
        t.until("You said: first").ready()
        for line, wanted in COMMAND_LINES[name]:
            t.told(line.format(folder=tmp_path), wanted)
            t.ready()
        t.line("/quit")
        assert t.left() == 0
        assert "Traceback" not in t.seen


def test_edit_fills_the_line_with_the_message(tmp_path, own_home):
    with chat(tmp_path, session="s") as t:
        t.ready().line("first")
        t.until("You said: first").ready()
        t.line("/edit")
        t.until("> /edit 1 first")
        t.send(" again" + ENTER)
        t.until("You said: first again").ready()
        kept = session(own_home, "s")
        assert [n["content"] for n in kept["nodes"]] == [
            "first",
            "You said: first",
            "first again",
            "You said: first again",
        ]
        assert kept["leaf"] == 3


def test_a_prompt_written_for_llama_2_is_recognised(tmp_path, own_home):
    with chat(tmp_path, session="s") as t:
        t.ready().line(
            "<s>[INST] <<SYS>>\\nBe kind.\\n<</SYS>>\\n\\nWhat is a llama? [/INST]".replace("\\n", ESC + ENTER)
        )
        t.until("a llama2 prompt: read as 1 message").until("You said: What is a llama?").ready()
        kept = session(own_home, "s")
        assert kept["nodes"][0]["content"] == "What is a llama?"
        assert kept["system"] == "Be kind."


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_none_is_wanted(tmp_path, env):
    with chat(tmp_path, {"go": "# Title\n\n`code` and **bold**"}, env=env) as t:
        t.until("/help lists").until(">").line("go")
        t.until("bold").until(lambda t: t.screen.display[t.screen.cursor.y].startswith(">"))
        t.line("/prompt")
        t.until("tokens")
        colours = re.findall(rb"\x1b\[[0-9;]*m", t.raw)
        assert not [code for code in colours if re.search(rb"[\[;](3[0-8]|4[0-8]|9[0-7])[;m]", code)]
        if env.get("TERM") == "dumb":
            assert b"\x1b[" not in t.raw


def test_lines_that_are_typed_while_an_answer_comes_are_read_after_it_on_a_plain_terminal_too(tmp_path, gate):
    with chat(tmp_path, {"go": "one two three"}, gate, env={"TERM": "dumb"}) as t:
        t.until(">").line("go")
        gate.to(1)
        t.until("one")
        t.line("sent ahead")
        t.line("and again")
        t.until("and again")
        gate.open()
        t.until("two three").until("You said: sent ahead").until("You said: and again")
        gate.to(0)
        t.line("go")
        gate.to(1)
        t.until(lambda t: t.seen.count("\none") == 2)
        t.send(CTRL_C)
        t.until("stopped; what had come is kept")


@pytest.mark.parametrize("columns", [20, 40])
def test_a_narrow_terminal(tmp_path, columns):
    with chat(
        tmp_path,
        {"go": "A sentence that is longer than the terminal is wide.\n\n| a | b |\n|---|---|\n| 1 | 2 |"},
        columns=columns,
    ) as t:
        t.until("Ctrl-D").until(">").line("go")
        t.until("wide.")
        t.line("/set")
        t.until("frequency")
        t.line("/budget")
        t.until("free")
        assert "Traceback" not in t.seen
