"""Tells a template's own text from the messages in it, by a second render that has marks in place of the messages.

A split is only given when it is proven: the template's pieces and the messages, put together, are the true render.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import count

from puna.formats.segments import content, control, written
from puna.generation import Segment
from puna.messages import Dialog, Message

_MARK = "\U0010fff0{salt}\U0010fff1{n}\U0010fff2"
"""Of private characters that no chat template knows of: nothing in it can treat a mark as other than plain words."""

_SALT = 8
"""Digits."""

_MAX_PARTS = 20_000
"""Of a render that is told apart, besides some for each message: a template that says a message so often is up to no good."""


@dataclass(frozen=True, slots=True)
class Marks:
    """A dialog with marks in place of its contents. ``pattern`` finds a mark; its group is the message's number."""

    dialog: Dialog
    original: Dialog
    pattern: re.Pattern[str]


def marked(dialog: Dialog) -> Marks:
    """Marks for a dialog. Blank contents stay: templates ask whether a message is empty, and blanks forge nothing."""
    salt = _salt(dialog)
    messages = (
        Message(message.role, _MARK.format(salt=salt, n=n)) if message.content.strip() else message
        for n, message in enumerate(dialog)
    )
    pattern = re.compile(re.escape(_MARK).replace(r"\{salt\}", salt).replace(r"\{n\}", "([0-9]{1,9})"))
    return Marks(Dialog(tuple(messages)), dialog, pattern)


def _salt(dialog: Dialog) -> str:
    """Digits that follow the mark's first character in no message."""
    taken = {found[:_SALT] for message in dialog for found in re.findall(_MARK[0] + "([0-9]+)", message.content)}
    return next(salt for n in count() if (salt := f"{n:0{_SALT}}") not in taken)


def split(true: str, again: str | None, marks: Marks) -> tuple[Segment, ...] | None:
    """Segments of the true render, or None where they are not to be known."""
    if again is None:
        return None
    parts = marks.pattern.split(again)
    if len(parts) > _MAX_PARTS + 20 * len(marks.original):
        return None
    if any(int(n) >= len(marks.original) for n in parts[1::2]):
        return None  # a mark that the template itself put together
    messages = [marks.original[int(n)] for n in parts[1::2]]
    texts = _put_in(true, parts[0::2], messages)
    if texts is None:
        return None
    segments = [control(parts[0])]
    for message, text, own in zip(messages, texts, parts[2::2], strict=True):
        segments += [content(text, message.role), control(own)]
    return written(segments)


def _put_in(true: str, own: list[str], messages: list[Message]) -> list[str] | None:
    """The form in which each message stands in the render: as it is, or stripped on one side or both.

    All ways that agree with the render so far are followed side by side, so that a form which fits by chance does not
    hide the right one; there are at most as many as places at which a message can end, so the time is bounded.
    """
    if not true.startswith(own[0]):
        return None
    ways: dict[int, tuple[object, ...]] = {len(own[0]): ()}
    for message, after in zip(messages, own[1:], strict=True):
        found: dict[int, tuple[object, ...]] = {}
        for at, way in ways.items():
            for form in _forms(message.content):
                end = at + len(form)
                if true.startswith(form, at) and true.startswith(after, end):
                    found.setdefault(end + len(after), (way, form))
        ways = found
    return _unrolled(ways[len(true)]) if len(true) in ways else None


def _forms(text: str) -> list[str]:
    return list(dict.fromkeys((text, text.strip(), text.rstrip(), text.lstrip())))


def _unrolled(way: tuple[object, ...]) -> list[str]:
    """A chain of (before, form) pairs as a list of forms."""
    forms: list[str] = []
    while way:
        before, form = way
        forms.append(str(form))
        way = before if isinstance(before, tuple) else ()
    return forms[::-1]
