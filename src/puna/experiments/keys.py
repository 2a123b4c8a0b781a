"""The key under which a finished answer may be taken for another one: all that changes the output. Knows no store.

The repeat's number is part of it, so that repeats never collapse into one, and so are the log-probabilities that are kept, without
which an answer could not stand for one that has them.
"""

from __future__ import annotations

import json
from hashlib import sha256

from puna.experiments.targets import Found
from puna.turn import Turn

VERSION = 1
"""Of what goes into a key; another number makes all others keys of their own."""


def key_of(found: Found, turn: Turn, repeat: int) -> str:
    """SHA-256 in hexadecimal, of a prepared turn and the number of its repeat."""
    target = found.target
    embedded = target.api == "embedded"
    parts = {
        "version": VERSION,
        # A file is the same model wherever it lies; a remote model is only known by its address and name.
        "model": (found.model_sha256 or turn.info.model)
        if embedded
        else [target.api, target.url, target.endpoint, target.model],
        "engine": turn.info.build,
        "format": turn.format,
        "ids": list(turn.prompt.ids),
        "text": turn.prompt.text,
        "messages": None if embedded or turn.prompt.dialog is None else turn.prompt.dialog.as_json(),
        "sampling": turn.effective.as_json(),
        "logprobs": turn.extras.logprobs,
        "schema": turn.extras.schema,
        "repeat": repeat,
    }
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()
