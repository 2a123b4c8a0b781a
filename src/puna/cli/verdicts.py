"""Verdicts as a person and as a program reads them: a table on the terminal, a JSON document. Knows rich; judges nothing."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from puna.cli.stores import harmless
from puna.experiments.plan import Plan
from puna.experiments.rows import Row
from puna.experiments.verdicts import Result, Verdict

_EXCERPT = 200
"""Characters of an output that falls short."""

_STYLES = {Result.PASSED: ("passed", "green"), Result.FAILED: ("FAILED", "bold red"), Result.ERROR: ("error", "yellow")}


def show(plan: Plan, verdicts: Sequence[Verdict]) -> None:
    """The table, on standard output."""
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    for target in dict.fromkeys(verdict.target for verdict in verdicts):
        own = [verdict for verdict in verdicts if verdict.target == target]
        console.print(Text(harmless(f"{plan.name}, on {own[0].where}"), style="bold"))
        console.print(_line(Text(), Text("expected"), Text("found"), Text("95 % interval"), style="dim"))
        for test in dict.fromkeys(verdict.test for verdict in own):
            console.print(Text(harmless(test)))
            for verdict in own:
                if verdict.test == test:
                    _show(console, verdict)
            console.print()
    console.print(_sum(verdicts))


def _show(console: Console, verdict: Verdict) -> None:
    """The verdict, what is expected and what was found; below it why it is not so."""
    word, style = _STYLES[verdict.result]
    sure = Text(_sure(verdict), style="dim")
    console.print(_line(Text(word, style=style), Text(harmless(verdict.claim)), Text(verdict.found), sure))
    for line in _why(verdict):
        console.print(Padding(line, (0, 2, 0, 10)))


def _line(word: Text, claim: Text, found: Text, sure: Text, style: str = "") -> Padding:
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(width=6)
    table.add_column(ratio=1)
    table.add_column(width=13, justify="right")
    table.add_column(width=14)
    table.add_row(word, claim, found, sure, style=style)
    return Padding(table, (0, 0, 0, 2))


def _sure(verdict: Verdict) -> str:
    return "\n".join(each for each in (verdict.ends, "" if verdict.p is None else f"p = {verdict.p:.2g}") if each)


def _why(verdict: Verdict) -> list[Text]:
    if verdict.result is Result.PASSED:
        return []
    lines = [Text(harmless(verdict.reason), style="dim")] if verdict.reason else []
    return lines if verdict.example is None else [*lines, _excerpt(verdict.example)]


def _excerpt(row: Row) -> Text:
    """The beginning of an output on one line, with the seed that gives it again."""
    output = harmless(" ".join(row.output.split()))
    cut = f"{output[:_EXCERPT].rstrip()}…" if len(output) > _EXCERPT else output
    case = f"{harmless(row.cell.case)}, " if row.cell.case else ""
    return Text(f"{case}seed {row.seed}: {cut or '(nothing)'}", style="dim")


def _sum(verdicts: Sequence[Verdict]) -> Text:
    counts = Counter(verdict.result for verdict in verdicts)
    words = [f"{counts[Result.PASSED]} of {len(verdicts)} expectations passed"]
    if counts[Result.FAILED]:
        words.append(f"{counts[Result.FAILED]} failed")
    if counts[Result.ERROR]:
        words.append(f"{counts[Result.ERROR]} could not be told")
    return Text(", ".join(words), style="bold green" if len(words) == 1 else "bold red")


def as_json(plan: Plan, verdicts: Sequence[Verdict], run: str | None) -> dict[str, Any]:
    """The document of ``--json``. run: its id, where it was kept."""
    counts = Counter(verdict.result for verdict in verdicts)
    return {
        "name": plan.name,
        "run": run,
        **{str(result): counts[result] for result in Result},
        "verdicts": [_verdict(verdict) for verdict in verdicts],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    interval, row = verdict.interval, verdict.example
    return {
        "test": verdict.test,
        "target": verdict.target,
        "model": verdict.model or None,
        "expectation": verdict.expectation,
        "wanted": verdict.wanted or None,
        "result": str(verdict.result),
        "found": verdict.found,
        "reason": verdict.reason or None,
        "held": verdict.held,
        "of": verdict.of,
        "interval": None
        if interval is None
        else [_unsigned(end) for end in (interval.estimate, interval.low, interval.high)],
        "p": verdict.p,
        "example": row and {"prompt": row.cell.prompt, "case": row.cell.case, "seed": row.seed, "output": row.output},
    }


def _unsigned(value: float | None) -> float | None:
    """A zero without its sign, which says nothing."""
    return 0.0 if value == 0 else value
