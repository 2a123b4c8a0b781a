"""The keywords of a JSON schema whose values hold no schema: each checked by itself. Knows JSON and bounds, no engine.

Every function takes the value and where it stands, gives it back as it goes on, and raises InputError for any other.
"""

from __future__ import annotations

from puna.errors import InputError, unknown

MAX_DEPTH = 32
MAX_PROPERTIES = 200
MAX_VALUES = 1000
"""Of enum."""
MAX_NUMBER = 2**53
"""Beyond it a JSON number is not exact everywhere."""
LEAST_NUMBER = 1e-12

TYPES = ("string", "number", "integer", "boolean", "null", "array", "object")
FORMATS = ("date", "time", "date-time", "duration", "uuid", "email", "hostname", "ipv4", "ipv6")


def types(value: object, at: str) -> object:
    """A type, or a list of them."""
    given = value if isinstance(value, list) else [value]
    for entry in given:
        if not isinstance(entry, str) or entry not in TYPES:
            raise InputError(f"at {at}: " + unknown("type of JSON", entry, TYPES))
    if not given or len(set(given)) < len(given):
        raise InputError(expected(at, "name a type, and each once", value))
    return value


def enum(value: object, at: str) -> list[object]:
    """A list of values."""
    if not isinstance(value, list) or not value:
        raise InputError(expected(at, "be a list of values, at least one", value))
    if len(value) > MAX_VALUES:
        raise InputError(expected(at, f"have at most {MAX_VALUES} values", len(value)))
    return [const(entry, at) for entry in value]


def const(value: object, at: str, depth: int = MAX_DEPTH) -> object:
    """A JSON value that can be told exactly."""
    if depth == 0:
        raise InputError(f"a JSON schema may be nested {MAX_DEPTH} deep, but goes on at {at}; make it flatter")
    if isinstance(value, dict):
        return {text(name, at): const(entry, at, depth - 1) for name, entry in value.items()}
    if isinstance(value, list):
        return [const(entry, at, depth - 1) for entry in value]
    if isinstance(value, str):
        return text(value, at)
    if value is None or isinstance(value, bool):
        return value
    return bound(value, at)


def required(value: object, at: str) -> list[str]:
    """A list of names, each once."""
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise InputError(expected(at, "be a list of names", value))
    if len(value) > MAX_PROPERTIES:
        raise InputError(expected(at, f"have at most {MAX_PROPERTIES} names", len(value)))
    return [text(name, at) for name in dict.fromkeys(value)]


def format_name(value: object, at: str) -> str:
    """A format that can be enforced."""
    if not isinstance(value, str) or value not in FORMATS:
        raise InputError(f"at {at}: " + unknown("format that can be enforced", value, FORMATS))
    return value


def count(value: object, at: str, most: int) -> int:
    """How many there may be. most: the largest number that can be enforced."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise InputError(expected(at, f"be a whole number from 0 to {most}", value))
    return value


def bound(value: object, at: str) -> float:
    """A number that can be enforced as a bound, or told exactly."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # `number` says that it can be compared; NaN is in no range.
    if not number or not (value == 0 or LEAST_NUMBER <= abs(value) <= MAX_NUMBER):  # type: ignore[arg-type]
        raise InputError(expected(at, f"be 0, or a number from {LEAST_NUMBER} to {MAX_NUMBER} or its negative", value))
    return value  # type: ignore[return-value]


def text(value: str, at: str) -> str:
    """A text that UTF-8 can hold."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(expected(at, "be text that UTF-8 can hold", value)) from None
    return value


PLAIN = {"type": types, "enum": enum, "const": const, "required": required, "format": format_name}


def expected(at: str, what: str, got: object) -> str:
    """The sentence that refuses a keyword's value. at: where it stands. what: it must do."""
    return f"the JSON schema's {at} must {what}, not {str(got)[:100]!r}; mend it"
