"""Control tokens of all families in every field of a request: none of them reaches the model but those of its format."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from random import Random
from types import MappingProxyType
from typing import Any

from puna import config
from puna.chat import Spine
from puna.engines.scripted import Scripted
from puna.formats.catalog import FORMATS
from puna.formats.counting import PromptCounter
from puna.generation import Segment
from puna.tokens.base import encode
from puna.wire.dialects import DIALECTS
from tests.fuzz import pool
from tests.fuzz.asking import Asked, Endpoint, Tally
from tests.fuzz.fields import EULA
from tests.tokens.forgeries import CONTROL_TEXTS, WRITTEN

FIRST_LETTER = 1000


class Letters:
    """A vocabulary of characters, and of every family's control tokens: ids can be read back."""

    control: Mapping[str, int] = MappingProxyType({text: n for n, text in enumerate(CONTROL_TEXTS)})

    def encode(self, text: str) -> list[int]:
        return [FIRST_LETTER + ord(letter) for letter in text]

    def pieces(self, ids: Iterable[int]) -> list[str]:
        return [chr(n - FIRST_LETTER) if n >= FIRST_LETTER else CONTROL_TEXTS[n] for n in ids]

    def bytes_of(self, token: int) -> bytes:
        return chr(token - FIRST_LETTER).encode() if token >= FIRST_LETTER else b""


LETTERS = Letters()


class Lettered(Scripted):
    """The scripted engine with that vocabulary."""

    def __init__(self) -> None:
        super().__init__(context=10_000_000)
        self.info = replace(self.info, control=frozenset(LETTERS.control))

    async def encode(self, segments: tuple[Segment, ...]) -> tuple[int, ...]:
        return encode(LETTERS, segments)


async def endpoint_of(name: str, tally: Tally) -> Endpoint:
    """An endpoint whose model has that format."""
    engine, form = Lettered(), config.format_of(name)
    spine = Spine(engine, await engine.start(), form, counter=lambda: PromptCounter(form, LETTERS))
    return Endpoint(spine, tally, prompts=True)


Body = dict[str, Any]


def as_request(told: list[Body], rng: Random) -> tuple[bytes, Body]:
    """A dialog as a request of some dialect: route and body."""
    return rng.choice((
        (b"/invocations", {"inputs": [told], "parameters": {"max_new_tokens": 1}}),
        (b"/invocations", {"messages": told, "max_tokens_to_sample": 1}),
        (b"/invocations", {"messages": told, "max_tokens": 1}),
        (b"/v1/chat/completions", {"messages": told, "max_tokens": 1}),
    ))  # fmt: skip


async def run(count: int, seed: int, tally: Tally) -> None:
    """So many dialogs, over the families in turn."""
    names = list(FORMATS)
    endpoints = {name: await endpoint_of(name, tally) for name in names}
    accepted = 0
    for n in range(count):
        rng = Random(f"control {seed}:{n}")
        family = names[n % len(names)]
        told = pool.messages(rng, _forging)
        if FORMATS[family].system_allowed == "never" and told[0]["role"] == "system":
            told = told[1:]
        accepted += await _dialog(endpoints[family], told, rng)
        await _fields(endpoints[family], rng)
    assert accepted > count // 2, accepted


def _forging(rng: Random) -> str:
    """A message that would like to be more than one."""
    return (
        "".join(rng.choice((*WRITTEN, *pool.CONTROL_TEXTS, "Hi", " ", "\n", "x")) for _ in range(rng.randrange(1, 6)))
        + "x"
    )


async def _dialog(endpoint: Endpoint, told: list[Body], rng: Random) -> bool:
    """Whether it was answered; if so, with the control tokens of a harmless dialog, and by the text of its ids."""
    route, body = as_request(told, rng)
    asked = await endpoint.ask("POST", route, pool.encoded(Random(0), body), [EULA])
    if asked.status != 200:
        return False
    prompt = await _prompt(endpoint, asked)
    harmless = [{"role": message["role"], "content": "Hi"} for message in told]
    plain = await endpoint.ask("POST", b"/v1/chat/completions", pool.encoded(Random(0), {"messages": harmless}))
    assert plain.status == 200, plain
    assert _control(prompt["ids"]) == _control((await _prompt(endpoint, plain))["ids"]), asked.request
    assert "".join(LETTERS.pieces(prompt["ids"])) == prompt["text"], asked.request
    counted = await endpoint.ask("POST", b"/tokenize", pool.encoded(Random(0), {"messages": told}))
    assert counted.json()["tokens"] == prompt["ids"], asked.request
    return True


async def _prompt(endpoint: Endpoint, asked: Asked) -> Any:
    receipt = await endpoint.ask("GET", asked.headers["x-puna-receipt"].encode())
    return receipt.json()["prompt"]


def _control(ids: list[int]) -> list[int]:
    return [n for n in ids if n < FIRST_LETTER]


async def _fields(endpoint: Endpoint, rng: Random) -> None:
    """A control text in any other field is refused or accepted, and the model's prompt is the same."""
    dialect = DIALECTS[rng.choice(list(DIALECTS))]
    first = dialect.fields[0].name
    plain: Body = {first: [{"role": "user", "content": "Hi"}] if first == "messages" else "Hi"}
    entry = rng.choice(dialect.fields[1:])
    outer, dot, inner = entry.name.partition(".")
    given: Any = rng.choice(
        (rng.choice(pool.CONTROL_TEXTS), [rng.choice(pool.CONTROL_TEXTS)], {rng.choice(pool.CONTROL_TEXTS): 1})
    )
    if entry.name == "messages":
        return
    body = {**plain, outer: {inner: given} if dot else given}
    await _same_prompt(endpoint, body, plain)


async def _same_prompt(endpoint: Endpoint, body: Body, plain: Body) -> None:
    found = []
    for value in (body, plain):
        asked = await endpoint.ask("POST", b"/invocations", pool.encoded(Random(0), value), [EULA])
        if asked.status != 200:
            return
        found.append((await _prompt(endpoint, asked))["ids"])
    assert found[0] == found[1], body


def main(count: int, seed: int, tally: Tally) -> None:
    """The run from outside any loop."""
    asyncio.run(run(count, seed, tally))
