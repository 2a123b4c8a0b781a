"""The filters that a template may use: those of Jinja that chat templates need, each paid for. Knows values, not syntax.

Where Jinja gives a generator, these give the iterator of a list: also without a length, and to be used up once.
Left out of Jinja's: ``random``, which would make a render differ from the next; ``attr``, a second way to attributes; and
what makes HTML or pages for people: ``filesizeformat``, ``forceescape``, ``pprint``, ``striptags``, ``urlencode``,
``urlize``, ``wordcount``, ``wordwrap``, ``xmlattr``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jinja2 import pass_context
from jinja2.exceptions import FilterArgumentError
from jinja2.filters import (
    do_batch,
    do_default,
    do_dictsort,
    do_float,
    do_indent,
    do_int,
    do_round,
    do_title,
    sync_do_slice,
)
from jinja2.runtime import Undefined
from markupsafe import Markup, escape

from puna.formats.jinja_budget import ELEMENT, MAX_DEPTH, PIECE, wide
from puna.formats.jinja_format import percent
from puna.formats.jinja_machine import Render
from puna.formats.jinja_methods import MAX_NAME, call
from puna.formats.jinja_orders import ORDERS, reader

_MAX_INDENT = 64
_MAX_DIGITS = 4300
"""Python's own limit for texts that become whole numbers."""
_MAX_PRECISION = 20


def _text_method(name: str) -> Callable[..., Any]:
    @pass_context
    def run(context: Render, s: Any) -> Any:
        machine = context.machine
        return call(machine, machine.soft(s), name)

    return run


@pass_context
def _trim(context: Render, value: Any, chars: Any = None) -> Any:
    return call(context.machine, context.machine.soft(value), "strip", chars)


@pass_context
def _center(context: Render, value: Any, width: Any = 80) -> Any:
    return call(context.machine, context.machine.soft(value), "center", width)


@pass_context
def _replace(context: Render, s: Any, old: Any, new: Any, count: Any = None) -> Any:
    machine = context.machine
    texts = [machine.text(value) for value in (s, old, new)]
    return call(machine, texts[0], "replace", *texts[1:], -1 if count is None else count)


@pass_context
def _title(context: Render, s: Any) -> str:
    text = context.machine.soft(s)
    context.machine.charge(200 * len(text))
    return do_title(text)


@pass_context
def _indent(context: Render, s: Any, width: Any = 4, first: bool = False, blank: bool = False) -> str:
    machine = context.machine
    if not isinstance(s, str):
        raise TypeError(f"indent takes a text, not {type(s).__name__!r}")
    by = len(width) * wide(width) if isinstance(width, str) else max(0, machine.whole(width))
    machine.charge(6 * PIECE * (1 + len(s)))
    machine.charge(6 * (len(s.splitlines()) + 1) * by * wide(s))
    return do_indent(s, width, first, blank)


@pass_context
def _truncate(  # noqa: PLR0917  # as Jinja's
    context: Render, s: Any, length: Any = 255, killwords: bool = False, end: Any = "...", leeway: Any = None
) -> str:
    machine = context.machine
    leeway = 5 if leeway is None else leeway
    if not isinstance(s, str) or not isinstance(end, str):
        raise TypeError("truncate takes texts")
    if machine.whole(length) < len(end) or machine.whole(leeway) < 0:
        raise FilterArgumentError("truncate must leave room for its end")
    if len(s) <= length + leeway:
        return s
    machine.charge(4 * len(s) + 24 * len(end))
    kept = s[: length - len(end)]
    return (kept if killwords else kept.rsplit(" ", 1)[0]) + end


@pass_context
def _string(context: Render, value: Any) -> str:
    return context.machine.soft(value)


@pass_context
def _safe(context: Render, value: Any) -> Markup:
    return context.machine.marked(value)


@pass_context
def _escape(context: Render, s: Any) -> Markup:
    text = context.machine.soft(s)
    context.machine.charge(PIECE + context.machine.escaped(text) * wide(text))
    return escape(text)


@pass_context
def _format(context: Render, value: Any, *args: Any, **named: Any) -> str:
    if args and named:
        raise FilterArgumentError("can't handle positional and keyword arguments at the same time")
    return percent(context.machine, context.machine.soft(value), named or args)


