"""Answers read back: all that the endpoint writes in every dialect, however it is cut; and what is no answer."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.errors import EndpointError, InputError
from puna.generation import Delta, Extras, Finish, Logprob, Receipt, Sampling, Usage
from puna.messages import Dialog, Role
from puna.wire import answer as module
from puna.wire import eventstream, reading, sse
from puna.wire.answer import Answer
from puna.wire.dialect import Dialect, Request, Sent
from puna.wire.dialects import DIALECTS, HEARS
from puna.wire.generated import hear
from puna.wire.pieces import Pieces

from .answered import CUT, RECEIPT, records, stopped_by, token, whole

HELLO = Dialog().append(Role.SYSTEM, "Be brief.").append(Role.USER, "Hi 🦙")
TELLING = ("lmi", "lmi-sse", "lmi-tgi", "tgi", "chat", "lmi-chat", "completion")
"""Dialects whose answers say how they ended."""
STREAMING = [name for name, dialect in DIALECTS.items() if dialect.stream is not None]


def asked(name: str, *, logprobs: int | None = None, stream: bool | None = True) -> Request:
    """A request as the client writes it and the endpoint reads it."""
    dialect = DIALECTS[name]
    prompt = HELLO if dialect.messages else "Hi"
    if dialect.alternatives is None:
        logprobs = None
    sent = dialect.write(Request((prompt,), Sampling(), stream=stream, extras=Extras(logprobs)))
    return read(dialect, sent)


def read(dialect: Dialect, sent: Sent) -> Request:
    return reading.read(dialect, json.loads(json.dumps(dict(sent.body))), sent.attributes)


def streamed(name: str, request: Request, receipt: Receipt, deltas: tuple[Delta, ...]) -> bytes:
    framing = DIALECTS[name].framing
    return b"".join(map(framing.encode, records(DIALECTS[name], request, receipt, deltas))) + framing.done


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(at)]


def heard(pieces: list[bytes]) -> tuple[Answer, list[Delta]]:
    answer = Answer(HEARS)
    found = [delta for piece in pieces for delta in answer.feed(piece)]
    return answer, [*found, *answer.close()]


TEXTS = st.text(st.sampled_from('aü🦙 \n"\\{}[]:\u2028\r\tdata'), min_size=1, max_size=6)


@st.composite
def answers(draw: st.DrawFn) -> tuple[Delta, ...]:
    deltas = []
    for number, text in enumerate(draw(st.lists(TEXTS, max_size=5))):
        data = text.encode()
        half = draw(st.integers(0, len(data)))
        parts = [part for part in (data[:half], data[half:]) if part]
        tokens = tuple(token(10 * number + n, part, -0.5 * n - 0.25) for n, part in enumerate(parts))
        deltas.append(Delta(text, len(tokens), tokens))
    return tuple(deltas)


RECEIPTS = st.sampled_from([RECEIPT, CUT, stopped_by("END")])
CUTS = st.lists(st.integers(0, 10**6), max_size=12)


def expected_text(name: str, deltas: tuple[Delta, ...]) -> str:
    texts = [delta.text for delta in deltas]
    if name != "workshop":
        return "".join(texts)
    pieces = Pieces()  # which leave out a space that nobody sees
    return "".join(piece for text in texts for piece in pieces.push(text))


@given(st.sampled_from(STREAMING), answers(), RECEIPTS, CUTS, st.sampled_from(["", "unended", "framed"]))
def test_what_the_endpoint_streams_is_read_back(
    name: str, deltas: tuple[Delta, ...], receipt: Receipt, cuts: list[int], how: str
) -> None:
    data = streamed(name, asked(name, logprobs=0), receipt, deltas)
    if how == "unended":
        data = data.rstrip(b"\n")
    pieces = pieces_of(data, cuts)
    if how == "framed":  # parts of SageMaker: any piece of the container's bytes in each
        frames, decoder = b"".join(map(eventstream.payload_part, pieces)), eventstream.Decoder()
        pieces = [message.payload for piece in pieces_of(frames, cuts) for message in decoder.feed(piece)]
        decoder.close()
    answer, found = heard(pieces)
    assert answer.text == "".join(delta.text for delta in found) == expected_text(name, deltas)
    if name in TELLING:
        assert answer.finish is receipt.finish
        assert answer.ended
    tokens = [entry for delta in found for entry in delta.logprobs]
    made = [entry for delta in deltas for entry in delta.logprobs]
    if name in {"lmi", "lmi-sse", "tgi", "lmi-tgi"}:
        assert [(entry.id, entry.logprob) for entry in tokens] == [(entry.id, entry.logprob) for entry in made]
    if name in {"chat", "lmi-chat", "completion"}:
        assert [(entry.data, entry.logprob) for entry in tokens] == [(entry.data, entry.logprob) for entry in made]
        assert answer.usage == receipt.usage
    if name in {"tgi", "lmi-tgi"}:
        assert answer.usage == Usage(12, 0, 4)


@given(st.sampled_from(sorted(DIALECTS)), answers(), RECEIPTS, CUTS, st.booleans())
def test_what_the_endpoint_answers_as_a_whole_is_read_back(
    name: str, deltas: tuple[Delta, ...], receipt: Receipt, cuts: list[int], spread: bool
) -> None:
    dialect = DIALECTS[name]
    value = whole(dialect, asked(name, logprobs=0, stream=False), receipt, deltas)
    data = json.dumps(value, indent=1).encode() if spread else dialect.body.encode(value)
    answer, _ = heard(pieces_of(data, cuts))
    assert answer.text == expected_text(name, deltas)
    assert answer.records == 1
    if name in TELLING:
        assert answer.finish is receipt.finish


@given(st.sampled_from(["tgi", "lmi-sse", "chat", "completion"]), answers(), CUTS)
def test_what_keeps_a_connection_alive_is_passed_over(name: str, deltas: tuple[Delta, ...], cuts: list[int]) -> None:
    plain = streamed(name, asked(name), RECEIPT, deltas)
    data = b": ping\n\n" + plain.replace(b"\n\n", b"\n\n: ping\n\nevent: x\nid: 1\n\ndata:\n\n").replace(b"\n", b"\r\n")
    assert heard(pieces_of(data, cuts))[0].text == heard([plain])[0].text


@pytest.mark.parametrize("name", STREAMING)
def test_an_error_in_a_stream_comes_after_what_had_come(name: str) -> None:
    dialect = DIALECTS[name]
    record = dialect.framing.encode(dialect.broken(500, "no slot left"))
    said = list(map(dialect.framing.encode, records(dialect, asked(name))))[:2]
    answer = Answer(HEARS)
    for data in said:
        assert list(answer.feed(data)) or name in {"chat", "lmi-chat"}
    before = answer.text
    with pytest.raises(EndpointError, match="the container failed: no slot left"):
        list(answer.feed(record))
    assert answer.text == before


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_an_error_in_the_place_of_an_answer_is_the_containers_sentence(name: str) -> None:
    with pytest.raises(EndpointError, match="the container failed: no slot left"):
        heard([json.dumps(DIALECTS[name].error(424, "no slot left")).encode()])


@pytest.mark.parametrize("name", TELLING)
def test_a_stream_that_ends_before_its_answer_is_no_answer(name: str) -> None:
    dialect = DIALECTS[name]
    said = list(map(dialect.framing.encode, records(dialect, asked(name))))
    first = next(n for n, data in enumerate(said) if b"Hi" in data)
    with pytest.raises(EndpointError, match="ended before the answer had ended"):
        heard(said[: first + 1])


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"<!DOCTYPE html><p>no" + b" answer" * 9, "a stream of it, was expected, but it begins '<!DOCTYPE html><p>no"),
        (
            b"Internal Server Error",
            "must be JSON, but Expecting value at line 1, column 1; it begins 'Internal Server Error'",
        ),
        (b'{"outputs": ["a"]}\n{"outputs": ["b"]\n', "line 2 of the stream must be JSON"),
        (b'{"outputs": ["a"]', "the answer must be JSON"),
        (b'{"outputs": []}', "one of the known dialects, but it is {'outputs': []}"),
        (b'{"outputs": ["a", "b"]}', "known dialects"),
        (b'[{"generated_text": 7}]', "known dialects"),
        (b'[{"generated_text": "a"}, {"generated_text": "b"}]', "known dialects"),
        (b'{"choices": [{"delta": {"content": 7}}]}', "known dialects"),
        (b'{"token": {"text": "a"}}', "known dialects"),
        (b'{"prediction": "a"}', "known dialects"),
        (b'{"message": "Forbidden"}', "the container failed: Forbidden"),
        (b'{"detail": [{"loc": ["body"], "msg": "field required"}]}', "the container failed: field required"),
        (b'data: {"error": {"message": "{\\"error\\": \\"inner\\"}"}}\n\n', "the container failed: inner"),
        (b"data: nothing\n\n", "an event of the stream must be JSON"),
        (b"\xff\xfe{\x00}\x00", "must be JSON"),
    ],
)
def test_what_is_no_answer_is_said(data: bytes, part: str) -> None:
    for pieces in ([data], [data[n : n + 1] for n in range(len(data))]):
        with pytest.raises(EndpointError) as caught:
            heard(pieces)
        assert part in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\n \n", b": ping\n\n", b"\xef\xbb\xbf"])
def test_nothing_is_an_answer_without_records(data: bytes) -> None:
    answer, found = heard([data])
    assert (answer.records, found) == (0, [])


@pytest.mark.parametrize(
    "begin", [b'{"outputs": ["', b'{"outputs": ["a"]}\n{"outputs": ["', b'data: {"choices": [', b"[\n"]
)
def test_what_never_ends_is_refused(begin: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RECORD", 1000)
    answer = Answer(HEARS)
    list(answer.feed(begin))
    with pytest.raises(EndpointError, match="1000 bytes"):
        for _ in range(1001):
            list(answer.feed(b"x"))


def test_a_prompt_that_comes_back_is_no_answer() -> None:
    answer = Answer(HEARS, echoed="Once upon")
    data = b'[{"generated_text": "Once upon a time"}]'
    assert "".join(delta.text for delta in (*answer.feed(data), *answer.close())) == " a time"


def test_the_text_of_a_special_token_is_no_part_of_an_answer() -> None:
    for mark in ("special", "special_token"):
        record = {
            "token": {"id": 2, "text": "</s>", "logprob": -0.1, mark: True},
            "generated_text": "Hi",
            "details": None,
        }
        found = hear(record)
        assert found is not None
        assert (found.text, found.whole, found.tokens) == ("", "Hi", (Logprob(2, b"", -0.1),))


def test_what_tgi_tells_of_alternatives() -> None:
    request = asked("tgi", logprobs=2)
    answer, found = heard(
        [
            streamed(
                "tgi",
                request,
                RECEIPT,
                (Delta("Hi", 1, (token(1, "Hi", -0.5, token(1, "Hi", -0.5), token(2, "Ho", -1.5)),)),),
            )
        ]
    )
    assert found[0].logprobs == (Logprob(1, b"Hi", -0.5, (Logprob(1, b"Hi", -0.5), Logprob(2, b"Ho", -1.5))),)
    assert answer.finish is Finish.STOP


def test_text_without_known_tokens_goes_out_as_it_comes() -> None:
    """An endpoint in front of another server knows no tokens; nothing waits for the end then."""
    for name in ("lmi", "tgi"):
        said = records(DIALECTS[name], asked(name), RECEIPT, (Delta("a"), Delta("b"), Delta("c")))
        assert [entry["token"]["text"] for entry in said] == ["a", "b", "c"]  # type: ignore[index]
        assert heard([streamed(name, asked(name), RECEIPT, (Delta("a"), Delta("b")))])[0].text == "ab"


# ---- requests


SAMPLINGS = st.builds(
    Sampling,
    temperature=st.sampled_from([0, 0.5, 1.0, 2.0]),
    top_p=st.sampled_from([0.1, 0.9, 1.0]),
    top_k=st.sampled_from([0, 1, 50]),
    min_p=st.sampled_from([0, 0.05]),
    max_tokens=st.integers(1, 4000),
    seed=st.integers(0, 2**32 - 2),
    stop=st.sampled_from([(), ("END",), ("a", "b")]),
    repetition_penalty=st.sampled_from([1.0, 1.2]),
    presence_penalty=st.sampled_from([0.0, 0.5]),
    frequency_penalty=st.sampled_from([0.0, -0.5]),
)
EVERY = frozenset(Sampling().as_json())


@given(st.sampled_from(sorted(DIALECTS)), SAMPLINGS, st.booleans())
def test_a_request_that_is_written_means_the_same_where_it_is_read(name: str, sampling: Sampling, text: bool) -> None:
    dialect = DIALECTS[name]
    prompt = HELLO if dialect.messages and not (text and name not in {"chat", "lmi-chat"}) else "Hi"
    try:
        sent = dialect.write(Request((prompt,), sampling, EVERY, stream=None))
    except InputError as error:
        (lacking,) = [entry for entry in EVERY if f"no word for {entry}," in str(error)]
        assert lacking not in {entry.to for entry in dialect.fields}
        return
    back = read(dialect, sent)
    assert back.prompts == (prompt,)
    assert not back.ignored
    greedy = {"top_p", "top_k", "min_p"} if sampling.temperature == 0 and "inputs" in sent.body else set()
    same = {name: value for name, value in sampling.as_json().items() if name not in greedy}
    assert {name: back.sampling.as_json()[name] for name in same} == same


def test_what_a_container_refuses_where_it_is_off_is_not_sent() -> None:
    off = Sampling(temperature=0.5, top_p=1.0, top_k=0, seed=1)
    sent = DIALECTS["tgi"].write(Request(("Hi",), off, EVERY, stream=True))
    assert sent.body == {
        "inputs": "Hi",
        "parameters": {
            "temperature": 0.5, "max_new_tokens": 200, "seed": 1, "do_sample": True, "return_full_text": False, "details": True,
        },
        "stream": True,
    }  # fmt: skip
    greedy: Any = DIALECTS["hf"].write(Request(("Hi",), replace(off, temperature=0), EVERY)).body
    assert greedy["parameters"] == {"max_new_tokens": 200, "seed": 1, "do_sample": False, "return_full_text": False}


def test_the_licence_is_accepted_in_a_header() -> None:
    sent = DIALECTS["jumpstart"].write(Request((HELLO,), Sampling(), frozenset({"max_tokens"})))
    assert sent == Sent(
        {"inputs": [HELLO.as_json()], "parameters": {"max_new_tokens": 200, "return_full_text": False}},
        {"accept_eula": "true"},
    )


def test_what_a_dialect_has_no_words_for_is_refused() -> None:
    for name, dialect in DIALECTS.items():
        prompt = HELLO if dialect.messages else "Hi"
        if dialect.alternatives is None:
            with pytest.raises(InputError, match="tells no log-probabilities"):
                dialect.write(Request((prompt,), Sampling(), extras=Extras(0)))
        if name not in {"chat", "lmi-chat"}:
            with pytest.raises(InputError, match="takes no JSON schema"):
                dialect.write(Request((prompt,), Sampling(), extras=Extras(schema="{}")))
        if not dialect.messages:
            with pytest.raises(InputError, match="as text, not as messages"):
                dialect.write(Request((HELLO,), Sampling()))
    with pytest.raises(InputError, match="more than 0 alternatives"):
        DIALECTS["lmi"].write(Request(("Hi",), Sampling(), extras=Extras(3)))
    with pytest.raises(InputError, match="takes messages, not a written prompt"):
        DIALECTS["chat"].write(Request(("Hi",), Sampling()))


def test_a_schema_and_an_open_end_are_said_as_the_openai_api_has_them() -> None:
    request = Request((HELLO,), Sampling(), EVERY, stream=True, extras=Extras(2, '{"type": "object"}'), open_end=True)
    body = DIALECTS["chat"].write(request).body
    assert "max_tokens" not in body
    assert (body["logprobs"], body["top_logprobs"], body["stream_options"]) == (True, 2, {"include_usage": True})
    assert read(DIALECTS["chat"], DIALECTS["chat"].write(request)).extras == Extras(2, '{"type": "object"}')


def test_an_event_of_empty_lines_has_an_end() -> None:
    with pytest.raises(EndpointError, match="an event of the stream is longer than 600 bytes"):
        list(sse.Decoder(600).feed(b"data:\n" * 101))
    assert list(sse.Decoder(600).feed(b"data: 1\n\n" * 500)) == [1] * 500
