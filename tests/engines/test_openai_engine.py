"""The client of OpenAI-compatible servers: what it sends, what it reads, what it says where that goes wrong."""

import asyncio

import pytest

from puna.engines.base import Speaks
from puna.engines.openai import OpenAI
from puna.engines.strangers import PageError
from puna.errors import EndpointError, InputError, RefusedError, UnreachableError
from puna.generation import Delta, End, Extras, Finish, Kind, Prompt, Sampling, Segment, Usage
from puna.messages import Dialog, Role
from puna.wire.chunks import NO_ID
from tests.engines.engine import on_engine
from tests.engines.openai_server import STREAM, events, serving, whole
from tests.server.live import Live

MODELS = whole(200, {"data": [{"id": "m"}]})
CHAT = Prompt((), dialog=Dialog().append(Role.USER, "Hi"))
TEXT = Prompt((Segment(Kind.CONTROL, "<s>[INST] Hi [/INST]"),))
ENDED = {
    "choices": [],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}},
}


def as_models(*entries):
    return whole(200, {"data": list(entries)})


def said(text=None, finish=None, **more):
    return {
        "id": "c-1",
        "model": "m",
        "system_fingerprint": "f",
        "choices": [{"delta": {"content": text}, "finish_reason": finish, **more}],
    }


ANSWER = STREAM + events(said("A "), said("llama."), said(finish="stop"), ENDED, b"[DONE]")


async def all_of(stream):
    return [event async for event in stream]


def asked(*answers, prompt=CHAT, sampling=None, extras=None, model=None, key=None):
    """The events of one request, and the server that was asked."""

    async def scenario():
        async with serving(*answers) as server:
            engine = OpenAI(server.url, model, key)
            await engine.start()
            try:
                found = await all_of(engine.stream(prompt, sampling or Sampling(seed=3), extras or Extras()))
            finally:
                await engine.close()
            return found, server

    return asyncio.run(scenario())


def test_messages_go_to_chat_completions_and_every_parameter_is_told():
    (first, second, end), server = asked(MODELS, ANSWER, sampling=Sampling(temperature=0, seed=3, stop=("\n",)))
    assert [first, second] == [Delta("A "), Delta("llama.")]
    assert isinstance(end, End)
    assert (end.finish, end.usage) == (Finish.STOP, Usage(9, 4, 2))
    assert end.remote == {"id": "c-1", "model": "m", "engine": "f"}
    path, body = server.asked[1]
    assert path == "/v1/chat/completions"
    assert body == {
        "model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True, "stream_options": {"include_usage": True},
        "temperature": 0, "top_p": 0.9, "top_k": 50, "min_p": 0, "max_tokens": 200, "seed": 3, "stop": ["\n"],
        "repetition_penalty": 1, "presence_penalty": 0, "frequency_penalty": 0,
    }  # fmt: skip


@pytest.mark.parametrize("same", [{"owned_by": "puna"}, {"owned_by": "vllm", "root": "meta/llama"}])
def test_of_one_model_by_several_names_the_first_is_taken(same):
    listed = as_models({"id": "llama-2-7b", **same}, {"id": "scripted", **same})
    _, server = asked(listed, ANSWER)
    assert server.asked[-1][1]["model"] == "llama-2-7b"


def test_of_several_models_one_must_be_named_and_it_is_told_how():
    listed = as_models({"id": "a", "root": "a", "owned_by": "vllm"}, {"id": "b", "root": "a-lora", "owned_by": "vllm"})
    with pytest.raises(InputError, match=r"by --model NAME, or by model = NAME in \[\[targets\]\]: a, b"):
        asked(listed, ANSWER)


def test_a_text_goes_to_completions_as_it_is():
    chunk = {"choices": [{"text": " ok", "finish_reason": "length"}]}
    (delta, end), server = asked(MODELS, STREAM + events(chunk, b"[DONE]"), prompt=TEXT)
    assert (delta.text, end.finish, end.usage) == (" ok", Finish.LENGTH, None)
    path, body = server.asked[1]
    assert (path, body["prompt"]) == ("/v1/completions", TEXT.text)


def test_the_key_is_the_bearer_token():
    _, server = asked(MODELS, ANSWER, key="secret")
    assert all("authorization: bearer secret" in head.lower() for head in server.heads)
    _, server = asked(MODELS, ANSWER)
    assert not any("authorization" in head.lower() for head in server.heads)


