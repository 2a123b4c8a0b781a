"""How well a score chooses the answers to give, as a value and as a picture: beside chance, an oracle, and no choice. Knows matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from puna.experiments import risk
from puna.experiments.drawing import COLOURS, DIM, figure
from puna.experiments.risk import Scored
from puna.experiments.stats import Interval

STEPS = 50
"""Coverages of a curve."""


@dataclass(frozen=True, slots=True)
class Selective:
    """Answers chosen by a probability. asked: questions, those included that got no answer: 1 at least for each answer."""

    answers: Scored
    asked: int

    @property
    def most(self) -> float:
        """The share of questions that got an answer: where all answers are given."""
        return len(self.answers.scores) / self.asked

    def curve(self) -> tuple[list[float], list[Interval]]:
        """Shares of answers that are given, and the risk there."""
        shares = [(n + 1) / STEPS for n in range(STEPS)]
        return shares, risk.band(self.answers, shares)


def picture(drawn: Selective, name: str = "by the calibrated probability") -> Figure:
    """Left the risk at each coverage, right how often answers of a probability are right; to be called within ``drawing.style``."""
    made, (left, right) = figure(9.2, 3.7, columns=2)
    _risks(left, drawn, name)
    _reliability(right, drawn)
    return made


def _risks(axes: Axes, drawn: Selective, name: str) -> None:
    shares, found = drawn.curve()
    x = [drawn.most * share for share in shares]
    low, high = zip(*map(_ends, found), strict=True)
    axes.fill_between(x, low, high, color=COLOURS[0], alpha=0.18, lw=0)
    axes.plot(x, [one.estimate for one in found], color=COLOURS[0], label=name)
    best = risk.risks(risk.oracle(drawn.answers))
    axes.plot(_shares(len(best), drawn), best, color=COLOURS[2], linestyle="--", label="by an oracle")
    wrong = risk.error(drawn.answers)
    axes.plot([0, drawn.most], [wrong, wrong], color=DIM, linestyle=":", label="by chance")
    axes.plot([drawn.most], [wrong], "o", color=COLOURS[1], label="by the instruction alone")
    axes.set(
        xlim=(0, 1.02),
        ylim=(0, 1.02),
        xlabel="share of questions answered",
        ylabel="share of these answers that are wrong",
    )
    axes.set_title("Risk and coverage")
    axes.legend(loc="lower right")


def _shares(n: int, drawn: Selective) -> Sequence[float]:
    return [drawn.most * (k + 1) / n for k in range(n)]


def _reliability(axes: Axes, drawn: Selective) -> None:
    axes.plot([0, 1], [0, 1], color=DIM, linestyle=":", label="as it should be")
    for n, one in enumerate(risk.reliability(drawn.answers)):
        axes.plot([one.said, one.said], _ends(one.came), color=COLOURS[0], linewidth=1)
        axes.plot([one.said], [one.came.estimate], "o", color=COLOURS[0], label="" if n else f"{one.n} answers each")
    axes.set(
        xlim=(0, 1), ylim=(-0.02, 1.02), xlabel="estimated probability of being right", ylabel="share that is right"
    )
    axes.set_title("Calibration")
    axes.legend(loc="upper left")


def _ends(interval: Interval) -> tuple[float, float]:
    """Its ends; where it has none, its estimate twice."""
    low, high = interval.low, interval.high
    return interval.estimate if low is None else low, interval.estimate if high is None else high
