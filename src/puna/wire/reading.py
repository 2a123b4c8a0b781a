"""Bodies to requests, by a dialect's table of fields. Knows JSON values and sampling; no particular dialect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from puna.errors import DialogError, InputError, SamplingError, unknown
from puna.generation import Sampling
from puna.messages import Dialog, dialog_of
from puna.wire.dialect import Dialect, Field, Reading, Request


def read(dialect: Dialect, value: object, attributes: Mapping[str, str] | None = None) -> Request:
    """A request from the JSON value of its body. attributes: the custom attributes that came in a header.

    Raises:
        InputError: no object, an unknown field, one that asks for what is not offered, text that no model can take.
        SamplingError: a sampling parameter of the wrong type or out of range. DialogError: bad messages.
    """
    try:
        return _read(dialect, value, attributes or {})
    except RecursionError:
        # From quoting a value that is nested nearly as deeply as the JSON reader takes it.
        raise InputError("the body is nested too deeply; its deepest value is the content of a message") from None


def _read(dialect: Dialect, value: object, attributes: Mapping[str, str]) -> Request:
    if not isinstance(value, dict):
        first = dialect.fields[0].name
        raise InputError(f'the body must be a JSON object such as {{"{first}": ...}}, not {kind(value)}')
    known = {entry.name: entry for entry in dialect.fields}
    values: dict[str, object] = {}
    ignored: list[str] = []
    for name, given in _flat(value, known):
        entry = known.get(name)
        if entry is None:
            raise InputError(unknown("field", name, known))
        if entry.leaked:
            ignored.append(name)
        elif given is not None and not _changes_nothing(entry, given):
            _check_type(entry, given)
            values[name] = given
    sampling, given_names = _sampling(dialect, values)
    return dialect.read(Reading(values, sampling, given_names, tuple(ignored), attributes))


def _flat(value: Mapping[str, object], known: Mapping[str, Field]) -> Iterator[tuple[str, object]]:
    """Names and values, those of an inner object by ``outer.inner``."""
    for name, given in value.items():
        inner = name not in known and any(entry.startswith(f"{name}.") for entry in known)
        if not inner:
            yield name, given
        elif isinstance(given, dict):
            yield from ((f"{name}.{key}", entry) for key, entry in given.items())
        elif given is not None:
            raise InputError(f"{name} must be an object, not {kind(given)}")


def _changes_nothing(entry: Field, given: object) -> bool:
    if entry.only is None:
        return False
    if any(_same(given, value) for value in entry.only):
        return True
    besides = f" but as {' or '.join(map(shown, entry.only))}, which changes nothing" if entry.only else ""
    raise InputError(f"{entry.name} is not supported{besides}; leave it out ({entry.meaning})")


TYPES: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "flag": (bool,),
    "list": (list,),
    "object": (dict,),
    "whole number": (int,),
    "text or list": (str, list),
}
"""Words for JSON types that a field may have."""

_WANTED = {"flag": "true or false", "list": "a list", "object": "an object", "text or list": "text or a list"}


def _check_type(entry: Field, given: object) -> None:
    if not entry.type:
        return
    good = isinstance(given, TYPES[entry.type]) and (entry.type == "flag" or not isinstance(given, bool))
    if entry.span is not None:
        low, high = entry.span
        if not good or not low <= given <= high:  # type: ignore[operator]  # `good` says that it is a number
            raise InputError(f"{entry.name} must be a whole number from {low} to {high}, not {given!r:.100}")
    elif not good:
        error = DialogError if entry.name == "messages" else InputError
        raise error(f"{entry.name} must be {_WANTED.get(entry.type, entry.type)}, not {kind(given)}")


def _same(given: object, value: object) -> bool:
    """1 and 1.0 are one number in JSON, but true is none."""
    return given == value and isinstance(given, bool) == isinstance(value, bool)


def shown(value: object) -> str:
    """A JSON value in words for an error sentence."""
    return (
        {True: "true", False: "false"}[value] if isinstance(value, bool) else "null" if value is None else repr(value)
    )


def _sampling(dialect: Dialect, values: Mapping[str, object]) -> tuple[Sampling, frozenset[str]]:
    fields: dict[str, str] = {}
    for entry in dialect.fields:
        if entry.to is None or entry.name not in values:
            continue
        other = fields.setdefault(entry.to, entry.name)
        if values[other] != values[entry.name]:
            raise InputError(f"{other} and {entry.name} mean the same and must not differ; give one of them")
    named = {to: values[name] for to, name in fields.items()}
    if dialect.scores and named.get("max_tokens") == 0:
        del named["max_tokens"]
    try:
        sampling = Sampling.of({**dialect.defaults.as_json(), **named})
    except SamplingError as error:
        # In the caller's words: a dialect may have another name for a parameter.
        ours, _, rest = str(error).partition(" must ")
        raise SamplingError(f"{fields.get(ours, ours)} must {rest}") from None
    for n, stop in enumerate(sampling.stop):
        check_text(f"{fields.get('stop', 'stop')}[{n}]", stop)
    return sampling, frozenset(named)


# ---- for the ``read`` of a dialect


def text_of(reading: Reading, name: str) -> str:
    """A field that must be there, be text, and not be empty."""
    given = reading.values.get(name)
    if not isinstance(given, str):
        raise InputError(f"{name} must be text, not {kind(given)}")
    if not given:
        raise InputError(f"{name} must not be empty; give the text that the model shall continue")
    check_text(name, given)
    return given


def messages_of(given: object, name: str = "messages") -> Dialog:
    """A dialog, every text of it checked."""
    if not isinstance(given, list):
        raise DialogError(f'{name} must be a list of {{"role": ..., "content": ...}} objects, not {kind(given)}')
    if not given:
        raise DialogError(f"{name} must not be empty; give at least one user message")
    dialog = dialog_of(given)
    for n, message in enumerate(dialog):
        check_text(f"{name}[{n}].content", message.content)
    return dialog


def flag_of(reading: Reading, name: str) -> bool | None:
    """A field of the type flag; None where it was not given."""
    given = reading.values.get(name)
    return given if isinstance(given, bool) else None


def number_of(reading: Reading, name: str) -> int | None:
    """A field of the type whole number; None where it was not given."""
    given = reading.values.get(name)
    return given if isinstance(given, int) else None


def check_text(name: str, text: str) -> None:
    """Refuse NUL, at which an engine written in C may take the text to end, and what UTF-8 cannot carry."""
    if (at := text.find("\0")) >= 0:
        raise InputError(f"{name} must not hold the character NUL (U+0000), but character {at} is one; remove it")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{name} must be text that UTF-8 can carry, but character {error.start} is the lone surrogate "
            f"{text[error.start]!r}; remove or replace it"
        ) from None


def kind(value: object) -> str:
    """A JSON value's type in JSON's words."""
    words = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return words.get(type(value), "a number")
