"""What people give by mistake: a sentence, an exit status, and never a traceback."""

import subprocess
from pathlib import Path

import pytest

from puna.cli import main

from .test_cli import PUNA, TRACEBACK, puna


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--engine", "scripted", "-"],
        ["ask", "--engine", "scripted", "--docs", ".", "-"],
        ["prompt", "lint", "-"],
        ["prompt", "render", "--format", "llama2", "-"],
    ],
)
def test_bytes_on_standard_input_are_told_by_its_name(arguments):
    done = subprocess.run([*PUNA, *arguments], input=b"\xbb\xba\x00", capture_output=True, check=False)
    told = b"puna: standard input must be UTF-8 text, but byte 0 is not\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, b"", told)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "hi"],
        ["chat"],
        ["exec", "--", "true"],
        ["env"],
        ["expect", "--builtin", "workshop"],
        ["sweep", "--builtin", "hyperparameters", "--dry-run"],
    ],
)
def test_an_address_that_is_empty_is_none_and_no_model_is_loaded_instead(arguments, capsys):
    words = [arguments[0], "--url", "", *arguments[1:]]
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "must be an address" in err


@pytest.mark.parametrize(
    ("url", "part"),
    [("not a url", "--url must be an address"), ("sagemaker:far", "puna exec --url sagemaker:far -- COMMAND")],
)
def test_env_gives_a_shell_nothing_that_is_no_address(url, part, capsys):
    assert main(["env", "--url", url]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert part in err


def test_a_session_without_a_name_is_refused_and_not_left_unkept():
    done = puna("chat", "--engine", "scripted", "--session", "", stdin="hi\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert "a session's name is 1 to 64" in done.stderr


def test_a_home_that_is_no_folder_is_named(tmp_path):
    home = tmp_path / "file"
    home.write_text("")
    kept = puna("chat", "--engine", "scripted", "--session", "s", stdin="hi\n", env={"PUNA_HOME": str(home)})
    assert (kept.returncode, kept.stdout) == (3, "")
    assert f"{home}/sessions" in kept.stderr
    assert "PUNA_HOME" in kept.stderr
    free = puna("chat", "--engine", "scripted", stdin="hi\n", env={"PUNA_HOME": str(home)})
    assert (free.returncode, free.stdout) == (0, "You said: hi\n")


@pytest.mark.parametrize(
    ("words", "status"), [(["--temperature", "9", "hi"], 2), (["--url", "http://127.0.0.1:9", "hi"], 3), (["hi"], 0)]
)
def test_the_exit_status_holds_where_not_even_the_sentence_can_be_written(words, status):
    engine = [] if "--url" in words else ["--engine", "scripted"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*PUNA, "run", *engine, *words], stdout=subprocess.PIPE, stderr=full, check=False)
    assert done.returncode == status


def test_nothing_here_is_a_traceback(tmp_path):
    for arguments in (
        ["models", "show", str(tmp_path)],
        ["prompt", "lint", str(tmp_path)],
        ["run", "--config", str(tmp_path), "hi"],
    ):
        done = puna(*arguments)
        assert (done.returncode, TRACEBACK in done.stderr) == (2, False)
