"""What a generation is asked of llama.cpp in, and how its events are read; what only the real engine can show is marked."""

import asyncio
import json
import math
from typing import Any

import pytest

from puna.engines.completion import LEAST, events, hold_to_schema, request
from puna.errors import EngineError, InputError
from puna.generation import NO_EXTRAS, Delta, End, Extras, Finish, Kind, Prompt, Sampling, Segment
from tests.engines.engine import on_engine

HELLO = Prompt((), (28, 300, 17))


def body_of(sampling: Sampling, extras: Extras = NO_EXTRAS) -> dict[str, Any]:
    return request(HELLO, sampling, extras)


def test_without_penalties_none_is_sent():
    body = body_of(Sampling(seed=1))
    assert body["samplers"] == ["temperature", "top_k", "top_p", "min_p"]
    assert not {"repeat_penalty", "presence_penalty", "frequency_penalty", "n_probs", "json_schema"} & set(body)


@pytest.mark.parametrize("temperature", [0, 1])
def test_penalties_come_first_and_look_back_at_prompt_and_answer(temperature):
    body = body_of(Sampling(seed=1, temperature=temperature, presence_penalty=0.5, max_tokens=40))
    assert body["samplers"][0] == "penalties"
    assert (body["repeat_penalty"], body["presence_penalty"], body["frequency_penalty"]) == (1.0, 0.5, 0.0)
    assert body["repeat_last_n"] == 43


def test_the_memory_of_penalties_is_bounded():
    body = body_of(Sampling(seed=1, repetition_penalty=1.1, max_tokens=2**31 - 1))
    assert body["repeat_last_n"] == 2**20


@pytest.mark.parametrize(("wanted", "sent"), [(0, 1), (1, 1), (20, 20)])
def test_log_probabilities_are_those_before_sampling(wanted, sent):
    body = body_of(Sampling(seed=1), Extras(logprobs=wanted))
    assert body["n_probs"] == sent
    assert "post_sampling_probs" not in body


def test_a_schema_is_checked_and_leaves_no_room_for_white_space():
    body = body_of(Sampling(seed=1), Extras(schema='{"type": "integer", "title": "n"}'))
    assert body["json_schema"]["type"] == "integer"
    assert body["json_schema"]["x-guidance"]["whitespace_flexible"] is False
    assert "title" not in body["json_schema"]
    with pytest.raises(InputError, match="pattern"):
        request(HELLO, Sampling(seed=1), Extras(schema='{"pattern": "a"}'))


class Answer:
    """A streamed answer, cut into pieces of some bytes."""

    def __init__(self, messages, size=7):
        data = b"".join(b"data: " + json.dumps(message).encode() + b"\n\n" for message in messages)
        self.pieces = [data[n : n + size] for n in range(0, len(data), size)]
        self.content = self

    async def iter_any(self):
        for piece in self.pieces:
            yield piece


def token(number, text, logprob=-0.5):
    alike = {"id": number, "token": text, "bytes": list(text.encode()), "logprob": logprob}
    return {**alike, "top_logprobs": [alike]}


def said(text, *tokens):
    return {
        "content": text,
        "tokens": [entry["id"] for entry in tokens],
        "stop": False,
        "completion_probabilities": list(tokens),
    }


def last(stop_type="eos"):
    return {
        "content": "",
        "tokens": [],
        "stop": True,
        "stop_type": stop_type,
        "stopping_word": "",
        "tokens_evaluated": 3,
        "tokens_predicted": 4,
        "timings": {"cache_n": 0},
    }


def read(*messages, **extras):
    answer: Any = Answer(messages)

    async def scenario():
        return [event async for event in events(answer, 0.0, 0.0, Extras(**extras))]

    return asyncio.run(scenario())


def test_tokens_whose_text_was_held_back_bring_their_log_probabilities():
    found = read(said("", token(7, "Hel")), said("Hello", token(8, "lo")), said("!", token(9, "!")), last(), logprobs=1)
    first, second, end = found
    assert [entry.id for entry in first.logprobs] == [7, 8]
    assert [entry.data for entry in second.logprobs] == [b"!"]
    assert second.logprobs[0].top[0].id == 9
    assert all(len(delta.logprobs) == delta.tokens for delta in (first, second))
    assert isinstance(end, End)


