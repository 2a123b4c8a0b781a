"""How likely a model holds a given text: llama.cpp made to say it, token by token. Knows its native HTTP API.

llama.cpp has no log-probabilities of a prompt (``echo`` is ignored), but tells those of what it generates as the model gave
them, whatever made it choose the token. So only the first token is a prompt, and two ways force the others:

- a stretch of ordinary tokens stands in a GBNF grammar as token literals (``root ::= <[28]> <[300]>``): one streamed request,
  at the speed of decoding, which holds its slot and which a dropped connection stops;
- a token by itself is biased by ``logit_bias`` in a request of one token. It costs no more, but each such request looks for
  the cached prompt anew, and another one with the same beginning may have taken it.

Which way a token goes is decided so that no id a user sends can end llama.cpp's process or its request. An end-of-generation
token in a grammar aborts the process; llama.cpp says itself which ids these are (it lists them with ``ignore_eos``), whatever
a model file calls them. A token whose bytes are no text (half a character), none, or hold a NUL fits no literal, and its
grammar would fail. Both kinds go by themselves, and so does everything where llama.cpp lists no end of generation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import aiohttp

from puna.engines.base import Scored
from puna.engines.completion import complaint, letter, logprob_of, records
from puna.errors import EngineError, InputError
from puna.generation import Logprob, Usage

_BIAS = 1000.0
"""Logits are within some 100 of each other; the probabilities told are those before the bias."""

_SOME, _ALL = 256, 2**20
"""Alternatives: a few, and more than any vocabulary has. All 49,152 of SmolLM2 take 0.4 s."""


async def score(
    http: aiohttp.ClientSession, ids: tuple[int, ...], top: int, slot: int = -1, *, start: int = 1
) -> Scored:
    """Log-probabilities of the tokens ids[start:], each with its ``top`` likeliest alternatives. slot: -1 for any.

    The caller sees to it that len(ids) + 1 tokens fit the window. A token costs what it costs to generate one; what stands before them
    costs what it costs as a prompt.

    Raises:
        InputError: no ids, one that is none of the vocabulary, or a start outside of them. EngineError: llama.cpp refused, or did not
            do as it was told.
    """
    if not ids:
        raise InputError("the prompt to be scored must have at least one token, not none; give a text")
    if not 1 <= start <= len(ids):
        raise InputError(f"of {len(ids)} tokens, those from 1 to {len(ids)} can be the first one scored, not {start}")
    await _check_ids(http, ids)
    told: list[Logprob | None] = [None] * start
    usage = Usage(prompt=len(ids), cached=0, output=0)
    if start == len(ids):
        return Scored(tuple(told), usage)
    ending = await _endings(http, ids[:start], slot)
    literal = await _literal(http, ids[start:], ending) if ending else frozenset()
    for at, end in _stretches(ids, literal, start):
        stretch = ids[at] in literal
        found = await (
            _stretch(http, ids, at, end, top=top, slot=slot) if stretch else _alone(http, ids, at, top, slot)
        )
        if tuple(entry.id for entry in found) != ids[at:end]:
            raise EngineError(f"the engine was to score the tokens from {at} to {end}, but did others; see its log")
        told += found
    return Scored(tuple(told), usage)


async def _check_ids(http: aiohttp.ClientSession, ids: tuple[int, ...]) -> None:
    async with http.get("/v1/models") as answer:
        size = (await _said(answer))["data"][0]["meta"]["n_vocab"]
    wrong = next((n for n in ids if not 0 <= n < size), None)
    if wrong is not None:
        raise InputError(f"a token id must be from 0 to {size - 1} for this model, not {wrong}; encode the text anew")


async def _endings(http: aiohttp.ClientSession, before: tuple[int, ...], slot: int) -> frozenset[int]:
    """The ids that end a generation, as llama.cpp has them; none where the vocabulary has no EOS. before: what will be wanted next."""
    body = {
        "prompt": list(before),
        "cache_prompt": True,
        "id_slot": slot,
        "n_predict": 1,
        "ignore_eos": True,
        "stream": False,  # one token: it has ended before a dropped connection could stop it
        "response_fields": ["generation_settings/logit_bias"],
    }
    async with http.post("/completion", json=body) as answer:
        return frozenset(entry["token"] for entry in (await _said(answer))["generation_settings/logit_bias"])


async def _literal(http: aiohttp.ClientSession, ids: tuple[int, ...], ending: frozenset[int]) -> frozenset[int]:
    """Those of the ids that may stand in a grammar."""
    wanted = sorted(set(ids) - ending)
    async with http.post("/tokenize", json={"content": wanted, "with_pieces": True}) as answer:
        tokens = (await _said(answer))["tokens"]
    return frozenset(token["id"] for token in tokens if _is_text(token["piece"]))


def _is_text(piece: object) -> bool:
    """Whether a token's piece is whole characters; llama.cpp tells other ones as a list of bytes."""
    return isinstance(piece, str) and piece != "" and "\0" not in piece