@pass_context
def _to_json(  # noqa: PLR0917  # as transformers'
    context: Render,
    x: Any,
    ensure_ascii: bool = False,
    indent: Any = None,
    separators: Any = None,
    sort_keys: bool = False,
) -> str:
    """As transformers has it: Jinja's own would escape ``<`` and ``'`` for HTML."""
    machine = context.machine
    marks = [] if separators is None else [mark for mark in machine.items(separators) if isinstance(mark, str)]
    width = len(indent) if isinstance(indent, str) else 0 if indent is None else machine.whole(indent)
    if width > _MAX_INDENT or any(len(mark) > _MAX_INDENT for mark in marks):
        raise FilterArgumentError(f"tojson indents by at most {_MAX_INDENT}")
    values, characters = machine.weigh(x, printed=True)
    # One control character becomes six, and a wide one makes all of them wide. With an indent, Python's own encoder
    # runs instead of C's, and hands every piece up through all levels.
    each = 2 * PIECE + 4 * sum(map(len, marks))
    if indent is not None:
        each += 20 * PIECE + 4 * MAX_DEPTH * max(0, width)
    machine.charge(24 * characters + values * each)
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


@pass_context
def _int(context: Render, value: Any, default: Any = 0, base: Any = 10) -> Any:
    if isinstance(value, str):
        context.machine.charge(len(value) + 10 * min(len(value), _MAX_DIGITS))
        if len(value) > _MAX_DIGITS and len(value := value.strip()) > _MAX_DIGITS:
            return default
    return context.machine.number(do_int(value, default, base))


@pass_context
def _float(context: Render, value: Any, default: Any = 0.0) -> Any:
    if isinstance(value, str):
        context.machine.charge(len(value) + 10 * min(len(value), _MAX_DIGITS))
        if len(value) > _MAX_DIGITS and len(value := value.strip()) > _MAX_DIGITS:
            return default
    return do_float(value, default)


@pass_context
def _round(context: Render, value: Any, precision: Any = 0, method: Any = "common") -> Any:
    if abs(context.machine.whole(precision)) > _MAX_PRECISION:
        raise FilterArgumentError(f"round takes at most {_MAX_PRECISION} digits")
    if not isinstance(value, int | float | Undefined):
        raise TypeError(f"round takes a number, not {type(value).__name__!r}")
    return context.machine.number(do_round(value, precision, method))  # type: ignore[arg-type]


@pass_context
def _list(context: Render, value: Any) -> list[Any]:
    return list(context.machine.items(value))


@pass_context
def _reverse(context: Render, value: Any) -> Any:
    items = context.machine.items(value)
    return items[::-1] if isinstance(value, str) else iter(list(items[::-1]))


@pass_context
def _items(context: Render, value: Any) -> Iterator[Any]:
    if isinstance(value, Undefined):
        return iter([])
    if not isinstance(value, dict):
        raise TypeError("Can only get item pairs from a mapping.")
    context.machine.charge(2 * PIECE * len(value))
    return iter(list(value.items()))


@pass_context
def _first(context: Render, seq: Any) -> Any:
    if not isinstance(seq, str | list | tuple | range):
        seq = context.machine.items(seq) if not hasattr(seq, "__next__") else seq
    for one in seq if not isinstance(seq, str) else seq[:1]:
        return one
    return context.environment.undefined("No first item, sequence was empty.")


@pass_context
def _last(context: Render, seq: Any) -> Any:
    if hasattr(seq, "__next__"):
        raise TypeError(f"{type(seq).__name__!r} object is not reversible")
    items = seq if isinstance(seq, str) else context.machine.items(seq)
    return items[-1] if items else context.environment.undefined("No last item, sequence was empty.")


@pass_context
def _join(context: Render, value: Any, d: Any = "", attribute: Any = None) -> str:
    machine = context.machine
    items = machine.items(value)
    read = reader(machine, attribute)
    return machine.join([machine.text(read(one)) for one in items], machine.text(d))


@pass_context
def _sum(context: Render, iterable: Any, attribute: Any = None, start: Any = 0) -> Any:
    if isinstance(start, str):
        raise TypeError("sum() can't sum strings")
    machine = context.machine
    items, read, total = machine.items(iterable), reader(machine, attribute), start
    for one in items:
        machine.charge(PIECE)
        total = machine.add(total, read(one))
    return total


