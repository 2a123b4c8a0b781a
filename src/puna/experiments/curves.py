"""The numbers behind the figures of a run: curves, levels, spreads and matrices. Knows rows and statistics; draws nothing.

A *curve* shows a measure against one sampling parameter, with a line for each setting of everything else.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from puna.experiments.compare import Comparison
from puna.experiments.factors import FACTORS, PARAMETERS, factor, levels
from puna.experiments.labels import named
from puna.experiments.measures import Measure
from puna.experiments.plan import Cell
from puna.experiments.quantities import summed
from puna.experiments.rows import Row
from puna.experiments.stats import Interval

MOST_LINES = 6
"""Lines of one figure that eyes can tell apart."""

MOST_LEVELS = 24
"""Levels of one figure."""

ALIASES = {
    "top_p": "top-p",
    "top_k": "top-k",
    "min_p": "min-p",
    "mean_logprob": "mean log-probability",
    "first_token": "time to first text",
    "tokens_per_second": "speed",
}
"""How figures write names whose underscores are no blanks."""


@dataclass(frozen=True, slots=True)
class Point:
    """A level of the parameter, and what the measure is there. n: independent values."""

    x: float
    y: Interval
    n: int


@dataclass(frozen=True, slots=True)
class Line:
    """Points in order of x. name: what sets this line apart, empty for the only one."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """A measure against a sampling parameter. averaged: what else varied, over which the lines are means."""

    parameter: str
    measure: Measure
    lines: tuple[Line, ...]
    averaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Levels:
    """A measure for each level of a factor that has no scale."""

    by: str
    measure: Measure
    names: tuple[str, ...]
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Spread:
    """Every output's own value, for each level of a factor, which are as ``names``."""

    by: str
    measure: Measure
    names: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Which levels differ. significant: after correction, shape (n, n).

    differences: the mean of the level of the row less that of the column, shape (n, n), None where nothing is known.
    """

    by: str
    measure: Measure
    names: tuple[str, ...]
    differences: tuple[tuple[float | None, ...], ...]
    significant: tuple[tuple[bool, ...], ...]


def readable(name: str) -> str:
    """A parameter or measure as figures write it: ``top-p``, ``mean logprob``."""
    return ALIASES.get(name, name.replace("_", " "))


def varied(rows: Iterable[Row]) -> tuple[str, ...]:
    """The sampling parameters and other factors of which rows have several levels; numbers first."""
    cells = list({row.cell.index: row.cell for row in rows}.values())
    numbers = [name for name in PARAMETERS if name != "stop"]
    others = ("target", "system", "format", "prompt", "case")
    found = [name for name in numbers if len({getattr(cell.sampling, name) for cell in cells}) > 1]
    return (*found, *(name for name in others if len({getattr(cell, name) for cell in cells}) > 1))


def curves(rows: Sequence[Row], measure: Measure) -> tuple[Curve, ...]:
    """A curve of the measure for each sampling parameter that varies while all else stays."""
    parameters = [name for name in varied(rows) if name in PARAMETERS]
    found = (_curve(rows, measure, name) for name in parameters)
    return tuple(curve for curve in found if curve is not None)


def in_levels(rows: Sequence[Row], measure: Measure, by: str) -> Levels | None:
    """The measure by a factor; None where it has no values, or more than a figure can hold."""
    told = [each for each in summed(rows, measure, by) if each.mean is not None]
    if not 1 < len(told) <= MOST_LEVELS:
        return None
    points = tuple(Point(n, each.mean, each.n) for n, each in enumerate(told) if each.mean is not None)
    return Levels(by, measure, tuple(each.label for each in told), points)


def spread(rows: Sequence[Row], measure: Measure, by: str) -> Spread | None:
    """Each output's value by a factor; None where there is none, or where it has more levels than a figure can hold."""
    how = factor(by)
    found: dict[Hashable, list[float]] = {level.value: [] for level in levels(rows, how)}
    names = {level.value: level.label for level in levels(rows, how)}
    for row in rows:
        value = measure.of(row)
        if value is not None:
            found[how.level(row)].append(value)
    told = {level: tuple(values) for level, values in found.items() if values}
    if not told or len(told) > MOST_LEVELS:
        return None
    return Spread(by, measure, tuple(names[level] for level in told), tuple(told.values()))


