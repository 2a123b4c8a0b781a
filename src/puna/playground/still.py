"""A prompt and an answer as HTML that needs no script: what a notebook shows where no kernel runs. Knows the values of the widgets. Pure.

Colours are the page's in its light theme, on a ground of their own, so that they are read in a dark notebook too. Space, line break and
tab of a template are drawn as in the page: a middle dot, a bent arrow, an arrow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

COLOURS = {
    "marker": "#7a3fb0",
    "system": "#0b6e5c",
    "context": "#0a6478",
    "example": "#9c2c66",
    "user": "#1f4fbf",
    "assistant": "#8a4b08",
}
"""Of each kind of segment, as in ``static/anatomy.js``."""

_BOX = (
    "background:#fff;color:#1a1d23;font:12.5px/1.75 ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
    "white-space:pre-wrap;overflow-wrap:anywhere;padding:6px 10px;border:1px solid #d7dbe2;border-radius:6px"
)
_HEAT = (47, 75, 199)
"""Red, green and blue of the ground of an unlikely token; a sure one has none."""


def anatomy(data: Mapping[str, Any]) -> str:
    """A prompt, token by token, each with its id as a title. data: as ``/api/anatomy`` answers."""
    runs = [_run(segment["kind"], segment["tokens"]) for segment in data["segments"]]
    kinds = dict.fromkeys(segment["kind"] for segment in data["segments"])
    legend = " · ".join(f'<span style="color:{COLOURS[kind]}">{kind}</span>' for kind in COLOURS if kind in kinds)
    used, context = data["prompt_tokens"], data["context"]
    counted = (
        "tokens not told" if used is None else f"{used} tokens" + (f" of a window of {context}" if context else "")
    )
    return f'<div style="{_BOX}"><div style="color:#565e6b">{counted} · {legend}</div>{"".join(runs)}</div>'


def tokens(records: Iterable[Mapping[str, Any]], *, heat: bool = True) -> str:
    """An answer, token by token; the title of each tells its probability and what else could have stood there.

    records: as ``puna.widget.Tokens`` has them. heat: unlikely tokens have a darker ground.
    """
    return f'<div style="{_BOX}">{"".join(_answered(record, heat=heat) for record in records)}</div>'


def talk(system: str, messages: Sequence[Mapping[str, str]], records: Sequence[Mapping[str, Any]]) -> str:
    """A conversation, its newest answer token by token where its tokens are known."""
    told = [("system", system)] if system else []
    told += [(message["role"], message["content"]) for message in messages]
    newest = "".join(str(record["t"]) for record in records)
    parts = []
    for n, (role, text) in enumerate(told):
        shown = (
            tokens(records)
            if records and n == len(told) - 1 and text == newest
            else f'<div style="{_BOX}">{escape(text)}</div>'
        )
        parts.append(f'<div style="color:{COLOURS[role]};font:12px system-ui,sans-serif">{role}</div>{shown}')
    return "".join(parts) or f'<div style="{_BOX}">Nothing said yet.</div>'


def _run(kind: str, run: Iterable[Sequence[Any]]) -> str:
    weight = ";font-weight:700" if kind == "marker" else ""
    inside = "".join(f'<span title="{_id(number)}">{_visible(str(text))}</span>' for number, text, *_ in run)
    return f'<span style="color:{COLOURS[kind]}{weight}">{inside}</span>'


def _answered(record: Mapping[str, Any], *, heat: bool) -> str:
    logprob = record.get("lp")
    if logprob is None:
        return f"<span>{escape(str(record['t']))}</span>"
    share = math.exp(min(0.0, float(logprob)))
    red, green, blue = _HEAT
    ground = f"background:rgba({red},{green},{blue},{0.45 * (1 - share):.2f});" if heat else ""
    others = ", ".join(
        f"{str(other[1])!r} {math.exp(min(0.0, float(other[2]))):.1%}" for other in record.get("top", ())
    )
    title = f"{share:.1%}" + (f"; likeliest: {others}" if others else "")
    return f'<span style="{ground}border-radius:2px" title="{escape(title)}">{escape(str(record["t"]))}</span>'


def _id(number: int | None) -> str:
    return "no id is told" if number is None else f"id {number}"


def _visible(text: str) -> str:
    """A token's text, its whitespace drawn and the line breaks kept."""
    drawn = escape(text).replace(" ", "·").replace("\t", "→\t")
    return drawn.replace("\n", "↵\n")
