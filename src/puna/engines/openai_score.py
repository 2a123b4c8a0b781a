"""How likely a server holds a given text: log-probabilities of a prompt by ``echo``, as vLLM and puna have it. Knows the request; blocks."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from puna.engines.base import Scored
from puna.engines.openai_found import Asking, Found
from puna.errors import EndpointError, InputError
from puna.generation import Timing, Usage
from puna.wire.chunks import logprobs_of


def scored(asking: Asking, found: Found, ids: tuple[int, ...], *, top: int, start: int, seconds: float) -> Scored:
    """Log-probabilities of the tokens ids[start:]; the alternatives of each come without ids, which the API does not tell.

    seconds: longest wait for them.

    Raises:
        InputError: no ids, or a start outside of them. EngineError: the server refused, or told of other tokens.
    """
    if not ids:
        raise InputError("the prompt to be scored must have at least one token, not none; give a text")
    if not 1 <= start <= len(ids):
        raise InputError(f"of {len(ids)} tokens, those from 1 to {len(ids)} can be the first one scored, not {start}")
    began = time.monotonic()
    body = {"model": found.model, "prompt": list(ids), "max_tokens": 0, "echo": True, "logprobs": top, "temperature": 0}
    said: Any = asking.api("completions", body, seconds)
    try:
        told = list(logprobs_of(said["choices"][0]["logprobs"]))[: len(ids)]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise EndpointError(f"{asking.url} must tell the log-probabilities of the prompt, but did not") from None
    if len(told) != len(ids):
        raise EndpointError(
            f"{asking.url} was to tell of {len(ids)} tokens, but told of {len(told)}; was the prompt cut there?"
        )
    tokens = [None if n < start else replace(entry, id=ids[n], top=entry.top[:top]) for n, entry in enumerate(told)]
    return Scored(tuple(tokens), Usage(len(ids), 0, 0), Timing(prefill=time.monotonic() - began))
