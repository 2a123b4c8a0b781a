"""The filters that compare elements with each other: ``sort``, ``unique``, ``groupby``, ``min``, ``max``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Undefined

from puna.formats.jinja_budget import ELEMENT, PIECE, SCALARS
from puna.formats.jinja_machine import Machine, Render
from puna.formats.jinja_methods import Group, call


def reader(machine: Machine, attribute: Any, default: Any = None) -> Callable[[Any], Any]:
    """What ``attribute="a.b.0"`` reads of an element; the element itself without one."""
    if attribute is None:
        return lambda value: value
    if isinstance(attribute, str):
        machine.charge(PIECE * len(attribute))
        parts: list[Any] = [int(part) if part.isdigit() else part for part in attribute.split(".")]
    else:
        parts = [machine.whole(attribute)]

    def read(value: Any) -> Any:
        machine.charge(3 * PIECE * len(parts))
        for part in parts:
            value = machine.item(value, part)
            if default is not None and isinstance(value, Undefined):
                value = default
        return value

    return read


def _lowered(machine: Machine, value: Any) -> Any:
    return call(machine, value, "lower") if isinstance(value, str) else value


def _keys(
    machine: Machine, items: Sequence[Any], attribute: Any, case_sensitive: bool, default: Any = None
) -> list[Any]:
    read = reader(machine, attribute, default)
    return [read(one) if case_sensitive else _lowered(machine, read(one)) for one in items]


def _pay(machine: Machine, keys: list[Any]) -> None:
    """Each element is compared some log n times, and a comparison ends with the shorter of both."""
    values, characters = machine.weigh(keys)
    machine.charge((ELEMENT * values + characters) * (1 + len(keys).bit_length()))


def _sorted(machine: Machine, keys: list[Any], *, reverse: bool = False) -> list[int]:
    """Places of the elements, in order."""
    _pay(machine, keys)
    return sorted(range(len(keys)), key=keys.__getitem__, reverse=reverse)


@pass_context
def _sort(
    context: Render, value: Any, reverse: bool = False, case_sensitive: bool = False, attribute: Any = None
) -> list[Any]:
    machine = context.machine
    items = machine.items(value)
    if isinstance(attribute, str) and "," in attribute:
        columns = [_keys(machine, items, part, case_sensitive) for part in attribute.split(",")]
        keys: list[Any] = list(zip(*columns, strict=True))
    else:
        keys = _keys(machine, items, attribute, case_sensitive)
    return [items[n] for n in _sorted(machine, keys, reverse=bool(reverse))]


@pass_context
def _unique(context: Render, value: Any, case_sensitive: bool = False, attribute: Any = None) -> Iterator[Any]:
    machine = context.machine
    items = machine.items(value)
    kept: dict[Any, Any] = {}
    for key, one in zip(_keys(machine, items, attribute, case_sensitive), items, strict=True):
        machine.charge(PIECE)
        if not isinstance(key, (*SCALARS, Undefined)):
            raise TypeError(f"unhashable type: {type(key).__name__!r}")
        kept.setdefault(key, one)
    return iter(list(kept.values()))


@pass_context
def _groupby(
    context: Render, value: Any, attribute: Any, default: Any = None, case_sensitive: bool = False
) -> list[Group]:
    machine = context.machine
    items = machine.items(value)
    keys = _keys(machine, items, attribute, case_sensitive, default)
    places = _sorted(machine, keys)
    read = reader(machine, attribute, default)
    groups = []
    for key, same in groupby(places, keys.__getitem__):
        machine.charge(4 * PIECE)
        members = [items[n] for n in same]
        groups.append(Group((key if case_sensitive else read(members[0]), members)))
    return groups


def _extreme(choose: Callable[..., int]) -> Callable[..., Any]:
    @pass_context
    def run(context: Render, value: Any, case_sensitive: bool = False, attribute: Any = None) -> Any:
        machine = context.machine
        items = machine.items(value)
        if not items:
            return context.environment.undefined("No aggregated item, sequence was empty.")
        keys = _keys(machine, items, attribute, case_sensitive)
        _pay(machine, keys)
        return items[choose(range(len(keys)), key=keys.__getitem__)]

    return run


ORDERS: Mapping[str, Callable[..., Any]] = {
    "groupby": _groupby,
    "max": _extreme(max),
    "min": _extreme(min),
    "sort": _sort,
    "unique": _unique,
}
