"""The tests that a template may use (``x is string``): all of Jinja's, each paid for where its cost depends on a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import pass_context
from jinja2.tests import TESTS as JINJA_TESTS

from puna.formats.jinja_machine import Render
from puna.formats.jinja_methods import CALLABLE, call

_FREE = (
    *("boolean", "defined", "escaped", "false", "float", "integer", "iterable", "mapping", "none", "number"),
    *("sameas", "sequence", "string", "true", "undefined"),
)


def _compared(name: str) -> Callable[..., bool]:
    @pass_context
    def run(context: Render, a: Any, b: Any, /) -> bool:
        return context.machine.compare(a, (name, b))

    return run


@pass_context
def _even(context: Render, value: Any) -> bool:
    return context.machine.equal(context.machine.modulo(value, 2), 0)


@pass_context
def _odd(context: Render, value: Any) -> bool:
    return context.machine.equal(context.machine.modulo(value, 2), 1)


@pass_context
def _divisible(context: Render, value: Any, num: Any) -> bool:
    return context.machine.equal(context.machine.modulo(value, num), 0)


@pass_context
def _lower(context: Render, value: Any) -> bool:
    return bool(call(context.machine, context.machine.text(value), "islower"))


@pass_context
def _upper(context: Render, value: Any) -> bool:
    return bool(call(context.machine, context.machine.text(value), "isupper"))


@pass_context
def _filter(context: Render, value: Any) -> bool:
    return isinstance(value, str) and value in context.environment.filters


@pass_context
def _test(context: Render, value: Any) -> bool:
    return isinstance(value, str) and value in context.environment.tests


@pass_context
def _in(context: Render, value: Any, seq: Any) -> bool:
    return context.machine.contains(value, seq)


def _callable(value: Any) -> bool:
    return isinstance(value, CALLABLE)


TESTS: Mapping[str, Callable[..., Any]] = {
    **{name: JINJA_TESTS[name] for name in _FREE},  # type: ignore[misc]  # Jinja's table says less than it holds
    **dict.fromkeys(("==", "eq", "equalto"), _compared("eq")),
    **dict.fromkeys(("!=", "ne"), _compared("ne")),
    **dict.fromkeys((">", "gt", "greaterthan"), _compared("gt")),
    **dict.fromkeys((">=", "ge"), _compared("gteq")),
    **dict.fromkeys(("<", "lt", "lessthan"), _compared("lt")),
    **dict.fromkeys(("<=", "le"), _compared("lteq")),
    "callable": _callable,
    "divisibleby": _divisible,
    "even": _even,
    "filter": _filter,
    "in": _in,
    "lower": _lower,
    "odd": _odd,
    "test": _test,
    "upper": _upper,
}
