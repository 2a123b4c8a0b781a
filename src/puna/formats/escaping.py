"""Keeps text in a message from becoming a control token where an engine takes no token ids. Knows the texts of tokens; no engine.

An engine that gets messages or text looks for control tokens in all of it, so what could become one is changed: a space goes behind its
first character, ``<|im_end|>`` to ``< |im_end|>``. It is seen by the reader, it is the least that no vocabulary takes for the
token, and every change is told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from puna.errors import DialogError
from puna.generation import Kind, Segment
from puna.messages import Dialog
from puna.tokens.markers import pattern_of

SHOWN = 8
"""Markers of one message that are told by name; of more, their number."""


@dataclass(frozen=True, slots=True)
class Escaped:
    """A text without anything that could become a control token. markers: what was changed in it, in order."""

    text: str
    markers: tuple[str, ...] = ()


def escaped(text: str, control: Collection[str]) -> Escaped:
    """The text with a space inside every marker. control: the vocabulary's control tokens; empty where nobody knows them."""
    pattern, markers, parts, at = pattern_of(frozenset(control)), [], [], 0
    found = pattern.search(text)
    while found is not None:
        # Searched again from the second character, since one token may begin inside another.
        markers.append(found.group())
        parts += [text[at : found.start() + 1], " "]
        at = found.start() + 1
        found = pattern.search(text, at)
    return Escaped("".join([*parts, text[at:]]), tuple(markers))


def escaped_dialog(dialog: Dialog, control: Collection[str]) -> tuple[Dialog, tuple[str, ...]]:
    """The messages so, with a sentence for each that was changed."""
    found = [escaped(message.content, control) for message in dialog]
    if not any(entry.markers for entry in found):
        return dialog, ()
    messages = (replace(message, content=entry.text) for message, entry in zip(dialog, found, strict=True))
    told = (_told(f"message {n}", entry.markers) for n, entry in enumerate(found) if entry.markers)
    return Dialog(tuple(messages)), tuple(told)


def escaped_segments(
    segments: Iterable[Segment], control: Collection[str]
) -> tuple[tuple[Segment, ...], tuple[str, ...]]:
    """A rendered prompt that is sent as text: contents are escaped, what the format wrote is not.

    Raises:
        DialogError: a marker stands across the border of a message, where a space would change the format.
    """
    safe: list[Segment] = []
    told: list[str] = []
    for segment in segments:
        found = escaped(segment.text, control) if segment.kind is Kind.CONTENT else Escaped(segment.text)
        safe.append(replace(segment, text=found.text))
        if found.markers:
            told.append(_told(f"a {segment.role} message" if segment.role else "a message", found.markers))
    _check_borders(safe, control)
    return tuple(safe), tuple(told)


def _check_borders(segments: list[Segment], control: Collection[str]) -> None:
    """Every marker of the whole text must stand in what the format wrote, its end included."""
    edges, at = [], 0
    for segment in segments:
        if segment.kind is Kind.CONTENT and segment.text:
            edges.append((at, at + len(segment.text)))
        at += len(segment.text)
    text = "".join(segment.text for segment in segments)
    inside = iter(edges)
    start, end = next(inside, (at, at))
    for found in pattern_of(frozenset(control)).finditer(text):
        while end <= found.start():
            start, end = next(inside, (at + 1, at + 1))
        if start < found.end():
            raise DialogError(
                f"a message beside what the format writes makes {found.group()!r}, which the server would read as a control token; "
                "begin and end the message with other characters"
            )


def _told(where: str, markers: tuple[str, ...]) -> str:
    names = ", ".join(dict.fromkeys(markers[:SHOWN]))
    more = f" and {len(markers) - SHOWN} more" if len(markers) > SHOWN else ""
    return (
        f"{where} holds {names}{more}, which a server that takes no token ids reads as control tokens: a space was put behind the first "
        "character of each"
    )
