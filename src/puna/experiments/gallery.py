"""Which figures a report has, with titles, captions and the numbers in them. Knows reports and figures; writes no file but its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from puna.errors import InputError
from puna.experiments import drawing, figures
from puna.experiments.curves import (
    Curve,
    Levels,
    Matrix,
    Point,
    Spread,
    curves,
    grouping,
    in_levels,
    matrix,
    readable,
    spread,
    varied,
)
from puna.experiments.exporting import replacing
from puna.experiments.factors import PARAMETERS
from puna.experiments.labels import labeller
from puna.experiments.measures import MEASURES, Measure
from puna.experiments.nuclei import SHARES, Nucleus, Position, nuclei, position, telling
from puna.experiments.quantities import number
from puna.experiments.report import Part, Report

SPREADS = ("tokens", "latency")
"""Measures of which every output's value is shown."""

_MOST_ANSWERS = 4
"""Answers whose nuclei are drawn."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure with its words. name: for files. header, lines: the numbers in it, as a table of texts."""

    name: str
    title: str
    caption: str
    figure: Figure
    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def gallery(report: Report, place: int | None = None) -> tuple[Drawing, ...]:
    """All figures that the run has something for. place: position of the distribution that is cut again; None for one that tells most.

    Raises:
        InputError: no answer whose distributions were recorded has this position.
    """
    with drawing.style():
        found = [
            *(each for part in report.parts for each in _of_measure(report, part)),
            *_spreads(report),
            *_nuclei(report, place),
        ]
    names: dict[str, int] = {}
    return tuple(_named(each, names) for each in found)


def save(drawings: Sequence[Drawing], folder: Path, kind: str) -> tuple[Path, ...]:
    """Write each as a file, ``png`` or ``svg``, which is there as a whole or as it was before; the folder is made.

    Raises:
        InputError: a file cannot be written.
    """
    write: Callable[[Figure], bytes] = drawing.png if kind == "png" else drawing.svg
    paths: list[Path] = []
    if not drawings:
        return ()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for each in drawings:
            path = folder / f"{each.name}.{kind}"
            with replacing(path) as file:
                file.write(write(each.figure))
            paths.append(path)
    except OSError as error:
        raise InputError(
            f"figures cannot be written to {folder}: {error.strerror or error}; {len(paths)} of {len(drawings)} are written, the "
            "others are as they were: name another folder"
        ) from None
    return tuple(paths)


def _of_measure(report: Report, part: Part) -> Iterator[Drawing]:
    measure = part.measure
    drawn = curves(report.rows, measure)
    yield from (_curve(each) for each in drawn)
    others = [name for name in varied(report.rows) if name not in PARAMETERS]
    if not drawn and report.by not in others:
        others.append(report.by)
    for by in others:
        told = in_levels(report.rows, measure, by)
        if told is not None:
            yield _levels(told, alone=len(varied(report.rows)) == 1)
    shown = matrix(measure, report.by, part.comparisons)
    if shown is not None:
        yield _matrix(shown, len(part.significant), len(part.testable))


def _curve(drawn: Curve) -> Drawing:
    against, name = readable(drawn.parameter), readable(drawn.measure.name)
    means = f" Means over {' and '.join(drawn.averaged)}." if drawn.averaged else ""
    lines = tuple((line.name or "all", f"{point.x:g}", *_told(point)) for line in drawn.lines for point in line.points)
    return Drawing(
        f"{drawn.measure.name}-by-{drawn.parameter}",
        f"{_capital(name)} against {against}",
        f"{_capital(drawn.measure.meaning)}. Bars: 95 % intervals; hollow: too few values for one.{means}",
        figures.curve(drawn),
        ("line", against, name, "95 % interval", "n"),
        lines,
    )


def _levels(drawn: Levels, *, alone: bool) -> Drawing:
    name = readable(drawn.measure.name)
    means = "" if alone else " Means over all else that varies."
    return Drawing(
        f"{drawn.measure.name}-by-{drawn.by}",
        f"{_capital(name)} by {readable(drawn.by)}",
        f"{_capital(drawn.measure.meaning)}. Bars: 95 % intervals; hollow: too few values for one.{means}",
        figures.ranking(drawn),
        (readable(drawn.by), name, "95 % interval", "n"),
        tuple((level, *_told(point)) for level, point in zip(drawn.names, drawn.points, strict=True)),
    )


def _matrix(drawn: Matrix, significant: int, comparisons: int) -> Drawing:
    name = readable(drawn.measure.name)
    lines = tuple(
        (row, column, number(value), "yes" if drawn.significant[r][c] else "no")
        for r, row in enumerate(drawn.names)
        for c, column in enumerate(drawn.names[:r])
        if (value := drawn.differences[r][c]) is not None
    )
    return Drawing(
        f"{drawn.measure.name}-differences",
        f"Which {readable(drawn.by)}s differ in {name}",
        f"The row less the column. Coloured and bold: significant, {significant} of {comparisons} (paired permutation tests, "
        "Holm's correction over all of them at 0.05). Grey: no difference is shown, which does not show that there is none.",
        figures.differences(drawn),
        ("row", "column", "difference", "significant"),
        lines,
    )


