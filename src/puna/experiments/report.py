"""What a run shows, as values: who answered, what failed, measures with intervals, what differs. Knows stores; draws and prints nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from puna.errors import InputError
from puna.experiments.compare import Comparison, Summary
from puna.experiments.curves import MOST_LEVELS, varied
from puna.experiments.factors import factor, levels
from puna.experiments.labels import counted
from puna.experiments.measures import Measure
from puna.experiments.parity import Parity, between_runs, between_targets
from puna.experiments.quantities import compared, quantities, summed
from puna.experiments.rows import Distribution, Likelihood, Row
from puna.experiments.runs import RunInfo
from puna.experiments.store import Store

MOST_REASONS = 8
"""Reasons of failures that are told; ``as_json`` has all."""

UNMATCHED = "These levels were not all asked the same, so their means differ by what else was set, too; the comparisons hold that equal."


@dataclass(frozen=True, slots=True)
class Part:
    """One measure: what each level has of it, and every two levels compared; the comparisons are one family."""

    measure: Measure
    summaries: tuple[Summary, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def matched(self) -> bool:
        """Whether the means can be compared as they stand."""
        return all(each.matched for each in self.summaries)

    @property
    def gap(self) -> str:
        """Why answers have no number, where some have none and the reason is known; else empty."""
        return self.measure.undefined if any(each.undefined for each in self.summaries) else ""

    @property
    def significant(self) -> tuple[Comparison, ...]:
        """The differences that are, the largest effects first."""
        found = [each for each in self.comparisons if each.significant]
        return tuple(sorted(found, key=lambda each: -abs(each.difference.estimate if each.difference else 0.0)))

    @property
    def testable(self) -> tuple[Comparison, ...]:
        """The comparisons that have a pair with a value on both sides."""
        return tuple(each for each in self.comparisons if each.pairs)

    @property
    def verdict(self) -> str:
        """How many of these differences are real, as a sentence; empty where none can be tested."""
        found, total = len(self.significant), len(self.testable)
        return f"{found} of {total} differences {'is' if found == 1 else 'are'} significant" if total else ""

    @property
    def untestable(self) -> str:
        """How many have none, as a sentence; empty where all have."""
        n = len(self.comparisons) - len(self.testable)
        what = "a value" if any(each.undefined for each in self.summaries) else "an answer"
        return f"{n} not comparable: no pair has {what} on both sides" if n else ""

    @property
    def open(self) -> tuple[Comparison, ...]:
        """The differences that repeats could still show, those that need the fewest first."""
        found = [each for each in self.comparisons if not each.significant and each.repeats_for_this]
        return tuple(sorted(found, key=lambda each: each.repeats_for_this or 0))


@dataclass(frozen=True, slots=True)
class Answer:
    """An output of a cell, with all the rows that have it; of a failed trial its one row."""

    rows: tuple[Row, ...]

    @property
    def text(self) -> str:
        """The output."""
        return self.rows[0].output

    @property
    def ok(self) -> bool:
        """Whether it is a whole answer."""
        return self.rows[0].ok


@dataclass(frozen=True, slots=True)
class Report:
    """All that is told of a run. by: what the measures compare; instead: why it is not the settings, where nobody said so.

    failures: kind and sentence, with how often. prompts: exact texts by hash.
    """

    run: RunInfo
    rows: tuple[Row, ...]
    by: str
    instead: str
    parts: tuple[Part, ...]
    failures: tuple[tuple[str, int], ...]
    prompts: Mapping[str, str]
    likelihoods: tuple[Likelihood, ...]
    distributions: tuple[Distribution, ...]
    parities: tuple[Parity, ...]

    def answers(self) -> dict[int, tuple[Answer, ...]]:
        """The outputs of each cell, equal ones together, in the order of their first repeat; failed trials one by one."""
        cells: dict[int, dict[object, list[Row]]] = {}
        for row in self.rows:
            same: object = row.output if row.ok else (row.repeat,)
            cells.setdefault(row.cell.index, {}).setdefault(same, []).append(row)
        return {index: tuple(Answer(tuple(rows)) for rows in found.values()) for index, found in cells.items()}

    def reasons(self) -> tuple[str, ...]:
        """Why trials failed, the most frequent first, each with how often; of many the first ones, and how many others there are."""
        told = [f"{count} x {reason}" for reason, count in self.failures[:MOST_REASONS]]
        rest = self.failures[MOST_REASONS:]
        more = f"and {counted(len(rest), 'other reason')}, of {counted(sum(n for _, n in rest), 'trial')}"
        return (*told, more) if rest else tuple(told)

    def answerers(self) -> tuple[str, ...]:
        """What answered, one sentence per target: model, file, engine, and whether its answers can be had again."""
        found: dict[tuple[str, str], None] = {}
        several = len({row.cell.target for row in self.rows}) > 1
        for row in self.rows:
            if row.ok:
                found[row.cell.target if several else "", _answerer(row)] = None
        return tuple(f"{target}: {told}" if target else told for target, told in found)


def read(
    store: Store,
    run: str | None = None,
    *,
    measures: Sequence[str] = (),
    by: str | None = None,
    parity: bool = False,
    against: str | None = None,
) -> Report:
    """Read a run and compute everything that is told of it. against: another run of the store, or None for none.

    Raises:
        InputError: no such run, measure or factor; a run without rows.
    """
    info = store.run(run)
    rows = tuple(store.rows(info.id, logprobs=True))
    if not rows:
        raise InputError(
            f"run {info.id} has no rows yet, of {info.planned} planned; go on with it: `puna sweep FILE --resume --store {store.path}`"
        )
    chosen, instead = (by, "") if by else _grouping(rows)
    parts = tuple(
        Part(measure, summed(rows, measure, chosen), compared(rows, measure, chosen))
        for measure in quantities(measures, info.checks, rows)
    )
    return Report(
        info, rows, chosen, instead, parts, _failures(rows),
        {sha: store.prompt_text(sha) for sha in dict.fromkeys(row.prompt_sha256 for row in rows) if sha},
        store.likelihoods(info.id), store.distributions(info.id), _parities(store, info, rows, against, parity=parity),
    )  # fmt: skip


def as_json(report: Report) -> dict[str, Any]:
    """The report without its outputs, as JSON values; ``puna runs export`` has those."""
    run = report.run
    return {
        "run": {
            "id": run.id, "name": run.name, "state": run.state, "created": run.created, "planned": run.planned, "done": run.done,
            "failed": run.failed, "missing": run.missing, "reused": run.reused, "cells": run.cells, "seeds": list(run.seeds),
            "targets": [target.name for target in run.targets], "answered_by": list(report.answerers()),
        },
        "by": report.by,
        "failures": [{"reason": reason, "count": count} for reason, count in report.failures],
        "measures": [_part(part) for part in report.parts],
        "likelihoods": [
            {"cell": each.cell, "name": each.name, "group": each.group, "logprob": each.logprob, "tokens": len(each.tokens)}
            for each in report.likelihoods
        ],
        "parity": [_parity(parity) for parity in report.parities],
    }  # fmt: skip


def _grouping(rows: Sequence[Row]) -> tuple[str, str]:
    settings = len(levels(rows, factor("setting")))
    others = [name for name in varied(rows) if name not in {"prompt", "case"}]
    if settings > MOST_LEVELS and others:
        return others[
            0
        ], f"{settings} settings are too many to compare each with each; --by setting does it all the same"
    if settings == 1 and (units := [name for name in varied(rows) if name in {"prompt", "case"}]):
        return units[0], "there is one setting"
    return "setting", ""


def _failures(rows: Sequence[Row]) -> tuple[tuple[str, int], ...]:
    counted = Counter(f"{row.outcome.failure}: {row.outcome.reason}" for row in rows if not row.ok)
    return tuple(counted.most_common())


def _parities(
    store: Store, info: RunInfo, rows: Sequence[Row], against: str | None, *, parity: bool
) -> tuple[Parity, ...]:
    if against is not None:
        other = store.run(against)
        if other.id == info.id:
            raise InputError(
                f"a run is compared with another one, but both are {info.id}; see `puna runs ls {store.path}`"
            )
        found = between_runs(rows, store.rows(other.id, logprobs=True))
        if not any(each.twins for each in found):
            raise InputError(
                f"runs {info.id} and {other.id} have no trial in common: prompts, settings or seeds all differ"
            )
        return found
    if not parity:
        return ()
    if len(info.targets) < 2:
        raise InputError(
            f"run {info.id} has one target, so there is nothing to compare it with; sweep with several [[targets]], or name another run: --against RUN"
        )
    return between_targets(rows)


def _answerer(row: Row) -> str:
    outcome = row.outcome
    again = {True: "the same seed gives the same answer", False: "the same seed may give another answer", None: "nobody knows whether the same seed gives the same answer"}  # fmt: skip
    file = f" (file {outcome.model_sha256[:12]})" if outcome.model_sha256 else ""
    return f"{outcome.model or 'an unnamed model'}{file} on {outcome.engine or 'an unnamed engine'}; {again[outcome.reproducible]}"


def _part(part: Part) -> dict[str, Any]:
    measure = part.measure
    return {
        "measure": measure.name,
        "unit": measure.unit,
        "meaning": measure.meaning,
        "gap": part.gap,
        "levels": [
            {**asdict(each), "level": each.label, "over": str(each.over)} for each in part.summaries
        ],
        "comparisons": [
            {**asdict(each), "a": each.a.label, "b": each.b.label, "over": str(each.over)} for each in part.comparisons
        ],
    }  # fmt: skip


def _parity(parity: Parity) -> dict[str, Any]:
    return {
        "a": parity.a, "b": parity.b, "trials": len(parity.twins), "same_output": parity.same, "only_a": parity.only_a,
        "only_b": parity.only_b,
        "unanswered": parity.unanswered, "differs": dict(parity.counts),
        "trials_that_differ": [
            {
                "prompt": twin.a.cell.prompt, "case": twin.a.cell.case, "system": twin.a.cell.system, "format": twin.a.cell.format,
                "variant": twin.a.cell.variant, "seed": twin.a.seed, "character": twin.character, "token": twin.token,
                "differs": {name: list(values) for name, values in twin.differs.items()},
            }
            for twin in parity.twins if twin.differs
        ],
    }  # fmt: skip
