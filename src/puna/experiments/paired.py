"""Rows as independent values of each level, and as pairs of two levels. Knows rows and measures; no statistics.

The unit is a prompt with its case and a seed; what a level has there in several contexts is averaged first, each with the same weight, so that
means do not depend on the number of seeds. Where the seed changes nothing (greedy sampling), all repeats are one and the same answer: beside
sampled contexts it is a known part of every unit, alone it is one unit, else n would be as large as one likes. A unit that lacks a context
would be a mean of other things than the others are, so it takes no part. Values and pairs that are missing are counted, each.

Whether units are *repeats* or *prompts* is a question of what is to be known. Over repeats: would other seeds say the same of these
prompts? Over prompts: would other prompts say the same? Then a prompt is one value, the mean of its repeats.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
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


@dataclass(frozen=True, slots=True)
class Part:
    """What a level, or the difference of two, has at a place in a context. asked: how many seeds. seeds: those with a value.

    values: of these seeds; either one for each, or a single one of them all. known: the value, where no seed changes it.
    """

    asked: int = 0
    seeds: tuple[int, ...] = ()
    values: Callable[[Sequence[int]], Sequence[float]] = lambda _: ()
    known: float | None = None


Parts = dict[tuple[Hashable, Place], Part]
"""By context and place."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A mean over contexts. seed: None for a value of all seeds. sampled: the mean of the sampled contexts alone, None where all are greedy.

    weight: of the sampled contexts, 0 to 1.
    """

    seed: int | None
    value: float
    sampled: float | None
    weight: float


@dataclass(frozen=True, slots=True)
class Units:
    """The independent values of a level, by what would be the same another time: over repeats by place, over prompts all in one group.

    matched: whether all levels were asked the same, in the same contexts; else their means differ for other reasons too, and only pairs compare
    them. exact: nothing would be different another time. failed: rows without an answer. undefined: answers that have no such number. incomplete:
    answers that take no part, because another context has no value at the same seed (over prompts: at no seed of this prompt).

    sampled, weight: where each unit is the mean of so large a share of sampled contexts and of known greedy ones, what the sampled ones have.
    """

    level: Level
    groups: tuple[tuple[float, ...], ...]
    failed: int
    undefined: int
    exact: bool = False
    matched: bool = True
    incomplete: int = 0
    sampled: tuple[float, ...] = ()
    weight: float = 1.0

    @property
    def values(self) -> tuple[float, ...]:
        """All of them."""
        return tuple(value for group in self.groups for value in group)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Two levels on the units that both have. differences: b less a, one for each unit.

    left_out: pairs of answers of which a side has no value, or which another context lacks at the same seed. unmatched: what was asked in contexts, or places, of one side only, such as a temperature that
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


def combined(parts: Parts, over: Over, least: int = 1) -> tuple[dict[Place, list[Unit]], int]:
    """Units by place, and how many values take no part. least: seeds that a context needs for a value.

    Contexts without any value at any place are not asked for; of the others, a unit has all that its place was asked in.
    """
    useful = {context for (context, _), part in parts.items() if part.known is not None or len(part.seeds) >= least}
    places: dict[Place, list[Part]] = defaultdict(list)
    for (context, place), part in parts.items():
        if context in useful:
            places[place].append(part)
    found, unused = {}, 0
    for place, several in places.items():
        found[place], used = _units_at(several, over, least)
        unused += sum(len(part.seeds) or part.known is not None for part in several) - used
    return {place: some for place, some in found.items() if some}, unused


def grouped(level: Level, parts: Parts, over: Over, *, failed: int, undefined: int, least: int = 1) -> Units:
    """The units of a level in their groups."""
    found, incomplete = combined(parts, over, least)
    told = [unit for several in found.values() for unit in several]
    drawn = [[unit.value for unit in several] for several in found.values() if several[0].sampled is not None]
    known = [[unit.value for unit in several] for several in found.values() if several[0].sampled is None]
    groups = [[unit.value for unit in told]] if over is Over.PROMPTS and told else [*drawn, *known]
    exact = over is Over.REPEATS and bool(known) and not drawn
    whole = Units(level, tuple(map(tuple, groups)), failed, undefined, exact, incomplete=incomplete)
    weights = {unit.weight for unit in told}
    if over is Over.PROMPTS or len(weights) != 1 or not 0 < min(weights) < 1:
        return whole
    sampled = tuple(unit.sampled for unit in told if unit.sampled is not None)
    return replace(whole, sampled=sampled, weight=min(weights))


def paired(levels: tuple[Level, Level], parts: Parts, unmatched: int, over: Over, least: int = 1) -> Pairs:
    """Differences by unit, as pairs."""
    found, unused = combined(parts, over, least)
    told = [unit for several in found.values() for unit in several]
    left_out = unused + sum(part.asked - len(part.seeds) for part in parts.values())
    differences, seeds = tuple(unit.value for unit in told), [unit.seed for unit in told if unit.seed is not None]
    if not seeds:
        return Pairs(*levels, differences, left_out, unmatched, Over.PROMPTS, 1.0)
    return Pairs(*levels, differences, left_out, unmatched, over, len(seeds) / len(set(seeds)))


def _units_at(parts: Sequence[Part], over: Over, least: int) -> tuple[list[Unit], int]:
    """The units of a place, and how many values they are made of."""
    drawn, known = (
        [part for part in parts if part.known is None],
        [part.known for part in parts if part.known is not None],
    )
    weight = len(drawn) / len(parts)
    if not drawn:
        return [Unit(None, _mean(known), None, 0.0)], len(known)
    seeds = [seed for seed in drawn[0].seeds if all(seed in part.seeds for part in drawn)]
    if over is Over.PROMPTS and any(len(part.seeds) != len(seeds) for part in drawn):
        if any(len(part.seeds) < least for part in drawn):
            return [], 0
        means = [_mean(part.values(part.seeds)) for part in drawn]
        used = sum(len(part.seeds) for part in drawn) + len(known)
        return [Unit(None, _mean([*means, *known]), _mean(means), weight)], used
    if len(seeds) < least:
        return [], 0
    rows = list(zip(*(part.values(seeds) for part in drawn), strict=True))
    each = seeds if len(rows) == len(seeds) else [None] * len(rows)
    told = [Unit(seed, _mean([*row, *known]), _mean(row), weight) for seed, row in zip(each, rows, strict=True)]
    if over is Over.PROMPTS:
        told = [Unit(None, _mean([u.value for u in told]), _mean([_mean(row) for row in rows]), weight)]
    return told, len(drawn) * len(seeds) + len(known)


def _finite(measure: Measure) -> Callable[[Row], float | None]:
    def of(row: Row) -> float | None:
        value = measure.of(row)
        return float(value) if value is not None and math.isfinite(value) else None

    return of


def _same(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-12)


def _part(asked: int, values: Mapping[int, float], known: float | None = None) -> Part:
    return Part(asked, tuple(values), lambda seeds: [values[seed] for seed in seeds], known)


def _at(found: Found[float], seed: int | None) -> float | None:
    if found.fixed:
        return found.every()[0]
    return _mean(found.values[seed]) if seed is not None and seed in found.values else None


def _units(table: Mapping[Key, Found[float]], level: Level, over: Over) -> Units:
    parts: Parts = {}
    for (value, context, place), found in table.items():
        if value != level.value:
            continue
        if found.fixed:
            parts[context, place] = Part(known=found.every()[0])
        else:
            means = {seed: _mean(several) for seed, several in found.values.items()}
            parts[context, place] = _part(len(found.seeds), means)
    failed, undefined = counted(table, level)
    return grouped(level, parts, over, failed=failed, undefined=undefined)


def _pairs(table: Mapping[Key, Found[float]], a: Level, b: Level, over: Over) -> Pairs:
    parts: Parts = {}
    unmatched = 0
    for context, place in dict.fromkeys(key[1:] for key in table if key[0] in {a.value, b.value}):
        sides = [found for level in (a, b) if (found := table.get((level.value, context, place)))]
        asked = sorted(set().union(*(side.seeds for side in sides if not side.fixed)))
        if len(sides) < 2:
            unmatched += len(asked) or 1
            continue
        differences: dict[int | None, float] = {}
        for seed in asked or (None,):
            one, other = (_at(side, seed) for side in sides)
            if one is not None and other is not None:
                differences[seed] = other - one
        known = differences.pop(None, None)
        parts[context, place] = _part(
            len(asked), {seed: d for seed, d in differences.items() if seed is not None}, known
        )
    return paired((a, b), parts, unmatched, over)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
