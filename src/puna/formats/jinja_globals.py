"""The functions that a template may call: ``namespace``, ``range``, ``dict``, ``raise_exception``, ``strftime_now``.

Left out of Jinja's: ``lipsum``, which draws at random, and ``cycler`` and ``joiner``, which no chat template uses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.sandbox import safe_range
from jinja2.utils import Namespace

from puna.formats.jinja_budget import ELEMENT, PIECE, Budget
from puna.formats.jinja_methods import Function

_MAX_PATTERN = 200
_DIRECTIVE = re.compile(r"%(?:[-_0^#]?[aAbBcdDeFgGhHIjmMnpRStTuUVwWxXyYZ]|%)|[^%]")
"""What dates are written with in practice. A width, such as ``%9999999d``, is none of it."""


def _dict(budget: Budget, pairs: Any = (), /, **named: Any) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    if isinstance(pairs, dict):
        budget.charge(PIECE * len(pairs))
        made.update(pairs)
    else:
        for pair in budget.items(pairs):
            budget.charge(2 * PIECE)
            key, value = budget.items(pair)
            made[budget.key(key)] = value
    made.update(named)
    return made


def _namespace(budget: Budget, pairs: Any = (), /, **named: Any) -> Namespace:
    return Namespace(_dict(budget, pairs, **named))


def _range(budget: Budget, /, *bounds: Any) -> range:
    for bound in bounds:
        budget.number(budget.whole(bound))
    budget.charge(ELEMENT)
    return safe_range(*bounds)


def _raise(budget: Budget, message: Any, /) -> NoReturn:
    raise TemplateError(budget.text(message)[:1000])


def _now(today: date | None) -> Callable[[Budget, Any], str]:
    def strftime_now(_: Budget, pattern: Any, /) -> str:
        if (
            not isinstance(pattern, str)
            or len(pattern) > _MAX_PATTERN
            or "".join(_DIRECTIVE.findall(pattern)) != pattern
        ):
            raise TemplateError("strftime_now takes a short text with plain directives such as %d %B %Y")
        if today is None:
            raise TemplateError("it asks for today's date, and none was given; give one (--date 2026-11-22)")
        return today.strftime(pattern)

    return strftime_now


def functions(today: date | None) -> Mapping[str, Function]:
    """By name. today: what ``strftime_now`` tells; None refuses to."""
    return {
        "dict": Function(_dict),
        "namespace": Function(_namespace),
        "raise_exception": Function(_raise),
        "range": Function(_range),
        "strftime_now": Function(_now(today)),
    }
