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
            {"url": "http://x", "api": "openai", "context": 512},
            "context does not belong to a target at a url with the api openai",
        ),
        ({"url": "http://x", "api": "openai", "endpoint": "e"}, "endpoint does not belong"),
        ({"url": "http://x", "api": "sagemaker", "model": "m"}, "model does not belong"),
    ],
)
def test_bad_targets_are_refused(table, sentence):
    with pytest.raises(InputError, match=sentence):
        targets(table)


def test_the_environment_does_not_decide_whether_a_setting_is_good(monkeypatch):
    monkeypatch.setenv("PUNA_CONTEXT", "nonsense")
    assert targets({"threads": 1}) == (Target("default", settings={"threads": 1}),)


def test_two_targets_need_two_names():
    with pytest.raises(InputError, match="two targets named 'default'"):
        targets({}, {"context": 512})