def _spreads(report: Report) -> Iterator[Drawing]:
    by = grouping(report.rows) if report.by == "setting" else report.by
    for measure in map(MEASURES.__getitem__, SPREADS):
        found = spread(report.rows, measure, by)
        if found is not None:
            yield _spread(found, measure)


def _spread(drawn: Spread, measure: Measure) -> Drawing:
    what = {"tokens": "Length", "latency": "Latency"}.get(measure.name, _capital(readable(measure.name)))
    return Drawing(
        f"{measure.name}-of-outputs",
        f"{what} of every output, by {readable(drawn.by)}",
        f"{_capital(measure.meaning)}. Each point is an output; grey: the middle half; black: the median.",
        figures.spreads(drawn),
        (readable(drawn.by), "outputs", "least", "median", "most"),
        tuple(
            (name, str(len(values)), number(min(values)), number(sorted(values)[len(values) // 2]), number(max(values)))
            for name, values in zip(drawn.names, drawn.values, strict=True)
        ),
    )


def _nuclei(report: Report, place: int | None) -> Iterator[Drawing]:
    cells = list({row.cell.index: row.cell for row in report.rows}.values())
    found, label = nuclei(report.distributions, cells), labeller(cells)
    if place is not None and not any(place < len(each.tokens) for each in found):
        raise InputError(
            f"no answer with recorded distributions has a position {place}"
            if found
            else "the run records no distributions; write `distributions = 1000` under [record] in the experiment's file and sweep again"
        )
    for each in found[:_MOST_ANSWERS]:
        yield _nucleus(each, label(each.cell))
        at = telling(each) if place is None else place
        if at < len(each.tokens):
            yield _recuts(position(report.distributions, each, at), label(each.cell))


def _nucleus(drawn: Nucleus, label: str) -> Drawing:
    untold = not all(map(all, drawn.told))
    more = " Triangles: more tokens than were recorded." if untold else ""
    return Drawing(
        f"nucleus-{label}",
        f"How many tokens hold the probability, word by word ({label})",
        "At each position of one answer: how many of the likeliest tokens hold together so much of the probability, before temperature "
        f"and cuts. It is what top-p keeps; a fixed top-k would be a level line.{more}",
        figures.nucleus(drawn),
        ("position", "token", *(f"{100 * share:.0f} %" for share in SHARES)),
        tuple(
            (
                str(n),
                token,
                *(f"{drawn.sizes[k][n]}{'' if drawn.told[k][n] else ' or more'}" for k in range(len(SHARES))),
            )
            for n, token in enumerate(drawn.tokens)
        ),
    )


def _recuts(drawn: Position, label: str) -> Drawing:
    before = drawn.before[-60:].replace("\n", " ").strip()
    held = (
        f"Of the {drawn.recorded:,} likeliest tokens, which hold {100 * drawn.held:.1f} % of the probability. "
        if drawn.held < 0.9995
        else ""
    )
    return Drawing(
        f"choice-{label}",
        f"What temperature and cuts make of one choice ({label})",
        f"Position {drawn.position}, after \u201c{before or '(the beginning)'}\u201d; \u201c{drawn.chosen.strip()}\u201d was chosen. {held}"
        "Temperature is applied first, then top-k, then top-p; what is left is scaled to 1.",
        figures.recuts(drawn),
        ("token", *(figures.cut_name(cut.sampling).replace("\n", " ") for cut in drawn.recuts)),
        (
            *((token, *(f"{cut.shares[n]:.4f}" for cut in drawn.recuts)) for n, token in enumerate(drawn.tokens)),
            ("all others", *(f"{cut.rest:.4f}" for cut in drawn.recuts)),
        ),
    )


def _told(point: Point) -> tuple[str, str, str]:
    low, high = point.y.low, point.y.high
    return (
        number(point.y.estimate),
        f"{number(low)} to {number(high)}" if low is not None and high is not None else "none",
        str(point.n),
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _named(drawn: Drawing, names: dict[str, int]) -> Drawing:
    """With a name that a file can have, and no other drawing has."""
    name = re.sub(r"[^a-z0-9_]+", "-", drawn.name.lower()).strip("-")[:60] or "figure"
    names[name] = n = names.get(name, 0) + 1
    name = name if n == 1 else f"{name}-{n}"
    return Drawing(name, drawn.title, drawn.caption, drawn.figure, drawn.header, drawn.lines)
