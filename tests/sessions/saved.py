"""Sessions for tests: an empty one, a tree of messages, and any valid one."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from puna.dialog.prune import POLICIES
from puna.sessions.session import MAX_NUMBER

EMPTY: dict[str, Any] = {
    "v": 1,
    "id": "one",
    "revision": 0,
    "title": "",
    "params": {},
    "system": "",
    "context": "",
    "examples": [],
    "only": False,
    "policy": "watermark",
    "nodes": [],
    "leaf": None,
    "raw": "",
    "draft": "",
    "mode": "chat",
}

NODES: list[dict[str, Any]] = [
    {"id": 0, "parent": None, "role": "user", "content": "Wo lebt das Lama?"},
    {
        "id": 1,
        "parent": 0,
        "role": "assistant",
        "content": "In den Anden",
        "params": {"temperature": 0.8, "seed": 7},
        "finish": "length",
        "tokens": [[5, "In den", -0.25], [None, " Anden", None]],
        "begun": 1,
        "seed": 7,
        "usage": {"prompt": 9, "cached": 0, "evaluated": 9, "output": 2},
        "timings": {"queue": 0, "prefill": 0.1, "decode": 0.2, "first": 0.1},
        "receipt": "/receipts/0b9f2c1e-aaaa-4bbb-8ccc-0123456789ab",
        "error": None,
    },
    {"id": 2, "parent": 1, "role": "user", "content": "Und das Alpaka?"},
    {"id": 3, "parent": 0, "role": "assistant", "content": "Überall", "error": {"code": "x", "message": "y"}},
]


def session(**changed: Any) -> dict[str, Any]:
    return {**copy.deepcopy(EMPTY), **changed}


CHARACTERS = st.characters(codec="utf-8")
TEXT = st.text(CHARACTERS, max_size=12)
COUNT = st.integers(0, MAX_NUMBER)
PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.just(0) | st.floats(0.001, 2),
        "top_p": st.floats(0, 1),
        "top_k": st.integers(0, 2**31 - 1),
        "min_p": st.floats(0, 1),
        "max_tokens": st.integers(1, 4096),
        "seed": st.none() | st.integers(0, 2**32 - 2),
        "stop": st.lists(st.text(CHARACTERS, min_size=1, max_size=5), max_size=3),
        "repetition_penalty": st.floats(0.01, 10),
        "presence_penalty": st.floats(-2, 2),
        "frequency_penalty": st.floats(-2, 2),
    },
)
LOGPROB = st.none() | st.floats(allow_nan=False, allow_infinity=False)
TOKENS = st.lists(st.tuples(st.none() | COUNT, TEXT, LOGPROB).map(list), min_size=1, max_size=4)
NODE_MORE: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "params": PARAMS,
        "finish": st.none() | TEXT,
        "tokens": TOKENS,
        "seed": st.none() | st.integers(0, 2**32 - 2),
        "usage": st.none() | st.fixed_dictionaries({"prompt": COUNT}, optional={"cached": COUNT, "output": COUNT}),
        "timings": st.none() | st.fixed_dictionaries({"queue": st.floats(0, 1e9)}, optional={"first": st.none()}),
        "receipt": st.uuids().map(lambda found: f"/receipts/{found}"),
        "error": TEXT | st.fixed_dictionaries({"message": TEXT}, optional={"code": TEXT, "retryable": st.booleans()}),
    },
)


@st.composite
def whole_sessions(draw: st.DrawFn) -> dict[str, Any]:
    nodes: list[dict[str, Any]] = []
    for n in range(draw(st.integers(0, 5))):
        parent = draw(st.none() | st.integers(0, n - 1)) if n else None
        node: dict[str, Any] = {
            "id": n,
            "parent": parent,
            "role": draw(st.sampled_from(["user", "assistant"])),
            "content": draw(TEXT),
        }
        node |= draw(NODE_MORE)
        if "tokens" in node:
            node["content"] = "".join(text for _, text, _ in node["tokens"])
            node["begun"] = draw(st.integers(0, len(node["tokens"])))
        nodes.append(node)
    texts = {name: draw(TEXT) for name in ("title", "system", "context", "raw", "draft")}
    return session(
        **texts,
        params=draw(PARAMS),
        examples=draw(st.lists(st.fixed_dictionaries({"question": TEXT, "answer": TEXT}), max_size=2)),
        only=draw(st.booleans()),
        policy=draw(st.sampled_from(POLICIES)),
        nodes=nodes,
        leaf=draw(st.none() | st.integers(0, len(nodes) - 1)) if nodes else None,
        mode=draw(st.sampled_from(["chat", "compare", "raw"])),
    )