@pass_context
def _batch(context: Render, value: Any, linecount: Any, fill_with: Any = None) -> Iterator[list[Any]]:
    machine = context.machine
    items = machine.items(value)
    machine.charge(3 * PIECE * len(items) + 8 * max(0, machine.whole(linecount)))
    return iter(list(do_batch(items, linecount, fill_with)))


@pass_context
def _slice(context: Render, value: Any, slices: Any, fill_with: Any = None) -> Iterator[list[Any]]:
    machine = context.machine
    items = machine.items(value)
    machine.charge(ELEMENT * len(items) + 3 * PIECE * max(0, machine.whole(slices)))
    return iter(list(sync_do_slice(items, slices, fill_with)))


@pass_context
def _dictsort(
    context: Render, value: Any, case_sensitive: bool = False, by: Any = "key", reverse: bool = False
) -> list[Any]:
    if not isinstance(value, dict):
        raise TypeError(f"dictsort takes a mapping, not {type(value).__name__!r}")
    if not isinstance(by, str):
        raise FilterArgumentError('You can only sort by either "key" or "value"')
    values, characters = context.machine.weigh(value)
    context.machine.charge((4 * PIECE * values + 4 * characters) * (1 + len(value).bit_length()))
    return do_dictsort(value, case_sensitive, by, bool(reverse))  # type: ignore[arg-type]  # it checks


@pass_context
def _map(context: Render, value: Any, *args: Any, **named: Any) -> Iterator[Any]:
    machine, environment = context.machine, context.environment
    items = machine.items(value) if value else ()
    if not args and "attribute" in named:
        read = reader(machine, named.pop("attribute"), named.pop("default", None))
        if named:
            raise FilterArgumentError(f"Unexpected keyword argument {next(iter(named))!r}")
        return iter([read(one) for one in items])
    if not args or not isinstance(args[0], str) or args[0] not in environment.filters:
        raise FilterArgumentError(f"map requires the name of a filter{_given(args)}")
    machine.charge(6 * PIECE * len(items))
    name, *rest = args
    return iter([environment.call_filter(name, one, rest, named, context=context) for one in items])


def _given(names: Sequence[Any]) -> str:
    return f", not {names[0][:MAX_NAME]!r}" if names and isinstance(names[0], str) else ""


def _choice(keeps: bool, of_attribute: bool) -> Callable[..., Any]:
    """``select``, ``reject``, ``selectattr`` and ``rejectattr``."""

    @pass_context
    def run(context: Render, value: Any, *args: Any, **named: Any) -> Iterator[Any]:
        machine, environment = context.machine, context.environment
        rest = list(args)
        if of_attribute and not rest:
            raise FilterArgumentError("Missing parameter for attribute name")
        read = reader(machine, rest.pop(0) if of_attribute else None)
        items = machine.items(value) if value else ()
        machine.charge(6 * PIECE * len(items))
        if not rest:
            return iter([one for one in items if bool(read(one)) is keeps])
        name = rest.pop(0)
        if not isinstance(name, str) or name not in environment.tests:
            raise FilterArgumentError(f"the name of a test is required{_given([name])}")
        return iter(
            [one for one in items if bool(environment.call_test(name, read(one), rest, named, context)) is keeps]
        )

    return run


FILTERS: Mapping[str, Callable[..., Any]] = {
    **{name: _text_method(name) for name in ("capitalize", "lower", "upper")},
    **ORDERS,
    "abs": abs,
    "batch": _batch,
    "center": _center,
    "count": len,
    "d": do_default,
    "default": do_default,
    "dictsort": _dictsort,
    "e": _escape,
    "escape": _escape,
    "first": _first,
    "float": _float,
    "format": _format,
    "indent": _indent,
    "int": _int,
    "items": _items,
    "join": _join,
    "last": _last,
    "length": len,
    "list": _list,
    "map": _map,
    "reject": _choice(keeps=False, of_attribute=False),
    "rejectattr": _choice(keeps=False, of_attribute=True),
    "replace": _replace,
    "reverse": _reverse,
    "round": _round,
    "safe": _safe,
    "select": _choice(keeps=True, of_attribute=False),
    "selectattr": _choice(keeps=True, of_attribute=True),
    "slice": _slice,
    "string": _string,
    "sum": _sum,
    "title": _title,
    "tojson": _to_json,
    "trim": _trim,
    "truncate": _truncate,
}
