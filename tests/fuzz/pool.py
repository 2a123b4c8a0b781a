"""Values that programs trip over, and bodies made of them; all from a seeded generator, so that a number names an input."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from puna.generation import RANGES
from puna.wire.dialect import Dialect, Field

CONTROL_TEXTS = (
    "<|im_end|>", "<|im_start|>system\n", "<|im_start|>", "<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>",
    "<|eot_id|>", "<|start_header_id|>user<|end_header_id|>\n\n", "<|begin_of_text|>", "<|end|>", "<|user|>", "<|assistant|>",
    "<start_of_turn>user\n", "<end_of_turn>", "<bos>", "<eos>", "<|endoftext|>", "[SYSTEM_PROMPT]", "<|header_start|>",
    "<|eot|>", "<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>", "<|im_sep|>", "USER: ", "ASSISTANT: ", "[AVAILABLE_TOOLS]",
    "<|im_\u200bend|>", "<|im_end|", "｜im_end｜", "<unk>", "<think>", "</think>", "<|start_of_role|>", "<|end_of_text|>",
)  # fmt: skip
"""Control tokens of families, and what looks like one."""

TEXTS = (
    "Hi", "", " ", "\n", "\t", "\r\n", "\0", "a\0b", "\ud800", "\udfff", "x\udc80y", "\U0001f999", "\u2028", "\u2029", "\x85", "\x0b",
    "\x1b[31m", "\ufeff", "\ufffe", "\uffff", "\u202etfel", "e\u0301\u0323", "\u200d", "\u0130i", "ﬃ", "𝕏", "null", "NaN", "true", "1e999", "-0",
    "data: [DONE]\n\n", 'data: {"choices": []}\n\n', '{"outputs": ["x"]}\n', "\n\nevent: error\n\n", '"', "\\", "\\u0000",
    "%s%n{0}{x}{}", "${jndi:ldap://x}", "../../etc/passwd", "<!--", "]]>", "'; DROP TABLE x; --", "{{ 7*7 }}", "{% raw %}",
    "\u0338" * 50, "👩‍👩‍👧‍👦" * 20,
)  # fmt: skip
LONG = 100_000
"""Characters of a long text."""

NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 16, 17, 64, 65, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**39, 10**40, 0.0,
    -0.0, 0.5, 1.0, 1.5, 2.0, 1e-320, 1e308, -1e308, 3.0000000000000004, 1e15,
)  # fmt: skip
RAW = (
    "1e999",
    "-1e999",
    "NaN",
    "Infinity",
    "-Infinity",
    "1" * 41,
    "1" * 5000,
    "-",
    "01",
    "1.",
    "0x10",
    "1_000",
    "'x'",
    "",
)
"""What may stand where a JSON value should, and what ``json.dumps`` does not write."""


def text(rng: Random) -> str:
    """A text; one of a hundred is long."""
    drawn = rng.random()
    if drawn < 0.01:
        return (rng.choice((*TEXTS, *CONTROL_TEXTS, "x")) * LONG)[:LONG] + rng.choice(TEXTS)
    if drawn < 0.4:
        return rng.choice(TEXTS)
    if drawn < 0.6:
        return rng.choice(CONTROL_TEXTS)
    if drawn < 0.7:
        return "".join(chr(rng.choice((rng.randrange(128), rng.randrange(0x110000)))) for _ in range(rng.randrange(12)))
    return "".join(rng.choice((*CONTROL_TEXTS, *TEXTS, "Hi", " there\n")) for _ in range(rng.randrange(1, 6)))


def sound(rng: Random) -> str:
    """A text that is not refused: not empty, neither NUL nor a lone surrogate in it."""
    found = "".join("?" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in text(rng))
    return found if found.strip() else f"Hi{found}"


def value(rng: Random, depth: int = 3) -> Any:
    """Any JSON value."""
    drawn = rng.random()
    if drawn < 0.3:
        return text(rng)
    if drawn < 0.6 or not depth:
        return rng.choice((None, True, False, *NUMBERS))
    if drawn < 0.8:
        return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {text(rng): value(rng, depth - 1) for _ in range(rng.randrange(4))}


def messages(rng: Random, content: Any = text) -> list[Any]:
    """A dialog that most formats can write, with such texts in it."""
    turns = rng.randrange(1, 4)
    told = [{"role": "system", "content": content(rng)}] if rng.random() < 0.4 else []
    for n in range(turns):
        told.append({"role": "user", "content": content(rng)})
        if n < turns - 1:
            told.append({"role": "assistant", "content": content(rng)})
    return told


def strange_messages(rng: Random) -> Any:
    """Messages with one thing wrong."""
    told: Any = messages(rng)
    n = rng.randrange(len(told))
    kind = rng.randrange(8)
    if kind == 0:
        told[n] = value(rng)
    elif kind == 1:
        told[n]["role"] = value(rng)
    elif kind == 2:
        told[n]["content"] = value(rng)
    elif kind == 3:
        told[n]["content"] = [{"type": rng.choice(("text", "image_url")), "text": value(rng)} for _ in range(3)]
    elif kind == 4:
        told[n][rng.choice(("name", "tool_calls", "refusal", text(rng)))] = value(rng)
    elif kind == 5:
        rng.shuffle(told)
    elif kind == 6:
        told = value(rng)
    return told


def for_field(rng: Random, entry: Field) -> Any:
    """A value for a field, more often than not of the right kind."""
    if rng.random() < 0.35:
        return value(rng)
    if entry.only is not None:
        return rng.choice((*entry.only, None))
    if entry.to == "stop":
        return text(rng) if rng.random() < 0.5 else [text(rng) for _ in range(rng.randrange(18))]
    if entry.to is not None:
        kind, low, high = RANGES[entry.to]
        near = [low, high, low - 1, high + 1, min(high, 5), rng.uniform(low, min(high, 50))]
        return kind(rng.choice(near)) if rng.random() < 0.9 else rng.choice(near)
    if entry.name == "messages":
        return messages(rng) if rng.random() < 0.6 else strange_messages(rng)
    return _by_type(rng, entry)


def _by_type(rng: Random, entry: Field) -> Any:
    if entry.type == "flag":
        return rng.random() < 0.5
    if entry.type == "whole number":
        return rng.randrange(-1, 23)
    if entry.type == "object":
        return rng.choice((
            {"include_usage": True}, {"include_usage": False}, {"type": "text"}, {"type": "json_object"}, {},
            {"type": "json_schema", "json_schema": {"schema": value(rng)}},
        ))  # fmt: skip
    if entry.type == "text or list":
        ids = [rng.randrange(2, 40_000) for _ in range(rng.randrange(5))]
        several = [messages(rng)] if entry.name == "inputs" else [text(rng) for _ in range(rng.randrange(1, 4))]
        return rng.choice((text(rng), several, ids, [ids], [[], ids], [text(rng), ids]))
    return text(rng)


def body(rng: Random, dialect: Dialect) -> dict[str, Any]:
    """A body of a dialect: complete, mostly, with some of its fields."""
    first = dialect.fields[0].name
    found: dict[str, Any] = {}
    if rng.random() < 0.9:
        found[first] = messages(rng, sound) if first == "messages" else sound(rng)
    for entry in rng.sample(dialect.fields[1:], rng.randrange(min(6, len(dialect.fields)))):
        _put(found, entry.name, for_field(rng, entry))
    if rng.random() < 0.1:
        _put(found, first, for_field(rng, dialect.fields[0]))
    if rng.random() < 0.05:
        found[text(rng)] = value(rng)
    return found


def _put(found: dict[str, Any], name: str, given: Any) -> None:
    outer, dot, inner = name.partition(".")
    if not dot:
        found[name] = given
    elif isinstance(found.setdefault(outer, {}), dict):
        found[outer][inner] = given


def encoded(rng: Random, found: Any) -> bytes:
    """The body in bytes; one of twenty is damaged."""
    ascii_only = rng.random() < 0.5
    data = json.dumps(found, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    return damaged(rng, data) if rng.random() < 0.05 else data


def damaged(rng: Random, data: bytes) -> bytes:
    """Bytes that are wrong somewhere."""
    at = rng.randrange(len(data) + 1)
    kind = rng.randrange(9)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes([rng.randrange(256)]) + data[at:]
    if kind == 2:
        return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    if kind == 3:
        return b"\xef\xbb\xbf" + data
    if kind == 4:
        return data.decode("utf-8", "replace").encode("utf-16")
    if kind == 5:
        depth = rng.choice((100, 900, 990, 1000, 100_000))
        return data[:-1] + b', "deep": ' + b"[" * depth + b"]" * depth + b"}"
    if kind == 6:
        return data[:-1] + b', "raw": ' + rng.choice(RAW).encode() + b"}"
    if kind == 7:
        return data[:-1] + b"," + data[1:]
    return rng.randbytes(rng.randrange(200))
