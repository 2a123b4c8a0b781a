"""Finds the messages in a prompt of any turn format, slips and all. Knows tags and places; ``gaps.py`` names the slips.

One pass over the tags, and each stretch of text is looked at a constant number of times: the time is linear.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache

from puna.errors import DialogError, unknown
from puna.formats.base import Parsed
from puna.formats.gaps import note_gaps, note_order
from puna.formats.slips import NOTE, Slips
from puna.formats.spans import Span
from puna.formats.tagging import HEADER, SEQUENCE, Mark, tagging_of
from puna.formats.tags import FOREIGN_END
from puna.formats.turn_slips import SLIPS
from puna.formats.turns import Place, TurnWriter
from puna.messages import Dialog, Message, Role

_LINE, _BLANKS = re.compile(r":?[ \t]*(?:\r?\n)?"), re.compile(r":?\s*")
"""What people write after a header in place of the family's own line break, or space."""


def read(form: TurnWriter, text: str, *, tagged: TurnWriter | None = None) -> Parsed:
    """The dialog that the text's author meant. tagged: the format whose tags to look for, where ``form`` shares them.

    Raises:
        DialogError: no message begins anywhere in the text, or one has a role that puna does not know.
    """
    reader = _Reader(tagged or form, text)
    reader.walk()
    if not reader.tagged:
        raise DialogError(
            f"a {form.title} prompt has {form.user.before.strip()!r} before a user message, but no message begins in "
            "this text; write it, or send the text as a message"
        )
    found = [span for span in reader.spans if not (form.skips_empty_system and _is_empty_system(span))]
    own, spans, implied = _without_own_words(form, text, _unfolded(form, text, found))
    slips = Slips(SLIPS)
    note_gaps(slips, own, reader.tagging, text, spans, announced=reader.announced, is_open=reader.open)
    note_order(slips, own, text, spans)
    dialog = Dialog(tuple(Message(span.role, text[span.start : span.end]) for span in spans))
    findings = slips.in_text_order()
    clean = all(finding.severity == NOTE for finding in findings)
    return Parsed(
        format=form.name,
        confidence=_confidence(reader, clean=clean),
        dialog=dialog,
        open=reader.open,
        findings=findings,
        implied_system=implied,
        announced=reader.announced,
        standing=own.standing if own is not form else None,
    )


def _may_go(spans: list[Span]) -> bool:
    """Whether something else than another system message follows the first."""
    return len(spans) > 1 and spans[1].role is not Role.SYSTEM


def _is_empty_system(span: Span) -> bool:
    return span.role is Role.SYSTEM and span.start == span.end


def _confidence(reader: _Reader, *, clean: bool) -> float:
    """How surely somebody wrote a prompt in this family, and not a text about prompts: it starts or ends with a tag."""
    text, tagging = reader.text, reader.tagging
    starts = tagging.at_start.match(text) is not None
    if starts and (reader.closed or reader.announced):
        return 0.98 if clean else 0.95
    if starts:
        return 0.6 if reader.exact else 0.3
    return 0.6 if tagging.at_end.search(text, max(0, len(text) - 200)) else 0.3


_FOLD = re.compile(r"\n\n(?=\S)")


def _unfolded(form: TurnWriter, text: str, spans: list[Span]) -> list[Span]:
    """A system text inside the first user message can be told only where the family strips the user's, and not it."""
    first = spans[0] if spans else None
    if first is None or form.place is not Place.FIRST_USER or not form.user.trim or first.role is not Role.USER:
        return spans
    raw = text[first.start : first.end]
    stripped = raw.strip()
    if raw == stripped or first.stray:
        return spans
    # A user text ends without whitespace, so what ends with a blank line is a system text over an empty one.
    fold = _FOLD.search(raw)
    system = len(raw) - 2 if raw.endswith("\n\n") else -1 if fold is None or raw[-1].isspace() else fold.start()
    if system < 0:
        start = first.start + raw.index(stripped)
        return [replace(first, start=start, end=start + len(stripped)), *spans[1:]]
    at = first.start + system
    return [Span(Role.SYSTEM, first.start, at), Span(Role.USER, at + 2, first.end), *spans[1:]]


