"""What the chat shows of prompts, windows, probabilities and settings. Knows rich; asks nobody.

Every view can be read without colours: what a colour says is also said by a sign, a number or the weight of the type.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from puna.dialog.budget import Budget
from puna.dialog.prune import Dropped
from puna.formats.base import Finding
from puna.generation import MAX_STOPS, RANGES, Kind, Prompt, Sampling, Segment
from puna.messages import Role
from puna.playground.records import Record
from puna.playground.spelling import pieces
from puna.terminal.harmless import harmless, one_line

_ROLES = {Role.SYSTEM: "yellow", Role.USER: "cyan", Role.ASSISTANT: "green"}
_CONTROL = "bold reverse"

_SHADES = (
    (0.9, ""),
    (0.5, "color(16) on color(153)"),
    (0.2, "color(16) on color(75)"),
    (0.0, "bold color(231) on color(25)"),
)
"""Styles by the least probability that has them: one hue, darker where the model was less sure."""

_DIGITS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")

_PARTS = (
    ("overhead", "template", "O", "magenta"), ("system", "system", "S", "yellow"), ("pinned", "pinned", "P", "blue"),
    ("history", "history", "h", "green"), ("turn", "this turn", "T", "cyan"), ("reserve", "answer", "=", "white"), ("free", "free", ".", "dim"),
)  # fmt: skip


def prompt_view(prompt: Prompt, spelled: Sequence[bytes] | None, *, ids: bool) -> RenderableType:
    """The exact prompt: control text by weight, content by its role's colour; below it what each costs. spelled: of its ids, where known."""
    counts = _tokens_by_segment(prompt, spelled) if spelled is not None else None
    shown = _with_ids(prompt, spelled) if ids and spelled is not None else _segments(prompt.segments)
    if not prompt.segments:
        shown = Text(harmless(prompt.text))
    if counts is None:
        return Group(
            shown,
            Text(
                f"{len(prompt.ids)} tokens" if prompt.ids else "how many tokens it has is not known here", style="dim"
            ),
        )
    return Group(shown, *([] if shown.plain.endswith("\n") else [Text()]), _legend(prompt, counts))


def _segments(segments: Iterable[Segment]) -> Text:
    text = Text(overflow="fold")
    for segment in segments:
        text.append(_marked(segment.text), _style(segment))
    return text


def _marked(text: str) -> str:
    """Its line feeds can be seen, since in a prompt each of them counts."""
    return harmless(text).replace("\n", "⏎\n")


def _style(segment: Segment) -> str:
    return _CONTROL if segment.kind is Kind.CONTROL else _ROLES.get(segment.role or Role.USER, "")


def _with_ids(prompt: Prompt, spelled: Sequence[bytes]) -> Text:
    text = Text(overflow="fold")
    owners = _owners(prompt)
    for piece in pieces(prompt.text, prompt.ids, spelled):
        segment = owners(piece.start)
        text.append(_marked(piece.text), _style(segment) if segment else "")
        text.append(f"⟨{piece.id}⟩", "dim")
    return text


def _owners(prompt: Prompt) -> Any:
    """Which segment a byte of the text is of."""
    ends: list[tuple[int, Segment]] = []
    at = 0
    for segment in prompt.segments:
        at += len(segment.text.encode())
        ends.append((at, segment))
    return lambda byte: next((segment for end, segment in ends if byte < end), ends[-1][1] if ends else None)


def _tokens_by_segment(prompt: Prompt, spelled: Sequence[bytes]) -> dict[str, int]:
    owners = _owners(prompt)
    counts: dict[str, int] = {}
    for piece in pieces(prompt.text, prompt.ids, spelled):
        segment = owners(piece.start)
        name = "control" if segment is None or segment.kind is Kind.CONTROL else str(segment.role or "content")
        counts[name] = counts.get(name, 0) + 1
    return counts