def _stretches(ids: tuple[int, ...], literal: frozenset[int], start: int) -> Iterator[tuple[int, int]]:
    """From and to of what one request forces: as many literal tokens as stand together, or one other."""
    while start < len(ids):
        end = start + 1
        if ids[start] in literal:
            while end < len(ids) and ids[end] in literal:
                end += 1
        yield start, end
        start = end


async def _stretch(
    http: aiohttp.ClientSession, ids: tuple[int, ...], start: int, end: int, *, top: int, slot: int
) -> list[Logprob]:
    """What the model thinks of the literal tokens ids[start:end] after those before."""
    body = _body(ids[:start], end - start, max(1, top), slot) | {"grammar": _grammar(ids[start:end]), "stream": True}
    told = []
    async with http.post("/completion", json=body) as answer:
        if answer.status != HTTPStatus.OK:
            raise EngineError(complaint(await answer.read()))
        async for said in records(answer):
            told += [logprob_of(entry, top) for entry in said.get("completion_probabilities", ())]
            if said["stop"]:
                break
    return told


async def _alone(http: aiohttp.ClientSession, ids: tuple[int, ...], at: int, top: int, slot: int) -> list[Logprob]:
    """What it thinks of the token ids[at]."""
    entries = await _one(http, ids[:at], ids[at], max(1, top), slot)
    if entries:
        return [logprob_of(entries[0], top)]
    # It begins a character, and of such llama.cpp tells nothing when it makes them; only as an alternative of another one.
    for alternatives in (max(_SOME, top), _ALL):
        (entry,) = await _one(http, ids[:at], await letter(http), alternatives, slot)
        found = next((other for other in entry["top_logprobs"] if other["id"] == ids[at]), None)
        if found is not None:
            return [logprob_of({**found, "top_logprobs": entry["top_logprobs"]}, top)]
    return []


async def _one(
    http: aiohttp.ClientSession, before: tuple[int, ...], forced: int, alternatives: int, slot: int
) -> list[Any]:
    # Not streamed: that would tell nothing of a token that ends the answer. One token is soon made, whoever has gone.
    body = _body(before, 1, alternatives, slot) | {
        "logit_bias": [[forced, _BIAS]],
        "stream": False,
        "response_fields": ["completion_probabilities"],
    }
    async with http.post("/completion", json=body) as answer:
        return list((await _said(answer)).get("completion_probabilities", ()))


def _body(before: tuple[int, ...], tokens: int, alternatives: int, slot: int) -> dict[str, object]:
    return {
        "prompt": list(before),
        "id_slot": slot,
        "n_predict": tokens,
        "temperature": 0,
        "samplers": [],
        "n_probs": alternatives,
        "cache_prompt": True,
    }


def _grammar(ids: tuple[int, ...]) -> str:
    return "root ::= " + " ".join(f"<[{n}]>" for n in ids)


async def _said(answer: aiohttp.ClientResponse) -> Any:
    body = await answer.read()
    if answer.status != HTTPStatus.OK:
        raise EngineError(complaint(body))
    return json.loads(body)
