"""A report as one HTML file that asks no other host for anything. Knows reports and drawings; computes nothing.

Every text of a prompt, an output or a name is escaped; the page's policy allows its own style sheet and script, by their hashes, and nothing
else. Outputs stand in the file itself, so that they can be read, searched and printed without the script, which filters and compares.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from itertools import count

from puna.experiments import sections as parts
from puna.experiments.drawing import inline
from puna.experiments.gallery import Drawing
from puna.experiments.report import Report
from puna.experiments.sections import table

_WIDE = 7.0
"""Inches from which a figure takes the whole width."""


def page(report: Report, drawings: Sequence[Drawing]) -> str:
    """The whole file."""
    css, js = (files("puna.experiments").joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; style-src '{_hash(css)}'; script-src '{_hash(js)}'; base-uri 'none'; form-action 'none'"
    )
    sections = {
        "run": ("Run", parts.run(report)),
        "figures": ("Figures", _figures(drawings)),
        "measures": ("Measures", parts.measures(report)),
        "likelihoods": ("Likelihoods", parts.likelihoods(report)),
        "parity": ("Parity", parts.parities(report)),
        "outputs": ("Outputs", parts.outputs(report)),
    }
    there = {name: told for name, told in sections.items() if told[1]}
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, (title, _) in there.items())
    body = "".join(
        f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{title}</h2>{inside}</section>'
        for name, (title, inside) in there.items()
    )
    name = parts.shown(report.run.name)
    created = datetime.fromtimestamp(report.run.created, UTC)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name} \u2013 puna report</title>\n<style>{css}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#outputs">Skip to the outputs</a>\n'
        f'<header><h1>{name}</h1><p class="dim">Report of run <code>{escape(report.run.id)}</code>, {created:%Y-%m-%d %H:%M} UTC</p></header>\n'
        f'<div class="bar"><nav aria-label="Parts of this report"><ul>{links}</ul></nav></div>\n'
        f"<main>\n{body}\n</main>\n<script>{js}</script>\n</body>\n</html>\n"
    )


def _figures(drawings: Iterable[Drawing]) -> str:
    shown = "".join(_figure(each, n) for n, each in zip(count(1), drawings, strict=False))
    return f'<div class="figures">{shown}</div>' if shown else ""


def _figure(drawn: Drawing, n: int) -> str:
    wide = ' class="wide"' if drawn.figure.get_figwidth() > _WIDE else ""
    picture = inline(drawn.figure, f"f{n}", drawn.title, drawn.caption)
    numbers = table(drawn.header, drawn.lines, f"Numbers of figure {n}", numeric=range(len(drawn.header)))
    return (
        f"<figure{wide}><h3>{parts.shown(drawn.title)}</h3><div>{picture}</div><figcaption><p>{parts.shown(drawn.caption)}</p></figcaption>"
        f"<details><summary>The numbers</summary>{numbers}</details></figure>"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
