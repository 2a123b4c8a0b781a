"""Who wrote which part of a rendered prompt: its marker, or one of the messages. Knows segments and roles; no tokens.

A format gives its segments in order, each control or content, and the messages in the order in which it writes them; that
is enough to tell them apart for every family, a model's own template included.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from puna.formats.base import Parsed
from puna.generation import Kind, Segment
from puna.messages import Role

MARKER = "marker"


class Label(NamedTuple):
    """What a part of a prompt is. kind: ``marker``, ``system``, ``context``, ``example``, ``user`` or ``assistant``.

    part: of the window, ``system``, ``context``, ``history`` or ``turn``. turn: number of the user's turn in the prompt, from 0.
    message: index of the caller's message, None for what is no message of the conversation.
    """

    kind: str
    part: str
    turn: int
    message: int | None


@dataclass(frozen=True, slots=True)
class Said:
    """A message of the prompt. kinds: its text in pieces that join to it, each with its kind. turn, part, message: as in Label."""

    role: Role
    kinds: tuple[tuple[str, str], ...]
    part: str
    turn: int
    message: int | None

    @property
    def text(self) -> str:
        """The whole content."""
        return "".join(text for _, text in self.kinds)

    def marker(self) -> Label:
        """The label of what the format writes around it."""
        return Label(MARKER, self.part, self.turn, self.message)


Span = tuple[str, Label]
"""A piece of a prompt's text. All spans join to the text."""


def spans(segments: Sequence[Segment], said: Sequence[Said], control: Iterable[str]) -> list[Span]:
    """The prompt in labelled pieces. said: its messages, in order, one at least. control: texts of the model's control tokens."""
    found: list[Span] = []
    ender = _ender(control)
    owners = _owners(segments, said)
    before: Said | None = None
    passed = False  # an empty message of another role, since the last content
    for n, segment in enumerate(segments):
        if segment.kind is Kind.CONTENT:
            before, passed = owners[n], False
            found.extend(_content(segment.text, before))
            continue
        after = next((owners[later] for later in range(n + 1, len(segments)) if later in owners), None)
        if before is None:
            found.append((segment.text, _opening(segment, after or said[-1], ender)))
            continue
        if after is not None and before.role is after.role and segment.role is not None:
            found.append((segment.text, (after if passed and segment.role is after.role else before).marker()))
            passed |= segment.role is not before.role
            continue
        found.extend(_between(segment, before, after or said[-1], ender))
        if after is None and segment.role is not before.role:
            before = said[-1]  # whatever follows is of the last message, which is empty, or announces the answer
    return found


def _owners(segments: Sequence[Segment], said: Sequence[Said]) -> dict[int, Said]:
    """The message whose content each content segment is: the next of its role, at best with this text.

    By role, since some families write the system text later than others.
    """
    waiting: dict[Role | None, list[Said]] = {}
    for entry in said:
        if entry.text.strip():
            waiting.setdefault(entry.role, []).append(entry)
    owners: dict[int, Said] = {}
    for n, segment in enumerate(segments):
        if segment.kind is Kind.CONTENT:
            left = waiting.get(segment.role) or [said[-1]]
            at = next((k for k, entry in enumerate(left) if segment.text.strip() in entry.text), 0)
            owners[n] = left[at]
            waiting[segment.role] = left[at + 1 :]
    return owners


def _content(text: str, said: Said) -> Iterator[Span]:
    """The text by the pieces of its message, some of whose blanks a format may have left out."""
    at = 0
    for n, (kind, piece) in enumerate(said.kinds):
        last = n == len(said.kinds) - 1
        begin = text.find(piece.strip(), at)
        end = len(text) if last or begin < 0 else begin + len(piece.strip())
        if end > at:
            yield text[at:end], Label(kind, "context" if kind == "context" else said.part, said.turn, said.message)
        at = end


def _opening(segment: Segment, after: Said, ender: re.Pattern[str] | None) -> Label:
    """What stands before the first content. Words that are no tags are the format's own system text."""
    words = (ender.sub("", segment.text) if ender else segment.text).split()
    if segment.role is None and after.role is not Role.SYSTEM and len(words) > 1:
        return Label(MARKER, "system", 0, None)
    return after.marker()


def _between(segment: Segment, before: Said, after: Said, ender: re.Pattern[str] | None) -> Iterator[Span]:
    """What the format writes between two messages: the end of one, the beginning of the other, or both in one piece."""
    if segment.role is not None and before.role is not after.role:
        yield segment.text, (before if segment.role is before.role else after).marker()
        return
    found = ender.match(segment.text) if ender else None
    cut = found.end() if found else 0
    if cut:
        yield segment.text[:cut], before.marker()
    if segment.text[cut:]:
        yield segment.text[cut:], after.marker()


def _ender(control: Iterable[str]) -> re.Pattern[str] | None:
    """A pattern of one control token with the line break after it."""
    texts = sorted((text for text in control if text), key=len, reverse=True)
    return re.compile("(?:" + "|".join(map(re.escape, texts)) + r")\n?") if texts else None


def spans_in(text: str, said: Sequence[Said]) -> list[Span]:
    """A prompt that somebody else wrote of messages, in labelled pieces: what is none of theirs is a marker. said: one at least."""
    found: list[Span] = []
    at = 0
    for entry in said:
        for kind, piece in entry.kinds:
            wanted = piece.strip()
            begin = text.find(wanted, at) if wanted else -1
            if begin < 0:
                continue
            if begin > at:
                found.append((text[at:begin], entry.marker()))
            at = begin + len(wanted)
            part = "context" if kind == "context" else entry.part
            found.append((text[begin:at], Label(kind, part, entry.turn, entry.message)))
    return [*found, (text[at:], said[-1].marker())] if text[at:] else found


def spans_of_messages(said: Iterable[Said]) -> list[Span]:
    """Messages that are sent as they are, in labelled pieces; whoever gets them writes the markers."""
    return [
        (text, Label(kind, "context" if kind == "context" else entry.part, entry.turn, entry.message))
        for entry in said
        for kind, text in entry.kinds
        if text
    ]


def spans_of_text(text: str, parsed: Parsed) -> list[Span]:
    """A written prompt in labelled pieces, as its author wrote it: tags are markers, what was meant by them is content."""
    edges = {0, len(text)}
    owners: list[tuple[int, int, Label]] = []
    at, turn = 0, 0
    for n, message in enumerate(parsed.dialog):
        wanted = message.content.strip()
        begin = text.find(wanted, at) if wanted else -1
        if begin < 0:
            continue
        turn += n > 0 and message.role is Role.USER and bool(owners)
        at = begin + len(wanted)
        owners.append((begin, at, Label(str(message.role), "turn", turn, n)))
        edges |= {begin, at}
    return [(text[a:b], _owner(a, owners)) for a, b in pairwise(sorted(edges))]


def _owner(at: int, owners: Sequence[tuple[int, int, Label]]) -> Label:
    for begin, end, label in owners:
        if begin <= at < end:
            return label
    turn = next((label.turn for begin, _, label in owners if begin > at), owners[-1][2].turn if owners else 0)
    return Label(MARKER, "turn", turn, None)
