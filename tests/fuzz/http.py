"""Anything at any route: bytes for bodies, methods, paths, headers. What comes back is an answer or a refusal, never a failure."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from random import Random
from urllib.parse import quote, quote_from_bytes
from xml.etree import ElementTree as ET

from puna.wire.dialects import AUTO, DIALECTS
from tests.fuzz import pool
from tests.fuzz.asking import ENDPOINT, Asked, Endpoint, Tally, spine_of
from tests.fuzz.fields import answer

NAMED = (
    "invocations", "invocations-response-stream", "async-invocations", "invocations-bidirectional-stream",
    "inference-components/c", "inference-components/c/invocations", "openai/v1/chat/completions", "openai/v1/completions",
)  # fmt: skip
PATHS = (
    "/v1/chat/completions", "/v1/completions", "/v1/models", "/v1/models/e", "/tokenize", "/invocations", "/ping", "/health",
    "/metrics", "/receipts/x", "/openapi.json", "/", "", "//", "/v1", "/v1/", "/endpoints", "/endpoints/", "/endpoints//invocations",
    "/invocations/", "*",
)  # fmt: skip
METHODS = (*("POST",) * 15, *("GET",) * 4, "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW")

OWN = "X-Amzn-SageMaker-"
HEADERS = (
    *(f"{OWN}{name}" for name in (
        "Custom-Attributes", "Target-Model", "Target-Variant", "Target-Container-Hostname", "Inference-Id",
        "Enable-Explanations", "Inference-Component", "Prefix-Aware-Id", "Session-Id", "Accept",
    )),
    "Content-Type", "Accept", "Accept-Encoding", "Content-Encoding", "Authorization", "X-Amz-Target", "Expect", "Content-Length",
    "X-Amz-Date", "Cookie", "Range", "If-None-Match", "X-Forwarded-For", "User-Agent", "Connection", "Upgrade", "Transfer-Encoding",
)  # fmt: skip
VALUES = (
    "", " ", "application/json", "application/vnd.amazon.eventstream", "accept_eula=true", "accept_eula=true;a=b,c", "AllTraffic",
    "NEW_SESSION", "a" * 64, "a" * 65, "a" * 1025, "\x7f", "\xff\xfe", "é", "a\tb", "Bearer x", "Bearer ", "0", "-1", "6291457",
    "99999999999999999999999", "\xd9\xa1", "\xb2", "SageMaker.DescribeEndpoint", "SageMaker.ListEndpoints", "SageMaker.DescribeEndpointConfig",
    "SageMaker.", "x", "*/*;q=NaN", "application/openmetrics-text; version=1.0.0",
    "AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-1/sagemaker/aws4_request, SignedHeaders=host, Signature=0",
)  # fmt: skip
FORMS = (
    b"Action=GetCallerIdentity&Version=2011-06-15", b"Action=GetRole&RoleName=PunaLocalRole", b"Action=%00&Version=%FF",
    b"Action=GetRole&RoleName=<x>%26", b"&" * 1000, b"Action=" + b"x" * 1000, b"Action=GetRole", b"=&=&%",
)  # fmt: skip
CALLS = (
    "EndpointName",
    "EndpointConfigName",
    "SortBy",
    "MaxResults",
    "NameContains",
    "CreationTimeAfter",
    "NextToken",
    "StatusEquals",
)


def path(rng: Random) -> bytes:
    """A path, percent-encoded or as wrongly as a server lets it through."""
    drawn = rng.random()
    if drawn < 0.4:
        name = ENDPOINT if rng.random() < 0.6 else quote(pool.text(rng)[:300], safe="", errors="replace")
        return f"/endpoints/{name}/{rng.choice(NAMED)}".encode()
    if drawn < 0.8:
        return rng.choice(PATHS).encode()
    start = rng.choice(
        ("/", "/v1/models/", "/receipts/", "/endpoints/e/", "/endpoints/", "/endpoints/e/inference-components/")
    )
    if drawn < 0.9:
        return (start + quote(pool.text(rng)[:300], safe=rng.choice(("", "/")), errors="replace")).encode()
    return start.encode() + rng.choice(
        (quote_from_bytes(rng.randbytes(20)).encode(), b"%", b"%2", b"%zz", b"%00", b"%2e%2e/", b"../..")
    )


def headers(rng: Random) -> list[tuple[str, str]]:
    """Headers: some of those that mean something here, with values that may not fit."""
    found = []
    for _ in range(rng.choice((0, 0, 1, 2, 4))):
        value = rng.choice(VALUES) if rng.random() < 0.8 else _header_text(rng)
        found.append((rng.choice(HEADERS), value))
    return found


def _header_text(rng: Random) -> str:
    """What may stand in a header at all: no line break, no NUL; beyond Latin-1 as its bytes."""
    given = pool.text(rng)[:2000].encode("utf-8", "replace").decode("latin-1")
    return "".join(c for c in given if c not in "\r\n\0")


def payload(rng: Random) -> bytes:
    """A body of any kind."""
    drawn = rng.random()
    if drawn < 0.25:
        return rng.randbytes(rng.choice((0, 1, 10, 1000)))
    if drawn < 0.5:
        return pool.encoded(rng, pool.body(rng, rng.choice(list(DIALECTS.values()))))
    if drawn < 0.6:
        return json.dumps({rng.choice(CALLS): pool.value(rng) for _ in range(2)}).encode()
    if drawn < 0.7:
        return rng.choice(FORMS)
    if drawn < 0.8:
        return json.dumps({rng.choice(("prompt", "messages", "model", "x")): pool.value(rng)}).encode()
    if drawn < 0.9:
        return pool.damaged(rng, json.dumps(pool.value(rng)).encode())
    depth = rng.choice((10, 500, 960, 980, 1000, 50_000))
    opening, closing = rng.choice(
        ((b"[", b"]"), (b'{"a":', b"}"), (b'{"messages":[{"content":', b"}]}"), (b'{"prompt":[', b"]}"))
    )
    return opening * depth + b"1" + closing * depth


async def run(count: int, seed: int, tally: Tally) -> None:
    """So many requests."""
    spine = await spine_of(answer)
    endpoints = [Endpoint(spine, tally, dialect=name) for name in (AUTO, "tgi")]
    endpoints.append(Endpoint(spine, tally, structured=True))
    for n in range(count):
        rng = Random(f"http {seed}:{n}")
        method, where, more = rng.choice(METHODS), path(rng), headers(rng)
        data = payload(rng)
        cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((0, 0, 1, 3))))
        edges = [0, *cuts, len(data)]
        pieces = [data[a:b] for a, b in pairwise(edges)]
        asked = await rng.choice(endpoints).ask(
            method, where, pieces, more, query=rng.choice((b"", b"a=b", b"%ff&&=", b"\xff"))
        )
        readable(asked, method, where)


def readable(asked: Asked, method: str, where: bytes) -> None:
    """A body is what its media type says."""
    if method == "HEAD":
        return
    if asked.media in {"application/json", "application/x-amz-json-1.1"}:
        json.loads(asked.body)
    elif asked.media == "text/xml":
        ET.fromstring(asked.body)  # noqa: S314  # it is our own
    elif asked.media in {"text/plain", "application/openmetrics-text"}:
        assert where == b"/metrics", (asked.request, asked.body[:200])
    if asked.status == 405:
        assert asked.headers["allow"], asked.request
    if asked.status >= 400 and asked.media == "application/json":
        value = asked.json()
        assert any(key in value for key in ("Message", "error", "message", "__type")), asked


def main(count: int, seed: int, tally: Tally) -> None:
    """The run from outside any loop."""
    asyncio.run(run(count, seed, tally))
