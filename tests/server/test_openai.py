"""The OpenAI API by its own SDK against a live server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from puna.errors import ContextWindowError, EngineBusyError, EngineError, EngineLoadingError, EngineStoppedError
from puna.messages import Dialog, Role

from .live import ENDPOINT, WAIT, Hold, Live, Speaker

HELLO: Any = [{"role": "user", "content": "Hi"}]


@pytest.fixture(params=["/v1", f"/endpoints/{ENDPOINT}/openai/v1"])
def client(live: Live, request: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=live.url + request.param, api_key="any", max_retries=0, timeout=WAIT) as made:
        yield made


@pytest.fixture
def plain(live: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key="any", max_retries=0, timeout=WAIT) as made:
        yield made


def test_a_chat_as_a_whole(client: openai.OpenAI, speaker: Speaker) -> None:
    answer = client.chat.completions.create(model=ENDPOINT, messages=HELLO, max_tokens=7, temperature=0.5, seed=3)
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == (
        "assistant",
        "Ein Lama frißt.",
        "stop",
    )
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (41, 4, 45)
    assert answer.model == ENDPOINT
    assert answer._request_id
    (ask,) = speaker.asked
    assert ask.prompt == Dialog().append(Role.USER, "Hi")
    assert (ask.sampling.max_tokens, ask.sampling.temperature, ask.sampling.seed, ask.open_end) == (7, 0.5, 3, False)


def test_a_chat_streamed(client: openai.OpenAI, speaker: Speaker) -> None:
    options: Any = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="", messages=HELLO, stream=True, stream_options=options))
    assert [chunk.choices[0].delta.content for chunk in chunks[:-1]] == ["", "Ein", " Lama", " frißt", ".", None]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None] * 5 + ["stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 4
    assert speaker.asked[0].open_end


def test_several_answers(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=ENDPOINT, messages=HELLO, n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert {choice.message.content for choice in answer.choices} == {"Ein Lama frißt."}
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (41, 12)


def test_log_probabilities(client: openai.OpenAI, speaker: Speaker) -> None:
    answer = client.chat.completions.create(model=ENDPOINT, messages=HELLO, logprobs=True, top_logprobs=2)
    found = answer.choices[0].logprobs
    assert found is not None
    assert [entry.token for entry in found.content or ()] == ["Ein", " Lama", " frißt", "."]
    assert speaker.asked[0].extras.logprobs == 2


class Answer(BaseModel):
    city: str
    people: int


def test_a_typed_answer(client: openai.OpenAI, speaker: Speaker) -> None:
    speaker.script = ['{"city": "Puno", ', '"people": 128637}']
    answer = client.chat.completions.parse(model=ENDPOINT, messages=HELLO, response_format=Answer)
    assert answer.choices[0].message.parsed == Answer(city="Puno", people=128637)
    schema = speaker.asked[0].extras.schema
    assert schema is not None
    assert json.loads(schema)["properties"]["people"]["type"] == "integer"


def test_the_helper_that_streams(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model=ENDPOINT, messages=HELLO) as stream:
        texts = [event.delta for event in stream if event.type == "content.delta"]
        assert "".join(texts) == "Ein Lama frißt."
        assert stream.get_final_completion().choices[0].finish_reason == "stop"


def test_a_completion(client: openai.OpenAI, speaker: Speaker) -> None:
    answer = client.completions.create(model=ENDPOINT, prompt="Es war", max_tokens=5)
    assert answer.choices[0].text == "Ein Lama frißt."
    assert speaker.asked[0].prompt == "Es war"
    assert not speaker.asked[0].raw
    chunks = list(client.completions.create(model=ENDPOINT, prompt="Es war", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == "Ein Lama frißt."


def test_an_echo_has_the_probabilities_of_the_prompt(client: openai.OpenAI, speaker: Speaker) -> None:
    answer = client.completions.create(model=ENDPOINT, prompt="a b", echo=True, logprobs=1, max_tokens=0)
    (choice,) = answer.choices
    assert choice.text == "a b"
    assert choice.logprobs is not None
    assert choice.logprobs.tokens == ["a", " b"]
    assert choice.logprobs.token_logprobs == [None, -0.5]
    assert choice.logprobs.text_offset == [0, 1]
    assert choice.logprobs.top_logprobs == [None, {" b": -0.5}]
    assert speaker.asked[0].raw
    more = client.completions.create(model=ENDPOINT, prompt="a b", echo=True, logprobs=0, max_tokens=4)
    assert more.choices[0].text == "a bEin Lama frißt."
    assert more.choices[0].logprobs is not None
    assert more.choices[0].logprobs.text_offset == [0, 1, 3, 6, 11, 17]
    chunks = list(
        client.completions.create(model=ENDPOINT, prompt="a b", echo=True, logprobs=0, max_tokens=4, stream=True)
    )
    assert "".join(chunk.choices[0].text for chunk in chunks) == "a bEin Lama frißt."


def test_models(plain: openai.OpenAI) -> None:
    assert [model.id for model in plain.models.list()] == [ENDPOINT, "stand-in"]
    assert plain.models.retrieve("stand-in").id == "stand-in"
    with pytest.raises(
        openai.NotFoundError, match="'gpt-4o' is not served here; served: llama-2-7b, stand-in"
    ) as caught:
        plain.models.retrieve("gpt-4o")
    assert caught.value.code == "model_not_found"


def test_a_model_that_is_not_served_is_refused_but_not_below_an_endpoint(live: Live, plain: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="is not served here"):
        plain.chat.completions.create(model="gpt-4o", messages=HELLO)
    body = {"model": "gpt-4o", "messages": HELLO}
    answer = live.http.post(f"/endpoints/{ENDPOINT}/openai/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["model"]) == (200, "gpt-4o")


def test_another_endpoint_is_refused_in_the_shape_of_the_api(live: Live) -> None:
    body = {"model": "", "messages": HELLO}
    for path in (
        "openai/v1/chat/completions",
        "openai/v1/completions",
        "inference-components/one/openai/v1/completions",
    ):
        answer = live.http.post(f"/endpoints/other/{path}", json=body)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"] == "Endpoint other of account 123456789012 not found."
    answer = live.http.post(f"/endpoints/{ENDPOINT}/inference-components/one/openai/v1/completions", json=body)
    assert "has no inference components" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("fails", "raised", "code"),
    [
        (EngineBusyError("all slots are busy"), openai.RateLimitError, "rate_limit_exceeded"),
        (EngineLoadingError("the model is being loaded"), openai.InternalServerError, "service_unavailable"),
        (EngineStoppedError("the engine is stopping"), openai.InternalServerError, "service_unavailable"),
        (EngineError("it broke"), openai.InternalServerError, None),
        (ContextWindowError(10, 20, 25), openai.BadRequestError, "context_length_exceeded"),
        (ZeroDivisionError(), openai.InternalServerError, None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_before_the_answer(  # noqa: PLR0917
    client: openai.OpenAI,
    speaker: Speaker,
    fails: Exception,
    raised: type[openai.APIStatusError],
    code: str | None,
    stream: bool,
) -> None:
    speaker.script = [fails]
    with pytest.raises(raised) as caught:
        client.chat.completions.create(model=ENDPOINT, messages=HELLO, stream=stream)
    assert caught.value.code == code
    assert (caught.value.response.headers.get("retry-after") == "1") == (caught.value.status_code in {429, 503})


def test_an_error_in_mid_stream_is_raised(client: openai.OpenAI, speaker: Speaker) -> None:
    speaker.script = ["a", EngineError("the engine broke")]
    texts = []
    with pytest.raises(openai.APIError, match="the engine broke"):
        for chunk in client.chat.completions.create(model=ENDPOINT, messages=HELLO, stream=True):
            texts.append(chunk.choices[0].delta.content)
    assert texts == ["", "a"]


def test_a_client_that_leaves_frees_its_place(live: Live, client: openai.OpenAI, speaker: Speaker) -> None:
    speaker.script = ["a", Hold()]
    with closing(client.chat.completions.create(model=ENDPOINT, messages=HELLO, stream=True)) as stream:
        next(iter(stream))
    assert speaker.cleaned.wait(WAIT)
    live.log_of_one_that_left()


def test_what_is_not_offered_is_refused_by_name(client: openai.OpenAI) -> None:
    tool: Any = {"type": "function", "function": {"name": "f", "parameters": {}}}
    with pytest.raises(openai.BadRequestError, match="tools is not supported"):
        client.chat.completions.create(model=ENDPOINT, messages=HELLO, tools=[tool])


def test_tokens_of_a_prompt(live: Live, speaker: Speaker) -> None:
    answer = live.http.post("/tokenize", json={"messages": HELLO})
    assert answer.json() == {"count": 2, "max_model_len": 4096, "tokens": [1, 2], "token_strs": ["a", " b"]}
    assert speaker.asked[0].prompt == Dialog().append(Role.USER, "Hi")


def test_tokens_of_an_answer_that_has_begun(live: Live, speaker: Speaker) -> None:
    begun = [*HELLO, {"role": "assistant", "content": "It"}]
    assert live.http.post("/tokenize", json={"messages": begun, "continue_final_message": True}).status_code == 200
    assert live.http.post("/tokenize", json={"messages": begun}).status_code == 200
    assert [asked.continues for asked in speaker.asked] == [True, False]


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ([], "not a list"),
        ({}, "neither came"),
        ({"prompt": "a", "messages": []}, "both came"),
        ({"prompt": ""}, "must not be empty"),
        ({"prompt": 7}, "must not be a number"),
        ({"prompt": "a\0"}, "NUL"),
        ({"prompt": "a", "text": "b"}, "but it has 'text' too"),
        ({"messages": "x"}, "must be a list"),
        ({"prompt": "a", "continue_final_message": True}, 'is for "messages"'),
        ({"messages": HELLO, "continue_final_message": 1}, "must be true or false"),
    ],
)
def test_other_bodies_of_tokenize_are_refused(live: Live, body: object, part: str) -> None:
    answer = live.http.post("/tokenize", json=body)
    assert answer.status_code == 400
    assert part in answer.json()["error"]["message"]


def test_the_text_of_tokens(live: Live) -> None:
    assert live.http.post("/detokenize", json={"tokens": [1, 2, 1]}).json() == {"prompt": "a ba"}
    assert live.http.post("/detokenize", json={"tokens": [], "model": ENDPOINT}).json() == {"prompt": ""}


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ([], "not a list"),
        ({}, '"tokens"'),
        ({"tokens": "1 2"}, "whole numbers, not 1 2"),
        ({"tokens": [1.0]}, "whole numbers, not [1.0]"),
        ({"tokens": [True]}, "whole numbers, not [True]"),
        ({"tokens": [1], "text": "a"}, "but it has 'text' too"),
        ({"tokens": [1], "model": "gpt-4o"}, "is not served here"),
    ],
)
def test_other_bodies_of_detokenize_are_refused(live: Live, body: object, part: str) -> None:
    answer = live.http.post("/detokenize", json=body)
    assert answer.status_code in {400, 404}
    assert part in answer.json()["error"]["message"]


def test_the_openapi_document_names_every_route(live: Live) -> None:
    document = live.http.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    assert "/v1/chat/completions" in document["paths"]
    assert {"workshop", "tgi", "chat"} <= set(document["components"]["schemas"])
