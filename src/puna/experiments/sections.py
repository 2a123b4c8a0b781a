"""The parts of a report's page, as HTML: tables, facts, outputs. Knows reports; every text that comes from one is escaped here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from html import escape

from puna.experiments.compare import Comparison
from puna.experiments.curves import readable
from puna.experiments.diffing import changes
from puna.experiments.labels import counted, labeller, named
from puna.experiments.parity import ASPECTS, NOTHING_DIFFERS, Parity, Twin
from puna.experiments.plan import Cell
from puna.experiments.quantities import number, p_value
from puna.experiments.report import UNMATCHED, Answer, Part, Report
from puna.experiments.rows import Row
from puna.experiments.stats import Interval

FACTORS = ("target", "prompt", "case", "system", "format", "variant")
"""By which outputs are filtered."""

_MOST_TWINS = 200
"""Trials that differ of which both outputs are shown."""

# C0 and C1 controls, which HTML cannot hold, as the signs that stand for them; a lone surrogate as the sign for what cannot be shown.
_SIGNS = {n: 0x2400 + n for n in range(32) if chr(n) not in "\t\n"} | dict.fromkeys(
    (*range(127, 160), *range(55296, 57344)), 65533
)


def shown(text: str) -> str:
    """A text for HTML: escaped, controls as signs."""
    return escape(text.translate(_SIGNS))


def table(header: Sequence[str], lines: Iterable[Sequence[str]], caption: str, numeric: Iterable[int] = ()) -> str:
    """A table of texts; the first column heads its lines. numeric: columns that stand right."""
    right = set(numeric) - {0}
    kind = [' class="number"' if n in right else "" for n in range(len(header))]
    head = "".join(f'<th scope="col"{kind[n]}>{shown(cell)}</th>' for n, cell in enumerate(header))
    body = "".join(
        f'<tr><th scope="row">{shown(line[0])}</th>' + "".join(f"<td{kind[n]}>{shown(cell)}</td>" for n, cell in enumerate(line) if n) + "</tr>"
        for line in lines
    )  # fmt: skip
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{shown(caption)}"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def run(report: Report) -> str:
    """What was run, on what, and what failed."""
    info = report.run
    counts = f"{info.planned} planned, {info.done} answered, {info.failed} failed, {info.missing} missing"
    facts = [
        ("State", info.state),
        ("Trials", counts + (f", {info.reused} taken from other runs" if info.reused else "")),
        ("Cells", f"{info.cells}, {counted(len(info.seeds), 'seed')}: {', '.join(map(str, info.seeds[:12]))}{', ...' if len(info.seeds) > 12 else ''}"),
        *(("Answered by", told) for told in report.answerers()),
        *(("Failed", reason) for reason in report.reasons()),
    ]  # fmt: skip
    lines = "".join(f"<dt>{shown(name)}</dt><dd>{shown(value)}</dd>" for name, value in facts)
    return f'<dl class="panel">{lines}</dl>'


def measures(report: Report) -> str:
    """A table per measure, and what differs."""
    note = f"By {readable(report.by)}{f': {report.instead}' if report.instead else ''}."
    parts = "".join(_measure(report.by, part) for part in report.parts)
    return f'<p class="dim">{shown(note)} Intervals are at 95 %. n counts independent values, not rows.</p><div class="panel">{parts}</div>'


def likelihoods(report: Report) -> str:
    """How likely the declared continuations are."""
    cells = {row.cell.index: row.cell for row in report.rows}
    label = labeller(cells.values())
    lines = [
        (label(cells[each.cell]) if each.cell in cells else str(each.cell), each.name, each.text, number(each.logprob),
         number(each.logprob / max(1, len(each.tokens))), str(len(each.tokens)))
        for each in report.likelihoods
    ]  # fmt: skip
    if not lines:
        return ""
    header = ("cell", "continuation", "text", "log-probability (nats)", "per token", "tokens")
    return f'<div class="panel">{table(header, lines, "Likelihoods of continuations", (3, 4, 5))}</div>'


def parities(report: Report) -> str:
    """Where two sides part, with both outputs."""
    return "".join(_parity(each, parity_labels(report, each)) for each in report.parities)


def parity_labels(report: Report, parity: Parity) -> Callable[[Cell], str]:
    """Labels of trials that are set side by side: the target goes without saying where a side has one."""
    targets = {twin.a.cell.target for twin in parity.twins}
    cells = {row.cell.index: row.cell for row in report.rows}
    return labeller(cells.values(), but=("target",) if len(targets) == 1 else ())


def outputs(report: Report) -> str:
    """Every output, by cell, with what filters them."""
    answers = report.answers()
    cells = {row.cell.index: row.cell for row in report.rows}
    label = labeller(cells.values())
    several = {
        name for name in ("system", "format", "target") if len({getattr(cell, name) for cell in cells.values()}) > 1
    }
    shown_cells = "".join(
        _cell(report, cells[index], found, label(cells[index]), several) for index, found in answers.items()
    )
    return _filters(list(cells.values()), len(report.rows)) + shown_cells


def _measure(by: str, part: Part) -> str:
    measure = part.measure
    unit = f" ({measure.unit})" if measure.unit else ""
    medians = any(each.median for each in part.summaries)
    header = [
        readable(by),
        f"mean{unit}",
        "95 % interval",
        *(["median"] if medians else []),
        "n",
        "failed",
        "no value",
        "incomplete",
    ]
    lines = [
        (
            each.label,
            _estimate(each.mean),
            _interval(each.mean),
            *([_estimate(each.median)] if medians else []),
            *map(str, (each.n, each.failed, each.undefined, each.incomplete)),
        )
        for each in part.summaries
    ]
    numbers = table(header, lines, f"{measure.name} by {by}", range(1, len(header)))
    told = [*([part.gap] if part.gap else []), *([] if part.matched else [UNMATCHED])]
    warning = "".join(f'<p class="dim">{shown(each)}</p>' for each in told)
    return f'<section class="measure"><h3>{shown(readable(measure.name))}</h3><p>{shown(measure.meaning)}</p>{numbers}{warning}{_comparisons(part)}</section>'


def _comparisons(part: Part) -> str:
    if not part.comparisons:
        return ""
    header = (
        "from",
        "to",
        "difference",
        "95 % interval",
        "effect (d_z)",
        "pairs",
        "left out",
        "p",
        "p (Holm)",
        "significant",
        "repeats needed",
        "least to be seen",
    )
    lines = [
        _comparison(each) for each in (*part.significant, *(each for each in part.comparisons if not each.significant))
    ]
    summary = "; ".join(filter(None, (part.verdict, part.untestable)))
    told = "Paired permutation tests; Holm\u2019s correction over all of this table at 0.05. Repeats needed: to see a difference of this size with power 0.8. Least to be seen: the smallest true difference that these pairs show with that power."
    return (
        f'<details><summary>{summary}</summary><p class="dim">{told}</p>{table(header, lines, f"Differences in {part.measure.name}", range(2, 12))}</details>'
    )  # fmt: skip


def _comparison(each: Comparison) -> tuple[str, ...]:
    return (
        each.a.label, each.b.label, _estimate(each.difference), _interval(each.difference), _known(each.effect), str(each.pairs),
        str(each.left_out), p_value(each.p), p_value(each.p_holm), "yes" if each.significant else "no",
        f"{each.repeats_for_this:,}" if each.repeats_for_this else "\u2013", _known(each.detectable),
    )  # fmt: skip


def _estimate(interval: Interval | None) -> str:
    return "\u2013" if interval is None else number(interval.estimate)


def _interval(interval: Interval | None) -> str:
    if interval is None or interval.low is None or interval.high is None:
        return "\u2013"
    return f"{number(interval.low)} to {number(interval.high)}"


def _known(value: float | None) -> str:
    return "\u2013" if value is None else number(value)


def _parity(parity: Parity, label: Callable[[Cell], str]) -> str:
    total = len(parity.twins)
    only = "".join(f" {told}." for told in parity.left_out())
    lines = [(aspect, str(n), str(total), ASPECTS[aspect]) for aspect, n in parity.counts.items()]
    counts = (
        table(("what differs", "trials", "of", "meaning"), lines, f"{parity.a} against {parity.b}", (1, 2))
        if lines
        else f"<p>{NOTHING_DIFFERS.capitalize()}.</p>"
        if total > parity.unanswered
        else ""
    )
    apart = parity.apart
    twins = "".join(_twin(twin, label(twin.a.cell)) for twin in apart[:_MOST_TWINS])
    more = f" The first {_MOST_TWINS} of {len(apart)} are shown." if len(apart) > _MOST_TWINS else ""
    details = f'<details><summary>Outputs that differ ({len(apart)})</summary><p class="dim">Struck: only {shown(parity.a)}; underlined: only {shown(parity.b)}.{more}</p><ol>{twins}</ol></details>' if apart else ""  # fmt: skip
    return (
        f'<div class="panel cell"><h3>{shown(parity.a)} against {shown(parity.b)}</h3><p>{shown(parity.verdict)}.{shown(only)}</p>'
        f"{counts}{details}</div>"
    )


def _twin(twin: Twin, label: str) -> str:
    where = [f"character {twin.character}"] if twin.character is not None else []
    where += [f"token {twin.token}"] if twin.token is not None else []
    others = "; ".join(f"{name}: {a} / {b}" for name, (a, b) in twin.differs.items() if name != "output")
    head = f"{label}, seed {twin.a.seed}. First difference: {' and '.join(where) or 'one side has no answer'}. {others}"
    tags = {"same": "{}", "gone": "<del>{}</del>", "new": "<ins>{}</ins>"}
    text = "".join(tags[piece.kind].format(shown(piece.text)) for piece in changes(twin.a.output, twin.b.output))
    return f'<li class="answer"><div class="head"><span>{shown(head)}</span></div><pre dir="auto">{text}</pre></li>'


def _filters(cells: Sequence[Cell], rows: int) -> str:
    selects = ""
    for name in FACTORS:
        levels = list(dict.fromkeys(getattr(cell, name) for cell in cells))
        if len(levels) > 1:
            options = "".join(
                f'<option value="{shown(level)}">{shown(level) or "(no name)"}</option>' for level in levels
            )
            selects += f'<label>{name.capitalize()}<select name="{name}"><option value="">all</option>{options}</select></label>'
    return (
        f'<form class="filters" role="search" aria-label="Outputs">{selects}'
        '<label>Text<input type="search" id="search" autocomplete="off" spellcheck="false"></label>'
        '<label class="check"><input type="checkbox" id="failed">Failed only</label>'
        f'<button type="button" id="all">Show all</button><span role="status" id="count" data-all="{rows}">{rows} outputs</span></form>'
    )  # fmt: skip


def _cell(report: Report, cell: Cell, answers: Sequence[Answer], label: str, several: Collection[str]) -> str:
    data = "".join(f' data-{name}="{shown(getattr(cell, name))}"' for name in FACTORS)
    rows = [row for answer in answers for row in answer.rows]
    names = (name for name in ("system", "format", "target") if name in several)
    setting = " \u00b7 ".join(filter(None, (cell.variant, *(named(name, getattr(cell, name)) for name in names))))
    unit = ", ".join(filter(None, (cell.prompt, cell.case)))
    trials = counted(len(rows), "trial")
    alike = f"{trials}, {counted(len(answers), 'distinct output')}" if len(answers) < len(rows) else trials
    comparable = sum(answer.ok for answer in answers) > 1
    items = "".join(_answer(answer, compare=comparable) for answer in answers)
    return (
        f'<article class="cell"{data} aria-label="{shown(label)}"><div class="panel"><h3>{shown(unit)}</h3>'
        f'<p class="dim">{shown(setting)} \u00b7 {alike}</p>{_prompts(report, rows)}<ol>{items}</ol></div></article>'
    )


def _prompts(report: Report, rows: Sequence[Row]) -> str:
    found = ""
    for sha, tokens in {row.prompt_sha256: row.prompt_tokens for row in rows}.items():
        if sha is not None and sha in report.prompts:
            size = f", {counted(tokens, 'token')}" if tokens else ""
            found += (
                f"<details><summary>The exact prompt{size}</summary>"
                f'<pre class="prompt" title="SHA-256 {sha}">{shown(report.prompts[sha])}</pre></details>'
            )
    return found


def _answer(answer: Answer, *, compare: bool) -> str:
    first = answer.rows[0]
    seeds = f"{'seeds' if len(answer.rows) > 1 else 'seed'} {', '.join(str(row.seed) for row in answer.rows)}"
    many = f"<strong>{len(answer.rows)} \u00d7 the same</strong>, " if len(answer.rows) > 1 else ""
    failed = "" if answer.ok else " data-failed"
    wrong = (
        f'<p class="bad">Failed, {shown(str(first.outcome.failure))}: {shown(first.outcome.reason or "")}</p>'
        if not answer.ok
        else ""
    )
    button = (
        '<button type="button" class="small compare" aria-pressed="false">Compare others with this</button>'
        if compare and answer.ok
        else ""
    )
    return (
        f'<li class="answer" data-rows="{len(answer.rows)}"{failed}><div class="head"><span>{many}{shown(_facts(seeds, first))}</span>{button}</div>'
        f'{wrong}<pre dir="auto">{shown(answer.text)}</pre></li>'
    )  # fmt: skip


def _facts(seeds: str, row: Row) -> str:
    outcome = row.outcome
    told = [seeds]
    if outcome.usage:
        told.append(counted(outcome.usage.output, "token"))
    if outcome.finish:
        told.append(f"ended by {outcome.finish}")
    told.append(f"{outcome.seconds:.2f} s")
    if outcome.attempts > 1:
        told.append(f"{outcome.attempts} attempts")
    return ", ".join(told)
