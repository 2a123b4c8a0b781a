"""How much the repeats of one prompt vary, as independent values of each level and as pairs of two. Knows rows; no statistics of them.

Diversity is a number of a set of outputs, not of one. So that intervals and tests can be had of it all the same, each output has its
jackknife pseudo-value, which stands for what it contributes; the mean of these is the diversity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

import numpy as np

from puna.experiments.factors import Factor, Level, factor, levels
from puna.experiments.paired import (
    Found,
    Key,
    Over,
    Pairs,
    Part,
    Parts,
    Units,
    collect,
    counted,
    grouped,
    matched,
    paired,
    scope,
)
from puna.experiments.rows import Row
from puna.experiments.stats import Floats, pseudo_values

Similarity = Callable[[Sequence[str]], Floats]
"""How alike n texts are, shape (n, n), symmetric, 1 on the diagonal."""


@dataclass(frozen=True, slots=True)
class _Outputs:
    """A level's outputs at a place in a context. seeds: of those that there are. asked: also of the others. fixed: the seed changes nothing."""

    seeds: tuple[int, ...]
    asked: frozenset[int]
    similarities: Floats
    fixed: bool

    def has(self, seed: int) -> bool:
        return self.fixed or seed in self.seeds

    def contributions(self, seeds: Sequence[int]) -> list[float]:
        """Numbers whose mean is the diversity of the outputs of these seeds: one for each output, or, of two outputs, a single one."""
        if self.fixed:
            return [0.0] * (len(seeds) if len(seeds) > 2 else 1)
        places = [self.seeds.index(seed) for seed in seeds]
        some = self.similarities[np.ix_(places, places)]
        return [float(1 - some[0, 1])] if len(some) == 2 else pseudo_values(some).tolist()


def varied_units(
    rows: Iterable[Row], similarity: Similarity, by: str = "setting", over: Over | None = None
) -> tuple[tuple[Units, ...], Over]:
    """The diversity of each level. undefined: outputs that stand alone, so that there is nothing to compare them with.

    Raises:
        InputError: an unknown factor.
    """
    rows, by_factor = tuple(rows), factor(by)
    table, outputs = _collected(rows, by_factor, similarity)
    over = over or scope(table)
    same = matched(table)
    return tuple(replace(_units(table, outputs, level, over), matched=same) for level in levels(rows, by_factor)), over


def varied_pairs(
    rows: Iterable[Row], similarity: Similarity, by: str = "setting", over: Over | None = None
) -> tuple[Pairs, ...]:
    """The diversities of each two levels, of the seeds that both have.

    Raises:
        InputError: an unknown factor.
    """
    rows, by_factor = tuple(rows), factor(by)
    table, outputs = _collected(rows, by_factor, similarity)
    over = over or scope(table)
    return tuple(_pairs(outputs, a, b, over) for a, b in combinations(levels(rows, by_factor), 2))


def _collected(
    rows: Iterable[Row], by: Factor, similarity: Similarity
) -> tuple[dict[Key, Found[str]], dict[Key, _Outputs]]:
    table = collect(rows, by, lambda row: row.output, str.__eq__)
    return table, {key: _outputs(found, similarity) for key, found in table.items()}


def _outputs(found: Found[str], similarity: Similarity) -> _Outputs:
    texts = {seed: several[0] for seed, several in sorted(found.values.items())}
    different = list(dict.fromkeys(texts.values()))  # a text that came several times is compared once
    matrix = similarity(different)
    numbers = [different.index(text) for text in texts.values()]
    return _Outputs(tuple(texts), frozenset(found.seeds), matrix[np.ix_(numbers, numbers)], found.fixed)


def _units(table: Mapping[Key, Found[str]], outputs: Mapping[Key, _Outputs], level: Level, over: Over) -> Units:
    parts: Parts = {}
    alone = 0
    for (value, context, place), found in outputs.items():
        if value != level.value:
            continue
        enough = len(found.seeds) > 1
        if found.fixed:
            parts[context, place] = Part(known=0.0)
        else:
            alone += 0 if enough else len(found.seeds)
            parts[context, place] = Part(len(found.asked), found.seeds if enough else (), found.contributions)
    failed, _ = counted(table, level)
    return grouped(level, parts, over, failed=failed, undefined=alone, least=2)


def _pairs(outputs: Mapping[Key, _Outputs], a: Level, b: Level, over: Over) -> Pairs:
    parts: Parts = {}
    unmatched = 0
    for rest in dict.fromkeys(key[1:] for key in outputs if key[0] in {a.value, b.value}):
        context, place = rest
        one, other = outputs.get((a.value, context, place)), outputs.get((b.value, context, place))
        if one is None or other is None:
            unmatched += sum(1 if side.fixed else len(side.asked) for side in (one, other) if side is not None)
        elif one.fixed and other.fixed:
            parts[rest] = Part(known=0.0)
        else:
            asked = sorted(frozenset().union(*(side.asked for side in (one, other) if not side.fixed)))
            both = tuple(seed for seed in asked if one.has(seed) and other.has(seed))
            parts[rest] = Part(len(asked), both if len(both) > 1 else (), partial(_apart, one, other))
    return paired((a, b), parts, unmatched, over, least=2)


def _apart(one: _Outputs, other: _Outputs, seeds: Sequence[int]) -> list[float]:
    """What the outputs of these seeds contribute to the one diversity less to the other."""
    return [b - a for a, b in zip(one.contributions(seeds), other.contributions(seeds), strict=True)]
