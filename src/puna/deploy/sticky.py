"""Which requests belong together, so that one replica has their beginning in its cache. Knows shapes of bodies; not who answers.

A conversation grows at its end, so its beginning names it: what the caller calls it by, else its system and first user
message, else the first characters of its raw prompt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import islice

HEADERS = ("x-amzn-sagemaker-prefix-aware-id", "x-amzn-sagemaker-session-id")
"""Headers of SageMaker Runtime by which a caller says that requests have their beginning in common (botocore 1.44.5)."""

FIELDS = ("prompt_cache_key", "safety_identifier", "user")
"""Fields of the OpenAI API that name a beginning, or who asks; the first that is there counts.
https://platform.openai.com/docs/guides/prompt-caching (read 2026-11-22)."""

BEGINNING = 1024
"""Characters of a raw prompt that are looked at. One that grows past them may change its replica once; what is evaluated
again then is shorter than that."""


def key_of(headers: Mapping[str, str], body: bytes) -> str | None:
    """The key, 32 hexadecimal digits; None where nothing in the request names one. headers: names in lower case."""
    named = next((value for name in HEADERS if (value := headers.get(name))), None)
    beginning = named or _beginning(body)
    # A digest: a key goes into logs of other programs, a prompt must not.
    return (
        hashlib.blake2b(beginning.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest() if beginning else None
    )


def _beginning(body: bytes) -> str | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None  # whoever answers will say so
    if not isinstance(value, dict):
        return None
    for name in FIELDS:
        if isinstance(given := value.get(name), str) and given:
            return given
    return next((text for name in ("messages", "inputs", "prompt") if (text := _text(value.get(name)))), None)


def _text(given: object) -> str:
    """Of a raw prompt its first characters, or token ids; of messages the first two or, with a system message, up to the user's."""
    if isinstance(given, str):
        return given[:BEGINNING]
    if not isinstance(given, list) or not given:
        return ""
    if isinstance(given[0], list):  # a batch of one dialog, as Llama 2's container has it
        return _text(given[0])
    if isinstance(given[0], str):
        return _text(given[0])
    if isinstance(given[0], dict):
        return "\0".join(_first_turn(given))
    return json.dumps(given[: BEGINNING // 4])  # token ids: about as many characters


def _first_turn(messages: list[object]) -> Iterator[str]:
    """What was said before the first answer, at most three messages."""
    for message in islice(messages, 3):
        if not isinstance(message, dict) or message.get("role") == "assistant":
            return
        yield json.dumps([message.get("role"), message.get("content")])
