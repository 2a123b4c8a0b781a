"""One prompt, one answer: ``puna.run``, which keeps its model for the next call. Knows conversations."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TextIO

from puna.api.chat import Chat
from puna.api.given import ALIASES
from puna.errors import InputError
from puna.generation import Delta, Sampling
from puna.messages import Dialog, Message, Role

SAMPLING = frozenset({*Sampling.__dataclass_fields__, *ALIASES})
"""Names of arguments that are sampling parameters; others are settings."""

_kept: dict[str, Chat] = {}
"""The model of the latest ``run``, by its settings."""


def run(
    prompt: str,
    *,
    system: str | None = None,
    raw: bool = False,
    file: TextIO | None = None,
    **arguments: object,
) -> str:
    """Stream the answer to one prompt to ``file`` (standard output by default) and return it.

    prompt: written in any known family's format, or plain text, which is one user turn under ``system``. raw: send it as
    it is. Sampling parameters, ``url``, ``endpoint`` and settings go by name. The model stays loaded for the next call
    with the same settings, until a call with others.
    """
    out = sys.stdout if file is None else file
    if not hasattr(out, "write"):
        raise InputError(f"file must be open for writing, such as sys.stderr, not {type(file).__name__}")
    sampling = {name: value for name, value in arguments.items() if name in SAMPLING}
    chat = kept_chat({name: value for name, value in arguments.items() if name not in SAMPLING})
    pieces: list[str] = []
    for event in chat.complete(
        prompt, raw=raw, before=Dialog(() if system is None else (Message(Role.SYSTEM, system),)), **sampling
    ):
        if isinstance(event, Delta):
            pieces.append(event.text)
            out.write(event.text)
            out.flush()
    return "".join(pieces)


def kept_chat(others: Mapping[str, object]) -> Chat:
    """The conversation by whose model ``run`` answers, for these settings; the one for others is closed.

    Raises:
        InputError: a setting that is unknown or wrong.
    """
    key = repr(sorted(others.items()))
    if key not in _kept:
        chat = Chat(**others)
        for old in _kept.values():
            old.close()
        _kept.clear()
        _kept[key] = chat
    return _kept[key]
