"""Sampling variants: the product of all lists, random draws from them, or variants one by one. Knows sampling; no prompt and no plan."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from random import Random

from puna.errors import SamplingError, unknown
from puna.experiments.file import Given, distinct
from puna.experiments.plan import Variant
from puna.experiments.ranges import is_range, stepped, uniform
from puna.generation import RANGES, Sampling

PARAMETERS = tuple(entry.name for entry in fields(Sampling) if entry.name != "seed")
"""What an experiment may vary."""

MOST_VARIANTS = 10_000

DEFAULT = "default"
"""Name of a variant where nothing varies."""

_TRIES = 200
"""Draws for each variant that is wanted, before it is clear that there are too few different ones."""

Values = Sequence[object]


def grid(given: Given) -> tuple[Variant, ...]:
    """The product of all lists and ranges of ``[sampling]``; the last parameter varies fastest.

    Raises:
        InputError: an unknown parameter, a value out of range, an empty list, a value twice, too many variants.
    """
    values = {name: _values(entry) for name, entry in _parameters(given).items()}
    return _named(list(_product(values, given)))


def drawn(given: Given, draws: Given) -> tuple[Variant, ...]:
    """As many random variants as ``[draws]`` says, all different. A list gives one of its values, bounds a number between them.

    The same file gives the same variants on every machine.

    Raises:
        InputError: as ``grid``; or there are fewer different variants than are wanted.
    """
    inside = draws.table("key of draws", ("count", "seed"))
    if "count" not in inside:
        raise draws.refused(f"{draws.key} must say how many variants to draw: count = 20")
    count = inside["count"].whole(1, MOST_VARIANTS)
    random = Random(inside["seed"].whole(0, 2**63) if "seed" in inside else 0)  # noqa: S311  # no secret
    entries = _parameters(given)
    makers = {name: _maker(entries[name]) for name in PARAMETERS if name in entries}
    found: dict[str, dict[str, object]] = {}
    for _ in range(count * _TRIES):
        values = {name: make(random) for name, make in makers.items()}
        found.setdefault(json.dumps(values), values)
        if len(found) == count:
            return _named(list(found.values()))
    raise inside["count"].refused(
        f"{inside['count'].key} is {count}, but only {len(found)} different variants were found; lower it, or widen {given.key}"
    )


def listed(given: Given, common: Given | None) -> tuple[Variant, ...]:
    """The variants of ``[[variants]]``: each a grid of its own, mostly of one. common: ``[sampling]`` beside them, one value each.

    A variant may replace what is common. One that an earlier one makes too is there once. Names tell what the variant itself gives.

    Raises:
        InputError: as ``grid``; or two variants of one name, a name for several, or a named one that is there already.
    """
    shared = {} if common is None else {name: _only(entry) for name, entry in _parameters(common).items()}
    found: dict[Sampling, _Listed] = {}
    for entry in given.entries():
        for each in _entry(entry, shared):
            same = found.setdefault(each.sampling, each)
            if same is not each and (same.name or each.name):
                raise entry.refused(f"{entry.key} samples as {same.at.key} does; leave one of them out")
    if len(found) > MOST_VARIANTS:
        raise given.refused(f"{given.key} makes {len(found)} variants, but may make at most {MOST_VARIANTS}")
    varied = _varied(found)
    made = tuple(each.variant(varied) for each in found.values())
    distinct("variants", ((each.at, variant.name) for each, variant in zip(found.values(), made, strict=True)))
    return made


def variant_of(given: Given) -> Variant:
    """One variant from a table of sampling parameters, one value each.

    Raises:
        InputError: as ``grid``; or a parameter has several values.
    """
    (made,) = _named([{name: _only(entry) for name, entry in _parameters(given).items()}])
    return made


@dataclass(frozen=True, slots=True)
class _Listed:
    """A variant of ``[[variants]]``. own: what it gives itself. given: with what is common."""

    at: Given
    name: str | None
    sampling: Sampling
    own: frozenset[str]
    given: frozenset[str]

    def variant(self, varied: Sequence[str]) -> Variant:
        name = self.name or _name(self.sampling, [each for each in varied if each in self.own])
        return Variant(name, self.sampling, self.given)


def _entry(entry: Given, shared: Mapping[str, object]) -> Iterator[_Listed]:
    inside = entry.table("key of a variant", ("name", "seed", *PARAMETERS))
    name = inside.pop("name").label() if "name" in inside else None
    _refuse_seed(inside)
    values = {key: _values(value) for key, value in inside.items()}
    if name is not None and any(len(each) > 1 for each in values.values()):
        raise entry.refused(f"{entry.key} has a name, but makes several variants; leave the name out")
    for each in _product(values, entry):
        sampling = {**shared, **each}
        yield _Listed(entry, name, Sampling.of(sampling), frozenset(values), frozenset(sampling))


def _product(values: Mapping[str, Values], given: Given) -> Iterator[dict[str, object]]:
    total = math.prod(len(each) for each in values.values())
    if total > MOST_VARIANTS:
        raise given.refused(
            f"{given.key} makes {total} variants, but may make at most {MOST_VARIANTS}; shorten a list, or draw some with [draws]"
        )
    return (dict(zip(values, each, strict=True)) for each in itertools.product(*values.values()))


def _parameters(given: Given) -> dict[str, Given]:
    inside = given.table("sampling parameter")
    _refuse_seed(inside)
    for name, entry in inside.items():
        if name not in PARAMETERS:
            raise entry.refused(unknown("sampling parameter", name, PARAMETERS))
    return inside


def _refuse_seed(inside: Mapping[str, Given]) -> None:
    if "seed" in inside:
        raise inside["seed"].refused(
            "seed is not a sampling parameter that varies here: each repeat has its own seed, the same in every cell, so that cells "
            "can be compared in pairs; write seed or seeds outside of sampling"
        )


def _values(given: Given) -> Values:
    """The values that one parameter takes, each in its range."""
    if is_range(given.value):
        found: Values = stepped(given, whole=_is_whole(given))
        checked = [_checked(given, value) for value in found]
    elif _is_list(given):
        checked = [_checked(entry, entry.value) for entry in given.entries()]
        seen: list[object] = []
        for n, value in enumerate(checked):
            if value in seen:
                raise given.at(n, value).refused(f"{given.key} has the value {value!r} twice; leave one of them out")
            seen.append(value)
    else:
        checked = [_checked(given, given.value)]
    return checked


def _only(given: Given) -> object:
    if is_range(given.value) or _is_list(given):
        raise given.must("one value; several make a grid, which has no [[variants]]")
    return _checked(given, given.value)


def _maker(given: Given) -> Callable[[Random], object]:
    if isinstance(given.value, dict) and {"low", "high"} & given.value.keys():
        bounds = uniform(given, whole=_is_whole(given))
        _checked(given, bounds.low)
        _checked(given, bounds.high)
        return lambda random: _checked(given, bounds.draw(random))
    values = _values(given)
    if len(values) == 1:
        return lambda _: values[0]
    return lambda random: values[int(random.random() * len(values))]


def _is_list(given: Given) -> bool:
    """Whether it is several values. Stops are a list by themselves, so only a list of lists is several."""
    if given.path[-1] == "stop":
        return isinstance(given.value, list | tuple) and any(isinstance(each, list | tuple) for each in given.value)
    return isinstance(given.value, list | tuple)


def _is_whole(given: Given) -> bool:
    name = str(given.path[-1])
    if name not in RANGES:
        raise given.must("texts; ranges are of numbers")
    return RANGES[name][0] is int


def _checked(given: Given, value: object) -> object:
    """The value, as ``Sampling`` takes it; stops as a list."""
    name = next(str(step) for step in reversed(given.path) if isinstance(step, str))
    try:
        made = Sampling.of({name: value})
    except SamplingError as error:
        raise given.refused(str(error)) from None
    found = getattr(made, name)
    if name == "stop":
        return list(found)
    return RANGES[name][0](found)  # 0 and 0.0 are the same temperature


def _named(given: Sequence[Mapping[str, object]]) -> tuple[Variant, ...]:
    samplings = [Sampling.of(each) for each in given]
    varied = _varied(samplings)
    return tuple(
        Variant(_name(sampling, varied), sampling, frozenset(each))
        for sampling, each in zip(samplings, given, strict=True)
    )


def _varied(samplings: Collection[Sampling]) -> list[str]:
    return [name for name in PARAMETERS if len({getattr(each, name) for each in samplings}) > 1]


def _name(sampling: Sampling, varied: Iterable[str]) -> str:
    return " ".join(f"{name}={_shown(getattr(sampling, name))}" for name in varied) or DEFAULT


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return json.dumps(list(value), ensure_ascii=False)
    return f"{value:.10g}" if isinstance(value, float) else str(value)
