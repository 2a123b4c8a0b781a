"""A conversation as the session that the playground and the terminal keep, and as a file of it. Knows that shape; no engine."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from puna.api.conversation import Conversation, sayable
from puna.api.given import named
from puna.api.recording import Recording
from puna.context.grounding import Example, Grounding
from puna.dialog.history import History
from puna.dialog.nodes import Node
from puna.errors import InputError
from puna.generation import Delta
from puna.messages import Message, Role
from puna.sessions.session import MAX_WORD, VERSION, Session, check
from puna.wire import strictjson

TITLE = 80
"""Characters of a title that is the first line of the first question, as the playground makes it."""


def session_of(talk: Conversation) -> Session:
    """The session, with every version.

    Raises:
        InputError: a message that a session cannot hold, such as a system message after the first.
    """
    with talk.lock:
        nodes = [
            {**talk.facts.get(n, {}), "id": n, "parent": node.parent, **node.message.as_json()}
            for n, node in enumerate(talk.tree.nodes)
        ]
        session = {
            "v": VERSION, "revision": 0, "raw": "", "draft": "", "mode": "chat", **talk.session,
            "title": talk.session.get("title", _title(nodes)), "params": dict(talk.sampling), "system": talk.system or "",
            "context": talk.ground.context, "examples": [asdict(example) for example in talk.ground.examples],
            "only": talk.ground.only, "policy": talk.policy, "nodes": nodes, "leaf": talk.tree.head,
        }  # fmt: skip
    if any(node["role"] == Role.SYSTEM for node in nodes):
        raise InputError(
            "a session has one system message, before the others; this conversation has a later one, too, and cannot be saved"
        )
    return check(json.loads(json.dumps(session)))


def conversation_of(given: object) -> Conversation:
    """The conversation that a session holds.

    Raises:
        InputError: it is no session.
    """
    session = check(given)
    ground = Grounding(
        context=session["context"],
        examples=tuple(Example(**entry) for entry in session["examples"]),
        only=session["only"],
    )
    nodes = tuple(Node(node["parent"], Message(Role(node["role"]), node["content"])) for node in session["nodes"])
    titled = ("title",) if session["title"] or session["nodes"] else ()
    return Conversation(
        system=session["system"] if session["system"].strip() else None,
        tree=History(nodes, session["leaf"]),
        sampling=named(session["params"]),
        policy=session["policy"],
        ground=ground,
        facts={n: _known(node) for n, node in enumerate(session["nodes"])},
        session={name: session[name] for name in ("id", "revision", *titled, "raw", "draft", "mode")},
    )


def facts_of(recording: Recording, given: Mapping[str, object]) -> dict[str, Any]:
    """What is known of an answer, as a session tells it. given: the sampling that was asked for."""
    receipt, error = recording.receipt, recording.error
    facts: dict[str, Any] = {"params": dict(given), "finish": "stopped" if error is None else "broken"}
    if error is not None:
        facts["error"] = sayable(str(error))[:MAX_WORD]
    if receipt is not None:
        usage = receipt.usage and {**asdict(receipt.usage), "evaluated": receipt.usage.evaluated}
        facts |= {"params": receipt.sampling.as_json(), "finish": str(receipt.finish), "seed": receipt.sampling.seed,
                  "usage": usage, "timings": asdict(receipt.timing)}  # fmt: skip
    text = recording.text
    if any(delta.logprobs for delta in recording.deltas) and sayable(text) == text:
        facts["tokens"] = [_token(delta) for delta in recording.deltas]
    return {name: value for name, value in facts.items() if value is not None}


def load(path: Path) -> Session:
    """The session in a file.

    Raises:
        InputError: no such file, or none that holds a session.
    """
    try:
        return check(strictjson.loads(path.read_bytes()))
    except OSError as error:
        raise InputError(f"the session {path} cannot be read: {error.strerror or error}") from error
    except (ValueError, InputError) as error:
        raise InputError(f"the file {path} does not hold a session: {error}") from error


def save(session: Session, path: Path) -> None:
    """Put a session into a file. After a crash at any moment the old file or the new one is there.

    Raises:
        InputError: the file cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(json.dumps(session, ensure_ascii=False, allow_nan=False, indent=1).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise InputError(f"the session cannot be saved to {path}: {error.strerror or error}") from error


def _title(nodes: list[dict[str, Any]]) -> str:
    asked = next((node["content"] for node in nodes if node["role"] == Role.USER), "")
    return str(asked).strip().split("\n", 1)[0][:TITLE]


def _known(node: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in node.items() if name not in {"id", "parent", "role", "content"}}


def _token(delta: Delta) -> list[object]:
    """A piece as a session has it; one of several tokens is one without an id."""
    if len(delta.logprobs) != 1:
        return [None, delta.text, None]
    (token,) = delta.logprobs
    return [token.id if token.id >= 0 else None, delta.text, token.logprob]