def _legend(prompt: Prompt, counts: Mapping[str, int]) -> Text:
    styles = {"control": _CONTROL} | {str(role): style for role, style in _ROLES.items()}
    text = Text(f"{len(prompt.ids)} tokens: ")
    for n, (name, count) in enumerate(counts.items()):
        text.append(", " if n else "")
        text.append(name, styles.get(name, ""))
        text.append(f" {count}")
    return text


def budget_view(budget: Budget, dropped: Sequence[Dropped], titles: Mapping[int, str], width: int) -> RenderableType:
    """The window as a bar of its parts, what is left, and what is left out. titles: beginnings of messages by their index."""
    bar = budget.bar(max(8, min(width, 64)))
    styles = {sign: style for _, _, sign, style in _PARTS}
    drawn = Text()
    for sign in bar:
        drawn.append(sign, styles.get(sign, ""))
    rows: list[tuple[str | Text, ...]] = []
    for name, title, sign, style in _PARTS:
        tokens = getattr(budget, name)
        if tokens or name in {"turn", "reserve", "free"}:
            rows.append((Text(sign, style=style), title, str(tokens), f"{100 * tokens / budget.context:.0f} %"))
    rows.append(("", "window", str(budget.context), ""))
    return Group(drawn, table_of(rows, "", "part", "tokens:right", "share:right"), _fits(budget, dropped, titles))


def _fits(budget: Budget, dropped: Sequence[Dropped], titles: Mapping[int, str]) -> Text:
    if dropped:
        lines = [f"left out to fit, {len(dropped)} messages, {sum(entry.tokens for entry in dropped)} tokens:"]
        lines += [f"  {titles.get(entry.index, '')}" for entry in dropped[:5]]
        lines += [f"  and {len(dropped) - 5} more"] if len(dropped) > 5 else []
        return Text("\n".join(lines))
    if budget.over:
        return Text(
            f"{-budget.free} tokens too many: /set max_tokens, /undo, /new, or another policy make room", style="bold"
        )
    return Text(f"all of it fits; {budget.free} tokens are free")


def tokens_view(tokens: Sequence[Record], *, colour: bool) -> RenderableType:
    """An answer's tokens as shades of their probability; without colours a small number gives percent where it is below 90."""
    text = Text(overflow="fold")
    for record in tokens:
        sure = _probability(record)
        shown = harmless(str(record["t"]))
        style = "" if sure is None else next(style for least, style in _SHADES if sure >= least)
        text.append(shown, style if colour else "")
        if not colour and sure is not None and sure < _SHADES[0][0]:
            text.append(f"{round(100 * sure)}".translate(_DIGITS))
    known = [(sure, n) for n, record in enumerate(tokens, 1) if (sure := _probability(record)) is not None]
    least = Text("least sure: ", style="")
    least.append(
        ", ".join(f"{n} {_quoted(tokens[n - 1]['t'])} {100 * sure:.0f} %" for sure, n in sorted(known)[:5]) or "none"
    )
    legend = Text(f"{len(tokens)} tokens; ", overflow="fold")
    if colour:
        for (low, style), high in zip(_SHADES, (1.0, *(low for low, _ in _SHADES)), strict=False):
            legend.append(f" {100 * low:.0f}-{100 * high:.0f} % ", style)
    else:
        legend.append("a small number is the probability in percent, where it is below 90")
    return Group(text, Text(), legend, least, Text("/tokens N shows what else could have stood there", style="dim"))


def alternatives_view(
    number: int, record: Record, top: Sequence[tuple[int, str, float]], before: str
) -> RenderableType:
    """What could have stood in place of a token. top: id, text and log-probability of each; before: the text that led there."""
    rows = []
    for token, text, logprob in top:
        share = math.exp(logprob)
        mark = "▶" if token == record["id"] else ""
        rows.append((mark, _quoted(text), str(token), f"{100 * share:.1f} %", "█" * max(1, round(20 * share))))
    table = table_of(rows, "", "token", "id:right", "probability:right", "")
    return Group(Text(f"token {number} after {_quoted(before[-40:])}"), table)


