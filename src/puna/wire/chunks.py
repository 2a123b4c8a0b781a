"""What a server of the OpenAI API tells, read: chunks and whole answers of chat and of completions, log-probabilities in both shapes.

The first choice only: a client here asks for one. llama.cpp gives log-probabilities of completions in the shape of chat. Source: as in
``openai``; vLLM's ``stop_reason`` and llama.cpp's ``id`` of a token, from their sources (read 2026-11-28).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from puna.generation import Finish, Logprob, Usage
from puna.wire.dialect import Heard

NO_ID = -1
"""Stands for a token's id, which the API does not tell."""

_FINISH = {"stop": Finish.STOP, "length": Finish.LENGTH}

_FACTS = ("id", "model", "system_fingerprint")


def hear(value: object) -> Heard | None:
    """What a chunk or a whole answer tells; None where it has another shape.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: it has choices, but not as the API has them.
    """
    if not isinstance(value, dict) or not isinstance(value.get("choices"), list):
        return None
    usage = _usage(value["usage"]) if isinstance(value.get("usage"), dict) else None
    facts = {name: str(value[name]) for name in _FACTS if value.get(name)}
    choice = next((entry for entry in value["choices"] if not entry.get("index")), None)
    if choice is None:  # a chunk for the usage, or of another choice
        return Heard(open=True, usage=usage, facts=facts)
    reason = choice.get("finish_reason")
    said = choice.get("stop_reason")  # of vLLM: the stop text, or a token's id
    return Heard(
        _text(choice),
        tuple(logprobs_of(choice.get("logprobs"))),
        open=not reason and "message" not in choice,
        finish=_FINISH.get(reason, Finish.UNKNOWN) if reason else None,
        by_stop=isinstance(said, str),
        stopped_by=said if isinstance(said, str) else None,
        usage=usage,
        facts=facts,
    )


def _text(choice: Mapping[str, Any]) -> str:
    told = choice["text"] if "text" in choice else (choice.get("delta") or choice.get("message") or {}).get("content")
    if not isinstance(told, str | None):
        raise TypeError
    return told or ""


def _usage(told: Mapping[str, Any]) -> Usage | None:
    cached = (told.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return usage_of(told.get("prompt_tokens"), int(cached), told.get("completion_tokens"))


def usage_of(prompt: object, cached: int, output: object) -> Usage | None:
    """Counts of tokens as a server tells them; None where they are none."""
    if not isinstance(prompt, int) or not isinstance(output, int) or min(prompt, output) < 0:
        return None
    return Usage(prompt, min(max(0, cached), prompt), output)


def logprobs_of(told: Any) -> Iterator[Logprob]:
    """The tokens of a ``logprobs`` value, in either shape; none of null.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: another shape.
    """
    if not isinstance(told, dict):
        return
    if "content" in told:
        for entry in told["content"] or ():
            yield _token(entry, tuple(_token(other) for other in entry.get("top_logprobs") or ()))
        return
    columns: Sequence[Sequence[Any]] = [told.get(name) or () for name in ("tokens", "token_logprobs", "top_logprobs")]
    for text, logprob, others in zip_longest(*columns):
        tops = sorted((others or {}).items(), key=lambda item: -item[1])
        yield Logprob(
            NO_ID, data_of(text), ln(logprob), tuple(Logprob(NO_ID, data_of(t), ln(value)) for t, value in tops)
        )


def _token(entry: Mapping[str, Any], top: tuple[Logprob, ...] = ()) -> Logprob:
    told = entry.get("bytes")
    data = data_of(entry["token"]) if told is None else bytes(list(told))  # of a number it would make so many zeros
    number = entry.get("id")  # of llama.cpp
    return Logprob(number if isinstance(number, int) else NO_ID, data, ln(entry["logprob"]), top)


def data_of(text: str) -> bytes:
    r"""A token's text; ``bytes:\xe2\x80`` is a part of a character."""
    if text.startswith("bytes:\\x"):
        return bytes.fromhex(text.removeprefix("bytes:").replace("\\x", ""))
    return text.encode("utf-8", "replace")


def ln(told: float | None) -> float:
    """0 or less; OpenAI writes -9999 for what is hardly possible, and 1e999 is no number that JSON can tell again."""
    return max(-9999.0, min(0.0, float(told or 0.0)))
