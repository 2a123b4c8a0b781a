"""Targets are models here or servers at URLs; keys of one kind are refused for the other."""

import pytest

from puna.errors import InputError
from puna.experiments.file import Given
from puna.experiments.plan import Target
from puna.experiments.targeting import as_json, targets_of


def targets(*entries):
    return targets_of(Given(list(entries), ("targets",)))


@pytest.mark.parametrize(
    ("table", "target"),
    [
        ({}, Target("default")),
        ({"model": "qwen2.5-0.5b"}, Target("qwen2.5-0.5b", settings={"model": "qwen2.5-0.5b"})),
        ({"engine": "scripted"}, Target("scripted", settings={"engine": "scripted"})),
        ({"name": "big", "context": 8192, "threads": 2}, Target("big", settings={"context": 8192, "threads": 2})),
        ({"url": "http://localhost:8080/", "api": "openai"}, Target("localhost:8080", "openai", url="http://localhost:8080/")),
        ({"url": "https://a.b", "api": "openai", "model": "m"}, Target("m", "openai", url="https://a.b", model="m")),
        ({"name": "s", "url": "http://x", "api": "sagemaker", "endpoint": "e"},
         Target("s", "sagemaker", url="http://x", endpoint="e")),
        ({"url": "http://x", "api": "sagemaker"}, Target("x", "sagemaker", url="http://x")),
        ({"url": "sagemaker:mine", "api": "sagemaker"}, Target("mine", "sagemaker", url="sagemaker:mine", endpoint="mine")),
        ({"url": "sagemaker:mine", "api": "sagemaker", "format": "llama2", "context": 4096, "dialect": "lmi"},
         Target("mine", "sagemaker", url="sagemaker:mine", endpoint="mine", format="llama2", context=4096, dialect="lmi")),
        ({"url": "https://a.b", "api": "openai", "model": "m", "format": "llama3", "context": 512},
         Target("m", "openai", url="https://a.b", model="m", format="llama3", context=512)),
        ({"cache_type": "q8_0"}, Target("default", settings={"cache_type": "q8_0"})),
    ],
)  # fmt: skip
def test_targets_and_their_tables(table, target):
    assert targets(table) == (target,)
    assert targets(as_json(target)) == (target,)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"contxt": 512}, "unknown key of a target 'contxt'. Did you mean 'context'"),
        ({"port": 8080}, "unknown key of a target 'port'"),
        ({"auth_token": "x"}, "unknown key of a target 'auth_token'"),
        ({"context": 5}, r"targets\[0\].context must be a whole number from 64 to 10000000, not 5"),
        ({"engine": "scriptd"}, r"targets\[0\].engine: unknown choice 'scriptd'. Did you mean 'scripted'"),
        ({"model": 5}, r"targets\[0\].model must be a text, not 5"),
        ({"api": "openai"}, "api belongs to a target with a url"),
        ({"url": "http://x"}, 'must say what the server speaks: api = "openai" or api = "sagemaker"'),
        ({"url": "http://x", "api": "open-ai"}, "unknown api 'open-ai'. Did you mean 'openai'"),
        ({"url": "x:80", "api": "openai"}, "must be the address of a server, like http"),
        ({"url": "http://[", "api": "openai"}, "must be the address of a server"),
        ({"url": "sagemaker:", "api": "sagemaker"}, "sagemaker:NAME"),
        ({"url": "http://u:p@x", "api": "openai"}, "has a user or password in it"),
        (
            {"url": "http://x", "api": "openai", "threads": 2},
            "threads does not belong to a target at a url with the api openai, which has name, url, api, model, format, context",
        ),
        ({"url": "http://x", "api": "openai", "endpoint": "e"}, "endpoint does not belong"),
        ({"url": "http://x", "api": "sagemaker", "model": "m"}, "model does not belong"),
        ({"url": "http://x", "api": "openai", "dialect": "lmi"}, "dialect does not belong"),
        ({"dialect": "lmi"}, "dialect belongs to a target with a url"),
        (
            {"url": "http://x", "api": "sagemaker", "dialect": "lmo"},
            r"targets\[0\].dialect: unknown choice 'lmo'. Did you mean 'lmi'",
        ),
        ({"url": "http://x", "api": "sagemaker", "context": "many"}, r"targets\[0\].context must be a whole number"),
        ({"url": "http://x", "api": "sagemaker", "format": 5}, r"targets\[0\].format must be a text, not 5"),
        ({"url": "PUNA_URL"}, "is PUNA_URL, the server that the environment names, but PUNA_URL is not set"),
    ],
)
def test_bad_targets_are_refused(table, sentence):
    with pytest.raises(InputError, match=sentence):
        targets(table)


def test_the_environment_does_not_decide_whether_a_setting_is_good(monkeypatch):
    monkeypatch.setenv("PUNA_CONTEXT", "nonsense")
    assert targets({"threads": 1}) == (Target("default", settings={"threads": 1}),)


IN = {"PUNA_FORMAT": "smollm2", "PUNA_CONTEXT": "2048"}


@pytest.mark.parametrize(
    ("environment", "more", "target"),
    [
        ({"PUNA_URL": "sagemaker:mine", "PUNA_ENDPOINT": "mine", "PUNA_DIALECT": "lmi", **IN}, {"name": "there"},
         Target("there", "sagemaker", url="sagemaker:mine", endpoint="mine", format="smollm2", context=2048, dialect="lmi")),
        ({"PUNA_URL": "http://127.0.0.1:8080", "PUNA_ENDPOINT": "mine"}, {},
         Target("127.0.0.1:8080", "sagemaker", url="http://127.0.0.1:8080", endpoint="mine")),
        ({"PUNA_URL": "https://host/v1", "PUNA_ENDPOINT": "m", **IN}, {},
         Target("m", "openai", url="https://host/v1", model="m", format="smollm2", context=2048)),
        ({"PUNA_URL": "http://h:1", "PUNA_FORMAT": "smollm2"}, {"format": "llama2", "endpoint": "e", "api": "sagemaker"},
         Target("h:1", "sagemaker", url="http://h:1", endpoint="e", format="llama2")),
    ],
)  # fmt: skip
def test_the_environments_server_is_a_target_with_all_that_is_said_of_it(environment, more, target, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert targets({"url": "PUNA_URL", **more}) == (target,)
    monkeypatch.setenv("PUNA_CONTEXT", "nonsense")
    with pytest.raises(InputError, match="PUNA_CONTEXT must be a whole number"):
        targets({"url": "PUNA_URL", **more})


def test_only_the_word_puna_url_lets_the_environment_speak(monkeypatch):
    for name, value in {"PUNA_URL": "http://other", "PUNA_DIALECT": "lmi", **IN}.items():
        monkeypatch.setenv(name, value)
    assert targets({"url": "http://x", "api": "sagemaker"}) == (Target("x", "sagemaker", url="http://x"),)


def test_two_targets_need_two_names():
    with pytest.raises(InputError, match="two targets named 'default'"):
        targets({}, {"context": 512})
