"""What a figure shows is for eyes; here: that each draws, whatever it is given, and is the same file each time."""

import re
import xml.etree.ElementTree as ET

import pytest

from puna.experiments import drawing, figures
from puna.experiments.compare import DIVERSITY
from puna.experiments.curves import Curve, Levels, Line, Matrix, Point, Spread
from puna.experiments.measures import MEASURES
from puna.experiments.nuclei import nuclei, position
from puna.experiments.stats import Interval

from .made import distributions_of, plan_of

TOKENS = MEASURES["tokens"]
ODD = "a $x_1$ <b>\U0001f999</b> \u4e2d " + "very long " * 20


def points(*values):
    return tuple(Point(n, Interval(value, value - 0.1, value + 0.1), 5) for n, value in enumerate(values))


def made(which):
    plan = plan_of()
    distributions = distributions_of(plan, (7,))
    (nucleus,) = nuclei(distributions, plan.cells)
    drawn = {
        "curve": lambda: figures.curve(Curve("temperature", DIVERSITY, (Line("top-p 0.5", points(0, 0.5)), Line(ODD, points(0.1, 0.9))))),
        "steps": lambda: figures.curve(Curve("top_k", TOKENS, (Line("", points(3, 2, 1)),))),
        "hollow": lambda: figures.curve(Curve("top_p", TOKENS, (Line("", (Point(1, Interval(2.0), 1), Point(2, Interval(3.0), 1))),))),
        "many": lambda: figures.curve(Curve("min_p", TOKENS, tuple(Line(str(n), points(*range(20))) for n in range(6)))),
        "levels": lambda: figures.ranking(Levels("system", TOKENS, ("", ODD), points(5, 6))),
        "spread": lambda: figures.spreads(Spread("setting", MEASURES["latency"], ("one", ODD), ((1.0, 1.0, 2.0), (5.0,)))),
        "same": lambda: figures.spreads(Spread("setting", TOKENS, ("one",), ((1.0,) * 300,))),
        "matrix": lambda: figures.differences(Matrix("setting", TOKENS, ("a", ODD, "c"), ((None, -1.0, 0.0), (1.0, None, None), (0.0, None, None)), ((False, True, False),) * 3)),
        "zeros": lambda: figures.differences(Matrix("setting", TOKENS, ("a", "b", "c"), ((0.0,) * 3,) * 3, ((False,) * 3,) * 3)),
        "nucleus": lambda: figures.nucleus(nucleus),
        "recuts": lambda: figures.recuts(position(distributions, nucleus, 0)),
    }  # fmt: skip
    with drawing.style():
        return drawn[which]()


ALL = ("curve", "steps", "hollow", "many", "levels", "spread", "same", "matrix", "zeros", "nucleus", "recuts")


@pytest.mark.parametrize("which", ALL)
def test_inside_a_page_it_touches_nothing_else(which):
    """No style sheet, no inline style, no picture that a policy would have to allow; ids that no other figure has."""
    text = drawing.inline(made(which), "f7", 'Title "quoted"', "Caption <b>")
    assert text.startswith(
        '<svg stroke-linejoin="round" stroke-linecap="butt" role="img" aria-label="Title &quot;quoted&quot;. Caption &lt;b>"'
    )
    for unwanted in ("<style", "style=", "data:", "<metadata"):
        assert unwanted not in text
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert all(each.startswith("f7-") for each in ids)
    assert {*re.findall(r'href="#([^"]*)"', text), *re.findall(r"url\(#([^)]*)\)", text)} <= set(ids)
    ET.fromstring(text)  # noqa: S314  # our own


@pytest.mark.parametrize("which", ["curve", "matrix"])
def test_a_figure_is_the_same_file_each_time(which):
    first = drawing.svg(made(which))
    assert first == drawing.svg(made(which))
    assert b"<dc:date>" not in first


def test_png_has_the_size_that_prints_well():
    data = drawing.png(made("curve"))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(data[16:20]) == 1120, "5.6 inches at 200 pixels"


def test_off_comes_after_every_number():
    (axes, *_) = made("steps").axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "off"]
    assert list(axes.lines[0].get_ydata()) == [2, 1, 3]


def test_signs_that_the_font_lacks_are_told_by_number():
    assert drawing.drawable("a\U0001f999b") == "aU+1F999b"
    assert drawing.drawable("señor ⏎") == "señor ⏎"


def test_axes_have_units():
    assert made("spread").axes[0].get_xlabel() == "latency (s)"
    assert made("steps").axes[0].get_xlabel() == "top-k (tokens)"
    assert made("steps").axes[0].get_ylabel() == "mean tokens"
