"""Whether outputs are as expected: rows to verdicts. Knows rows, scores and statistics; no file, engine or store.

A trial that failed has no output, so nobody knows whether it would have held. It counts neither way: where it could change the
verdict there is none, but an error that says why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from puna.experiments.compare import Comparison, Summary, comparisons, diversities, diversity_comparisons, summaries
from puna.experiments.expectations import (
    DIVERSITY,
    Amount,
    Averages,
    Bounds,
    Differs,
    Expectation,
    Factor,
    Holds,
    Likelier,
    PromptTest,
    Statistic,
    continuation_name,
)
from puna.experiments.factors import greedy
from puna.experiments.lengths import Asked, asked
from puna.experiments.likelihood import chosen
from puna.experiments.measures import Measure, measures_of
from puna.experiments.plan import Cell, Plan
from puna.experiments.rows import Likelihood, Row
from puna.experiments.stats import Interval, wilson


class Result(StrEnum):
    """What became of an expectation."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    """Nobody knows: trials failed, or a score has no value for the outputs."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An expectation and what was found. wanted, found: in words. example: an output that falls short, where there is one.

    held, of: how many outputs (prompts, for a likelihood) are as expected, of how many that are known. interval: of the rate, Wilson's at
    95 %, or of the mean, median or difference. share: it is of shares of outputs. p: of the paired test, where one was asked for.
    model: that answered, empty where nobody knows. seconds: of the trials behind it.
    """

    result: Result
    found: str
    wanted: str = ""
    reason: str = ""
    held: int | None = None
    of: int | None = None
    interval: Interval | None = None
    share: bool = False
    p: float | None = None
    example: Row | None = None
    test: str = ""
    target: str = ""
    model: str = ""
    expectation: str = ""
    seconds: float = 0.0

    @property
    def claim(self) -> str:
        """What is expected, whole."""
        return f"{self.expectation} in {self.wanted}" if self.wanted else self.expectation

    @property
    def where(self) -> str:
        """The target, with the model where that is not its name."""
        return self.target if self.model in {"", self.target} else f"{self.target} ({self.model})"

    @property
    def told(self) -> str:
        """What was found, with its interval and the reason."""
        ends = f" (95 % interval {self.ends})" if self.ends else ""
        chance = "" if self.p is None else f", p = {self.p:.2g}"
        return f"{self.found}{ends}{chance}{f': {self.reason}' if self.reason else ''}"

    @property
    def ends(self) -> str:
        """The interval's ends, of a rate in percent; empty where it has none, or where values that never vary make it a point."""
        interval = self.interval
        if interval is None or interval.low is None or interval.high is None or interval.low == interval.high:
            return ""
        return f"{_number(interval.low, share=self.share)} to {_number(interval.high, share=self.share)}"


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What there is of a test on one target. cells: of this target. measures: by name; those of the plan's checks too.

    likelihoods: by what was asked and the continuation's name, since one is found for all cells that ask the same.
    """

    test: PromptTest
    cells: Sequence[Cell]
    rows: Sequence[Row]
    likelihoods: Mapping[tuple[Asked, str], Likelihood]
    measures: Mapping[str, Measure] = field(repr=False)

    def of(self, part: str | None) -> list[Row]:
        """The part's rows, all of them for None."""
        own = self.cells_of(part)
        return [row for row in self.rows if row.cell.index in own]

    def cells_of(self, part: str | None) -> frozenset[int]:
        """Indices of the part's cells, all of them for None."""
        return self.test.cells if part is None else self.test.parts[part].cells

    def values(self, measure: str, rows: Sequence[Row]) -> list[float | None]:
        """The measure of each row; of diversity, whether it has an output at all."""
        of = (lambda _: 1.0) if measure == DIVERSITY else self.measures[measure].of
        return [of(row) if row.ok else None for row in rows]

    def why(self, measure: str) -> str:
        """Why an answer has no value of the measure."""
        told = "" if measure == DIVERSITY else self.measures[measure].undefined
        return f"the score has {told}" if told else "the score has no value for the output"


def _number(value: float, *, share: bool = False) -> str:
    """Three digits that tell, or whole percents."""
    if share:
        return f"{100 * value:.0f} %"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}"


