"""The command line as users meet it: whole processes, their output and their exit status."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from puna.cli import VERBS

PUNA = [sys.executable, "-m", "puna.cli"]
TRACEBACK = "Traceback (most recent call last)"


def puna(*arguments, stdin="", env=None, timeout=60):
    return subprocess.run(
        [*PUNA, *arguments], input=stdin, capture_output=True, text=True, timeout=timeout, check=False,
        env={**os.environ, **(env or {})},
    )  # fmt: skip


def start(*arguments, env=None):
    return subprocess.Popen(
        [*PUNA, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    )


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb):
    done = puna(verb, "--help")
    assert done.returncode == 0
    assert "Example" in done.stdout


def test_the_version_is_told():
    assert re.fullmatch(r"puna \d+\.\d+\.\d+\n", puna("--version").stdout)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "VERB"),
        (["fly"], "invalid choice"),
        (["serve", "--port", "99999"], "0 to 65535"),
        (["serve", "--host", "0.0.0.0"], "127.0.0.1"),
        (["serve", "--host", "no such host"], "--host"),
        (["serve", "--model", "lama-2-7b-chat"], "Did you mean 'llama-2-7b-chat'"),
        (["serve", "--model", "/no/such/file.gguf"], "/no/such/file.gguf"),
        (["serve", "--config", "/no/such.toml"], "/no/such.toml"),
        (["run", "--engine", "scripted", ""], "must not be empty"),
        (["run", "--engine", "scripted", "--temperature", "9", "x"], "from 0 to 2, not 9"),
        (["run", "--engine", "scripted", "--max-tokens", "5000", "x"], "context window"),
        (["run", "--url", "ftp://x", "x"], "http://"),
        (["run", "--url", "http://[::1", "x"], "--url"),
        (["run", "--url", "http://127.0.0.1:99999", "x"], "--url"),
        (["run", "--url", "http://127.0.0.1:9", "--threads", "2", "x"], "--threads"),
        (["chat", "--session", "../../etc/passwd"], "session's name"),
        (["exec", "--engine", "scripted", "--", "no-such-program"], "no-such-program"),
        (["prompt", "render", "--format", "lama2", "-"], "Did you mean 'llama2'"),
        (["prompt", "parse", "/no/such"], "cannot read /no/such"),
        (["models", "pull", "nothing"], "unknown model"),
        (["models", "rm", "smollm2-135m"], "smollm2-135m"),
        (["models", "show", "/dev/null"], "/dev/null"),
    ],
)
def test_bad_usage_and_bad_input_exit_2_with_one_sentence(arguments, part):
    done = puna(*arguments, stdin='{"messages": []}')
    assert done.returncode == 2, done.stderr
    assert part in done.stderr
    assert TRACEBACK not in done.stderr
    assert done.stdout == ""


def test_an_endpoint_that_does_not_answer_exits_3():
    done = puna("run", "--url", "http://127.0.0.1:9", "hi")
    assert done.returncode == 3
    assert "is it up" in done.stderr
    assert TRACEBACK not in done.stderr


def test_a_port_that_is_taken_exits_2():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = puna("serve", "--engine", "scripted", "--port", port)
    assert done.returncode == 2
    assert f"port {port} of 127.0.0.1 is taken" in done.stderr


@pytest.mark.parametrize("prompt", ["hello", "<s>[INST] hello [/INST]", "-"])
def test_run_streams_the_answer_to_standard_output(prompt):
    done = puna("run", "--engine", "scripted", "--stats", prompt, stdin="hello")
    assert (done.returncode, done.stdout) == (0, "You said: hello\n")
    assert "tokens in" in done.stderr


def test_run_json_is_lines_and_nothing_else():
    done = puna("run", "--engine", "scripted", "--json", "<s>[INST] hello [/INST]")
    *pieces, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert "".join(piece["text"] for piece in pieces) == "You said: hello"
    assert last["receipt"]["prompt"]["source"] == "llama2"


def test_prompt_render_is_exact_to_the_byte():
    dialog = json.dumps({"messages": [{"role": "user", "content": "Zoë\r\nsaid \u2028"}]})
    done = subprocess.run(
        [*PUNA, "prompt", "render", "--format", "chatml", "-"], input=dialog.encode(), capture_output=True, check=True
    )
    assert done.stdout.decode() == "<|im_start|>user\nZoë\r\nsaid \u2028<|im_end|>\n<|im_start|>assistant\n"


def test_prompt_render_json_has_segments_and_stops():
    dialog = json.dumps({"messages": [{"role": "user", "content": "Hi"}]})
    said = json.loads(puna("prompt", "render", "--format", "llama2", "--json", "-", stdin=dialog).stdout)
    assert said["text"] == "<s>[INST] Hi [/INST]" == "".join(segment["text"] for segment in said["segments"])
    assert {"kind": "content", "role": "user", "text": "Hi"} in said["segments"]
    assert said["stops"]


def test_prompt_parse_and_translate_read_what_was_meant():
    text = "<s>[INST]Hi[/INST]"
    said = json.loads(puna("prompt", "parse", "--json", "-", stdin=text).stdout)
    assert said["format"] == "llama2"
    assert said["messages"] == [{"role": "user", "content": "Hi"}]
    assert {"code", "severity", "start", "end", "message", "fix"} <= set(said["findings"][0])
    done = puna("prompt", "translate", "--to", "chatml", "-", stdin=text)
    assert done.stdout == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"messages": 3}',
        '{"messages": [{"role": "boss", "content": "x"}]}',
        "\ud800",
        '{"messages": [' * 99999,
    ],
)
def test_what_is_no_dialog_exits_2(text):
    done = subprocess.run([*PUNA, "prompt", "render", "--format", "llama2", "-"], capture_output=True, check=False,
                          input=text.encode("utf-8", "surrogatepass"))  # fmt: skip
    assert done.returncode == 2
    assert TRACEBACK not in done.stderr.decode()


def test_chat_keeps_its_session_on_disk_and_goes_on(own_home):
    first = puna("chat", "--engine", "scripted", "--session", "s", "--system", "Be kind.", stdin="one\n/history\n")
    assert first.returncode == 0
    assert first.stdout == "You said: one\n"
    again = puna("chat", "--engine", "scripted", "--session", "s", stdin="two\n/stats\n/nonsense\n")
    assert "3 messages kept" in again.stderr
    kept = json.loads((own_home / "sessions" / "s.json").read_text())
    assert kept["system"] == "Be kind."
    assert [node["content"] for node in kept["nodes"]] == ["one", "You said: one", "two", "You said: two"]
    assert "unknown command '/nonsense'" in again.stderr


def test_chat_refuses_a_damaged_session(own_home):
    (own_home / "sessions").mkdir()
    (own_home / "sessions" / "s.json").write_text("{")
    done = puna("chat", "--engine", "scripted", "--session", "s")
    assert done.returncode == 2
    assert "s.json" in done.stderr


def test_chat_goes_on_after_a_turn_that_was_refused():
    done = puna("chat", "--engine", "scripted", "--context", "300", stdin="word " * 500 + "\nhello\n")
    assert done.returncode == 0
    assert "context window" in done.stderr
    assert done.stdout.endswith("You said: hello\n")


@pytest.mark.model
def test_models_that_are_here_are_listed_shown_and_removed(model_home, model_file):
    by_address = model_home / "models" / "hub" / "owner" / "repo"
    by_address.mkdir(parents=True)
    (by_address / "x.gguf").symlink_to(model_file)
    here = {row["name"] for row in json.loads(puna("models", "list", "--json").stdout) if row["here"]}
    assert here == {"smollm2-135m", "hf:owner/repo:x.gguf"}
    shown = json.loads(puna("models", "show", "--json", "hf:owner/repo").stdout)
    assert (shown["architecture"], shown["trained_context"]) == ("llama", 8192)
    assert puna("models", "rm", "hf:owner/repo:x.gguf").returncode == 0
    assert not (by_address / "x.gguf").exists()
    assert model_file.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_serve_cleanly(number):
    process = start("serve", "--engine", "scripted", "--port", "0")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready http://127.0.0.1:")
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")


def test_run_talks_to_an_endpoint_over_the_aws_protocol():
    process = start("serve", "--engine", "scripted", "--port", "0", "--name", "mine")
    assert process.stdout is not None
    url = process.stdout.readline().split()[1]
    done = puna(
        "run",
        "--url",
        url,
        "--endpoint",
        "mine",
        "--json",
        "<s>[INST] hello [/INST]",
        env={"HTTP_PROXY": "http://127.0.0.1:9"},
    )
    lost = puna("run", "--url", url, "--endpoint", "yours", "hello")
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=20)
    assert done.returncode == 0, done.stderr
    *pieces, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert "".join(piece["text"] for piece in pieces) == "You said: hello"
    assert last["receipt"]["remote"]["prompt"]["written"] == "translated"
    assert lost.returncode == 3
    assert "Endpoint yours of account 123456789012 not found" in lost.stderr
    assert "translated llama2->chatml" in log


def test_a_bad_address_in_the_environment_is_told_by_its_variable():
    done = puna("run", "hi", env={"PUNA_URL": "ftp://there"})
    assert (done.returncode, done.stdout) == (2, "")
    assert "PUNA_URL must be an address" in done.stderr


def test_env_prints_what_a_shell_can_read():
    exports = puna("env", "--url", "http://127.0.0.1:8080").stdout
    done = subprocess.run(
        ["sh", "-c", f"{exports}\necho $AWS_ENDPOINT_URL"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "http://127.0.0.1:8080\n"


def test_a_reader_that_leaves_is_no_error():
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m puna.cli models list | head -1"], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.startswith("name")


@pytest.mark.parametrize(("redirection", "status"), [(">/dev/full", 3), (">&-", 0), ("2>&-", 0), ("<&-", 0)])
def test_a_stream_that_is_full_or_closed_gives_no_traceback(redirection, status):
    command = f"{sys.executable} -m puna.cli run --engine scripted hello {redirection}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert TRACEBACK not in done.stderr


@pytest.mark.model
def test_the_demo_runs_every_lesson_and_ends_in_one_line(model_home):
    done = puna("demo", timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.search(
        r"^10 scenarios, \d+ answers, \d+ tokens from smollm2-135m, through boto3", done.stdout.splitlines()[-1]
    )
    assert "prompt llama2 → smollm2" in done.stdout


def serve_with_its_engine():
    """An endpoint that is ready, and its engine process in /proc."""
    process = start("serve", "--port", "0", "--context", "512", "--slots", "1")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("this system does not list a process's children in /proc")
    (engine,) = children.read_text().split()
    return process, Path(f"/proc/{engine}")


@pytest.mark.model
def test_ctrl_c_stops_the_engine_process_too(model_home):
    process, engine = serve_with_its_engine()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert not engine.exists()
    process.communicate()


@pytest.mark.model
def test_the_engine_does_not_outlive_a_killed_endpoint(model_home):
    process, engine = serve_with_its_engine()
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 20
    while engine.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not engine.exists()


@pytest.mark.model
@pytest.mark.parametrize("after", ["ready", " 1  ", " 3  "])
def test_the_demo_can_be_interrupted(model_home, after):
    process = start("demo", env={"PYTHONUNBUFFERED": "1"})
    assert process.stdout is not None
    while not (line := process.stdout.readline()).startswith(after):
        assert line, "the demo ended by itself"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert TRACEBACK not in out + err


def test_a_chat_says_when_its_window_is_full():
    lines = "".join(f"word {n} and some more\n" for n in range(12))
    done = puna("chat", "--engine", "scripted", "--context", "64", "--max-tokens", "8", stdin=lines)
    assert done.returncode == 0
    told = re.findall(r"the window is full: the oldest (\d+) messages are no longer sent", done.stderr)
    assert told == sorted(set(told), key=int)
    assert 0 < len(told) < 10