def test_an_address_with_a_path_is_taken_as_it_is():
    assert OpenAI("http://h:1/endpoints/x/openai/v1/").url == "http://h:1/endpoints/x/openai/v1"
    assert OpenAI("http://h:1").url == "http://h:1/v1"


@pytest.mark.parametrize("url", ["h:80", "ftp://h", "http://h:99999"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(InputError, match="--url"):
        OpenAI(url)


def test_log_probabilities_of_chat():
    entry = {
        "token": " ü",
        "bytes": [32, 195, 188],
        "logprob": -0.5,
        "top_logprobs": [{"token": " ü", "bytes": None, "logprob": -0.5}],
    }
    half: dict = {"token": "bytes:\\xe2\\x80", "bytes": None, "logprob": 0.001, "top_logprobs": []}
    chunk = said(" ü", logprobs={"content": [entry, half]})
    (delta, _), server = asked(
        MODELS, STREAM + events(chunk, said(finish="stop"), b"[DONE]"), extras=Extras(logprobs=1)
    )
    assert delta.tokens == 2
    first, second = delta.logprobs
    assert (first.id, first.data, first.logprob, first.top[0].data) == (NO_ID, " ü".encode(), -0.5, " ü".encode())
    assert (second.data, second.logprob) == (b"\xe2\x80", 0.0)
    assert (server.asked[1][1]["logprobs"], server.asked[1][1]["top_logprobs"]) == (True, 1)


def test_log_probabilities_of_completions():
    older = {"tokens": ["a"], "token_logprobs": [-1.0], "top_logprobs": [{"b": -2.0, "a": -1.0}], "text_offset": [0]}
    chunk = {"choices": [{"text": "a", "logprobs": older, "finish_reason": "stop"}]}
    (delta, _), _ = asked(MODELS, STREAM + events(chunk), prompt=TEXT, extras=Extras(logprobs=2))
    (token,) = delta.logprobs
    assert (token.data, token.logprob, [other.data for other in token.top]) == (b"a", -1.0, [b"a", b"b"])


def test_cuts_may_fall_anywhere():
    data = STREAM + events(said("ü"), said("\u2028z"), said(finish="stop"), b"[DONE]").replace(b"\n", b"\r\n")
    (one, two, _), _ = asked(MODELS, [data[n : n + 1] for n in range(len(data))])
    assert one.text + two.text == "ü\u2028z"


def test_a_parameter_that_is_refused_by_name_is_left_out_where_it_is_off():
    no = whole(400, {"error": {"message": "Unrecognized request argument supplied: top_k"}})
    no_more = whole(422, {"detail": "min_p: extra fields not permitted"})
    (*_, end), server = asked(MODELS, no, no_more, ANSWER, sampling=Sampling(top_k=0, seed=1))
    assert end.finish is Finish.STOP
    bodies = [body for _, body in server.asked[1:]]
    assert ["top_k" in body for body in bodies] == [True, False, False]
    assert ["min_p" in body for body in bodies] == [True, True, False]


def test_a_parameter_that_is_refused_and_in_effect_refuses_the_request():
    no = whole(400, {"error": {"message": "Unrecognized request argument supplied: top_k"}})
    with pytest.raises(RefusedError, match=r"\(400\): Unrecognized.*top_k") as told:
        asked(MODELS, no, sampling=Sampling(top_k=5, seed=1))
    assert told.value.status == 400


@pytest.mark.parametrize(
    ("answer", "kind", "part"),
    [
        (whole(429, {"message": "slow down"}), RefusedError, r"\(429\): slow down"),
        (whole(500, b"<html>", "text/html"), PageError, r"answered with a web page \(500\)"),
        (whole(200, {"choices": []}), EndpointError, "ended before the answer had ended"),
        (whole(200, {"id": 5}), EndpointError, "an answer .* was expected"),
        (whole(200, b"<html><title>Log in</title>", "text/html"), EndpointError, "answered with a web page .*Log in"),
        (STREAM + events(said("A ")), EndpointError, "ended before the answer had ended"),
        (STREAM + events(said("A "), {"error": {"message": "out of memory"}}), EndpointError, "failed: out of memory"),
        (STREAM + events(said("A "), b"{no json"), EndpointError, "JSON"),
        (STREAM + events([1]), EndpointError, "an answer .* was expected"),
        (STREAM + events({"choices": [1]}), EndpointError, "an answer .* was expected"),
        (STREAM + events({"choices": [{"delta": {"content": 5}}]}), EndpointError, "an answer .* was expected"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 999\r\n\r\n" + events(said("A ")), EndpointError,
         "broke the answer off"),
        (b"", UnreachableError, "does not answer"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_said(answer, kind, part):
    with pytest.raises(kind, match=part) as told:
        asked(MODELS, answer)
    assert type(told.value) is kind


@pytest.mark.parametrize(
    ("models", "kind", "part"),
    [
        (whole(200, {"data": []}), EndpointError, "has no model"),
        (whole(200, {"data": [{"id": "a"}, {"id": "b"}]}), InputError, "must be named, by .*: a, b"),
        (whole(200, {"models": 1}), EndpointError, "is it such a server"),
        (whole(401, {"error": {"message": "no key"}}), RefusedError, r"\(401\): no key"),
    ],
)
def test_what_models_there_are(models, kind, part):
    with pytest.raises(kind, match=part):
        asked(models)


def test_a_named_model_needs_no_list_of_models():
    _, server = asked(whole(404, {"error": {"message": "no such route"}}), ANSWER, model="other")
    assert [path for path, _ in server.asked] == ["/v1/models", "/v1/chat/completions"]
    assert server.asked[1][1]["model"] == "other"


def test_nobody_there():
    async def scenario():
        async with serving(b"") as server:
            pass
        engine = OpenAI(server.url)
        try:
            await engine.start()
        finally:
            await engine.close()

    with pytest.raises(UnreachableError, match="is it up"):
        asyncio.run(scenario())


@pytest.mark.parametrize("receipt", [whole(404, {}), whole(200, {"usage": 1}), whole(200, [1]), whole(200, b"{"), b""])
def test_a_receipt_that_is_none_costs_nothing(receipt):
    head = STREAM.replace(b"Connection", b"x-puna-receipt: /receipts/r\r\nConnection")
    (*_, end), server = asked(MODELS, ANSWER.replace(STREAM, head), receipt)
    assert server.asked[-1] == ("/receipts/r", None)
    assert (end.finish, end.usage, end.remote["id"]) == (Finish.STOP, Usage(9, 4, 2), "c-1")


def test_a_receipt_is_only_fetched_from_that_server():
    head = STREAM.replace(b"Connection", b"x-puna-receipt: //example.org/r\r\nConnection")
    (*_, end), server = asked(MODELS, ANSWER.replace(STREAM, head))
    assert end.remote["id"] == "c-1"
    assert len(server.asked) == 2


def test_punas_own_server_gives_its_receipt():
    live = Live()

    async def scenario():
        engine = OpenAI(live.url, "llama-2-7b")
        info = await engine.start()
        try:
            return info, await all_of(engine.stream(CHAT, Sampling(seed=3, max_tokens=9), Extras(logprobs=2)))
        finally:
            await engine.close()

    try:
        info, (*deltas, end) = asyncio.run(scenario())
    finally:
        live.close()
    assert info.reproducible is None
    assert "".join(delta.text for delta in deltas) == "Ein Lama frißt."
    assert end.usage == Usage(41, 0, 4)
    assert end.remote["model"] == "stand-in"
    logged = [live.lines.get_nowait() for _ in range(live.lines.qsize())]
    assert any(end.remote["id"] in line for line in logged)
    assert (info.speaks, info.safe, info.found["server"]) == (Speaks.MESSAGES, True, "puna")


@pytest.mark.model
def test_llama_cpps_own_server(model_home):
    async def work(engine):
        key = engine.http.headers["Authorization"].removeprefix("Bearer ")
        client = OpenAI(engine.address, key=key)
        await client.start()
        try:
            events = await all_of(
                client.stream(CHAT, Sampling(temperature=0, max_tokens=5, seed=1), Extras(logprobs=2))
            )
            raw = await all_of(client.stream(TEXT, Sampling(temperature=0, max_tokens=3, seed=1)))
            return events, raw
        finally:
            await client.close()

    (*deltas, end), (*_, raw_end) = on_engine(model_home, work)
    assert end.usage.output == 5
    assert end.finish is Finish.LENGTH
    likely = [token for delta in deltas for token in delta.logprobs]
    assert b"".join(token.data for token in likely).decode() == "".join(delta.text for delta in deltas)
    assert all(token.id >= 0 and len(token.top) == 2 for token in likely)
    assert raw_end.usage.output == 3
