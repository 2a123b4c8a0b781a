"""The same conversation against servers, by their addresses."""

import pytest

import puna
from puna.errors import EngineError, InputError
from tests.playground.served import Served

from .talks import contents, receipt_of


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with Served(tmp_path_factory.mktemp("served"), format="chatml") as server:
        yield server


@pytest.mark.parametrize("path", ["", "/v1"])
def test_a_conversation_with_an_endpoint_of_punas(served, path):
    with puna.Chat(url=served.url + path, system="Be kind.", sampling={"max_tokens": 6}) as chat:
        first = chat.send("Where?")
        assert first.text
        stream = chat.stream("When?")
        assert "".join(stream) == str(stream)
        assert stream.receipt is not None
        chat.edit(1, "Who?")
        assert chat.versions(1) == ("Where?", "Who?")
        assert [message.role for message in chat.history] == ["system", "user", "assistant"]
        fork = chat.fork()
        assert fork.send("And?").text
        fork.close()
        assert contents(chat)[1] == "Who?"


@pytest.mark.parametrize("path", ["", "/v1"])
def test_the_endpoint_tells_the_prompt_and_the_budget(served, path):
    with puna.Chat(url=served.url + path, system="Be kind.", sampling={"max_tokens": 6}) as chat:
        messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Where?"}]
        told = chat.prompt_for("Where?")
        assert told.text == puna.render(messages, "chatml").text
        chat.send("Where?")
        assert len(told.ids) == receipt_of(chat).usage.prompt
        assert chat.budget.context == 4096


def test_a_server_that_is_not_there_is_told_in_one_sentence():
    for url in ("http://127.0.0.1:9", "http://127.0.0.1:9/v1"):
        with puna.Chat(url=url, retries=0) as chat, pytest.raises(EngineError, match="is it up") as caught:
            chat.send("hi")
        assert caught.value.partial is None
        assert contents(chat) == []


@pytest.mark.parametrize("url", ["", "nowhere", "ftp://x", "sagemaker:", "http://user:pass@h/v1"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(InputError, match="url must be an address|endpoint's name|user or password"):
        puna.Chat(url=url)


@pytest.mark.parametrize("path", ["", "/v1"])
def test_the_sentence_that_a_format_writes_by_itself_is_no_cost_of_a_system_message(tmp_path, path):
    with Served(tmp_path, format="smollm2") as server, puna.Chat(url=server.url + path, system="Be kind.") as chat:
        chat.send("Where?", max_tokens=6)
        assert chat.budget.system > 0
