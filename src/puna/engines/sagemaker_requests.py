"""What the client of an endpoint says and does not say to its container, and what it finds out. Knows bodies and refusals; no connection."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

import httpx

from puna.engines.aws_refusals import ContainerRefusedError, code_of
from puna.engines.detecting import Detected
from puna.errors import EndpointError, RefusedError
from puna.generation import Sampling
from puna.wire import strictjson
from puna.wire.dialect import Dialect

NAMES = frozenset(entry.name for entry in fields(Sampling))
"""Of the sampling parameters: all are told, since containers have defaults of their own."""

_OFF: Mapping[str, object] = {
    "min_p": 0, "top_k": 0, "top_p": 1, "repetition_penalty": 1, "presence_penalty": 0, "frequency_penalty": 0,
}  # fmt: skip

_SPARE = frozenset({"seed", "stream_options", "return_full_text", "details", *_OFF})
"""Fields that need not be sent to a container that refuses them by name: those of _OFF where they are off, the others always."""


def stream_field(dialect: Dialect, *, streams: bool) -> bool | None:
    """What the body says of streaming: a container cannot see which of the two calls was used. The workshop's has no such field."""
    return None if dialect.stream is None or dialect.name == "workshop" else streams


def found_of(spoken: Detected, *, detected: bool) -> dict[str, object]:
    """What receipts tell of the endpoint's container."""
    dialect = spoken.dialect
    ignores = sorted(NAMES - {entry.to for entry in dialect.fields})
    return {
        "api": "sagemaker",
        "dialect": dialect.name,
        "detected": detected,
        "logprobs": dialect.alternatives is not None,
        "alternatives": dialect.alternatives,
        "schema": dialect.name in {"chat", "lmi-chat"},
        **({"ignores": ignores} if ignores else {}),
        **({} if spoken.limits else {"max_tokens": "passed over in silence"}),
        **({"prompt": "repeated before the answer, and removed"} if spoken.repeats else {}),
    }


def own_facts(body: bytes) -> Mapping[str, Any]:
    """What ``/health`` of an endpoint of puna's says; nothing, where another server answered."""
    try:
        said = strictjson.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) and {"endpoint", "dialect", "limits"} <= said.keys() else {}


def no_streams(answer: httpx.Response, body: bytes, error: EndpointError) -> bool:
    """Whether it is the stream that is refused, and not the request."""
    if isinstance(error, ContainerRefusedError) or not isinstance(error, RefusedError):
        return False
    if answer.status_code in {404, 405, 501}:
        return True
    return code_of(answer, body) == "ValidationError" and "stream" in str(error).lower()


def unwelcome(body: Mapping[str, Any], error: EndpointError) -> set[str]:
    """Fields that the container refuses by name and that need not be sent."""
    if not isinstance(error, ContainerRefusedError):
        return set()
    flat = {**body, **body.get("parameters", {})}
    spare = {name for name in _SPARE & flat.keys() if name not in _OFF or flat[name] == _OFF[name]}
    return {name for name in spare if re.search(rf"\b{name}\b", str(error))}


def without(body: Mapping[str, object], names: Collection[str]) -> dict[str, object]:
    """The body without fields of these names, but for those that are on."""

    def kept(given: Mapping[str, object]) -> dict[str, object]:
        return {n: v for n, v in given.items() if n not in names or (n in _OFF and v != _OFF[n])}

    inner = body.get("parameters")
    return {**kept(body), **({"parameters": kept(inner)} if isinstance(inner, dict) else {})}
