"""How figures look, and how they become files: colours, sizes, and PNG and SVG that are the same each time. Knows no experiments."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#8c6d00")
"""Okabe and Ito's (https://jfly.uni-koeln.de/color/), which eyes of all kinds tell apart; their orange and yellow, pale on white, darker."""

MARKERS = ("o", "s", "^", "D", "v", "P")
"""Beside the colours, for prints without any."""

INK, DIM, LINE, PALE = "#1a1d23", "#565e6b", "#d7dbe2", "#f1f3f6"

_STYLE: Any = {
    "font.family": ["DejaVu Sans"],  # matplotlib brings it, so that a figure is the same on every machine
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": DIM,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "text.parse_math": False,  # a dollar in a token is a dollar
    "xtick.color": DIM,
    "ytick.color": DIM,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.5,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "figure.constrained_layout.use": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "puna",
    "savefig.dpi": 200,
}


@contextmanager
def style() -> Iterator[None]:
    """Everything that is drawn or saved inside looks the same, whatever the user's own matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def figure(width: float = 5.6, height: float = 3.6, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure, in inches, and its panels in reading order."""
    made = Figure(figsize=(width, height))
    FigureCanvasAgg(made)
    panels = made.subplots(rows, columns, squeeze=False)
    return made, list(panels.flat)


def drawable(text: str) -> str:
    """The text with signs that the font has: others as ``U+1F999``."""
    return "".join(sign if ord(sign) in _signs() else f"U+{ord(sign):04X}" for sign in text)


def png(drawn: Figure) -> bytes:
    """The figure as PNG, 200 pixels per inch."""
    return _saved(drawn, "png", {"Software": None})


def svg(drawn: Figure) -> bytes:
    """The figure as SVG, with letters as outlines."""
    return _saved(drawn, "svg", {"Date": None, "Creator": None})


def inline(drawn: Figure, name: str, title: str, caption: str = "") -> str:
    """The figure as an SVG element of an HTML page, which reads it to those who do not see it. name: letters, digits, ``-``; unique on the page."""
    text = svg(drawn).decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)  # a style sheet would be the whole page's
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'\bstyle="([^"]*)"', lambda found: _attributes(found[1]), text)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", text)
    head = f'<svg stroke-linejoin="round" stroke-linecap="butt" role="img" aria-label="{_escaped(f"{title}. {caption}".strip())}"'
    return text.replace("<svg", head, 1)


@cache
def _signs() -> frozenset[int]:
    return frozenset(FT2Font(findfont(FontProperties(family=_STYLE["font.family"]))).get_charmap())


def _saved(drawn: Figure, kind: str, metadata: dict[str, Any]) -> bytes:
    with style(), io.BytesIO() as file:
        drawn.savefig(file, format=kind, metadata=metadata)
        return file.getvalue()


def _attributes(style: str) -> str:
    """Declarations as attributes: a page that allows no inline style shows them too."""
    pairs = (declaration.split(":", 1) for declaration in style.split(";") if declaration.strip())
    return " ".join(f'{name.strip()}="{value.strip()}"' for name, value in pairs)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
