"""``puna exec``: programs of AWS and of puna's own, unmodified, against an endpoint that lives as long as they do."""

import re
import sys

import pytest

from .test_cli import puna

SCRIPT = """
import boto3, json, os
print(boto3.client("sts", endpoint_url="https://sts.eu-west-1.amazonaws.com").get_caller_identity()["Arn"])
runtime = boto3.client("sagemaker-runtime")
body = json.dumps({"prompt": "<s>[INST] hello [/INST]"})
answer = runtime.invoke_endpoint(EndpointName="llama-2-7b", Body=body)
print(json.loads(answer["Body"].read())["outputs"][0])
"""


def test_exec_runs_an_aws_program_unmodified_and_gives_its_status():
    done = puna(
        "exec", "--engine", "scripted", "--port", "0", "--", sys.executable, "-c", SCRIPT + "raise SystemExit(7)"
    )
    assert done.returncode == 7, done.stderr
    assert done.stdout.splitlines() == ["arn:aws:sts::123456789012:assumed-role/PunaLocalRole/local", "You said: hello"]


def test_exec_says_which_variables_it_replaces_and_keeps_real_keys():
    show = "import os; print(os.environ['AWS_ACCESS_KEY_ID'], os.environ['AWS_REGION'])"
    env = {
        "AWS_ACCESS_KEY_ID": "REAL",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_ENDPOINT_URL": "http://elsewhere",
        "AWS_REGION": "eu-west-1",
    }
    done = puna("exec", "--engine", "scripted", "--port", "0", "--", sys.executable, "-c", show, env=env)
    assert done.stdout == "REAL eu-west-1\n"
    assert "instead of http://elsewhere" in done.stderr


def test_exec_sets_the_endpoint_even_where_a_profile_ignores_it_and_shows_no_secret(tmp_path):
    (tmp_path / "config").write_text("[default]\nignore_configured_endpoint_urls = true\n")
    env = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_SECRET_ACCESS_KEY": "MyRealSecret"}
    done = puna("exec", "--engine", "scripted", "--port", "0", "--", sys.executable, "-c", SCRIPT, env=env)
    assert done.returncode == 0, done.stderr
    assert "MyRealSecret" not in done.stderr


def test_exec_fills_in_its_address_where_no_shell_did():
    done = puna("exec", "--engine", "scripted", "--port", "0", "--", "echo", "$AWS_ENDPOINT_URL/ping")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/ping\n", done.stdout)


TALK = """
import puna, subprocess, sys
print(puna.Chat().send("hello").text)
print(subprocess.run([sys.executable, "-m", "puna.cli", "run", "again"], capture_output=True, text=True).stdout)
"""


def test_what_exec_runs_talks_to_its_endpoint_through_puna_too():
    done = puna(
        "exec", "--engine", "scripted", "--name", "own", "--port", "0", "--verbose", "--", sys.executable, "-c", TALK
    )
    assert done.stdout.split("\n")[:2] == ["You said: hello", "You said: again"]
    assert done.stderr.count("/endpoints/own/invocations-response-stream 200") == 2


@pytest.mark.parametrize(
    ("words", "env"),
    [
        ([], {"PUNA_FORMAT": "llama2", "PUNA_DIALECT": "workshop"}),
        (["--dialect", "chat"], {"PUNA_DIALECT": "tgi"}),
        (["--dialect", "tgi"], {"PUNA_FORMAT": "llama2"}),
        (["--dialect", "tgi", "--format", "llama2"], {}),
    ],
)
def test_what_exec_runs_is_told_nothing_wrong_of_the_endpoint_by_its_settings(words, env):
    talk = "import puna; print(puna.Chat().send('hello').text)"
    done = puna("exec", "--engine", "scripted", "--port", "0", *words, "--", sys.executable, "-c", talk, env=env)
    assert (done.returncode, done.stdout) == (0, "You said: hello\n"), done.stderr


def test_exec_with_a_url_starts_nothing_and_names_the_server():
    show = "import os; print(*(os.environ.get(n) for n in ('PUNA_URL', 'PUNA_ENDPOINT', 'AWS_ENDPOINT_URL', 'PUNA_FORMAT')))"
    for words, shown in (
        (["--url", "sagemaker:far", "--format", "llama2"], "sagemaker:far far None llama2"),
        (["--url", "http://127.0.0.1:9/", "--name", "own"], "http://127.0.0.1:9 own http://127.0.0.1:9 None"),
        (["--url", "http://127.0.0.1:9/v1"], "http://127.0.0.1:9/v1 None None None"),
    ):
        done = puna("exec", *words, "--", sys.executable, "-c", show + "; raise SystemExit(5)")
        assert (done.stdout, done.returncode) == (f"{shown}\n", 5)
    show = "import os; print(*(os.environ.get(n) for n in ('PUNA_DIALECT', 'PUNA_CONTEXT')))"
    words = ["--url", "sagemaker:far", "--dialect", "tgi", "--context", "512"]
    assert puna("exec", *words, "--", sys.executable, "-c", show).stdout == "tgi 512\n"
    wrong = puna("exec", "--url", "sagemaker:far", "--dialect", "tgj", "--", "true")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    done = puna("exec", "--url", "sagemaker:far", "--slots", "2", "--", "true")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--slots is for an endpoint that is started" in done.stderr