def test_alternatives_come_only_where_they_are_wanted():
    found = read(said("!", token(9, "!")), last(), logprobs=0)
    assert found[0].logprobs[0].top == ()
    assert read(said("!", token(9, "!")), last())[0].logprobs == ()


@pytest.mark.parametrize(("told", "is_"), [(None, LEAST), (-3.4e38, LEAST), (1e-7, 0.0), (-2.5, -2.5)])
def test_a_log_probability_is_finite_and_never_above_0(told, is_):
    (entry,) = read(said("x", token(1, "x", told)), last(), logprobs=1)[0].logprobs
    assert entry.logprob == is_
    assert entry.top[0].logprob == is_


def test_an_answer_that_lost_its_schema_is_no_answer():
    assert read(said("[1]", token(1, "[1]")), last(), schema="{}")[-1].finish is Finish.STOP
    assert read(said("[1", token(1, "[1")), last("limit"), schema="{}")[-1].finish is Finish.LENGTH
    with pytest.raises(EngineError, match="lost the JSON schema"):
        read(said("[1", token(1, "[1")), last(), schema="{}")


def generated(text, extras, **sampling):
    """Events for each sampling of a list, on one engine."""

    async def work(engine):
        prompt = Prompt((), await engine.encode((Segment(Kind.CONTENT, text),)))
        found = []
        for given in sampling["each"]:
            body = request(prompt, Sampling(seed=1, **given), extras)
            async with engine.http.post("/completion", json=body) as answer:
                found.append([event async for event in events(answer, 0.0, 0.0, extras)])
        return found

    return work


def text_of(found):
    return "".join(event.text for event in found if isinstance(event, Delta))


@pytest.mark.model
def test_penalties_keep_what_the_prompt_said_out_of_the_answer(model_home):
    each = [{}, {"presence_penalty": 2.0}, {"frequency_penalty": 2.0}, {"repetition_penalty": 1.5}]
    each = [{"temperature": 0, "max_tokens": 4, **given} for given in each]
    work = generated("one two three one two three one two three one two", Extras(), each=each)
    plain, *penalised = [text_of(found) for found in on_engine(model_home, work)]
    assert plain == " three one two three"
    assert all("one" not in text for text in penalised)


@pytest.mark.model
def test_log_probabilities_on_the_engine(model_home):
    extras = Extras(logprobs=5)
    each = [{"temperature": temperature, "max_tokens": 40} for temperature in (0, 1)]
    greedy, drawn = on_engine(model_home, generated("A puna is", extras, each=each))
    for found in (greedy, drawn):
        tokens = [entry for event in found if isinstance(event, Delta) for entry in event.logprobs]
        assert b"".join(entry.data for entry in tokens).decode() == text_of(found)
        assert len(tokens) == sum(event.tokens for event in found if isinstance(event, Delta))
        for entry in tokens:
            assert len(entry.top) == 5
            assert sum(math.exp(other.logprob) for other in entry.top) <= 1.0001
            assert sorted(entry.top, key=lambda other: -other.logprob) == list(entry.top)
    assert all(entry.id == entry.top[0].id for event in greedy[:-1] for entry in event.logprobs)


@pytest.mark.model
def test_a_schema_that_the_engine_would_drop_is_refused(model_home):
    async def work(engine):
        async def held(schema):
            return await hold_to_schema(
                engine.http, request(HELLO, Sampling(seed=1), Extras(schema=json.dumps(schema)))
            )

        await held({"type": "string"})
        for dropped in ({"allOf": [{"type": "string"}, {"type": "integer"}]}, {"oneOf": [{}, {"type": "string"}]}):
            with pytest.raises(InputError, match="cannot keep to this JSON schema"):
                await held(dropped)

    on_engine(model_home, work)
