"""A saved conversation, as the page has it: what may stand in it, checked name by name. Knows JSON values; no files.

    {"v": 1, "id": "llamas-7f3a", "revision": 3, "title": "Llamas", "params": {"temperature": 0.8}, "system": "", "context": "",
     "examples": [{"question": "...", "answer": "..."}], "only": false, "policy": "watermark",
     "nodes": [{"id": 0, "parent": null, "role": "user", "content": "Hi"}, ...], "leaf": 0, "raw": "", "draft": "", "mode": "chat"}

The messages are a tree, whose law is that of ``puna.dialog.history``; ``leaf`` is its head. Nothing is mended, defaulted or left out:
what does not hold is refused, so that a file reads as it was written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from puna.dialog import history
from puna.dialog.prune import POLICIES
from puna.errors import InputError, SamplingError, unknown
from puna.generation import MAX_SEED, Sampling
from puna.messages import Role
from puna.wire import reading

VERSION = 1
MODES = ("chat", "compare", "raw")
MAX_TITLE = 500
"""Characters."""

MAX_WORD = 4000
"""Characters of a short text: why an answer ended, the path of its receipt, an error's code or sentence."""

MAX_NUMBER = 2**53 - 1
"""Largest whole number that JavaScript holds exactly."""

ID = re.compile(r"[a-z0-9-]{1,64}")
_RECEIPT = re.compile(r"/receipts/[0-9a-f-]{36}")

Check = Callable[[str, object], object]
"""Refuses, by raising, a value that may not stand at a place; the place is for the sentence."""

Session = dict[str, Any]
"""JSON values by name, checked."""


def check_id(given: object) -> str:
    """An id as a file may be called.

    Raises:
        InputError: it is none.
    """
    if not isinstance(given, str) or not ID.fullmatch(given):
        raise InputError(f"a session's id must be 1 to 64 of a-z, 0-9 and dashes, not {_told(given)}; make another")
    return given


def check(given: object) -> Session:
    """The session itself, every value of it checked.

    Raises:
        InputError: a name that is unknown or missing, a value of another type or out of range, nodes that are no tree.
    """
    session = _named("a session", given, _SESSION)
    _check_tree(session)
    return session


def turns_of(session: Session) -> int:
    """How many user messages there are on the path from the root to the leaf."""
    nodes, at, found = session["nodes"], session["leaf"], 0
    while at is not None:
        found += nodes[at]["role"] == Role.USER
        at = nodes[at]["parent"]
    return found


def texts_of(session: Session) -> Iterator[str]:
    """Every text that a person wrote or a model answered, the title first, all versions included."""
    yield from (session[name] for name in ("title", "system", "context", "raw", "draft"))
    for example in session["examples"]:
        yield from example.values()
    yield from (node["content"] for node in session["nodes"])


def _told(value: object) -> str:
    """A value in a sentence. What is nested or huge is only named: quoting it may fail or fill a screen."""
    if isinstance(value, str):
        return ascii(value[:60]) + ("..." if len(value) > 60 else "")
    if isinstance(value, bool) or value is None:
        return reading.shown(value)
    if isinstance(value, int | float) and abs(value) <= MAX_NUMBER:
        return repr(value)
    return reading.kind(value)


def _named(place: str, given: object, must: Mapping[str, Check], may: Mapping[str, Check] | None = None) -> Session:
    """An object with just these names, each value checked; one that may stand there may also be null."""
    if not isinstance(given, dict):
        raise InputError(f"{place} must be an object, not {_told(given)}")
    more = may or {}
    for name, value in given.items():
        if name not in must and name not in more:
            raise InputError(f"{place}: {unknown('name', name, {*must, *more})}")
        if name in must:
            must[name](f"{place}: {name}", value)
        elif value is not None:
            more[name](f"{place}: {name}", value)
    if missing := sorted(must.keys() - given.keys()):
        raise InputError(
            f"{place} lacks {', '.join(missing)}; give every name, with an empty value where there is none"
        )
    return given


def _text(most: int | None = None) -> Check:
    def checked(place: str, given: object) -> None:
        if not isinstance(given, str) or (most is not None and len(given) > most):
            wanted = "text" if most is None else f"text of at most {most} characters"
            raise InputError(f"{place} must be {wanted}, not {_told(given)}")
        try:
            given.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(
                f"{place} must be text that UTF-8 can carry, but character {error.start} is the lone surrogate "
                f"{given[error.start]!r}; remove or replace it"
            ) from None

    return checked


def _one_of(*known: str) -> Check:
    def checked(place: str, given: object) -> None:
        if not isinstance(given, str) or given not in known:
            raise InputError(f"{place} must be {' or '.join(known)}, not {_told(given)}")

    return checked


def _whole(low: int, high: int) -> Check:
    def checked(place: str, given: object) -> None:
        if not isinstance(given, int) or isinstance(given, bool) or not low <= given <= high:
            raise InputError(f"{place} must be a whole number from {low} to {high}, not {_told(given)}")

    return checked


def _or_null(check: Check) -> Check:
    def checked(place: str, given: object) -> None:
        if given is not None:
            check(place, given)

    return checked


def _flag(place: str, given: object) -> None:
    if not isinstance(given, bool):
        raise InputError(f"{place} must be true or false, not {_told(given)}")


def _number(given: object) -> bool:
    """Whether it is one that JSON can carry: NaN and infinity are none."""
    return isinstance(given, int | float) and not isinstance(given, bool) and abs(given) < math.inf


def _seconds(place: str, given: object) -> None:
    if not _number(given) or not 0 <= given <= MAX_NUMBER:  # type: ignore[operator]  # it is a number
        raise InputError(f"{place} must be a number of seconds from 0 on, not {_told(given)}")


