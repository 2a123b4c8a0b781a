"""From what a caller names to the engine that is opened."""

from pathlib import Path

import pytest

import puna
from puna import config
from puna.config import Address
from puna.engines.timeouts import Timeouts
from puna.errors import InputError


def where(**arguments):
    return puna.AsyncChat(**arguments)._opening.where


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({"url": "http://127.0.0.1:8080"}, Address("http://127.0.0.1:8080")),
        ({"url": "http://127.0.0.1:8080", "endpoint": "one"}, Address("http://127.0.0.1:8080", name="one")),
        ({"url": "http://h/v1", "model": "m", "key": "k"}, Address("http://h/v1", name="m", key="k")),
        ({"url": "sagemaker:", "endpoint": "one"}, Address("sagemaker:", name="one")),
        ({"url": "sagemaker:one", "dialect": "tgi"}, Address("sagemaker:one", dialect="tgi")),
        (
            {"url": "http://h", "api": "openai", "format": "llama3", "context": 512, "retries": 0},
            Address("http://h", api="openai", format="llama3", context=512, retries=0),
        ),
        ({"url": "http://h", "timeouts": Timeouts(first=5)}, Address("http://h", timeouts=Timeouts(first=5))),
    ],
)
def test_a_url_and_what_belongs_to_it_make_an_address(given, address):
    assert where(**given) == address


def test_without_a_url_the_same_names_are_settings():
    found = where(engine="scripted", context=512, format="llama2", model="tiny")
    assert isinstance(found, config.Settings)
    assert (found.engine, found.context, found.format, found.model) == ("scripted", 512, "llama2", "tiny")
    assert where(engine="scripted", context=None, model=None).model == config.Settings().model


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, Address("http://there", name="one")),
        ({"context": 512, "format": "llama2"}, Address("http://there", name="one", context=512, format="llama2")),
        ({"endpoint": "two", "retries": 0}, Address("http://there", name="two", retries=0)),
        ({"url": "http://elsewhere"}, Address("http://elsewhere")),
    ],
)
def test_the_environment_names_the_server_where_the_arguments_name_nothing(given, expected, monkeypatch):
    monkeypatch.setenv("PUNA_URL", "http://there")
    monkeypatch.setenv("PUNA_ENDPOINT", "one")
    assert where(**given) == expected


def test_the_environment_tells_the_servers_format_window_and_dialect_too(monkeypatch):
    for name, value in {"URL": "sagemaker:far", "FORMAT": "llama2", "CONTEXT": "2048", "DIALECT": "tgi"}.items():
        monkeypatch.setenv(f"PUNA_{name}", value)
    assert where() == Address("sagemaker:far", format="llama2", context=2048, dialect="tgi")
    own = where(format="llama3", context=512, dialect="lmi")
    assert own == Address("sagemaker:far", format="llama3", context=512, dialect="lmi")
    assert where(url="http://elsewhere") == Address("http://elsewhere")
    monkeypatch.setenv("PUNA_CONTEXT", "few")
    with pytest.raises(InputError, match="PUNA_CONTEXT must be a whole number"):
        where()
    monkeypatch.setenv("PUNA_CONTEXT", "2048")
    monkeypatch.setenv("PUNA_DIALECT", "tgj")
    with pytest.raises(InputError, match="PUNA_DIALECT: unknown choice 'tgj'. Did you mean 'tgi'"):
        where()


@pytest.mark.parametrize("given", [{"model": "m.gguf"}, {"engine": "scripted"}, {"slots": 2}, {"file": "puna.toml"}])
def test_a_local_model_that_is_asked_for_stands_before_the_environments_server(given, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "puna.toml").write_text("slots = 2\n", encoding="utf-8")
    monkeypatch.setenv("PUNA_URL", "http://there")
    assert isinstance(where(**given), config.Settings)


def test_a_bad_address_in_the_environment_is_told_by_its_variable(monkeypatch):
    monkeypatch.setenv("PUNA_URL", "ftp://there")
    with pytest.raises(InputError, match="PUNA_URL must be an address"):
        where()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"url": "http://h", "slots": 2}, "slots: settings of a local model, which the server at http://h has"),
        ({"url": "http://h", "endpoint": "a", "model": "b"}, "'a' and model 'b' both name"),
        ({"endpoint": "a"}, "endpoint: of a server, and none is named"),
        ({"key": "k", "engine": "scripted"}, "key: of a server"),
        ({"api": "openai"}, "api: of a server"),
        ({"dialect": "tgi"}, "dialect: of a server"),
        ({"url": "http://h/v1", "dialect": "tgi"}, "dialect 'tgi' is of a SageMaker container"),
        ({"url": "http://h", "dialect": "tgj"}, "Did you mean 'tgi'"),
        ({"url": "http://h", "retries": -1}, "from 0 to 20, not -1"),
        ({"url": "http://h", "file": "puna.toml"}, "file: settings of a local model"),
        ({"url": 5}, "url must be text"),
        ({"url": "http://h", "model": 5}, "model must be text"),
        ({"contxt": 5}, "Did you mean 'context'"),
        ({"temperature": 0.5}, "unknown setting 'temperature'"),
        ({"sampling": {"temprature": 1}}, "Did you mean 'temperature'"),
        ({"sampling": 5}, "sampling must be a mapping"),
        ({"sampling": {"temperature": 5}}, "temperature must be"),
    ],
)
def test_what_does_not_go_together_is_refused(given, sentence):
    with pytest.raises(InputError, match=sentence):
        puna.Chat(**given)


def test_a_key_is_never_shown():
    assert "hidden" not in repr(where(url="http://h/v1", key="hidden"))


def test_a_file_of_settings_is_read(tmp_path: Path):
    file = tmp_path / "puna.toml"
    file.write_text('engine = "scripted"\ncontext = 640\n', encoding="utf-8")
    with puna.Chat(file=file) as chat:
        assert (chat.info.model, chat.info.context) == ("scripted", 640)


def test_the_arguments_are_shown_for_both():
    """As help() and a notebook's completion show them."""
    import inspect

    names = list(inspect.signature(puna.AsyncChat).parameters)
    assert list(inspect.signature(puna.Chat).parameters) == names
    assert {"url", "endpoint", "model", "system", "sampling", "history", "policy", "context"} <= set(names)
