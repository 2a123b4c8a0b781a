"""Which faults there are, and the TOML file that asks for some of them. Knows kinds, keys and ranges; nothing of how one strikes."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from puna.errors import InputError, unknown

ROUTES = ("invoke", "stream", "container", "openai")
"""The kinds of routes that answer invocations."""

_CHUNKED = ("stream", "container", "openai")
_SERVICE = ("invoke", "stream")


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of fault. routes: where it makes sense. keys: those that it takes, with their defaults.

    refuses: it answers in the model's place. breaks: it ends an answer early. least: the smallest ``after``.
    """

    routes: tuple[str, ...] = ROUTES
    keys: Mapping[str, float | str] = field(default_factory=dict)
    refuses: bool = False
    breaks: bool = False
    least: int = 0


KINDS = {
    "late": Kind(keys={"seconds": 5.0}),
    "time-out": Kind(_SERVICE, {"seconds": 0.0}, refuses=True),
    "throttle": Kind(refuses=True),
    "not-ready": Kind(refuses=True),
    "unavailable": Kind(refuses=True),
    "internal": Kind(refuses=True),
    "model-error": Kind(keys={"status": 500, "body": '{"code": 500, "error": "a fault on purpose"}'}, refuses=True),
    "slow": Kind(keys={"after": 1, "seconds": 0.5}),
    "malformed": Kind(keys={"after": 1}),
    "no-newline": Kind(),
    "parts": Kind(("stream",), {"size": 48}),
    "split": Kind(keys={"size": 16}),
    "cut": Kind(keys={"after": 1}, breaks=True),
    "drop": Kind(keys={"after": 1}, breaks=True),
    # Before the first record there is no stream that could break: 1 at least.
    "stream-broken": Kind(_CHUNKED, {"after": 1}, breaks=True, least=1),
    "stream-time-out": Kind(("stream",), {"after": 1}, breaks=True, least=1),
    "internal-stream-failure": Kind(("stream",), {"after": 1}, breaks=True, least=1),
}

_TRIGGERS = ("probability", "nth", "every")

_WHOLE = {
    "seed": (0, 2**63 - 1),
    "nth": (1, 10**9),
    "every": (1, 10**9),
    "after": (0, 10**6),
    "size": (1, 65536),
    "status": (400, 599),
}
_REAL = {"probability": (0, 1), "seconds": (0, 3600)}


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of the file. Of probability, nth and every one is set. What its kind does not take keeps its default.

    routes: where it may strike. after: records that pass before it does. seconds: how long it waits. size: bytes of the
    largest piece. status, body: the container's.
    """

    kind: str
    routes: tuple[str, ...]
    probability: float = 0.0
    nth: int = 0
    every: int = 0
    after: int = 0
    seconds: float = 0.0
    size: int = 1
    status: int = 0
    body: str = ""


def read(path: Path) -> tuple[int, tuple[Fault, ...]]:
    """The seed, 0 where none is given, and the faults in the file's order.

    Raises:
        InputError: a file that cannot be read, an unknown key, kind or route, a value of the wrong type or out of range.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # of TOML, of UTF-8, or of a number with thousands of digits
        raise InputError(f"{path} must be a TOML file, but: {error}") from error
    _known(f"{path}", found, ("seed", "fault"))
    entries = found.get("fault", [])
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{path}: at least one fault was expected; write a table [[fault]] for each")
    seed = _whole(f"{path}", "seed", found.get("seed", 0))
    return seed, tuple(_fault(f"{path}, fault {n}", entry) for n, entry in enumerate(entries, 1))


def _fault(place: str, entry: Mapping[str, object]) -> Fault:
    name = entry.get("kind")
    if not isinstance(name, str) or name not in KINDS:
        raise InputError(f"{place}: {unknown('kind', name, KINDS) if 'kind' in entry else _no_kind()}")
    place, kind = f"{place} ({name})", KINDS[name]
    _known(place, entry, ("kind", "route", *_TRIGGERS, *kind.keys))
    given = [key for key in _TRIGGERS if key in entry]
    if len(given) != 1:
        raise InputError(
            f"{place}: exactly one of probability, nth and every was expected, but {' and '.join(given) or 'none'} came"
        )
    values = {**kind.keys, given[0]: entry[given[0]], **{key: entry[key] for key in kind.keys if key in entry}}
    fault = Fault(name, _routes(place, kind, entry), **{key: _value(place, key, values[key]) for key in values})  # type: ignore[arg-type]
    if fault.after < kind.least:
        raise InputError(
            f"{place}: after must be at least {kind.least}, not {fault.after}; a stream breaks once it has begun"
        )
    return fault


def _no_kind() -> str:
    return f"a kind was expected; known: {', '.join(sorted(KINDS))}"


def _known(place: str, table: Mapping[str, object], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            raise InputError(f"{place}: {unknown('key', key, known)}")


def _routes(place: str, kind: Kind, entry: Mapping[str, object]) -> tuple[str, ...]:
    if "route" not in entry:
        return kind.routes
    route = entry["route"]
    if not isinstance(route, str) or route not in ROUTES:
        raise InputError(f"{place}: {unknown('route', route, ROUTES)}")
    if route not in kind.routes:
        raise InputError(
            f"{place}: on the route {route!r} there is no such fault; it can strike on {', '.join(kind.routes)}"
        )
    return (route,)


def _value(place: str, key: str, value: object) -> float | str:
    if key in _WHOLE:
        return _whole(place, key, value)
    if key in _REAL:
        return _real(place, key, value)
    if not isinstance(value, str):
        raise InputError(f"{place}: {key} must be a text, not {value!r:.80}")
    return value


def _whole(place: str, key: str, value: object) -> int:
    low, high = _WHOLE[key]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(f"{place}: {key} must be a whole number from {low} to {high}, not {value!r:.80}")
    return value


def _real(place: str, key: str, value: object) -> float:
    low, high = _REAL[key]
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(f"{place}: {key} must be a number from {low} to {high}, not {value!r:.80}")
    return float(value)
