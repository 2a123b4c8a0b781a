r"""Llama 3, 3.1, 3.2 and 3.3: a header with the role before each message, ``<|eot_id|>`` after it.

::

    <|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{system}<|eot_id|>
    <|start_header_id|>user<|end_header_id|>\n\n{user}<|eot_id|>
    <|start_header_id|>assistant<|end_header_id|>\n\n{answer}<|eot_id|>...

without any line break between the turns; the generation prompt is the assistant's header. Every content is stripped.

From 3.1 on the system turn is always there, and begins with two lines and a blank one, before the dialog's own text::

    Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n

An empty system message therefore looks like none, and comes back as none.

Revisions. ``llama3``: the template since May 2024, equal to ChatFormat of meta-llama/llama3; the one of the launch day
always added the assistant's header. ``llama3.1`` and ``llama3.3`` have the same template, whose date stands still unless
one is given. ``llama3.2`` asks for today's date: puna's callers hand it in, since a format reads no clock; without one,
the date that the template itself falls back to is written. Meta's reference code writes no date lines at all.

Sources, read 2026-11-22: https://huggingface.co/meta-llama/Meta-Llama-3-8B-Instruct, .../Llama-3.1-8B-Instruct,
.../Llama-3.2-3B-Instruct, .../Llama-3.3-70B-Instruct, ``chat_template`` of ``tokenizer_config.json``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Self

from puna.formats.family import Family
from puna.formats.tags import Tags

BOS, EOT = "<|begin_of_text|>", "<|eot_id|>"
STILL = date(2024, 7, 26)
"""The date that the template of Llama 3.1 writes on every day."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _turn(role: str) -> Tags:
    return Tags(f"<|start_header_id|>{role}<|end_header_id|>\n\n", EOT, trim=True)


def spoken(day: date) -> str:
    """A date as the templates write it, ``26 Jul 2024``; names by hand, since ``strftime`` asks the locale."""
    return f"{day.day:02} {_MONTHS[day.month - 1]} {day.year}"


def _standing(day: date) -> str:
    return f"Cutting Knowledge Date: December 2023\nToday Date: {spoken(day)}\n\n"


@dataclass(frozen=True)
class Dated(Family):
    """A family whose prompts tell the date. clocked: by its template that is today's."""

    clocked: bool = False

    @cached_property
    def own_words(self) -> str:
        """The lines with the date; on any day, where the family's prompts are written on any day."""
        return self.standing_pattern if self.clocked else re.escape(self.standing)

    def on(self, day: date) -> Self:
        """The same with another date."""
        return replace(self, standing=_standing(day))


LLAMA3 = Family(
    "llama3",
    "Llama 3",
    _turn("user"),
    _turn("assistant"),
    _turn("system"),
    stops=(EOT,),
    bos=BOS,
    generation=_turn("assistant").before,
)


def _dated(name: str, title: str, *, clocked: bool = False) -> Dated:
    return Dated(
        name,
        title,
        LLAMA3.user,
        LLAMA3.assistant,
        LLAMA3.system,
        stops=(EOT,),
        bos=BOS,
        generation=LLAMA3.generation,
        standing=_standing(STILL),
        standing_pattern=r"Cutting Knowledge Date: [^\r\n]{1,40}\nToday Date: [^\r\n]{1,40}\n\n",
        clocked=clocked,
    )


LLAMA31 = _dated("llama3.1", "Llama 3.1")
LLAMA32 = _dated("llama3.2", "Llama 3.2", clocked=True)
LLAMA33 = _dated("llama3.3", "Llama 3.3")
