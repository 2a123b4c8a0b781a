"""Rows as independent values of each level, and as pairs of two levels. Knows rows and measures; no statistics.

The unit is a prompt with its case and a seed; what a level has there in several contexts is averaged first. Where the seed changes
nothing (greedy sampling), all repeats are one and the same answer, and count once: else n would be as large as one likes. Values and
pairs that are missing are counted, each.

Whether units are *repeats* or *prompts* is a question of what is to be known. Over repeats: would other seeds say the same of these
prompts? Over prompts: would other prompts say the same? Then a prompt is one value, the mean of its repeats.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import combinations
from typing import Generic, TypeVar

from puna.experiments.factors import Factor, Level, Place, factor, greedy, levels
from puna.experiments.measures import Measure
from puna.experiments.rows import Row

T = TypeVar("T")

MANY_PROMPTS = 12
"""Prompts and cases from which they are taken for a sample of more. A permutation test of 12 values can have p = 0.0005, which is below 0.05
still when it is one of 100 comparisons."""


class Over(StrEnum):
    """What an interval or a test generalises to."""

    REPEATS = "repeats"
    """Other seeds, the same prompts and cases."""
    PROMPTS = "prompts"
    """Other prompts and cases like these."""


@dataclass(slots=True)
class Found(Generic[T]):
    """What a level has at a place in a context. values: by seed, several where several runs are read at once.

    seeds: also those without a value. fixed: the seed changes nothing: greedy, and no repeat differs (a greedy answer's latency does).
    """

    values: dict[int, list[T]] = field(default_factory=dict)
    seeds: set[int] = field(default_factory=set)
    failed: int = 0
    undefined: int = 0
    fixed: bool = False

    def every(self) -> list[T]:
        """All values."""
        return [value for several in self.values.values() for value in several]


Key = tuple[Hashable, Hashable, Place]
"""Level, context, place."""

Parts = dict[tuple[Place, int | None], list[float]]
"""Values, or differences, of each unit in several contexts."""


@dataclass(frozen=True, slots=True)
class Units:
    """The independent values of a level, by what would be the same another time: over repeats by place, over prompts all in one group.

    matched: whether all levels were asked the same, in the same contexts; else their means differ for other reasons too, and only pairs compare
    them. exact: nothing would be different another time. failed: rows without an answer. undefined: answers that have no such number.
    """

    level: Level
    groups: tuple[tuple[float, ...], ...]
    failed: int
    undefined: int
    exact: bool = False
    matched: bool = True

    @property
    def values(self) -> tuple[float, ...]:
        """All of them."""
        return tuple(value for group in self.groups for value in group)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Two levels on the units that both have. differences: b less a, one for each unit.

    left_out: pairs of which a side has no value. unmatched: what was asked in contexts, or places, of one side only, such as a temperature that
    was tried at one top_p alone; it takes no part. over: what they generalise to; over prompts also where both sides are greedy, so that repeats are none. each: pairs that one more repeat
    (or prompt) brings.
    """

    a: Level
    b: Level
    differences: tuple[float, ...]
    left_out: int
    unmatched: int
    over: Over
    each: float


def collect(
    rows: Iterable[Row], by: Factor, of: Callable[[Row], T | None], same: Callable[[T, T], bool]
) -> dict[Key, Found[T]]:
    """What rows have, by level, context and place. same: whether two values do not differ."""
    table: dict[Key, Found[T]] = {}
    always_likeliest = set()
    for row in rows:
        key = (by.level(row), by.context(row), by.place(row))
        found = table.setdefault(key, Found())
        if greedy(row.cell.sampling):
            always_likeliest.add(key)
        found.seeds.add(row.seed)
        value = of(row) if row.ok else None
        if value is not None:
            found.values.setdefault(row.seed, []).append(value)
        elif row.ok:
            found.undefined += 1
        else:
            found.failed += 1
    for key in always_likeliest:
        every = table[key].every()
        table[key].fixed = bool(every) and all(same(value, every[0]) for value in every)
    return table


def scope(table: Mapping[Key, Found[T]]) -> Over:
    """Over prompts where there are many, or where there is but one repeat; else over repeats."""
    places = {place for _, _, place in table}
    repeated = any(len(found.values) > 1 and not found.fixed for found in table.values())
    return Over.PROMPTS if len(places) >= MANY_PROMPTS or not repeated else Over.REPEATS


def units(
    rows: Iterable[Row], measure: Measure, by: str = "setting", over: Over | None = None
) -> tuple[tuple[Units, ...], Over]:
    """The values of each level, and what they generalise to: as told, or else as ``scope`` says.

    Raises:
        InputError: an unknown factor.
    """
    rows, by_factor = tuple(rows), factor(by)
    table = collect(rows, by_factor, _finite(measure), _same)
    over = over or scope(table)
    same = matched(table)
    return tuple(replace(_units(table, level, over), matched=same) for level in levels(rows, by_factor)), over


def pairs(rows: Iterable[Row], measure: Measure, by: str = "setting", over: Over | None = None) -> tuple[Pairs, ...]:
    """Each two levels in pairs, in the order of the levels.

    Raises:
        InputError: an unknown factor.
    """
    rows, by_factor = tuple(rows), factor(by)
    table = collect(rows, by_factor, _finite(measure), _same)
    over = over or scope(table)
    return tuple(_pairs(table, a, b, over) for a, b in combinations(levels(rows, by_factor), 2))


def matched(table: Mapping[Key, Found[T]]) -> bool:
    """Whether all levels were asked the same, in the same contexts."""
    asked: dict[Hashable, set[tuple[Hashable, Place]]] = defaultdict(set)
    for level, context, place in table:
        asked[level].add((context, place))
    return len(set(map(frozenset, asked.values()))) <= 1


def counted(table: Mapping[Key, Found[T]], level: Level) -> tuple[int, int]:
    """Failed rows, and answers without a number, of a level."""
    mine = [found for key, found in table.items() if key[0] == level.value]
    return sum(found.failed for found in mine), sum(found.undefined for found in mine)


def averaged(parts: Parts, over: Over) -> dict[Place, list[float]]:
    """Values of units by place: means over contexts, and over prompts the mean of these."""
    found: dict[Place, list[float]] = defaultdict(list)
    for (place, _), several in parts.items():
        found[place].append(_mean(several))
    return {place: [_mean(several)] for place, several in found.items()} if over is Over.PROMPTS else dict(found)


def grouped(
    level: Level,
    drawn: Parts,
    known: Parts,
    over: Over,
    *,
    failed: int,
    undefined: int,
) -> Units:
    """Units in their groups. drawn: values that another seed would have otherwise; known: those it would not."""
    if over is Over.PROMPTS:
        every = averaged({**drawn, **known}, over)
        group = tuple(value for values in every.values() for value in values)
        return Units(level, (group,) if group else (), failed, undefined)
    groups = [*averaged(drawn, over).values(), *averaged(known, over).values()]
    return Units(level, tuple(map(tuple, groups)), failed, undefined, exact=bool(known) and not drawn)


def paired(levels: tuple[Level, Level], parts: Parts, left_out: int, unmatched: int, over: Over) -> Pairs:
    """Differences by unit, as pairs. A seed of None: the seed changes neither side."""
    seeds = [seed for _, seed in parts if seed is not None]
    differences = tuple(value for values in averaged(parts, over).values() for value in values)
    if over is Over.PROMPTS or not seeds:
        return Pairs(*levels, differences, left_out, unmatched, Over.PROMPTS, 1.0)
    return Pairs(*levels, differences, left_out, unmatched, over, len(seeds) / len(set(seeds)))


def _finite(measure: Measure) -> Callable[[Row], float | None]:
    def of(row: Row) -> float | None:
        value = measure.of(row)
        return float(value) if value is not None and math.isfinite(value) else None

    return of


def _same(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-12)


def _at(found: Found[float], seed: int | None) -> float | None:
    if found.fixed:
        return found.every()[0]
    return _mean(found.values[seed]) if seed is not None and seed in found.values else None


def _units(table: Mapping[Key, Found[float]], level: Level, over: Over) -> Units:
    drawn: Parts = defaultdict(list)
    known: Parts = defaultdict(list)
    for (value, _, place), found in table.items():
        if value != level.value:
            continue
        if found.fixed:
            known[place, None].append(found.every()[0])
        else:
            for seed, several in found.values.items():
                drawn[place, seed].append(_mean(several))
    failed, undefined = counted(table, level)
    return grouped(level, drawn, known, over, failed=failed, undefined=undefined)


def _pairs(table: Mapping[Key, Found[float]], a: Level, b: Level, over: Over) -> Pairs:
    parts: Parts = defaultdict(list)
    left_out = unmatched = 0
    for context, place in dict.fromkeys(key[1:] for key in table if key[0] in {a.value, b.value}):
        sides = [found for level in (a, b) if (found := table.get((level.value, context, place)))]
        asked = sorted(set().union(*(side.seeds for side in sides if not side.fixed)))
        if len(sides) < 2:
            unmatched += len(asked) or 1
            continue
        for seed in asked or (None,):
            one, other = (_at(side, seed) for side in sides)
            if one is None or other is None:
                left_out += 1
            else:
                parts[place, seed].append(other - one)
    return paired((a, b), parts, left_out, unmatched, over)


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