def verdicts(
    plan: Plan, tests: Sequence[PromptTest], rows: Sequence[Row], likelihoods: Sequence[Likelihood] = ()
) -> Iterator[Verdict]:
    """A verdict for every expectation, on every target. rows, likelihoods: of a run of the plan that is complete."""
    measures = measures_of(plan.checks)
    models = {row.cell.target: row.outcome.model for row in rows if row.outcome.model}
    for target in plan.targets:
        cells = {cell.index: cell for cell in plan.cells if cell.target == target.name}
        told = {(asked(cells[each.cell]), each.name): each for each in likelihoods if each.cell in cells}
        for test in tests:
            mine = [cell for index, cell in cells.items() if index in test.cells]
            own = [row for row in rows if row.cell.index in cells and row.cell.index in test.cells]
            evidence = _Evidence(test, mine, own, told, measures)
            seconds = sum(row.outcome.seconds for row in own if row.reused is None) / len(test.expectations)
            for expectation in test.expectations:
                yield replace(
                    _judged(expectation, evidence),
                    test=test.name,
                    target=target.name,
                    model=models.get(target.name, ""),
                    expectation=str(expectation),
                    seconds=seconds,
                )


def _judged(expectation: Expectation, evidence: _Evidence) -> Verdict:
    """The verdict, without the names of what it is on."""
    match expectation:
        case Holds():
            return _holds(expectation, evidence)
        case Averages():
            return _averages(expectation, evidence)
        case Differs():
            return _differs(expectation, evidence)
        case Likelier():
            return _likelier(expectation, evidence)


# ---- in how many outputs


def _holds(expectation: Holds, evidence: _Evidence) -> Verdict:
    rows = evidence.of(expectation.of)
    values = evidence.values(expectation.measure, rows)
    known = [
        (row, expectation.bounds.hold(value)) for row, value in zip(rows, values, strict=True) if value is not None
    ]
    held = sum(good for _, good in known)
    result = _counted(expectation.amount, held, len(known), len(rows))
    too_many = held > expectation.amount.bounds(len(rows))[1]
    return Verdict(
        result=result,
        found=_rate(held, len(known)),
        wanted=expectation.amount.of(len(rows)),
        reason=_unknown(rows, values, evidence.why(expectation.measure)) if result is Result.ERROR else "",
        held=held,
        of=len(known),
        interval=_interval(known),
        share=True,
        example=next((row for row, good in known if good is too_many), None),
    )


def _interval(known: Sequence[tuple[Row, bool]]) -> Interval | None:
    """Of the rate. Repeats of a greedy cell are one answer, asked for again and again: they count once."""
    once = [good for row, good in known if row.repeat == 0 or not greedy(row.cell.sampling)]
    return wilson(sum(once), len(once)) if once else None


def _counted(amount: Amount, held: int, known: int, n: int) -> Result:
    """The verdict that holds whatever the unknown ones would have been; an error where they could turn it."""
    least, most = amount.bounds(n)
    unknown = n - known
    if n and least <= held and held + unknown <= most:
        return Result.PASSED
    return Result.FAILED if held + unknown < least or held > most else Result.ERROR


def _rate(held: int, known: int) -> str:
    return f"{held} of {known}"


def _unknown(rows: Sequence[Row], values: Sequence[float | None], why: str) -> str:
    """Why there is no verdict: the commonest reason, and on how many trials. why: of an answer that has no value."""
    if not rows:
        return "there are no outputs"
    reasons = Counter(
        f"{row.outcome.failure}: {row.outcome.reason}" if not row.ok else why
        for row, value in zip(rows, values, strict=True)
        if value is None
    )
    (reason, count), *others = reasons.most_common()
    more = f" (and {sum(n for _, n in others)} for other reasons)" if others else ""
    return f"{count} of {len(rows)} trials: {reason}{more}"


# ---- mean, median, diversity


def _averages(expectation: Averages, evidence: _Evidence) -> Verdict:
    rows = evidence.of(expectation.of)
    values = evidence.values(expectation.measure, rows)
    if not rows or None in values:
        return _nobody_knows(rows, values, evidence.why(expectation.measure))
    summary = _summary(rows, evidence.measures.get(expectation.measure))
    interval = summary.mean if expectation.statistic is Statistic.MEAN else summary.median
    if interval is None:
        return Verdict(
            Result.ERROR, "unknown", reason="each prompt has one output only, and nothing to compare it with"
        )
    good = expectation.bounds.hold(interval.estimate)
    return Verdict(
        result=Result.PASSED if good else Result.FAILED,
        found=_number(interval.estimate),
        interval=interval,
        example=None if good or expectation.measure == DIVERSITY else _furthest(expectation.bounds, rows, values),
    )


