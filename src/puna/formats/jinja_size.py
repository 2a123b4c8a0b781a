"""Estimates, from above, how long a result is before it is made. Knows Python's operators and Jinja's filters by name.

Units: characters of a text, elements of a list, bits squared of a power.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

Estimate = Callable[..., int]


def _size(value: object) -> int:
    """How much longer a value can make another: its length, or the number itself where it is a width or a count."""
    if isinstance(value, int):
        return max(1, abs(value))
    return max(1, len(value)) if isinstance(value, str | list | tuple | dict) else 1


def first(value: object, *_: object) -> int:
    """The length of a value: what an operation costs that makes nothing longer."""
    return _size(value) if isinstance(value, str | list | tuple | dict) else 1


def _product(*values: object) -> int:
    return math.prod(map(_size, values))


def _added(left: object, right: object) -> int:
    return first(left) + first(right)


def _multiplied(left: object, right: object) -> int:
    return 1 if isinstance(left, int | float) and isinstance(right, int | float) else _product(left, right)


def _powered(base: object, exponent: object) -> int:
    """Digits, squared: the cost of a long multiplication."""
    return (base.bit_length() * abs(exponent)) ** 2 if isinstance(base, int) and isinstance(exponent, int) else 1


def _formatted(text: object, *values: object) -> int:
    """A ``%`` format: every number in it may be a width, and so may every number that is put in."""
    if not isinstance(text, str):
        return 1
    flat = values[0] if len(values) == 1 and isinstance(values[0], tuple) else values
    widths = sum(int(digits[:12]) for digits in re.findall(r"[0-9]+", text))
    return len(text) + widths + text.count("%") * sum(map(_size, flat))


def _replaced(text: object, old: object = "", new: object = "", *_: object) -> int:
    if not isinstance(text, str) or not isinstance(old, str) or not isinstance(new, str):
        return first(text)
    return len(text) + text.count(old) * len(new)


def _joined(*values: object) -> int:
    """``delimiter.join(items)`` and ``items|join(delimiter)`` alike; an iterator of unknown length counts as one."""
    total = 1
    for value in values:
        total += sum(map(first, value)) if isinstance(value, list | tuple) else 0
    lengths = [len(value) for value in values if isinstance(value, list | tuple)]
    return total + max(lengths, default=1) * sum(_size(value) for value in values if isinstance(value, str))


OPERATORS: Mapping[str, Estimate] = {"+": _added, "*": _multiplied, "**": _powered, "%": _formatted}
"""How long the result of an operator can be."""

GROWING: Mapping[str, Estimate] = {
    **dict.fromkeys(
        ("center", "ljust", "rjust", "zfill", "expandtabs", "indent", "wordwrap", "batch", "slice"), _product
    ),
    "format": _formatted,
    "replace": _replaced,
    "join": _joined,
}
"""Filters and methods whose result can be much longer than what they are given; all others count their first value."""
