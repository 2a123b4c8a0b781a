import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.errors import DialogError, InputError, SamplingError
from puna.generation import Sampling
from puna.messages import Dialog, Role
from puna.wire import reading, workshop
from puna.wire.dialect import Heard, Request

HELLO = Dialog().append(Role.SYSTEM, "Be brief.").append(Role.USER, "Hello")


def read(value: object) -> Request:
    return reading.read(workshop.DIALECT, value)


# a request's value, and what it means: read gives the meaning, write gives the value back
TABLE = [
    ({"prompt": "<s>[INST] Hi [/INST]"}, Request(("<s>[INST] Hi [/INST]",), Sampling())),
    (
        {"prompt": "Hi", "temperature": 0.1, "top_p": 1, "max_tokens_to_sample": 512},
        Request(("Hi",), Sampling(temperature=0.1, top_p=1, max_tokens=512), frozenset({"temperature", "top_p", "max_tokens"})),
    ),
    (
        {"prompt": " ", "top_k": 0, "min_p": 0.05, "seed": 0, "stop": ["\n", "x"], "stream": True},
        Request(
            (" ",),
            Sampling(top_k=0, min_p=0.05, seed=0, stop=("\n", "x")),
            frozenset({"top_k", "min_p", "seed", "stop"}),
            stream=True,
        ),
    ),
    ({"messages": HELLO.as_json(), "stream": False}, Request((HELLO,), Sampling(), stream=False)),
]  # fmt: skip


@pytest.mark.parametrize(("value", "request_"), TABLE)
def test_both_directions(value: Any, request_: Request) -> None:
    assert read(value) == request_
    assert workshop.DIALECT.write(request_).body == value


def test_one_stop_as_text_and_null_for_not_given() -> None:
    value = {"prompt": "Hi", "stop": "END", "seed": None}
    assert read(value) == Request(("Hi",), Sampling(stop=("END",)), frozenset({"stop"}))
    assert read({"prompt": "Hi", "stop": None, "stream": None, "temperature": None}) == Request(("Hi",), Sampling())


NESTED = json.loads("[" * 900 + "]" * 900)

REFUSED: list[tuple[Any, type[Exception], str]] = [
    ([], InputError, 'the body must be a JSON object such as {"prompt": ...}, not a list'),
    ("text", InputError, "not text"),
    (None, InputError, "not null"),
    (7, InputError, "not a number"),
    ({}, InputError, 'either "prompt" (text) or "messages" (a list), but neither came'),
    ({"prompt": "a", "messages": []}, InputError, "but both came"),
    ({"prompt": None}, InputError, "neither came"),
    ({"prompt": ["a"]}, InputError, "prompt must be text, not a list"),
    ({"prompt": {"a": 1}}, InputError, "prompt must be text, not an object"),
    ({"prompt": False}, InputError, "prompt must be text, not true or false"),
    ({"prompt": ""}, InputError, "prompt must not be empty"),
    ({"prompt": "a\x00b"}, InputError, "prompt must not hold the character NUL (U+0000), but character 1 is one"),
    ({"prompt": "ab\ud800"}, InputError, "prompt must be text that UTF-8 can carry, but character 2 is the lone surrogate"),
    ({"prompt": "a", "top_n": 1}, InputError, "unknown field 'top_n'. Did you mean 'top_p'? Known: "),
    ({"prompt": "a", "max_tokens": 1}, InputError, "Did you mean 'max_tokens_to_sample'?"),
    ({"prompt": "a", "\ud800": 1}, InputError, r"unknown field '\ud800'"),
    ({"prompt": "a", "temperature": "0.6"}, SamplingError, "temperature must be a number from 0 to 2, not '0.6'"),
    ({"prompt": "a", "temperature": 2.1}, SamplingError, "not 2.1"),
    ({"prompt": "a", "temperature": True}, SamplingError, "not True"),
    ({"prompt": "a", "temperature": NESTED}, InputError, ""),
    ({"prompt": "a", "top_k": 1.0}, SamplingError, "top_k must be a whole number from 0 to 2147483647, not 1.0"),
    ({"prompt": "a", "max_tokens_to_sample": 0}, SamplingError, "max_tokens_to_sample must be a whole number from 1"),
    ({"prompt": "a", "max_tokens_to_sample": 10**30}, SamplingError, "max_tokens_to_sample must be"),
    ({"prompt": "a", "seed": 2**32 - 1}, SamplingError, "seed must be a whole number from 0 to 4294967294"),
    ({"prompt": "a", "stop": [""]}, SamplingError, "stop must be a text or a list of at most 16 non-empty texts"),
    ({"prompt": "a", "stop": 5}, SamplingError, "stop must be"),
    ({"prompt": "a", "stop": ["ok", "\x00"]}, InputError, "stop[1] must not hold the character NUL"),
    ({"prompt": "a", "stop": "\udfff"}, InputError, "stop[0] must be text that UTF-8 can carry"),
    ({"prompt": "a", "stream": "yes"}, InputError, "stream must be true or false, not text"),
    ({"prompt": "a", "stream": 1}, InputError, "stream must be true or false, not a number"),
    ({"messages": []}, DialogError, "messages must not be empty"),
    ({"messages": "Hi"}, DialogError, "messages must be a list"),
    ({"messages": {"role": "user"}}, DialogError, "not an object"),
    ({"messages": [{"role": "user"}]}, DialogError, "messages[0] must be an object with just"),
    ({"messages": [{"role": "bot", "content": "x"}]}, DialogError, "unknown role 'bot'"),
    ({"messages": [{"role": NESTED, "content": "x"}]}, InputError, ""),
    ({"messages": [{"role": "user", "content": 1}]}, DialogError, "messages[0].content must be text, not int"),
    ({"messages": [{"role": "user", "content": "a\x00"}]}, InputError, "messages[0].content must not hold the character NUL"),
    ({"messages": [{"role": "user", "content": "\ud800"}]}, DialogError, "lone surrogate"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "error", "part"), REFUSED, ids=[str(n) for n in range(len(REFUSED))])
def test_refuses(value: Any, error: type[Exception], part: str) -> None:
    with pytest.raises(error) as caught:
        read(value)
    assert part in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([entry.name for entry in workshop.FIELDS]), JSON | st.just(HELLO.as_json())))
def test_a_request_is_read_or_refused_never_anything_else(value: Any) -> None:
    if any(isinstance(entry, int) and abs(entry) > 10**40 for entry in value.values()):
        return  # the strict reader lets no such number in
    try:
        request = read(value)
    except InputError:
        return
    again = read(dict(workshop.DIALECT.write(request).body))
    assert replace(again, given=request.given) == request


@pytest.mark.parametrize("text", ["", " a", "\n", "🦙"])
def test_outputs_both_directions(text: str) -> None:
    assert workshop.write_outputs(text) == {"outputs": [text]}
    assert workshop.DIALECT.hear({"outputs": [text]}) == Heard(text)


def test_an_error_that_quotes_a_huge_value_is_cut() -> None:
    assert workshop.write_error(400, "short") == {"code": 400, "error": "short"}
    assert len(json.dumps(workshop.write_error(400, "x" * 10**6))) < 1100