@cache
def _pattern(standing: str) -> re.Pattern[str]:
    return re.compile(standing)


def _without_own_words(form: TurnWriter, text: str, spans: list[Span]) -> tuple[TurnWriter, list[Span], str | None]:
    """The format's own words in the system turn are no message; they may name another date than ``form`` does."""
    if not spans or spans[0].role is not Role.SYSTEM:
        return form, spans, None
    first = spans[0]
    # The blank line after the words was taken off with the whitespace where nothing follows them.
    if form.standing_pattern and (own := _pattern(form.standing_pattern).match(text, first.start, first.end + 2)):
        form = replace(form, standing=own.group())
        rest = replace(first, start=own.end(), end=max(first.end, own.end()))
    elif form.default is not None and text[first.start : first.end] == form.default and _may_go(spans):
        return form, spans[1:], form.default
    else:
        return form, spans, None
    if text[rest.start : rest.end].strip() or not _may_go(spans):
        return form, [rest, *spans[1:]], None
    return form, spans[1:], None


@dataclass(slots=True)
class _Turn:
    role: Role
    start: int
    untagged: bool = False


class _Reader:
    """Walks over the tags of one text."""

    def __init__(self, form: TurnWriter, text: str) -> None:
        self.form = form
        self.tagging = tagging_of(form)
        self.text = text
        self.spans: list[Span] = []
        self.open = False
        self.announced = False
        self.tagged = False
        self.closed = False
        self.exact = True
        self._turn: _Turn | None = None
        self._at = 0
        answers = self.tagging.closes[Role.ASSISTANT]
        self._ends_untagged = answers if self.tagging.answers_untagged else frozenset()

    def walk(self) -> None:
        marks = list(self.tagging.find(self.text))
        self.tagged = any(mark.kind is not SEQUENCE for mark in marks)
        for n, mark in enumerate(marks):
            after = marks[n + 1] if n + 1 < len(marks) else None
            turn = self._turn
            if mark.kind is HEADER and turn is not None and self._closes_instead(turn, mark, after):
                self._close(turn, mark.start, mark.end)
            elif mark.kind is HEADER:
                self._header(mark.role, mark.start, mark.end, mark.word)
            elif turn is not None:
                self._inside(turn, mark, after)
            elif mark.tag in self._ends_untagged and not self._blank(self._at, mark.start):
                self._close(self._untagged(self._at), mark.start, mark.end)
            else:
                self._outside(mark.start, is_header=False)
                self._at = mark.end
        self._finish()

    def _inside(self, turn: _Turn, mark: Mark, after: Mark | None) -> None:
        """A tag in the middle of a message: its end, a slip, or words of the author's."""
        if mark.kind is SEQUENCE:
            # A <s> in the middle of a message is the author's own, one before the next header is not.
            if after is not None and after.kind is HEADER and self._blank(mark.end, after.start):
                self._end_unclosed(turn, mark.start)
                self._at = mark.end
        elif mark.tag in self.tagging.closes[turn.role]:
            if not self._is_quoted(turn, mark, after):
                self._close(turn, mark.start, mark.end)
        elif turn.untagged and self._blank(turn.start, mark.start):
            self._turn = self._untagged(mark.end)  # the question is closed twice

    def _closes_instead(self, turn: _Turn, mark: Mark, after: Mark | None) -> bool:
        """Whether a tag that begins a question stands where one should end: an answer's end comes next."""
        untagged = self.tagging.answers_untagged
        if not untagged or turn.role is not Role.USER or self._blank(turn.start, mark.start):
            return False
        return mark.role is Role.USER and after is not None and after.tag in self.tagging.closes[Role.ASSISTANT]

    def _is_quoted(self, turn: _Turn, mark: Mark, after: Mark | None) -> bool:
        """Whether a closing tag is spoken of: words go on right after it, and another one ends them."""
        if turn.untagged or after is None or after.tag != mark.tag or self._blank(mark.end, after.start):
            return False
        return not self.text.startswith(("\n", "\r"), mark.end)

    def _header(self, role: Role | None, start: int, end: int, word: str) -> None:
        if role is None:
            raise DialogError(f"a message begins with an {unknown('role', word, list(Role))}")
        if self._turn is not None:
            self._end_unclosed(self._turn, start)
        else:
            self._outside(start)
        self._begin(role, end)

    def _begin(self, role: Role, end: int) -> None:
        trail = self.tagging.trail[role]
        if self.text.startswith(trail, end):
            begin = end + len(trail)
        else:
            self.exact = False
            spelled = (_LINE if "\n" in trail else _BLANKS).match(self.text, end)
            begin = spelled.end() if spelled else end
        self._turn, self._at = _Turn(role, begin), begin

    def _close(self, turn: _Turn, start: int, end: int) -> None:
        self._say(turn, start, self.tagging.lead[turn.role])
        self._turn, self._at, self.closed = None, end, True
        if turn.role is Role.USER and self.tagging.answers_untagged:
            self._turn = self._untagged(end)

    def _untagged(self, end: int) -> _Turn:
        """An answer that no tag begins, after what ends at ``end``."""
        before = self.form.assistant.before
        self._at = end + len(before) if self.text.startswith(before, end) else end
        return _Turn(Role.ASSISTANT, self._at, untagged=True)

    def _end_unclosed(self, turn: _Turn, end: int) -> None:
        """End a message where the next one begins. A header without anything after it announced an answer in vain."""
        self._turn = None
        self._at = end
        if not self.tagging.closes[turn.role]:
            self.closed = True
            self._say(turn, end, self.tagging.lead[turn.role])
        elif not self._blank(turn.start, end):
            self._say(turn, self._without_foreign_end(turn.start, end), " ")

    def _finish(self) -> None:
        turn, end = self._turn, len(self.text)
        if turn is None:
            self._outside(end)
            return
        if turn.role is Role.ASSISTANT and self._blank(turn.start, end):
            self.announced = True
            return
        if self.tagging.closes[turn.role] and turn.role is Role.ASSISTANT:
            cut = self._without_foreign_end(turn.start, end)
            self.open = cut == end
            self._say(turn, cut, "")
        else:
            self._end_unclosed(turn, end)

    def _without_foreign_end(self, start: int, end: int) -> int:
        """Where a message ends that another family's tag ends."""
        found = FOREIGN_END.search(self.text, max(start, end - 200), end)
        return found.start() if found else end

    def _outside(self, end: int, *, is_header: bool = True) -> None:
        """Words between two messages are a system text where the family marks none, else the user's."""
        start, self._at = self._at, end
        system = None if self.spans else self.form.system
        if system is not None and not system.before:
            # Just what would stand after a system text is an empty one, if a message follows.
            if not self._blank(start, end) or (is_header and system.after and self.text[start:end] == system.after):
                self._say(_Turn(Role.SYSTEM, start), end, system.after)
        elif not self._blank(start, end):
            self._say(_Turn(Role.USER, start), end, " ", stray=True)

    def _say(self, turn: _Turn, end: int, lead: str, *, stray: bool = False) -> None:
        """Note a message; ``lead`` is what its format writes between the content and the closing tag."""
        start, text = turn.start, self.text
        if lead and text.endswith(lead, start, end):
            end -= len(lead)
            trims = False
        else:
            trims = bool(lead)
        whole = stray or (self._trims(turn.role) and not self._may_hold_system(turn.role))
        if trims or (whole and not self.open):
            end = start + len(text[start:end].rstrip())
        if whole:
            start = end - len(text[start:end].lstrip())
        self.spans.append(Span(turn.role, start, end, stray))

    def _may_hold_system(self, role: Role) -> bool:
        """Whether whitespace at the ends of this text can be a folded system text's."""
        return role is Role.USER and not self.spans and self.form.place is Place.FIRST_USER

    def _trims(self, role: Role) -> bool:
        late = role is Role.SYSTEM and self.spans
        tags = (late and self.form.late_system) or self.tagging.tags[role]
        return tags is not None and tags.trim

    def _blank(self, start: int, end: int) -> bool:
        return start >= end or self.text[start:end].isspace()
