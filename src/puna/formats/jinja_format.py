"""``%`` and ``str.format`` for templates: what they can print is known before they do. Knows their little languages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import Formatter

from jinja2.exceptions import SecurityError
from markupsafe import Markup

from puna.formats.jinja_budget import PIECE, SCALARS, Budget, wide

_MAX_WIDTH = 3
"""Digits of a width or a precision."""

_SPEC = re.compile(r"%(?:\([^()]{0,100}\))?[-+ #0]*([0-9]*|\*)(?:\.([0-9]*|\*))?[hlL]?(.?)", re.DOTALL)
_TYPES = frozenset("diouxXeEfFgGcrsa%")
_PRINTED = 2000
"""Characters that one number with the widest width and the highest precision has, from above."""


def percent(budget: Budget, text: str, values: object) -> str:
    """``text % values``.

    Raises:
        SecurityError: a width is given by a value, or has more than three digits.
    """
    budget.charge(40 * len(text))
    longest = _longest(budget, values)
    if isinstance(text, Markup):
        longest *= 6
    for spec in _SPEC.finditer(text):
        width, precision, kind = spec.groups(default="")
        if kind not in _TYPES or "*" in width + precision or max(len(width), len(precision)) > _MAX_WIDTH:
            raise SecurityError("it formats with %, and widths that are not plain small numbers")
        budget.charge(_PRINTED + 4 * longest)
    budget.charge(len(text) * wide(text))
    return text % values


def _longest(budget: Budget, values: object) -> int:
    """Characters of the longest value as text or as ``repr``, from above."""
    flat = values if isinstance(values, tuple) else (values,)
    if all(isinstance(value, SCALARS) for value in flat):
        return max((10 * len(value) if isinstance(value, str) else PIECE for value in flat), default=0)
    count, characters = budget.weigh(values, printed=True)
    return PIECE * count + 10 * characters


def braces(budget: Budget, text: str, values: Sequence[object], named: Mapping[str, object]) -> str:
    """``text.format(*values, **named)`` of plain fields: ``{}``, ``{0}``, ``{name}``.

    Raises:
        SecurityError: a field asks for an attribute, an item, a width or another conversion.
    """
    budget.charge(PIECE * len(text))
    pieces: list[str] = []
    count = 0
    for literal, field, spec, conversion in Formatter().parse(text):
        pieces.append(literal)
        if field is None:
            continue
        if spec or conversion not in {None, "s"} or not (field == "" or field.isidentifier() or field.isdecimal()):
            raise SecurityError("it calls str.format with more than plain fields such as {} or {name}")
        if field.isidentifier():
            if field not in named:
                raise KeyError(field[:100])
            value = named[field]
        else:
            value = values[int(field or count)]
            count += 1
        pieces.append(budget.text(value))
    return budget.join(pieces)
