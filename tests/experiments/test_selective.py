"""The picture of what choosing is worth shows the numbers that it is of, the same each time."""

from typing import Any

import numpy as np
import pytest

from puna.experiments import risk
from puna.experiments.drawing import png, style
from puna.experiments.risk import Scored
from puna.experiments.selective import Selective, picture


def made(n=60):
    random = np.random.default_rng(1)
    said = random.random(n)
    return Scored.of(said.tolist(), (random.random(n) < said).tolist(), [at % 10 for at in range(n)])


def test_the_curve_ends_where_every_answer_is_given():
    drawn = Selective(made(), 80)
    shares: Any
    found: Any
    shares, found = drawn.curve()
    assert (drawn.most, shares[-1]) == (0.75, 1.0)
    assert found[-1].estimate == pytest.approx(risk.error(drawn.answers))
    assert all(one.low <= one.estimate <= one.high for one in found)


def test_the_picture_has_the_curve_its_bounds_and_the_calibration():
    drawn = Selective(made(), 80)
    with style():
        left, right = picture(drawn).axes
        lines: Any = {line.get_label(): line for line in left.lines}
        assert png(picture(drawn)) == png(picture(drawn))
    assert lines["by the calibrated probability"].get_xdata()[-1] == pytest.approx(0.75)
    assert set(lines["by chance"].get_ydata()) == {risk.error(drawn.answers)}
    assert lines["by an oracle"].get_ydata()[0] == 0
    assert lines["by the instruction alone"].get_xdata() == [0.75]
    assert left.get_xlabel() == "share of questions answered"
    assert sum(line.get_marker() == "o" for line in right.lines) == risk.BINS


def test_answers_of_one_group_are_drawn_without_intervals():
    with style():
        assert len(png(picture(Selective(Scored.of([0.1, 0.9], [False, True], [0, 0]), 2)))) > 5000