def matrix(measure: Measure, by: str, comparisons: Sequence[Comparison]) -> Matrix | None:
    """Who differs from whom; None for fewer than three levels, more than a figure can hold, or where no difference is known."""
    names = list(dict.fromkeys(level.label for each in comparisons for level in (each.a, each.b)))
    if not 2 < len(names) <= MOST_LEVELS or not any(each.difference for each in comparisons):
        return None
    places = {name: n for n, name in enumerate(names)}
    differences: list[list[float | None]] = [[None] * len(names) for _ in names]
    significant = [[False] * len(names) for _ in names]
    for each in comparisons:
        if each.difference is None:
            continue
        a, b = places[each.a.label], places[each.b.label]
        differences[b][a], differences[a][b] = each.difference.estimate, -each.difference.estimate
        significant[a][b] = significant[b][a] = each.significant
    return Matrix(by, measure, tuple(names), tuple(map(tuple, differences)), tuple(map(tuple, significant)))


def grouping(rows: Sequence[Row]) -> str:
    """The factor by which a figure without a scale shows rows: settings, or, where they are too many, what varies first."""
    if len(levels(rows, factor("setting"))) <= MOST_LEVELS // 2:
        return "setting"
    return next((name for name in varied(rows) if name in PARAMETERS or name in FACTORS), "setting")


def _curve(rows: Sequence[Row], measure: Measure, parameter: str) -> Curve | None:
    how = factor(parameter)
    contexts: dict[Hashable, list[Row]] = {}
    for row in rows:
        contexts.setdefault(how.context(row), []).append(row)
    lines = [mine for mine in contexts.values() if len({how.level(row) for row in mine}) > 1]
    names, averaged = _apart(lines, parameter)
    pooled: dict[str, list[Row]] = {}
    for name, mine in zip(names, lines, strict=True):
        pooled.setdefault(name, []).extend(mine)
    drawn = [Line(name, _points(mine, measure, parameter)) for name, mine in _ordered(pooled)]
    told = tuple(line for line in drawn if len(line.points) > 1)
    return Curve(parameter, measure, told, averaged) if told else None


def _points(rows: Sequence[Row], measure: Measure, parameter: str) -> tuple[Point, ...]:
    return tuple(
        Point(float(str(each.level.value)), each.mean, each.n)
        for each in summed(rows, measure, parameter)
        if each.mean is not None
    )


def _ordered(pooled: Mapping[str, list[Row]]) -> list[tuple[str, list[Row]]]:
    def first(item: tuple[str, list[Row]]) -> tuple[float, ...]:
        sampling = item[1][0].cell.sampling
        return tuple(float(getattr(sampling, name)) for name in PARAMETERS if name != "stop")

    numeric = all("=" not in name for name in pooled)
    return list(pooled.items()) if not numeric else sorted(pooled.items(), key=first)


def _apart(lines: Sequence[Sequence[Row]], parameter: str) -> tuple[list[str], tuple[str, ...]]:
    """What sets lines apart, as names; of too many, by the first thing only, and what they are means over."""
    told = [_aspects(mine[0].cell, parameter) for mine in lines]
    apart = [name for name in (told[0] if told else {}) if len({each[name] for each in told}) > 1]
    averaged: tuple[str, ...] = ()
    while apart and len({tuple(each[name] for name in apart) for each in told}) > MOST_LINES:
        averaged = (readable(apart.pop()), *averaged)
    return [", ".join(named(readable(name), each[name]) for name in apart) for each in told], averaged


def _aspects(cell: Cell, parameter: str) -> dict[str, str]:
    numbers = {name: _shown(getattr(cell.sampling, name)) for name in PARAMETERS if name != parameter}
    first = {name: numbers.pop(name) for name in ("temperature", "top_p") if name in numbers}
    return {**first, "system": cell.system, "target": cell.target, "format": cell.format, **numbers}


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(repr, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
