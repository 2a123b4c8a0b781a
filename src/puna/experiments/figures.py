"""The figures of a run: each function draws one value of ``curves`` or ``nuclei``. Knows matplotlib; computes nothing.

Each is to be called within ``drawing.style``.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from puna.experiments.curves import Curve, Levels, Line, Matrix, Point, Spread, readable
from puna.experiments.drawing import COLOURS, DIM, INK, LINE, MARKERS, PALE, drawable, figure
from puna.experiments.measures import Measure
from puna.experiments.nuclei import SHARES, Nucleus, Position, Recut
from puna.generation import Sampling

_STEPS = ("top_k", "max_tokens")
"""Parameters whose values are drawn as steps, evenly apart: they are chosen by their ratio."""

_UNITS = {"max_tokens": "tokens", "top_k": "tokens", "top_p": "share of the probability"}


def curve(drawn: Curve) -> Figure:
    """A measure against a parameter, with intervals."""
    made, (axes,) = figure()
    xs = sorted({point.x for line in drawn.lines for point in line.points}, key=lambda x: _place(drawn.parameter, x))
    at = {x: float(n) for n, x in enumerate(xs)} if drawn.parameter in _STEPS else {x: x for x in xs}
    apart = 0.012 * (max(at.values()) - min(at.values()))
    for n, line in enumerate(drawn.lines):
        shift = apart * (n - (len(drawn.lines) - 1) / 2)
        _line(axes, Line(line.name, tuple(sorted(line.points, key=lambda point: at[point.x]))), at, shift, n)
    axes.xaxis.set_major_locator(FixedLocator(list(at.values())))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(list(at.values()), [_x_label(drawn.parameter, x) for x in xs])
    _thin(axes, len(xs))
    axes.set_xlabel(_with_unit(readable(drawn.parameter), _UNITS.get(drawn.parameter, "")))
    _measured(axes, drawn.measure, "y")
    if len(drawn.lines) > 1:
        _legend(axes, max(1, min(3, 60 // (6 + max(len(_name(line.name)) for line in drawn.lines)))))
    return made


def ranking(drawn: Levels) -> Figure:
    """A measure for each level of a factor, with intervals."""
    made, (axes,) = figure(_width(drawn.names), 1.1 + 0.3 * len(drawn.names))
    places = range(len(drawn.names))
    for place, point in zip(places, drawn.points, strict=True):
        _bar(axes, point, place)
        axes.plot(point.y.estimate, place, "o", color=COLOURS[0], markerfacecolor=_fill(point, COLOURS[0]))
    _levels(axes, drawn.names)
    axes.set_ylabel(readable(drawn.by))
    _measured(axes, drawn.measure, "x")
    return made


def spreads(drawn: Spread) -> Figure:
    """Every output as a point, with quartiles, for each level of a factor."""
    made, (axes,) = figure(_width(drawn.names), 1.1 + 0.34 * len(drawn.names))
    for place, values in enumerate(drawn.values):
        heights = place + _swarm(values)
        axes.plot(values, heights, ".", color=COLOURS[0], alpha=0.6, markersize=4, markeredgewidth=0)
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
        axes.plot((low, high), (place, place), color=INK, linewidth=4, alpha=0.35, solid_capstyle="butt")
        axes.plot(middle, place, "|", color=INK, markersize=11, markeredgewidth=2)
    _levels(axes, drawn.names)
    axes.set_ylabel(readable(drawn.by))
    _measured(axes, drawn.measure, "x", mean=False)
    return made


def differences(drawn: Matrix) -> Figure:
    """The level of the row less that of the column; coloured where the difference is significant."""
    n = len(drawn.names)
    names = [_name(name) for name in drawn.names]
    longest = max(map(len, names))
    made, (axes,) = figure(2.0 + 0.52 * n + 0.065 * longest, max(4.2, 1.0 + 0.4 * n + 0.05 * longest))
    known = [abs(value) for row in drawn.differences for value in row if value is not None]
    most = max(known, default=0) or 1.0
    power = math.floor(math.log10(most))
    decimals = 1 - power if power < 0 else max(0, 2 - power)
    shown = np.full((n, n), np.nan)
    for row in range(1, n):
        for column in range(row):
            value = drawn.differences[row][column]
            if value is None:
                continue
            strong = drawn.significant[row][column]
            if strong:
                shown[row, column] = value
            white = strong and abs(value) > 0.6 * most
            axes.text(column, row, _signed(value, decimals), ha="center", va="center", fontsize=7,
                      fontweight="bold" if strong else "normal", color="white" if white else INK if strong else DIM)  # fmt: skip
    for row in range(1, n):
        axes.barh(row, row, left=-0.5, height=1, color=PALE)
    mesh = axes.pcolormesh(
        np.arange(n + 1) - 0.5,
        np.arange(n + 1) - 0.5,
        shown,
        cmap="PuOr",
        norm=TwoSlopeNorm(0, -most, most),
        edgecolors="white",
        linewidth=1.2,
    )
    turned: Any = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if longest > 5 else {}
    axes.set_xticks(range(n - 1), names[:-1], **turned)
    axes.set_yticks(range(1, n), names[1:])
    axes.set(xlim=(-0.5, n - 1.5), ylim=(n - 0.5, 0.5))
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(readable(drawn.by))
    axes.set_ylabel(readable(drawn.by))
    unit = drawn.measure.unit
    bar = made.colorbar(mesh, ax=axes, shrink=0.8, aspect=24)
    if bar.solids is not None:
        bar.solids.set(rasterized=False, edgecolor="face")  # a picture in an SVG is not sharp, and the page allows none
    bar.set_label(_with_unit(f"{readable(drawn.measure.name)}: row less column", unit))
    bar.outline.set_visible(False)
    return made


def nucleus(drawn: Nucleus) -> Figure:
    """How many tokens hold a share of the probability, at each position of an answer, which is written below."""
    n = len(drawn.tokens)
    made, (axes,) = figure(max(5.6, min(13.0, 1.6 + 0.17 * n)), 3.9)
    places = np.arange(n)
    for k, share in enumerate(SHARES):
        sizes, told = np.array(drawn.sizes[k]), np.array(drawn.told[k])
        axes.step(
            places, sizes, where="mid", color=COLOURS[k], label=f"{100 * share:.0f} % of the probability", linewidth=1.3
        )
        if not told.all():
            axes.plot(places[~told], sizes[~told], "^", color=COLOURS[k], markersize=5)
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.8)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlim(-0.6, n - 0.4)
    every = max(1, -(-n // 70))
    axes.set_xticks(places[::every], [_token(text) for text in drawn.tokens[::every]], rotation=90, fontsize=7)
    axes.set_xlabel("token that was chosen, in order")
    axes.set_ylabel("likeliest tokens needed (log scale)")
    _legend(axes, 3)
    return made


def recuts(drawn: Position) -> Figure:
    """What a sampling leaves of the likeliest tokens at one position, a panel for each sampling."""
    columns = 3
    rows = -(-len(drawn.recuts) // columns)
    made, panels = figure(8.4, 1.0 + 2.2 * rows, rows, columns)
    most = max(share for cut in drawn.recuts for share in (*cut.shares, cut.rest))
    names = [*map(_token, drawn.tokens), "all others"]
    for place, (axes, cut) in enumerate(zip(panels, drawn.recuts, strict=False)):
        _recut(axes, cut, most)
        axes.set_yticks(range(len(names)), names if place % columns == 0 else [""] * len(names))
        axes.set_title(cut_name(cut.sampling), fontsize=9, fontweight="normal", pad=5)
        if place >= len(drawn.recuts) - columns:
            axes.set_xlabel("probability")
    for axes in panels[len(drawn.recuts) :]:
        axes.set_visible(False)
    return made


def _legend(axes: Axes, columns: int) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, handlelength=1.6, borderaxespad=0.2)


def _line(axes: Axes, line: Line, at: Mapping[float, float], shift: float, n: int) -> None:
    xs = [at[point.x] + shift for point in line.points]
    colour, marker = COLOURS[n % len(COLOURS)], MARKERS[n % len(MARKERS)]
    ys = [point.y.estimate for point in line.points]
    axes.plot(xs, ys, color=colour, label=_name(line.name), marker=marker)
    for x, point in zip(xs, line.points, strict=True):
        if point.y.low is not None and point.y.high is not None:
            axes.vlines(x, point.y.low, point.y.high, color=colour, linewidth=1.1)
        else:
            axes.plot(x, point.y.estimate, marker, color=colour, markerfacecolor="white")


def _bar(axes: Axes, point: Point, place: float) -> None:
    if point.y.low is not None and point.y.high is not None:
        axes.hlines(place, point.y.low, point.y.high, color=COLOURS[0], linewidth=1.3)


def _fill(point: Point, colour: str) -> str:
    return colour if point.y.known else "white"


def _levels(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [_name(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.tick_params(axis="y", length=0)


def _width(names: Sequence[str]) -> float:
    return 5.6 + 0.06 * max(0, max(len(_name(name)) for name in names) - 25)


def _name(name: str) -> str:
    return drawable(textwrap.shorten(name, 44, placeholder="...")) or "(no name)"


def _measured(axes: Axes, measure: Measure, axis: str, *, mean: bool = True) -> None:
    name = drawable(readable(measure.name))
    unit = "" if measure.unit == measure.name else measure.unit
    share, averaged = measure.share, mean and measure.unit and not name.startswith("mean")
    label = f"share of outputs: {name}" if share else _with_unit(f"mean {name}" if averaged else name, unit)
    of = axes.yaxis if axis == "y" else axes.xaxis
    of.set_label_text(label)
    of.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    limits = axes.set_ylim if axis == "y" else axes.set_xlim
    if share or measure.name == "diversity":
        limits(-0.03, 1.03)
    elif not measure.unit.startswith("nats"):
        low, high = axes.get_ylim() if axis == "y" else axes.get_xlim()
        if 0 < low < 0.5 * high:
            limits(0, high)


def _place(parameter: str, x: float) -> float:
    return np.inf if parameter == "top_k" and x == 0 else x


def _x_label(parameter: str, x: float) -> str:
    return "off" if parameter == "top_k" and x == 0 else f"{x:g}"


def _thin(axes: Axes, n: int) -> None:
    if n > 12:
        axes.tick_params(axis="x", rotation=60)


def _with_unit(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name


def _signed(value: float, decimals: int) -> str:
    told = f"{abs(value):.{decimals}f}"
    return told if float(told) == 0 else ("+" if value > 0 else "\N{MINUS SIGN}") + told


def _swarm(values: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Heights beside the middle at which points of about the same value do not cover each other, within 0.32."""
    width = (max(values) - min(values)) / 60 or 1.0
    bins: dict[int, int] = {}
    heights = np.zeros(len(values))
    for n, value in enumerate(values):
        place = round(value / width)
        k = bins[place] = bins.get(place, -1) + 1
        heights[n] = (k + 1) // 2 * (1 if k % 2 else -1)
    most = np.abs(heights).max() or 1.0
    return heights * min(0.07, 0.32 / most)