def _summary(rows: Sequence[Row], measure: Measure | None) -> Summary:
    """Of one target's rows, which are one level. measure: None for diversity."""
    (summary,) = diversities(rows, "target") if measure is None else summaries(rows, measure, "target")
    return summary


def _nobody_knows(rows: Sequence[Row], values: Sequence[float | None], why: str) -> Verdict:
    return Verdict(Result.ERROR, "unknown", reason=_unknown(rows, values, why))


def _furthest(bounds: Bounds, rows: Sequence[Row], values: Sequence[float | None]) -> Row:
    """The output that is furthest on the wrong side."""
    known = [(value, row) for row, value in zip(rows, values, strict=True) if value is not None]
    low = min(known, key=lambda pair: pair[0])
    return low[1] if bounds.low is not None and low[0] < bounds.low else max(known, key=lambda pair: pair[0])[1]


# ---- one part of a test against another


def _differs(expectation: Differs, evidence: _Evidence) -> Verdict:
    rows = [*evidence.of(expectation.of), *evidence.of(expectation.than)]
    values = evidence.values(expectation.measure, rows)
    if not rows or None in values:
        return _nobody_knows(rows, values, evidence.why(expectation.measure))
    part, measure = evidence.test.parts[expectation.of], evidence.measures.get(expectation.measure)
    (found,) = diversity_comparisons(rows, part.factor) if measure is None else comparisons(rows, measure, part.factor)
    means = _means(rows, part.factor, measure)
    if found.difference is None:
        return Verdict(Result.ERROR, "unknown", reason="no two outputs differ in nothing but what is compared")
    # It is b less a; what is expected is of the named part less the other.
    difference = found.difference if found.b.value == part.level else _turned(found.difference)
    right = difference.estimate < 0 if expectation.relation == "less" else difference.estimate > 0
    sure = expectation.alpha is None or (found.p is not None and found.p <= expectation.alpha)
    other, share = evidence.test.parts[expectation.than], measure is not None and measure.share
    return Verdict(
        result=Result.PASSED if right and sure else Result.FAILED,
        found=f"{_number(means[part.level], share=share)} and {_number(means[other.level], share=share)}",
        reason="" if sure or not right else _chance(found),
        interval=difference,
        share=share,
        p=None if expectation.alpha is None else found.p,
    )


def _turned(difference: Interval) -> Interval:
    low, high = difference.low, difference.high
    return Interval(-difference.estimate, None if high is None else -high, None if low is None else -low)


def _means(rows: Sequence[Row], factor: Factor, measure: Measure | None) -> dict[object, float]:
    found = diversities(rows, factor) if measure is None else summaries(rows, measure, factor)
    return {summary.level.value: summary.mean.estimate for summary in found if summary.mean is not None}


def _chance(found: Comparison) -> str:
    """Why a difference in the right direction is not enough."""
    more = f"; {found.repeats_for_this} {found.over} would show one as large" if found.repeats_for_this else ""
    return f"{found.pairs} pairs may differ so much by chance (p = {found.p:.2g}){more}"


# ---- likelihoods


def _likelier(expectation: Likelier, evidence: _Evidence) -> Verdict:
    of = evidence.cells_of(expectation.of)
    names = [continuation_name(text) for text in expectation.texts]
    cells = [cell for cell in evidence.cells if cell.index in of and cell.continuations]
    found = [[evidence.likelihoods.get((asked(cell), name)) for name in names] for cell in cells]
    whole = [[one for one in choices if one is not None] for choices in found]
    if not whole or any(len(choices) < len(names) for choices in whole):
        return Verdict(Result.ERROR, "unknown", reason="the target did not tell how likely the answers are")
    best = [chosen(choices, expectation.by) for choices in whole]
    held = sum(one.name == names[0] for one in best)
    least, most = expectation.amount.bounds(len(whole))
    return Verdict(
        result=Result.PASSED if least <= held <= most else Result.FAILED,
        found=_rate(held, len(whole)),
        wanted=expectation.amount.of(len(whole)),
        held=held,
        of=len(whole),
        interval=wilson(held, len(whole)) if len(whole) > 1 else None,
        share=True,
    )
