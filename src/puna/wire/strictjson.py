"""Bytes to one JSON value, strictly by RFC 8259. Knows no dialect; everything it refuses is a ValueError with a reason.

Python's own reader takes more than JSON (NaN, Infinity, bytes in UTF-16, a name twice, of which the last one wins) and
fails in ways of its own (RecursionError, a whole number over 4300 digits that ``str`` refuses and ``float`` cannot
hold). A request that was meant otherwise than it is read must not be answered.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

MAX_DIGITS = 40
"""Digits of a whole number; the largest that any dialect here knows is a 64-bit seed, which has 20."""


def loads(data: bytes) -> object:
    """The value that ``data`` holds. A byte-order mark is passed over, as RFC 8259 section 8.1 allows.

    Raises:
        ValueError: not UTF-8, not JSON, a name twice in one object, nested too deeply, a number out of any range.
    """
    try:
        return json.loads(
            data.decode("utf-8-sig"), parse_constant=_constant, parse_int=_integer, object_pairs_hook=_object
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def shown(data: bytes, most: int = 60) -> str:
    """The start of ``data`` for an error sentence, on one line and in quotes."""
    start = data[: 4 * most].decode("utf-8", "replace")
    return repr(start[:most]) + ("..." if len(start) > most or len(data) > 4 * most else "")


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"the number {digits[:10]}... has {len(digits)} digits")
    return int(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the name {twice[:80]!r} stands twice in one object")
    return found