def _recut(axes: Axes, cut: Recut, most: float) -> None:
    for place, share in enumerate(cut.shares):
        axes.barh(place, share, color=COLOURS[0], height=0.72)
        axes.text(share + 0.02 * most, place, _probability(share) if share else "cut", va="center", fontsize=7, color=INK if share else DIM)  # fmt: skip
    place = len(cut.shares)
    axes.barh(place, cut.rest, color=LINE, edgecolor=DIM, linewidth=0.6, height=0.72)
    told = f"{_probability(cut.rest)} ({cut.others:,} tokens)" if cut.others else "cut"
    axes.text(cut.rest + 0.02 * most, place, told, va="center", fontsize=7, color=INK if cut.others else DIM)
    axes.set(ylim=(place + 0.6, -0.6), xlim=(0, 1.36 * most))
    axes.set_xticks([tick for tick in (0, 0.25, 0.5, 0.75, 1) if tick <= 1.1 * most])
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def _probability(share: float) -> str:
    return f"{share:.3f}" if share >= 0.0005 else "< 0.001"


def cut_name(sampling: Sampling) -> str:
    """A sampling of ``nuclei.CUTS``, as its panel says it."""
    if sampling == Sampling():
        return f"defaults: temperature {sampling.temperature:g},\ntop-k {sampling.top_k}, top-p {sampling.top_p:g}"
    off = Sampling(temperature=1, top_p=1, top_k=0)
    told = [
        f"{readable(name)} {getattr(sampling, name):g}"
        for name in ("temperature", "top_k", "top_p", "min_p")
        if getattr(sampling, name) != getattr(off, name)
    ]
    return ", ".join(told) or "as the model has it: temperature 1"


def _token(text: str) -> str:
    """A token as an axis writes it: a leading space is a low bar, a line break an arrow; signs that the font lacks are boxes."""
    shown = text.replace(" ", "\u2423").replace("\n", "\u23ce").replace("\t", "\u21e5")
    return drawable(textwrap.shorten(shown, 16, placeholder="...")) if shown else "(end)"
