"""The key by which requests stick: the same for all turns of a conversation, different between conversations."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.deploy.sticky import BEGINNING, key_of

TEXT = st.text(max_size=50)
SYSTEM = {"role": "system", "content": "You are a llama."}


def key(body: object, **headers: str) -> str | None:
    return key_of({name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body).encode())


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


@given(system=TEXT, first=TEXT, more=st.lists(TEXT, max_size=6))
def test_a_conversation_keeps_its_key_as_it_grows(system: str, first: str, more: list[str]) -> None:
    begun = [{"role": "system", "content": system}, user(first)]
    grown = begun + [{"role": ("assistant", "user")[n % 2], "content": text} for n, text in enumerate(more)]
    assert key({"messages": begun}) == key({"messages": grown, "temperature": 1})
    assert key({"messages": begun[1:]}) == key({"messages": grown[1:]})
    assert key({"inputs": [begun]}) == key({"inputs": [grown]})


@given(first=TEXT, other=TEXT)
def test_conversations_that_begin_differently_have_different_keys(first: str, other: str) -> None:
    same = key({"messages": [SYSTEM, user(first)]}) == key({"messages": [SYSTEM, user(other)]})
    assert same == (first == other)


@given(prompt=st.text(min_size=BEGINNING), more=TEXT)
def test_a_raw_prompt_keeps_its_key_as_it_grows(prompt: str, more: str) -> None:
    assert key({"inputs": prompt}) == key({"inputs": prompt + more})
    assert key({"prompt": prompt}) == key({"prompt": [prompt + more]})


def test_token_ids_have_a_key() -> None:
    ids = list(range(2000))
    assert key({"prompt": ids}) == key({"prompt": [*ids, 7]}) == key({"prompt": [ids]})
    assert key({"prompt": ids}) != key({"prompt": ids[1:]})


@pytest.mark.parametrize("name", ["prompt_cache_key", "user"])
def test_what_the_caller_calls_it_by_precedes_what_is_said(name: str) -> None:
    assert key({name: "one", "messages": [user("a")]}) == key({name: "one", "messages": [user("b")]})
    assert key({name: "one", "messages": [user("a")]}) != key({name: "two", "messages": [user("a")]})


def test_sagemakers_header_precedes_all() -> None:
    named = {"x_amzn_sagemaker_prefix_aware_id": "p-1"}
    assert key({"inputs": "a", "user": "u"}, **named) == key({"inputs": "b"}, **named)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"inputs": ""}', b'{"messages": []}', b'{"prompt": 3}',
                                  b"\xff", b"[" * 100_000, b'{"inputs": [[]]}'])  # fmt: skip
def test_a_body_without_a_beginning_has_no_key(body: bytes) -> None:
    assert key_of({}, body) is None


def test_a_key_tells_nothing_of_what_was_said() -> None:
    found = key({"inputs": "secret"})
    assert found is not None
    assert (len(found), set(found) <= set("0123456789abcdef")) == (32, True)
