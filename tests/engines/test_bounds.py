"""Servers of the OpenAI API that go on for ever, or say nothing: while they are asked what they are, and while they answer."""

import asyncio

import pytest

from puna import config
from puna.engines.address import Address
from puna.engines.openai import OpenAI
from puna.engines.timeouts import Timeouts
from puna.errors import EndpointError, EngineError, UnreachableError
from puna.generation import Delta, Extras, Kind, Prompt, Sampling, Segment
from tests.engines.openai_server import whole
from tests.engines.strange import Forever, Hang, strange

MODELS: list = [whole(200, {"data": [{"id": "m", "object": "model"}]})]
NOT_THERE: list = [whole(404, {"error": {"message": "no such route"}})]
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
ONE_MORE = b'data: {"choices": [{"index": 0, "text": "la "}]}\n\n'


def asked(*connections, extras=None, max_tokens=10, timeouts=None):
    """The text of an answer, and how it broke off."""

    async def scenario():
        said = ""
        async with strange(*connections) as url:
            engine = OpenAI(url, timeouts=timeouts or Timeouts())
            try:
                await engine.start()
                text = Prompt((Segment(Kind.CONTENT, "Hi"),))
                async for event in engine.stream(text, Sampling(max_tokens=max_tokens), extras or Extras()):
                    said += event.text if isinstance(event, Delta) else ""
            except EngineError as error:
                return said, error
            finally:
                await engine.close()
        return said, None

    return asyncio.run(scenario())


def test_an_answer_that_goes_on_for_ever_is_ended():
    said, error = asked(MODELS, NOT_THERE, [EVENTS, Forever(ONE_MORE * 50)])
    assert "goes on and on" in str(error)
    assert "the 10 tokens that were asked for" in str(error)
    assert 10 < said.count("la ") <= 10 * 16 + 2**10


def test_an_answer_is_never_cut_for_its_length_alone():
    pieces = 10 * 16 + 2**10
    said, error = asked(MODELS, NOT_THERE, [EVENTS, ONE_MORE * pieces, b"data: [DONE]\n\n"])
    assert error is None
    assert said == "la " * pieces


def test_what_is_said_of_a_server_for_ever_is_not_read_to_its_end():
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    said, error = asked([head, Forever(b" " * 2**20)])
    assert said == ""
    assert isinstance(error, EndpointError)
    assert "goes on and on" in str(error)


@pytest.mark.parametrize("api", ["auto", "openai"])
def test_a_question_about_a_server_waits_no_longer_than_for_an_answer(api):
    async def scenario():
        async with strange([Hang()]) as url:
            await config.open_address(Address(url, api, retries=0, timeouts=Timeouts(first=0.2)))

    with pytest.raises(UnreachableError, match=r"said nothing for 0\.2 s"):
        asyncio.run(scenario())


@pytest.mark.parametrize("api", ["auto", "openai"])
@pytest.mark.parametrize(
    "acts",
    [
        [whole(200, b"[" * 100_000)],
        [b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", Forever(b" ")],
    ],
)
def test_what_is_no_list_of_models_is_told_in_time(api, acts):
    async def scenario():
        async with strange(acts) as url:
            await config.open_address(Address(url, api, retries=0, timeouts=Timeouts(first=0.5)))

    with pytest.raises(EndpointError, match="is it such a server"):
        asyncio.run(scenario())
