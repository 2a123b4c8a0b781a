"""What the verbs that talk are told of a server: its dialect, its patience. Against real endpoints; the answers are a stand-in's."""

import pytest

from puna.cli import main
from puna.server.auth import SigV4
from puna.server.fault_plan import KINDS, Fault
from puna.server.faults import Faults
from tests.server.live import ENDPOINT, Live
from tests.server.test_sigv4 import KEY, KEYS, SECRET

from .test_cli import puna

SAID = "Ein Lama frißt."
QUESTION = "Has the fleece grease?"
VERBS = ("run", "chat", "ask")


def fault(kind, **more):
    return Faults([Fault(kind, **{"routes": KINDS[kind].routes, **KINDS[kind].keys, **more})])


@pytest.fixture
def talk(tmp_path):
    """One question by a verb; what it puts on standard output begins with the answer."""
    wool = tmp_path / "wool.md"
    wool.write_text("# Wool\n\nThe fleece of an alpaca has no grease.\n", encoding="utf-8")

    def talked(verb, *words, env=None):
        if verb == "ask":
            pytest.importorskip("bm25s", reason="of puna[documents]")
        asked = {"run": [QUESTION], "chat": [], "ask": ["--docs", str(wool), QUESTION]}[verb]
        return puna(verb, *words, *asked, stdin=f"{QUESTION}\n" if verb == "chat" else "", env=env)

    return talked


@pytest.mark.parametrize("verb", VERBS)
def test_naming_the_dialect_accepts_a_licence_which_nothing_else_does(live, talk, verb):
    live.service.dialect = "jumpstart"
    refused = talk(verb, "--url", live.url)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "if you accept that licence, name the dialect 'jumpstart'" in refused.stderr
    done = talk(verb, "--url", live.url, "--dialect", "jumpstart")
    assert (done.returncode, done.stdout.startswith(SAID)) == (0, True), done.stderr


@pytest.mark.parametrize(
    ("verb", "dialect"), [("run", "lmi"), ("run", "hf"), ("run", "tgi"), ("chat", "tgi"), ("ask", "tgi")]
)
def test_a_container_of_texts_gets_the_prompt_in_its_models_format(live, talk, verb, dialect):
    live.service.dialect = dialect
    done = talk(verb, "--url", live.url, "--dialect", dialect, "--format", "llama2")
    assert (done.returncode, done.stdout.startswith(SAID)) == (0, True), done.stderr
    (asked,) = live.speaker.asked
    assert asked.prompt.startswith("<s>[INST] ")
    assert QUESTION in asked.prompt


def test_an_endpoint_of_aws_is_asked_signed_and_in_the_dialect_that_is_named(talk):
    pytest.importorskip("botocore", reason="of puna[aws]")
    guarded = Live(proofs=(SigV4(KEYS),))
    guarded.service.dialect = "jumpstart"
    env = {
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": guarded.url, "AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }  # fmt: skip
    try:
        done = talk("run", "--url", f"sagemaker:{ENDPOINT}", "--dialect", "jumpstart", env=env)
        words = ("--dialect", "jumpstart", "--format", "llama2")
        refused = talk("run", "--url", f"sagemaker:{ENDPOINT}", *words, env=env)
    finally:
        guarded.close()
    assert (done.returncode, done.stdout) == (0, f"{SAID}\n"), done.stderr
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"sagemaker:{ENDPOINT} takes messages and writes prompts itself" in refused.stderr
    assert "'llama2' has no use" in refused.stderr


def test_the_environment_tells_the_dialect_beside_the_server_and_the_option_is_before_it(live, talk):
    live.service.dialect = "jumpstart"
    env = {"PUNA_URL": live.url, "PUNA_DIALECT": "jumpstart"}
    assert talk("run", env=env).stdout == f"{SAID}\n"
    assert talk("run", "--dialect", "jumpstart", env={**env, "PUNA_DIALECT": "tgi"}).stdout == f"{SAID}\n"
    wrong = talk("run", env={**env, "PUNA_DIALECT": "tgj"})
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "PUNA_DIALECT: unknown choice 'tgj'. Did you mean 'tgi'?" in wrong.stderr


def test_a_refusal_of_the_moment_is_asked_again_as_often_as_is_said(live, talk):
    live.service.faults = fault("throttle", nth=1)
    assert talk("run", "--url", live.url).stdout == f"{SAID}\n"
    live.service.faults = fault("throttle", nth=1)
    refused = talk("run", "--url", live.url, "--retries", "0")
    assert (refused.returncode, refused.stdout) == (3, "")
    assert "ThrottlingException" in refused.stderr
    live.service.faults = fault("throttle", every=1)
    assert "(asked 2 times)" in talk("run", "--url", live.url, "--retries", "1").stderr


def test_the_first_piece_is_waited_for_as_long_as_is_said(live, talk):
    live.service.faults = fault("late", every=1, seconds=600.0)
    done = talk("run", "--url", live.url, "--first-seconds", "2.5")
    assert (done.returncode, done.stdout) == (3, "")
    assert "began no answer within 2.5 s" in done.stderr


def test_the_next_piece_is_waited_for_as_long_as_is_said_and_what_had_come_is_shown(live, talk):
    live.service.faults = fault("slow", every=1, after=2, seconds=600.0)
    done = talk("run", "--url", live.url, "--between-seconds", "0.5")
    assert (done.returncode, done.stdout) == (3, "Ein")
    assert "said nothing for 0.5 s" in done.stderr


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--dialect", "tgi"], "--dialect is for a server, but no --url names one"),
        (["--retries", "2"], "--retries is for a server, but no --url names one"),
        (["--first-seconds", "9"], "--first-seconds is for a server, but no --url names one"),
        (["--url", "http://127.0.0.1:9/v1", "--dialect", "tgi"], "speaks the OpenAI API; leave the dialect out"),
        (["--url", "http://127.0.0.1:9", "--dialect", "tgj"], "unknown dialect 'tgj'. Did you mean 'tgi'?"),
        (["--url", "sagemaker:e", "--retries", "21"], "retries must be a whole number from 0 to 20, not 21"),
        (["--url", "sagemaker:e", "--first-seconds", "0"], "'first' must be a number of seconds above 0"),
        (["--url", "sagemaker:e", "--between-seconds", "nan"], "'between' must be a number of seconds above 0"),
    ],
)
def test_what_means_nothing_is_one_sentence(verb, words, part, tmp_path, capsys):
    asked = {"run": [QUESTION], "chat": [], "ask": ["--docs", str(tmp_path), QUESTION]}[verb]
    assert main([verb, *words, *asked]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert part in err