def _probability(record: Record) -> float | None:
    lp = record["lp"]
    return math.exp(lp) if isinstance(lp, int | float) else None


def _quoted(text: object) -> str:
    return '"' + harmless(str(text)).replace("\n", "⏎") + '"'


def sampling_view(chosen: Mapping[str, Any]) -> RenderableType:
    """All sampling parameters: what is in effect, the default, the range."""
    defaults, now = Sampling().as_json(), Sampling.of(chosen).as_json()
    rows: list[tuple[str | Text, ...]] = []
    for name, default in defaults.items():
        set_here = chosen.get(name) is not None
        now_shown = Text(value_of(now[name]), style="bold" if set_here else "")
        rows.append((name, now_shown, value_of(default), range_of(name)))
    return table_of(rows, "parameter", "now", "default", "range")


def value_of(value: object) -> str:
    """A parameter's value as it is typed."""
    if value is None:
        return "drawn"
    if isinstance(value, list | tuple):
        return ", ".join(_quoted(entry) for entry in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def range_of(name: str) -> str:
    """What a parameter may be."""
    if name == "stop":
        return f"up to {MAX_STOPS} texts"
    kind, low, high = RANGES[name]
    most = f"{high:g}" if kind is float else "any" if high == 2**31 - 1 else str(int(high))
    return f"{low:g} or more" if most == "any" else f"{low:g} to {most}"


def findings_view(findings: Sequence[Finding], text: str) -> RenderableType:
    """What is wrong with a prompt: where, how badly, what, and what should stand there."""
    styles = {"error": "bold red", "warning": "yellow", "note": "dim"}
    lines = []
    for finding in findings:
        line = text.count("\n", 0, finding.start) + 1
        column = finding.start - (text.rfind("\n", 0, finding.start) + 1) + 1
        where = Text(f"{line}:{column} ", style="dim")
        where.append(f"{finding.severity} ", styles.get(finding.severity, ""))
        where.append(f"{harmless(finding.message)} ({finding.code})", "default")
        if finding.fix is not None:
            where.append(f"; write {_quoted(finding.fix)}")
        lines.append(where)
    return Group(*lines)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows under headings. A heading that ends in ``:right`` aligns so. Where the terminal is too narrow, each row is a few lines."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Text]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As rich asks for it."""
        widths = [
            max([cell_len(self._name(n)), *(row[n].cell_len for row in self.rows)]) for n in range(len(self.columns))
        ]
        others = sum(widths[:-1]) + 2 * len(widths)
        if others + min(widths[-1], LEAST_LAST) <= options.max_width:
            yield self._table()
        else:
            yield from map(self._stacked, self.rows)

    def _name(self, n: int) -> str:
        return self.columns[n].partition(":")[0]

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_header=any(self.columns))
        for n, column in enumerate(self.columns):
            last = n == len(self.columns) - 1
            table.add_column(
                self._name(n),
                justify="right" if column.endswith(":right") else "left",
                no_wrap=not last,
                overflow="fold",
            )
        for row in self.rows:
            table.add_row(*row)
        return table

    def _stacked(self, row: Sequence[Text]) -> Text:
        """A row as a line of what it has, with the names of the columns."""
        text = Text(overflow="fold")
        for n, cell in enumerate(row):
            if cell.plain:
                text.append(" " if text.plain else "")
                text.append(f"{self._name(n)} " if n and self._name(n) else "", "dim")
                text.append(cell.plain, "bold") if not n else text.append_text(cell)
        return text


LEAST_LAST = 24
"""Columns that the last column of a table may be wrapped to."""


def table_of(rows: Iterable[Sequence[str | Text]], *columns: str) -> Rows:
    """Rows under headings; each cell on one line."""
    cells = [[cell if isinstance(cell, Text) else Text(one_line(cell, 200)) for cell in row] for row in rows]
    return Rows(columns, cells)
