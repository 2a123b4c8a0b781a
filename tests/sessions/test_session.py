"""What a session may hold: all that a page makes, and nothing else; what is refused is told in a sentence."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.errors import InputError
from puna.sessions.session import check, texts_of, turns_of

from .saved import EMPTY, NODES, session, whole_sessions

AS_A_PAGE_MAKES_THEM: dict[str, Any] = {
    "an answer that is begun and has no token yet": {"begun": 3, "seed": 7, "params": {"seed": None, "stop": []}},
    "a reply that was typed, then continued": {
        "content": "x" * 5000 + "y",
        "begun": 1,
        "tokens": [[None, "x" * 5000, None], [5, "y", -0.1]],
    },
    "an error's whole sentence": {"finish": "broken", "error": "x" * 1100},
    "an engine that tells nothing": {"usage": None, "timings": {"first": None}},
}


@pytest.mark.parametrize("name", AS_A_PAGE_MAKES_THEM)
def test_what_a_page_makes_on_its_way_is_taken(name: str) -> None:
    reply = {"id": 1, "parent": 0, "role": "assistant", "content": "", **AS_A_PAGE_MAKES_THEM[name]}
    for leaf in (None, 0, 1):
        value = session(nodes=[NODES[0], reply], leaf=leaf)
        assert check(value) is value


def test_a_path_has_its_turns_and_a_session_all_its_texts() -> None:
    value = session(nodes=NODES, leaf=2, examples=[{"question": "q", "answer": "a"}], draft="d", title="t")
    assert turns_of(value) == 2
    assert turns_of({**value, "leaf": 3}) == 1
    assert turns_of({**value, "leaf": None}) == 0
    contents = [node["content"] for node in NODES]
    assert sorted(filter(None, texts_of(value))) == sorted(["t", "d", "q", "a", *contents])


def deep(depth: int = 100_000) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def changed_at(*path: Any) -> Any:
    """A session whose value at a place is the last of ``path``."""
    *where, name, value = path
    whole: Any = session(nodes=copy.deepcopy(NODES), leaf=2, examples=[{"question": "?", "answer": "!"}])
    at = whole
    for step in where:
        at = at[step]
    at[name] = value
    return whole


WRONG: dict[str, Any] = {
    "deep list": deep(), "deep object": {"x": deep()}, "NaN": math.nan, "infinity": math.inf, "huge": 10**5000, "negative": -1,
    "fraction": 1.5, "surrogate": "\ud800", "flag": True, "bytes": b"x",
}  # fmt: skip


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_value_anywhere_is_one_sentence(name: str, wrong: str) -> None:
    if (name, wrong) == ("only", "flag"):
        return
    with pytest.raises(InputError) as caught:
        check(session(**{name: WRONG[wrong]}))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (None, "must be an object, not null"),
        ([], "not a list"),
        (deep(), "not a list"),
        ({**EMPTY, "tags": []}, "unknown name 'tags'"),
        ({**EMPTY, "mod": ""}, "Did you mean 'mode'?"),
        ({name: EMPTY[name] for name in EMPTY if name not in {"mode", "v"}}, "lacks mode, v"),
        (session(v=2), "read it with the release of puna that wrote it"),
        (session(mode="talk"), "mode must be chat or compare or raw, not 'talk'"),
        (session(policy="newest"), "policy must be watermark or oldest or none"),
        (session(title="x" * 501), "at most 500 characters"),
        (session(params={"temperature": 3}), "temperature must be a number from 0 to 2, not 3"),
        (session(params={"temperature": None}), "temperature must be a number"),
        (session(params={"temperature": math.nan}), "temperature must be a number"),
        (session(params={"temperature": 10**400}), "temperature must be a number"),
        (session(params={"temperature": deep()}), "temperature must be a number"),
        (session(params={"top_k": 1.5}), "top_k must be a whole number"),
        (session(params={"topk": 1}), "Did you mean 'top_k'?"),
        (session(params={"stop": "x"}), "stop must be a list"),
        (session(params={"stop": ["\udfff"]}), "lone surrogate"),
        (session(params={"stop": [""]}), "non-empty"),
        (session(leaf=0), "leaf must be the id of one of the 0 nodes"),
        (changed_at("leaf", "0"), "leaf must be a whole number"),
        (changed_at("leaf", 4), "leaf must be"),
        (changed_at("nodes", 2, "id", 3), "id must be 2, its place in the list"),
        (changed_at("nodes", 2, "parent", 2), "an earlier node"),
        (changed_at("nodes", 1, "parent", 3), "an earlier node"),
        (changed_at("nodes", 1, "parent", -1), "parent must be a whole number"),
        (changed_at("nodes", 1, "role", "system"), "role must be user or assistant"),
        (changed_at("nodes", 1, "content", None), "content must be text, not null"),
        (changed_at("nodes", 1, "content", "\ud83d"), "lone surrogate"),
        (changed_at("nodes", 1, "name", "x"), "unknown name 'name'"),
        (changed_at("nodes", 1, deep()), "nodes[1] must be an object"),
        (changed_at("nodes", 1, "begun", 3), "begun must be a number of its 2 tokens, not 3"),
        (changed_at("nodes", 1, "tokens", 0, [1, "a"]), "tokens[0] must be [id, text, log-probability]"),
        (changed_at("nodes", 1, "tokens", 0, [1, "a", math.inf]), "tokens[0] must be"),
        (changed_at("nodes", 1, "tokens", 0, [1.0, "a", 0]), "the id must be a whole number"),
        (changed_at("nodes", 1, "tokens", 0, [1, 2, 0]), "the text must be text"),
        (changed_at("nodes", 1, "usage", {"prompt": 1.5}), "prompt must be a whole number"),
        (changed_at("nodes", 1, "timings", {"queue": math.inf}), "queue must be a number of seconds"),
        (changed_at("nodes", 1, "timings", {"queue": "1"}), "queue must be a number of seconds"),
        (changed_at("nodes", 1, "error", {"code": "x"}), "lacks message"),
        (changed_at("examples", 0, {"question": "x"}), "examples[0] lacks answer"),
        (changed_at("revision", 2**53), "revision must be a whole number"),
    ],
)  # fmt: skip
def test_what_is_no_session_is_refused_in_a_sentence(value: Any, part: str) -> None:
    with pytest.raises(InputError) as caught:
        check(value)
    assert part in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=200)
@given(whole_sessions(), st.data())
def test_any_value_at_any_place_is_kept_or_refused(value: dict[str, Any], data: st.DataObject) -> None:
    at: Any = value
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(at[key], dict | list) or not at[key] or data.draw(st.booleans()):
            break
        at = at[key]
    at[key] = data.draw(JSON)
    try:
        checked = check(value)
    except InputError:
        return
    assert json.loads(json.dumps(checked, allow_nan=False, ensure_ascii=False).encode("utf-8")) == value


@pytest.mark.parametrize(
    "receipt", ["https://evil.example/", "javascript:alert(1)", "/receipts/../x", "//evil.example", "/receipts/x", 7]
)
def test_a_receipt_is_a_path_of_this_endpoint_and_nothing_else(receipt):
    node = {"id": 0, "parent": None, "role": "user", "content": "x", "receipt": receipt}
    with pytest.raises(InputError, match="receipt"):
        check(session(nodes=[node]))


def test_what_the_tokens_show_is_what_is_sent():
    node = {"id": 0, "parent": None, "role": "assistant", "content": "sent", "tokens": [[5, "shown", -0.1]]}
    with pytest.raises(InputError, match="join to its content"):
        check(session(nodes=[node]))
