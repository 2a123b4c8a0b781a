"""What a report tells of outputs: measures, declared scores and diversity, chosen by name and asked in one way. Knows no figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from puna.errors import InputError, unknown
from puna.experiments.compare import (
    DIVERSITY,
    Comparison,
    Summary,
    comparisons,
    diversities,
    diversity_comparisons,
    summaries,
)
from puna.experiments.measures import MEASURES, Measure, measures_of
from puna.experiments.plan import Check
from puna.experiments.rows import Row


def quantities(names: Iterable[str], checks: Iterable[Check], rows: Sequence[Row]) -> tuple[Measure, ...]:
    """The measures of these names, in order; of none, those that say most of the rows: diversity, likelihood, length and declared scores.

    Raises:
        InputError: an unknown name; one that needs log-probabilities, of rows without any.
    """
    scores = _scores(tuple(checks))
    known = {DIVERSITY.name: DIVERSITY, **MEASURES, **scores}
    recorded = any(row.outcome.logprobs for row in rows)
    chosen = list(dict.fromkeys(names)) or _telling(scores, rows, recorded=recorded)
    for name in chosen:
        if name not in known:
            raise InputError(unknown("measure", name, known))
        if known[name].needs_logprobs and not recorded:
            raise InputError(
                f"the measure {name} needs the log-probabilities of the output's tokens, but the run records none; "
                "write `logprobs = 5` under [record] in the experiment's file and sweep again"
            )
    return tuple(known[name] for name in chosen)


def summed(rows: Iterable[Row], measure: Measure, by: str) -> tuple[Summary, ...]:
    """What each level has of a measure, or of diversity.

    Raises:
        InputError: an unknown factor.
    """
    return diversities(rows, by) if measure is DIVERSITY else summaries(rows, measure, by)


def compared(rows: Iterable[Row], measure: Measure, by: str, alpha: float = 0.05) -> tuple[Comparison, ...]:
    """Each two levels of a measure, or of diversity; all of them are one family.

    Raises:
        InputError: an unknown factor.
    """
    return diversity_comparisons(rows, by, alpha) if measure is DIVERSITY else comparisons(rows, measure, by, alpha)


def number(value: float) -> str:
    """A number as tables tell it: three digits that count, or all before the point."""
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:#.3g}" if abs(value) < 99.95 else f"{value:.0f}"


def p_value(p: float | None) -> str:
    """A p as tables tell it."""
    if p is None:
        return "-"
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def _scores(checks: Iterable[Check]) -> Mapping[str, Measure]:
    """Declared scores by name. One that is called like a measure, as older stores may have it, is told apart from it."""
    checks = tuple(checks)
    measures, found = measures_of(checks), dict[str, Measure]()
    for check in checks:
        name = check.name
        while name in found or name == DIVERSITY.name or name in MEASURES:
            name += " (score)"
        found[name] = replace(measures[check.name], name=name)
    return found


def _telling(scores: Iterable[str], rows: Sequence[Row], *, recorded: bool) -> list[str]:
    repeated = any(row.repeat for row in rows)
    named: list[tuple[str, Callable[[], bool]]] = [
        (DIVERSITY.name, lambda: repeated),
        ("mean_logprob", lambda: recorded),
        ("tokens", lambda: any(row.outcome.usage for row in rows)),
        ("words", lambda: not any(row.outcome.usage for row in rows)),
    ]
    return [name for name, there in named if there()] + list(scores)
