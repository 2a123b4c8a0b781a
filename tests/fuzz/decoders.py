"""Bytes that are no stream, or a broken one, for the decoders: they give what was whole and raise EndpointError, nothing else."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from random import Random
from typing import Any
from zlib import crc32

from botocore.eventstream import EventStreamBuffer

from puna.errors import EndpointError, InputError
from puna.wire import eventstream, jsonlines, reading, strictjson
from puna.wire.answer import Answer
from puna.wire.dialects import DIALECTS, HEARS
from tests.fuzz import pool
from tests.fuzz.asking import SLOW, Asked, Tally

Fed = tuple[list[Any], bool]
"""What a decoder gave, and whether it refused the rest."""


def fed(decoder: Any, pieces: list[bytes]) -> Fed:
    """What comes of the pieces."""
    found: list[Any] = []
    try:
        for piece in pieces:
            for entry in decoder.feed(piece):
                found.append(entry)
        found.extend(decoder.close() or ())
    except EndpointError as error:
        assert 0 < len(str(error)) < 2000
        return found, True
    return found, False


def cut(rng: Random, data: bytes) -> list[bytes]:
    """The same bytes in pieces."""
    edges = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(12)))
    return [data[a:b] for a, b in pairwise([0, *edges, len(data)])]


def same_by_any_cut(rng: Random, make: Callable[[], Any], data: bytes) -> Fed:
    """Neither what is given nor whether it is refused depends on where the bytes were cut."""
    at_once = fed(make(), [data])
    assert fed(make(), cut(rng, data)) == at_once, data
    if len(data) < 500:
        assert fed(make(), [data[n : n + 1] for n in range(len(data))]) == at_once, data
    return at_once


def broken(rng: Random, data: bytes) -> bytes:
    """The bytes with up to three flaws, or none."""
    found = bytearray(data)
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        at = rng.randrange(len(found) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            found[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            found[at:at] = rng.randbytes(rng.randrange(4))
        elif kind == 2:
            del found[at : at + rng.randrange(5)]
        elif kind == 3:
            del found[at:]
        else:
            found[at:at] = found[: rng.randrange(len(found) + 1)]
    return bytes(found)


# ---- each of them: one input


def json_lines(rng: Random) -> bytes:
    values = [pool.value(rng) for _ in range(rng.randrange(5))]
    good = b"".join(map(jsonlines.encode, values))
    data = broken(rng, good)
    found, refused = same_by_any_cut(rng, jsonlines.Decoder, data)
    allowed = b"0" * strictjson.MAX_DIGITS not in good and len(good) <= jsonlines.MAX_LINE
    if data == good and allowed:
        assert json.dumps(found) == json.dumps(values)
        assert not refused
    small, _ = fed(jsonlines.Decoder(50), [data])
    assert small == found[: len(small)]
    return data


def frames(rng: Random) -> bytes:
    parts = []
    for _ in range(rng.randrange(4)):
        payload = rng.choice((rng.randbytes(rng.randrange(40)), jsonlines.encode(pool.value(rng))))
        headers = {pool.sound(rng)[:20]: pool.sound(rng)[:200] for _ in range(rng.randrange(3))}
        parts.append(rng.choice((eventstream.payload_part(payload), eventstream.encode(headers, payload), _frame(rng))))
    good = b"".join(parts)
    data = broken(rng, good)
    found, refused = same_by_any_cut(rng, eventstream.Decoder, data)
    theirs = _botocore(data)
    # botocore passes over a cut at the end and over a header's odd name; what it gives is never less than ours.
    ours = [(dict(message.headers), message.payload) for message in found]
    assert theirs[: len(ours)] == ours or refused, data
    return data


def _frame(rng: Random) -> bytes:
    """A frame whose checksums are right and whose insides are anything."""
    inside = rng.randbytes(rng.randrange(30))
    length = rng.choice((len(inside), rng.randrange(40)))
    total = rng.choice((len(inside) + 16, len(inside) + 16, rng.randrange(2**32)))
    head = struct.pack(">II", total, length)
    frame = head + struct.pack(">I", crc32(head)) + inside
    return frame + struct.pack(">I", crc32(frame))


def _botocore(data: bytes) -> list[tuple[dict[str, Any], bytes]]:
    buffer, found = EventStreamBuffer(), []
    buffer.add_data(data)
    with suppress(Exception):  # it fails in many ways of its own
        found += [(event.headers, event.payload) for event in buffer]
    return found


def strict(rng: Random) -> bytes:
    data = pool.damaged(rng, json.dumps(pool.value(rng)).encode())
    with suppress(ValueError):
        value = strictjson.loads(data)
        assert value == json.loads(data) or "nan" in repr(json.loads(data)), data
    assert len(strictjson.shown(data).splitlines()) == 1
    return data


def outputs(rng: Random) -> bytes:
    value = rng.choice(
        (pool.value(rng), {"outputs": pool.value(rng)}, {"error": pool.value(rng)}, {"outputs": [pool.text(rng)]})
    )
    answer = Answer(HEARS)
    with suppress(EndpointError):
        for _ in (*answer.feed(json.dumps(value).encode()), *answer.close()):
            assert isinstance(answer.text, str)
    return json.dumps(value).encode()


def requests(rng: Random) -> bytes:
    """What the dialects read, without an endpoint: a request, or an InputError whose sentence is one."""
    dialect = rng.choice(list(DIALECTS.values()))
    body = pool.body(rng, dialect) if rng.random() < 0.8 else pool.value(rng)
    try:
        request = reading.read(dialect, body, {"accept_eula": "true"})
    except InputError as error:
        assert str(error), body
    else:
        assert request.prompts, body
        json.dumps(request.sampling.as_json(), allow_nan=False)
    return json.dumps(body).encode()


EACH = (json_lines, frames, strict, outputs, requests)


def main(count: int, seed: int, tally: Tally) -> None:
    """So many inputs, over the decoders in turn."""
    for n in range(count):
        one = EACH[n % len(EACH)]
        began = time.perf_counter()
        data = one(Random(f"decoders {seed}:{n}"))
        seconds = time.perf_counter() - began
        assert seconds < SLOW, (one.__name__, data[:2000])
        tally.add(Asked(f"{one.__name__} {data[:400]!r}", 0, {}, [], seconds))
