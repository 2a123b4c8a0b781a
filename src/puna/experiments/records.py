"""Plans and token probabilities as a store keeps them: JSON values and compact bytes, and back. Knows no database.

Token probabilities are zlib over columns: a byte that tells the numbers' kind, then what each function here says, little-endian.
Log-probabilities are single precision where that loses nothing, else double: what was put comes back as it was.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from hashlib import sha256
from itertools import accumulate, pairwise
from typing import Any

from puna.experiments.plan import (
    Cell,
    Check,
    Continuation,
    Plan,
    Record,
    Target,
)
from puna.generation import Logprob, Sampling
from puna.messages import Dialog, dialog_of

Json = Mapping[str, Any]


def plan_as_json(plan: Plan) -> dict[str, Any]:
    """A plan as JSON values, its cells included."""
    return {**head_as_json(plan), "cells": [cell_as_json(cell) for cell in plan.cells]}


def plan_of(value: Json) -> Plan:
    """The plan that ``plan_as_json`` told."""
    return Plan(
        name=value["name"],
        definition=value["definition"],
        targets=tuple(Target(**target) for target in value["targets"]),
        cells=tuple(cell_of(cell) for cell in value["cells"]),
        seeds=tuple(value["seeds"]),
        record=Record(**value["record"]),
        checks=tuple(Check(**check) for check in value["checks"]),
        seconds=value["seconds"],
        retries=value["retries"],
    )


def head_as_json(plan: Plan) -> dict[str, Any]:
    """A plan without its cells, as JSON values."""
    return {
        "name": plan.name,
        "definition": _plain(plan.definition),
        "targets": [_target_as_json(target) for target in plan.targets],
        "seeds": list(plan.seeds),
        "record": asdict(plan.record),
        "checks": [_plain(_fields(check)) for check in plan.checks],
        "seconds": plan.seconds,
        "retries": plan.retries,
    }


def _target_as_json(target: Target) -> dict[str, Any]:
    """A target as JSON values; what is not said of it is left out, so that a puna without the key reads the rest."""
    return {name: _plain(value) for name, value in _fields(target).items() if value is not None}


def identity(plan: Plan) -> str:
    """SHA-256 of what makes a plan the same experiment as another: its definition, whatever the order of its keys."""
    return sha256(text_of_json(plan.definition, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def cell_as_json(cell: Cell) -> dict[str, Any]:
    """A cell as JSON values."""
    return {
        **_fields(cell),
        "ask": cell.ask if isinstance(cell.ask, str) else cell.ask.as_json(),
        "sampling": cell.sampling.as_json(),
        "given": sorted(cell.given),
        "values": dict(cell.values),
        "continuations": [_fields(continuation) for continuation in cell.continuations],
    }


def cell_of(value: Json) -> Cell:
    """The cell that ``cell_as_json`` told."""
    ask: str | Dialog = value["ask"] if isinstance(value["ask"], str) else dialog_of(value["ask"])
    told = {
        "ask": ask,
        "sampling": Sampling.of(value["sampling"]),
        "given": frozenset(value["given"]),
        "continuations": tuple(Continuation(**each) for each in value["continuations"]),
    }
    return Cell(**{**value, **told})


def text_of_json(value: object, *, sort_keys: bool = False) -> str:
    """JSON text, as short as it can be."""
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys)


def logprobs_as_bytes(tokens: Sequence[Logprob]) -> bytes:
    """Tokens with their alternatives: how many tokens, how many alternatives each has; then of all in order ids, values, texts."""
    flat = [entry for token in tokens for entry in (token, *token.top)]
    counts = struct.pack(f"<I{len(tokens)}I", len(tokens), *(len(token.top) for token in tokens))
    ids = struct.pack(f"<{len(flat)}q", *(entry.id for entry in flat))
    numbers = _numbers([entry.logprob for entry in flat])
    return zlib.compress(numbers[:1] + counts + ids + numbers[1:] + _texts([entry.data for entry in flat]))


def logprobs_of(data: bytes) -> tuple[Logprob, ...]:
    """What ``logprobs_as_bytes`` made bytes of."""
    raw = memoryview(zlib.decompress(data))
    (n,) = struct.unpack_from("<I", raw, 1)
    counts = struct.unpack_from(f"<{n}I", raw, 5)
    total, at = n + sum(counts), 5 + 4 * n
    ids = struct.unpack_from(f"<{total}q", raw, at)
    numbers, at = _numbers_of(raw, total, at + 8 * total)
    columns = (ids, _texts_of(raw, total, at), numbers)
    return tuple(_with_top(columns, first, count) for first, count in zip(_firsts(counts), counts, strict=True))


def distribution_as_bytes(tokens: Sequence[str], logprobs: Sequence[float]) -> bytes:
    """A distribution: how many texts, how many values; the values, the texts."""
    numbers = _numbers(logprobs)
    counts = struct.pack("<II", len(tokens), len(logprobs))
    texts = _texts([token.encode("utf-8", "surrogatepass") for token in tokens])
    return zlib.compress(numbers[:1] + counts + numbers[1:] + texts)


def distribution_of(data: bytes) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Texts and values that ``distribution_as_bytes`` made bytes of."""
    raw = memoryview(zlib.decompress(data))
    n, k = struct.unpack_from("<II", raw, 1)
    numbers, at = _numbers_of(raw, k, 9)
    return tuple(text.decode("utf-8", "surrogatepass") for text in _texts_of(raw, n, at)), numbers


