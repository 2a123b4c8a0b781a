"""How much the repeats of one prompt vary, as independent values of each level and as pairs of two. Knows rows; no statistics of them.

Diversity is a number of a set of outputs, not of one. So that intervals can be had of it all the same, each output has its jackknife
pseudo-value, whose mean is the diversity; so that a pair can be swapped between two levels, it has its ``swap_values``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np

from puna.experiments.factors import Level, Place, factor, levels
from puna.experiments.paired import Found, Key, Over, Pairs, Units, averaged, collect, counted, each, scope, seeds_of
from puna.experiments.permutation import pseudo_values, swap_values
from puna.experiments.rows import Row
from puna.experiments.stats import Floats

Similarity = Callable[[Sequence[str]], Floats]
"""How alike n texts are, shape (n, n), symmetric, 1 on the diagonal."""

Parts = dict[tuple[Place, int | None], list[float]]


class _Alike:
    """Similarities of all outputs at a place. Each text is compared once, however often it stands there."""

    def __init__(self, table: Mapping[Key, Found[str]], similarity: Similarity) -> None:
        texts: dict[Place, dict[str, int]] = defaultdict(dict)
        for (_, _, place), found in table.items():
            for several in found.values.values():
                texts[place].setdefault(several[0], len(texts[place]))
        self._numbers = texts
        self._matrices = {place: similarity(list(numbers)) for place, numbers in texts.items()}

    def of(self, place: Place, texts: Sequence[str]) -> Floats:
        numbers = [self._numbers[place][text] for text in texts]
        return self._matrices[place][np.ix_(numbers, numbers)]


def varied_units(
    rows: Iterable[Row], similarity: Similarity, by: str = "setting", over: Over | None = None
) -> tuple[tuple[Units, ...], Over]:
    """The diversity of each level. undefined: outputs that stand alone, so that there is nothing to compare them with.

    Raises:
        InputError: an unknown factor.
    """
    rows, by_factor = tuple(rows), factor(by)
    table = collect(rows, by_factor, _text)
    over = over or scope(table)
    # Outputs of two levels are never compared here, so each level has its own, smaller matrices.
    return tuple(_units(table, level, similarity, over) for level in levels(rows, by_factor)), over


def varied_pairs(
    rows: Iterable[Row], similarity: Similarity, by: str = "setting", over: Over | None = None
) -> tuple[tuple[Pairs, ...], Over]:
    """The diversities of each two levels, of the seeds that both have.

    Raises:
        InputError: an unknown factor.
    """
    rows, by_factor = tuple(rows), factor(by)
    table = collect(rows, by_factor, _text)
    over = over or scope(table)
    alike = _Alike(table, similarity)
    return tuple(_pairs(table, a, b, alike, over) for a, b in combinations(levels(rows, by_factor), 2)), over


def _text(row: Row) -> str | None:
    return row.output


def _fixed(found: Found[str] | None) -> bool:
    """Whether the seed changes nothing: greedy, and no repeat differs."""
    return found is not None and found.greedy and len({texts[0] for texts in found.values.values()}) == 1


def _at(found: Found[str] | None, seed: int, *, fixed: bool) -> str | None:
    if found is None:
        return None
    return next(iter(found.values.values()))[0] if fixed else found.values.get(seed, [None])[0]


def _units(table: Mapping[Key, Found[str]], level: Level, similarity: Similarity, over: Over) -> Units:
    mine = {key: found for key, found in table.items() if key[0] == level.value}
    alike = _Alike(mine, similarity)
    drawn: Parts = defaultdict(list)
    known: Parts = defaultdict(list)
    alone = 0
    for (_, _, place), found in mine.items():
        texts = {seed: several[0] for seed, several in sorted(found.values.items())}
        if _fixed(found):
            known[place, None].append(0.0)
        elif len(texts) < 2:
            alone += len(texts)
        else:
            values = _contributions(alike.of(place, list(texts.values())))
            for seed, value in zip(texts if len(values) > 1 else (None,), values, strict=False):
                drawn[place, seed].append(value)
    failed, _ = counted(table, level)
    if over is Over.PROMPTS:
        every = averaged({**drawn, **known}, over)
        return Units(
            level, (tuple(value for values in every.values() for value in values),) if every else (), failed, alone
        )
    groups = [*averaged(drawn, over).values(), *averaged(known, over).values()]
    return Units(level, tuple(map(tuple, groups)), failed, alone, exact=bool(known) and not drawn)


def _contributions(similarities: Floats) -> list[float]:
    """Numbers whose mean is the diversity: one for each output, or, of two outputs, a single one."""
    if len(similarities) == 2:
        return [float(1 - similarities[0, 1])]
    return [float(value) for value in pseudo_values(similarities)]


def _pairs(table: Mapping[Key, Found[str]], a: Level, b: Level, alike: _Alike, over: Over) -> Pairs:
    differences: Parts = defaultdict(list)
    turned: Parts = defaultdict(list)
    left_out = 0
    for context, place in dict.fromkeys(key[1:] for key in table if key[0] in {a.value, b.value}):
        one, other = table.get((a.value, context, place)), table.get((b.value, context, place))
        same = (_fixed(one), _fixed(other))
        if all(same):
            differences[place, None].append(0.0)
            turned[place, None].append(0.0)
            continue
        seeds = sorted(seeds_of(one, other, fixed=same)) or [0]
        sides = [
            [_at(found, seed, fixed=fixed) for seed in seeds] for found, fixed in zip((one, other), same, strict=True)
        ]
        both = [n for n in range(len(seeds)) if sides[0][n] is not None and sides[1][n] is not None]
        left_out += len(seeds) - len(both)
        if len(both) < 2:
            left_out += len(both)
            continue
        texts = [text for side in sides for n in both if (text := side[n]) is not None]
        matrix, n = alike.of(place, texts), len(both)
        apart = np.subtract(_contributions(matrix[n:, n:]), _contributions(matrix[:n, :n]))
        for k, swapped in enumerate(swap_values(matrix)):
            seed = seeds[both[k]]
            turned[place, seed].append(float(swapped))
            differences[place, seed].append(float(apart[k] if len(apart) > 1 else apart[0]))
    flat = [tuple(v for values in averaged(parts, over).values() for v in values) for parts in (differences, turned)]
    return Pairs(a, b, flat[0], flat[0] if over is Over.PROMPTS else flat[1], left_out, each(turned, over))
