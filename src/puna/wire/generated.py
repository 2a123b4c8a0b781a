"""What containers of Hugging Face's kind tell, read: ``generated_text`` and ``token`` records of TGI, LMI and the toolkit.

    {"token": {"id": 1, "text": " a", "logprob": -0.1, "special": false}, "generated_text": null, "details": null}
    {"token": {"id": 2, "text": " b", "log_prob": -0.2}, "generated_text": " a b", "details": {"finish_reason": "length"}}
    {"generated_text": "..."} or [{"generated_text": "...", "details": {...}}]

Source: as in ``lmi`` and ``tgi``. The text of a special token is no part of an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from puna.generation import Finish, Logprob
from puna.wire.chunks import ln, usage_of
from puna.wire.dialect import Heard

_FINISH = {"length": Finish.LENGTH, "eos_token": Finish.STOP, "stop_sequence": Finish.STOP}


def hear(value: object) -> Heard | None:
    """What a record or a whole answer tells; None where it has another shape."""
    if isinstance(value, list):
        return _whole(value[0]) if len(value) == 1 else None
    if isinstance(value, dict) and isinstance(value.get("token"), dict):
        return _record(value)
    return _whole(value)


def _whole(value: object) -> Heard | None:
    if not isinstance(value, dict) or not isinstance(value.get("generated_text"), str):
        return None
    details = _object(value.get("details"))
    tokens = tuple(_tokens(details))
    return Heard(tokens=tokens, whole=value["generated_text"], **_ended(details))


def _tokens(details: Mapping[str, Any]) -> Iterator[Logprob]:
    tops = details.get("top_tokens") or ()
    for entry, top in zip_longest(details.get("tokens") or (), tops):
        yield _token(entry, top)


def _record(value: Mapping[str, Any]) -> Heard:
    entry = value["token"]
    details = _object(value.get("details"))
    if entry.get("error_msg") or details.get("finish_reason") == "error":
        return Heard(failure=str(entry.get("error_msg") or "it gave no reason"))
    special = entry.get("special") is True or entry.get("special_token") is True
    whole = value.get("generated_text")
    tokens = () if entry["id"] < 0 else (_token(entry, value.get("top_tokens")),)
    return Heard(
        "" if special else str(entry["text"] or ""),
        tokens,
        whole=whole if isinstance(whole, str) else None,
        open=not isinstance(whole, str),
        **_ended(details),
    )


def _token(entry: Mapping[str, Any], top: Sequence[Mapping[str, Any]] | None) -> Logprob:
    special = entry.get("special") is True or entry.get("special_token") is True
    told = entry.get("logprob", entry.get("log_prob"))
    data = b"" if special else str(entry["text"] or "").encode("utf-8", "replace")
    return Logprob(int(entry["id"]), data, ln(told), tuple(_token(other, None) for other in top or ()))


def _ended(details: Mapping[str, Any]) -> dict[str, Any]:
    reason = details.get("finish_reason")
    prompt, output = details.get("input_length"), details.get("generated_tokens")
    return {
        "finish": None if reason is None else _FINISH.get(reason, Finish.UNKNOWN),
        "by_stop": reason == "stop_sequence",
        "usage": usage_of(prompt, 0, output),
    }


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