def ids_as_bytes(ids: Sequence[int]) -> bytes:
    """Token ids as bytes."""
    return zlib.compress(struct.pack(f"<{len(ids)}q", *ids))


def ids_of(data: bytes) -> tuple[int, ...]:
    """The token ids that ``ids_as_bytes`` made bytes of."""
    raw = zlib.decompress(data)
    return struct.unpack(f"<{len(raw) // 8}q", raw)


def _firsts(counts: Sequence[int]) -> Iterator[int]:
    """Where each token stands among all entries, its alternatives after it."""
    return accumulate((1 + count for count in counts[:-1]), initial=0) if counts else iter(())


def _with_top(columns: tuple[Sequence[int], Sequence[bytes], Sequence[float]], first: int, count: int) -> Logprob:
    ids, texts, numbers = columns
    others = slice(first + 1, first + 1 + count)
    return Logprob(
        ids[first], texts[first], numbers[first], tuple(map(Logprob, ids[others], texts[others], numbers[others]))
    )


def _numbers(values: Sequence[float]) -> bytes:
    """A byte that tells the kind, ``f`` or ``d``, then the values."""
    short = struct.pack(f"<{len(values)}f", *(value if abs(value) < 1e38 else 0.0 for value in values))
    exact = struct.unpack(f"<{len(values)}f", short) == tuple(values)
    return b"f" + short if exact else b"d" + struct.pack(f"<{len(values)}d", *values)


def _numbers_of(raw: memoryview, count: int, at: int) -> tuple[tuple[float, ...], int]:
    kind = chr(raw[0])
    return struct.unpack_from(f"<{count}{kind}", raw, at), at + count * struct.calcsize(f"<{kind}")


def _texts(texts: Sequence[bytes]) -> bytes:
    return struct.pack(f"<{len(texts)}I", *map(len, texts)) + b"".join(texts)


def _texts_of(raw: memoryview, count: int, at: int) -> list[bytes]:
    lengths = struct.unpack_from(f"<{count}I", raw, at)
    joined = bytes(raw[at + 4 * count :])
    return [joined[start:end] for start, end in pairwise(accumulate(lengths, initial=0))]


def _fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass by name, as they are."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _plain(value: object) -> Any:
    """Values of a definition as JSON has them: mappings as objects, sequences as lists, anything else by its text."""
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(entry) for entry in (sorted(value) if isinstance(value, set | frozenset) else value)]
    return value if value is None or isinstance(value, str | int | float) else str(value)
