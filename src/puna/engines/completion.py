"""A generation in llama.cpp's own words: the body of its native ``/completion``, and its events read back. Knows no process."""

from __future__ import annotations

import json
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp

from puna.engines.base import Event
from puna.engines.schema import checked, literals, parsed
from puna.errors import EngineError, InputError
from puna.generation import NO_EXTRAS, Delta, End, Extras, Finish, Logprob, Prompt, Sampling, Timing, Usage

_FINISH = {"eos": Finish.STOP, "word": Finish.STOP, "limit": Finish.LENGTH}

LEAST = math.log(2.0**-149)
"""What a log-probability is told as that is less: llama.cpp computes probabilities in float32, whose least number this is the
logarithm of, and writes -3.4e38 where one came to 0."""

_FAR_BACK = 2**20
"""Most tokens that penalties look back at; llama.cpp sets aside memory for them, and no context window is longer."""

_SPACING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""An answer in JSON stands on one line: where white space is free, small models write line breaks until max_tokens."""


def request(prompt: Prompt, sampling: Sampling, extras: Extras = NO_EXTRAS, cache_reuse: int = 0) -> dict[str, object]:
    """The body of llama.cpp's native ``/completion``.

    cache_reuse: llama.cpp moves cached chunks of at least so many tokens to their new place when the front of a prompt
    changes. What they were computed from has gone, so the answer is not that of a fresh prefill (benchmarks/pruning.py).
    ``samplers`` names all that take part, in order: its default chain also holds penalties, DRY, typical-p, min-p 0.05 and
    XTC, and puts the temperature last. A temperature of 0 is greedy.

    Penalties count the tokens of the prompt as well as those of the answer, all three of them (measured: of a token that stands
    three times in the prompt, presence 2 takes 2 and frequency 1 takes 3 from the logit). vLLM and the OpenAI API count only the
    answer's for presence and frequency.

    Raises:
        InputError: a schema that llama.cpp would not keep to.
    """
    greedy = sampling.temperature == 0
    penalties = _penalties(prompt, sampling)
    return {
        "prompt": list(prompt.ids),
        "n_predict": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_k": 1 if greedy else sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "samplers": (["penalties"] if penalties else [])
        + (["top_k"] if greedy else ["temperature", "top_k", "top_p", "min_p"]),
        "seed": sampling.seed,
        "stop": list(sampling.stop),
        "stream": True,
        "return_progress": True,
        "return_tokens": True,
        "cache_prompt": True,
        **penalties,
        **({"n_cache_reuse": cache_reuse} if cache_reuse else {}),
        **({} if extras.logprobs is None else {"n_probs": max(1, extras.logprobs)}),
        **({} if extras.schema is None else {"json_schema": _schema(extras.schema)}),
    }


def _penalties(prompt: Prompt, sampling: Sampling) -> dict[str, object]:
    given = {
        "repeat_penalty": sampling.repetition_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
    }
    if given == {"repeat_penalty": 1, "presence_penalty": 0, "frequency_penalty": 0}:
        return {}
    # The whole of both. llama.cpp's documented -1 for that is refused by the pinned build; its default is 64 tokens.
    return {**given, "repeat_last_n": min(len(prompt.ids) + sampling.max_tokens, _FAR_BACK)}


def _schema(text: str) -> dict[str, object]:
    return {"x-guidance": _SPACING, **json.loads(checked(parsed(text)))}


async def letter(http: aiohttp.ClientSession) -> int:
    """The id of a letter, Q, in the vocabulary of the model."""
    return int((await _tokens(http, "Q"))[-1]["id"])


async def hold_to_schema(http: aiohttp.ClientSession, body: Mapping[str, Any]) -> None:
    """Find out whether llama.cpp will keep to the schema of a request, before that is sent.

    It answers without one, and without a word, where it cannot compile it: one that nothing satisfies, or ``oneOf`` of
    which it cannot tell that its choices exclude each other. So it is told to begin with what no JSON begins with: a grammar
    that is in force prevents it. The prompt is cached then for the request itself; it costs one token more.

    It also loses a schema at a text that it must spell and that holds a control token, which it writes as that token.

    Raises:
        InputError: it would not keep to it. EngineError: it refused.
    """
    await _check_literals(http, "\n".join(literals(body["json_schema"])))
    wrong = await letter(http)
    only = {"n_predict": 1, "samplers": [], "temperature": 0, "n_probs": 0, "stop": [], "logit_bias": [[wrong, 1000.0]]}
    async with http.post("/completion", json={**body, **only}) as answer:
        if answer.status != HTTPStatus.OK:
            raise EngineError(complaint(await answer.read()))
        async for said in records(answer):
            if wrong in said.get("tokens", ()):
                raise InputError(
                    "the engine cannot keep to this JSON schema: either nothing satisfies it (a bound, enum or allOf that "
                    "contradicts another), or the choices of a oneOf may overlap; mend it, or write anyOf for oneOf"
                )


async def _check_literals(http: aiohttp.ClientSession, text: str) -> None:
    if not text:
        return
    plain = {token["id"] for token in await _tokens(http, text)}
    control = [token for token in await _tokens(http, text, parse_special=True) if token["id"] not in plain]
    found = next((str(token["piece"]) for token in control if str(token["piece"]) in text), None)
    if found is not None:
        raise InputError(
            f"a const, an enum or a name in a JSON schema must be plain text, but one holds {found!r}, a control token of the "
            "model; write it in another way"
        )


async def _tokens(http: aiohttp.ClientSession, text: str, *, parse_special: bool = False) -> list[dict[str, Any]]:
    """The tokens of a text, ``{"id", "piece"}``."""
    body = {"content": text, "add_special": False, "parse_special": parse_special, "with_pieces": True}
    async with http.post("/tokenize", json=body) as answer:
        said = await answer.read()
    if answer.status != HTTPStatus.OK:
        raise EngineError(complaint(said))
    return list(json.loads(said)["tokens"])


def _unheard(_: Mapping[str, Any]) -> None:
    return


async def events(
    answer: aiohttp.ClientResponse,
    waited: float,
    began: float,
    extras: Extras = NO_EXTRAS,
    hear: Callable[[Mapping[str, Any]], None] = _unheard,
) -> AsyncIterator[Event]:
    """Deltas and one End of a streamed answer; extras: those of its request. hear: gets each record, as llama.cpp wrote it.

    A character of several tokens counts as one, its last: llama.cpp tells nothing of the ones before, neither their number in
    ``tokens`` nor their log-probabilities; ``Usage`` counts them. The token that ends the turn is in no Delta.

    Raises:
        EngineError: llama.cpp broke off, or an answer that it ended is no JSON although a schema was asked for.
    """
    held = 0  # tokens whose text llama.cpp holds back: half a character, or the start of a stop text
    likely: list[Logprob] = []  # of these tokens
    top = extras.logprobs
    whole: list[str] | None = None if extras.schema is None else []
    first: float | None = None
    async for said in records(answer):
        hear(said)
        if "prompt_progress" in said:
            continue
        first = first or time.monotonic()
        if top is not None:
            likely += [logprob_of(entry, top) for entry in said.get("completion_probabilities", ())]
        text = said["content"]
        if whole is not None:
            whole.append(text)
        if said["stop"]:
            if text:
                yield Delta(text, held, tuple(likely))
            if whole is not None:
                _check_answer("".join(whole), said["stop_type"])
            yield _end(said, Timing(waited, first - began, time.monotonic() - first))
            return
        held += len(said["tokens"])
        if text:
            yield Delta(text, held, tuple(likely))
            held, likely = 0, []


def logprob_of(entry: Mapping[str, Any], top: int) -> Logprob:
    """One of llama.cpp's ``completion_probabilities``, with as many alternatives as were asked for (it gives one at least).

    Of the last token of a character llama.cpp tells the whole character's bytes; among the alternatives stand its own.
    """
    others = [Logprob(other["id"], bytes(other["bytes"]), _ln(other["logprob"])) for other in entry["top_logprobs"]]
    own = next((other.data for other in others if other.id == entry["id"]), bytes(entry["bytes"]))
    return Logprob(entry["id"], own, _ln(entry["logprob"]), tuple(others[:top]))


def _ln(told: float | None) -> float:
    """Finite and at most 0: rounding may give a certain token a little more."""
    return LEAST if told is None else min(0.0, max(LEAST, told))


def _check_answer(text: str, ended: str) -> None:
    """llama.cpp drops a grammar in the middle of an answer when it becomes too large, and goes on without."""
    if ended != "eos":
        return
    try:
        json.loads(text)
    except ValueError:
        raise EngineError(
            "the engine lost the JSON schema on the way and its answer is no JSON; make the schema smaller"
        ) from None


async def records(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """The JSON of each server-sent event, ``data: {...}`` and a blank line; an error ends them."""
    buffer = b""
    async for data in answer.content.iter_any():
        *lines, buffer = (buffer + data).split(b"\n\n")
        for line in lines:
            name, _, value = line.partition(b": ")
            if name == b"error":
                raise EngineError(complaint(value))
            said = json.loads(value)
            if "error" in said:
                raise EngineError(complaint(value))
            yield said


def _end(said: dict[str, Any], timing: Timing) -> End:
    usage = Usage(prompt=said["tokens_evaluated"], cached=said["timings"]["cache_n"], output=said["tokens_predicted"])
    return End(_FINISH.get(said["stop_type"], Finish.UNKNOWN), usage, timing, said["stopping_word"] or None)


def complaint(body: bytes) -> str:
    """What llama.cpp says of an error, as a sentence."""
    try:
        said = json.loads(body)
        text = str(said.get("error", said).get("message", said)) if isinstance(said, dict) else str(said)
    except (ValueError, AttributeError):
        text = body.decode("utf-8", "replace")
    return f"the engine refused the request: {text[:500]}"
