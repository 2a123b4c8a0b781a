"""A report as tables on the terminal. Knows rich; computes nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from puna.cli.stores import harmless
from puna.experiments.compare import Comparison, Summary
from puna.experiments.curves import readable
from puna.experiments.diffing import parting
from puna.experiments.labels import counted, labeller
from puna.experiments.paired import Over
from puna.experiments.parity import NOTHING_DIFFERS, Parity
from puna.experiments.plan import Cell
from puna.experiments.quantities import number, p_value
from puna.experiments.report import UNMATCHED, Part, Report
from puna.experiments.sections import parity_labels
from puna.experiments.stats import Interval

_MOST = 8
"""Lines of a list whose rest is told as a number."""

_LONGEST = 100
"""Characters of a value that differs."""

_PIPED = 120
"""Columns where no terminal says how many it has."""


def show(report: Report) -> None:
    """Print it."""
    console = Console(width=None if sys.stdout.isatty() else _PIPED, highlight=False)
    _head(console, report)
    for part in report.parts:
        _measure(console, report, part)
    _repeated(console, report)
    _likelihoods(console, report)
    for parity in report.parities:
        _parity(console, parity, parity_labels(report, parity))


def _head(console: Console, report: Report) -> None:
    run = report.run
    created = datetime.fromtimestamp(run.created, UTC)
    console.print(
        Text.assemble(_text(run.name, "bold"), f"  run {run.id}, {run.state}, begun {created:%Y-%m-%d %H:%M} UTC")
    )
    counts = [f"{run.done} answered"]
    counts += [
        f"{n} {what}"
        for n, what in ((run.failed, "failed"), (run.missing, "missing"), (run.reused, "taken from other runs"))
        if n
    ]
    plan = f"{counted(run.planned, 'trial')}, {counted(run.cells, 'cell')} with {counted(len(run.seeds), 'seed')}"
    console.print(f"{plan}: {', '.join(counts)}")
    for told in report.answerers():
        console.print(_text(told))
    for reason in report.reasons():
        console.print(_text(reason if reason.startswith("and ") else f"failed {reason}", "red"))
    if report.instead:
        console.print(_text(f"compared by {readable(report.by)}: {report.instead}", "dim"))


def _measure(console: Console, report: Report, part: Part) -> None:
    measure = part.measure
    unit = f" ({measure.unit})" if measure.unit else ""
    console.print()
    console.print(Text.assemble(_text(f"{measure.name}{unit}", "bold"), _text(f": {measure.meaning}")))
    more: dict[str, tuple[bool, Callable[[Summary], str]]] = {
        "median": (any(each.median for each in part.summaries), lambda each: _estimate(each.median)),
        "n": (True, lambda each: str(each.n)),
        "failed": (any(each.failed for each in part.summaries), lambda each: str(each.failed)),
        "no value": (any(each.undefined for each in part.summaries), lambda each: str(each.undefined)),
        "incomplete": (any(each.incomplete for each in part.summaries), lambda each: str(each.incomplete)),
    }
    told = {name: of for name, (there, of) in more.items() if there}
    table = _table(readable(report.by), ("mean", "95 % interval", *told))
    for each in part.summaries:
        table.add_row(_text(each.label), _estimate(each.mean), _ends(each.mean), *(of(each) for of in told.values()))
    console.print(table)
    if part.gap:
        console.print(_text(part.gap, "red"))
    if not part.matched:
        console.print(_text(UNMATCHED, "dim"))
    if part.comparisons:
        _comparisons(console, part)


def _comparisons(console: Console, part: Part) -> None:
    found = part.significant
    if part.verdict:
        how = f"paired permutation tests, Holm, 0.05{_scope(part.testable)}"
        console.print(_text(f"{part.verdict} ({how})"))
    if part.untestable:
        console.print(_text(part.untestable, "dim"))
    if found:
        table = _table("from", ("to", "difference", "95 % interval", "p (Holm)"), left=("to",))
        for each in found[:_MOST]:
            table.add_row(
                _text(each.a.label),
                _text(each.b.label),
                _signed(each.difference),
                _ends(each.difference),
                p_value(each.p_holm),
            )
        console.print(table)
        _more(console, len(found))
    single = sum(each.pairs == 1 and not each.significant for each in part.testable)
    _open(console, part.open, len(part.testable) - len(found) - single)
    if single:
        console.print(
            _text(f"{single} not shown to differ: one pair does not tell how many repeats it would take", "dim")
        )


def _open(console: Console, found: Sequence[Comparison], rest: int) -> None:
    if not rest:
        return
    if not found:
        console.print(_text(f"{rest} not shown to differ, and no number of repeats would show what was seen", "dim"))
        return
    console.print(
        _text(f"{rest} not shown to differ; what would show a difference as large as the one seen (power 0.8):", "dim")
    )
    table = _table("from", ("to", "difference", "needed"), left=("to",))
    for each in found[: _MOST // 2]:
        needed = f"{each.repeats_for_this:,} {each.over}"
        table.add_row(_text(each.a.label), _text(each.b.label), _signed(each.difference), needed)
    console.print(table)
    _more(console, len(found), _MOST // 2)


def _scope(comparisons: Sequence[Comparison]) -> str:
    """What they generalise to, where that is one thing for all."""
    over = {each.over for each in comparisons}
    if len(over) > 1:
        return ""
    return "; for other prompts like these" if over == {Over.PROMPTS} else "; for other seeds, the same prompts"


def _repeated(console: Console, report: Report) -> None:
    cells = {row.cell.index: row.cell for row in report.rows}
    same = [
        (cells[index], answer) for index, found in report.answers().items() for answer in found if len(answer.rows) > 1
    ]
    if not same:
        return
    label = labeller(cells.values())
    same.sort(key=lambda each: -len(each[1].rows))
    console.print()
    console.print(Text.assemble(_text("Equal outputs", "bold"), ": seeds that gave the same answer, word for word"))
    table = _table("times", ("cell", "output"), left=("cell", "output"))
    for cell, answer in same[:_MOST]:
        table.add_row(str(len(answer.rows)), _text(label(cell)), _text(_excerpt(answer.text, 70)))
    console.print(table)
    _more(console, len(same))


def _likelihoods(console: Console, report: Report) -> None:
    if not report.likelihoods:
        return
    cells = {row.cell.index: row.cell for row in report.rows}
    label = labeller(cells.values())
    console.print()
    console.print(Text.assemble(_text("Likelihoods", "bold"), ": log-probability of a text as the answer, in nats"))
    table = _table("cell", ("continuation", "text", "sum", "per token", "tokens"), left=("continuation", "text"))
    for each in report.likelihoods[: 3 * _MOST]:
        cell = cells.get(each.cell)
        where = label(cell) if cell else str(each.cell)
        tokens = max(1, len(each.tokens))
        table.add_row(
            _text(where),
            _text(each.name),
            _text(_excerpt(each.text, 40)),
            number(each.logprob),
            number(each.logprob / tokens),
            str(tokens),
        )
    console.print(table)
    _more(console, len(report.likelihoods), 3 * _MOST)


def _parity(console: Console, parity: Parity, label: Callable[[Cell], str]) -> None:
    console.print()
    console.print(Text.assemble(_text("Parity", "bold"), _text(f": {parity.a} against {parity.b}, {parity.verdict}")))
    for told in parity.left_out():
        console.print(_text(told))
    if not parity.counts:
        if len(parity.twins) > parity.unanswered:
            console.print(_text(NOTHING_DIFFERS, "dim"))
        return
    _aspects(console, parity)
    if parity.apart:
        _apart(console, parity, label)


def _aspects(console: Console, parity: Parity) -> None:
    table = _table("what differs", ("trials", "of", "for instance"), left=("for instance",))
    for aspect, count in parity.counts.items():
        first = next(twin for twin in parity.twins if aspect in twin.differs)
        a, b = first.differs[aspect]
        shown = _parting(first.character, a, b) if aspect == "output" else _differing(a, b)
        table.add_row(aspect, str(count), str(len(parity.twins)), _text(shown))
    console.print(table)


def _apart(console: Console, parity: Parity, label: Callable[[Cell], str]) -> None:
    table = _table("outputs that part", ("seed", "character", "token", parity.a, parity.b), left=(parity.a, parity.b))
    for twin in parity.apart[:_MOST]:
        at = twin.character or 0
        table.add_row(
            _text(label(twin.a.cell)),
            str(twin.a.seed),
            _index(twin.character),
            _index(twin.token),
            _text(_from(twin.a.output, at)),
            _text(_from(twin.b.output, at)),
        )
    console.print(table)
    _more(console, len(parity.apart))


def _text(text: str, style: str = "") -> Text:
    """A text that can steer no terminal, whatever a model or a file wrote."""
    return Text(harmless(text), style)


def _table(first: str, columns: Iterable[str], left: Iterable[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(_text(first), overflow="fold")
    for column in columns:
        table.add_column(_text(column), justify="left" if column in left else "right", overflow="fold")
    return table


def _more(console: Console, total: int, shown: int = _MOST) -> None:
    if total > shown:
        console.print(_text(f"and {total - shown} more: --html or --json have all", "dim"))


def _estimate(interval: Interval | None) -> str:
    return "-" if interval is None else number(interval.estimate)


def _ends(interval: Interval | None) -> str:
    if interval is None or interval.low is None or interval.high is None:
        return "-"
    return f"{number(interval.low)} to {number(interval.high)}"


def _signed(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    return ("+" if interval.estimate > 0 else "") + number(interval.estimate)


def _index(place: int | None) -> str:
    return "-" if place is None else str(place)


def _excerpt(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 3] + "..."


def _from(text: str, place: int) -> str:
    return _excerpt(text[max(0, place - 10) : place + 30], 40)


def _differing(a: str, b: str) -> str:
    """Both values, from their beginning, or from before the first difference where that is far."""
    at = parting(a, b) or 0
    start = 0 if at < _LONGEST // 2 else at - _LONGEST // 4
    return f"{_excerpt(a[start:], _LONGEST)} / {_excerpt(b[start:], _LONGEST)}"


def _parting(place: int | None, a: str, b: str) -> str:
    return f"{_from(a, place or 0)} / {_from(b, place or 0)}"