def _list_of(check: Check) -> Check:
    def checked(place: str, given: object) -> None:
        for n, entry in enumerate(_list(place, given)):
            check(f"{place}[{n}]", entry)

    return checked


def _list(place: str, given: object) -> list[object]:
    if not isinstance(given, list):
        raise InputError(f"{place} must be a list, not {_told(given)}; give [] for none")
    return given


def _params(place: str, given: object) -> None:
    """Some of the sampling parameters; a seed may be null, which has one drawn."""
    params = _named(place, given, {}, _PARAMS)
    named = {name: value for name, value in params.items() if name != "seed" or value is not None}
    try:
        Sampling.of(named)
    except SamplingError as error:
        raise InputError(f"{place}: {error}") from None


def _param(place: str, given: object) -> None:
    """A number whose range ``Sampling`` knows; it quotes what it refuses, so a huge one may not come so far."""
    if not _number(given) or abs(given) > MAX_NUMBER:  # type: ignore[arg-type]  # it is a number
        raise InputError(f"{place} must be a number from -{MAX_NUMBER} to {MAX_NUMBER}, not {_told(given)}")


_PARAMS: Mapping[str, Check] = {name: _param for name in Sampling.__dataclass_fields__ if name != "stop"} | {
    "stop": _list_of(_text(MAX_WORD))
}


def _tokens(place: str, given: object) -> None:
    """``[id, text, log-probability]`` of each; what somebody typed is one without id and log-probability. There may be 300,000."""
    text = _text()
    for n, entry in enumerate(_list(place, given)):
        if not isinstance(entry, list) or len(entry) != 3 or not (entry[2] is None or _number(entry[2])):
            raise InputError(f"{place}[{n}] must be [id, text, log-probability], not {_told(entry)}")
        token, spelled, _ = entry
        if token is not None:
            _COUNT(f"{place}[{n}]: the id", token)
        text(f"{place}[{n}]: the text", spelled)


def _receipt(place: str, given: object) -> None:
    """A path of this endpoint's: a page makes a link of it, and files come from anywhere."""
    if given is not None and not (isinstance(given, str) and _RECEIPT.fullmatch(given)):
        raise InputError(f"{place} must be the path of a receipt, /receipts/ID, not {_told(given)}")


def _error(place: str, given: object) -> None:
    if isinstance(given, dict):
        _named(place, given, {"message": _text(MAX_WORD)}, {"code": _text(MAX_WORD), "retryable": _flag})
    else:
        _text(MAX_WORD)(place, given)


def _nodes(place: str, given: object) -> None:
    for n, entry in enumerate(_list(place, given)):
        node = _named(f"nodes[{n}]", entry, _NODE, _NODE_MORE)
        if node["id"] != n:
            raise InputError(f"nodes[{n}]: id must be {n}, its place in the list, not {node['id']}")
        tokens = node.get("tokens")
        if tokens is not None and (node.get("begun") or 0) > len(tokens):
            raise InputError(f"nodes[{n}]: begun must be a number of its {len(tokens)} tokens, not {node['begun']}")
        if tokens and "".join(text for _, text, _ in tokens) != node["content"]:  # shown is one, sent is the other
            raise InputError(
                f"nodes[{n}]: the texts of its tokens must join to its content, and they do not; leave them out"
            )


def _check_tree(session: Session) -> None:
    kept = ("parent", "role", "content")
    nodes = [{name: node[name] for name in kept} for node in session["nodes"]]
    leaf = session["leaf"]
    if leaf is not None and leaf >= len(nodes):
        raise InputError(f"leaf must be the id of one of the {len(nodes)} nodes, or null, not {leaf}")
    history.History.from_json({"version": history.VERSION, "nodes": nodes, "head": leaf, "pins": [], "trail": []})


def _version(place: str, given: object) -> None:
    if given != VERSION or isinstance(given, bool):
        raise InputError(
            f"{place} must be {VERSION}, not {_told(given)}; read it with the release of puna that wrote it"
        )


_COUNT = _whole(0, MAX_NUMBER)

_USAGE: Mapping[str, Check] = dict.fromkeys(("prompt", "cached", "evaluated", "output"), _COUNT)
_TIMINGS: Mapping[str, Check] = dict.fromkeys(("queue", "prefill", "decode", "first"), _seconds)

_NODE: Mapping[str, Check] = {
    "id": _COUNT,
    "parent": _or_null(_COUNT),
    "role": _one_of(Role.USER, Role.ASSISTANT),
    "content": _text(),
}

_NODE_MORE: Mapping[str, Check] = {
    "params": _params,
    "finish": _text(MAX_WORD),
    "tokens": _tokens,
    "begun": _COUNT,
    "seed": _whole(0, MAX_SEED),
    "usage": lambda place, given: _named(place, given, {}, _USAGE),
    "timings": lambda place, given: _named(place, given, {}, _TIMINGS),
    "receipt": _receipt,
    "error": _error,
}

_SESSION: Mapping[str, Check] = {
    "v": _version,
    "id": lambda _, given: check_id(given),
    "revision": _COUNT,
    "title": _text(MAX_TITLE),
    "params": _params,
    "system": _text(),
    "context": _text(),
    "examples": _list_of(lambda place, given: _named(place, given, {"question": _text(), "answer": _text()})),
    "only": _flag,
    "policy": _one_of(*POLICIES),
    "nodes": _nodes,
    "leaf": _or_null(_COUNT),
    "raw": _text(),
    "draft": _text(),
    "mode": _one_of(*MODES),
}
