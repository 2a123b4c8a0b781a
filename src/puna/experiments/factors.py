"""What rows can be compared by, and what must be the same on both sides then. Knows rows; no measures and no statistics.

A *level* is one of the things that are compared, a temperature for instance. A *context* is what else was set, a *place* what was asked. Two
rows of different levels are a pair where context, place and seed are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, fields, replace

from puna.errors import InputError, unknown
from puna.experiments.plan import Cell
from puna.experiments.rows import Row
from puna.generation import Sampling

_DEFAULTS = Sampling()

PARAMETERS = tuple(entry.name for entry in fields(Sampling) if entry.name != "seed")
"""Sampling parameters by which rows can be compared. Not the seed: it is what makes pairs."""

FACTORS = ("setting", "target", "system", "format", "variant", "prompt", "case", "run")
"""What else they can be compared by."""

Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Factor:
    """How a row is told apart. level: what is compared. context: what else was set. place: prompt and case, less what is compared."""

    name: str
    level: Callable[[Row], Hashable]
    context: Callable[[Row], Hashable]
    place: Callable[[Row], Place]


@dataclass(frozen=True, slots=True)
class Level:
    """One of the things that are compared. value: a name, a number, stop texts, or the names of a setting. label: how tables tell it."""

    value: Hashable
    label: str


def factor(name: str) -> Factor:
    """By what rows are compared.

    Raises:
        InputError: an unknown name; the known ones are listed.
    """
    if name == "setting":
        return Factor(name, lambda row: row.cell.setting, _nothing, lambda row: row.cell.unit)
    if name == "run":
        return Factor(name, lambda row: row.run, lambda row: row.cell.setting, lambda row: row.cell.unit)
    if name == "prompt":
        return Factor(name, lambda row: row.cell.prompt, lambda row: row.cell.setting, lambda row: (row.cell.case,))
    if name == "case":
        return Factor(name, lambda row: row.cell.case, lambda row: row.cell.setting, lambda row: (row.cell.prompt,))
    if name in FACTORS:
        return Factor(
            name, lambda row: getattr(row.cell, name), lambda row: _others(row.cell, name), lambda row: row.cell.unit
        )
    if name in PARAMETERS:
        return Factor(
            name,
            lambda row: getattr(row.cell.sampling, name),
            lambda row: (row.cell.target, row.cell.system, row.cell.format, _without(row.cell.sampling, name)),
            lambda row: row.cell.unit,
        )
    raise InputError(unknown("factor", name, (*FACTORS, *PARAMETERS)))


def levels(rows: Iterable[Row], by: Factor) -> tuple[Level, ...]:
    """The levels that rows have: numbers from the least, others in the order of the rows."""
    found = list(dict.fromkeys(by.level(row) for row in rows))
    if by.name in PARAMETERS and by.name != "stop":
        found.sort(key=lambda value: float(value) if isinstance(value, int | float) else 0.0)
    if by.name != "setting":
        return tuple(Level(value, _label(value)) for value in found)
    settings = [value for value in found if isinstance(value, tuple)]
    varying = [n for n, names in enumerate(zip(*settings, strict=True)) if len(set(names)) > 1] or [3]  # 3: the variant
    return tuple(Level(value, ", ".join(value[n] for n in varying)) for value in settings)


def greedy(sampling: Sampling) -> bool:
    """Whether always the likeliest token is chosen, so that the seed changes nothing."""
    return sampling.temperature == 0 or sampling.top_k == 1 or sampling.top_p == 0 or sampling.min_p == 1


def _nothing(_: Row) -> Hashable:
    return ()


def _others(cell: Cell, name: str) -> Hashable:
    return tuple(getattr(cell, other) for other in ("target", "system", "format", "variant") if other != name)


def _without(sampling: Sampling, name: str) -> Sampling:
    return replace(sampling, seed=None, **{name: getattr(_DEFAULTS, name)})


def _label(value: Hashable) -> str:
    if isinstance(value, tuple):
        return " ".join(map(repr, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
