"""Cuts a Llama 2 prompt into turns, however it is spelled. Knows tags and places, not yet what the texts mean.

One pass over the tags; each stretch of text is looked at a constant number of times, so the time is linear.
"""

from __future__ import annotations

from dataclasses import dataclass

from puna.formats.llama2_tags import INST, Mark, Tag, scan
from puna.formats.slips import Slips

Span = tuple[int, int]
"""Characters [start, end)."""


@dataclass(slots=True)
class Turn:
    """One question and its answer. ``marks``: the ``<s>`` and ``</s>`` in the gap before it."""

    gap: Span
    marks: list[Tag]
    body: Span
    opened: Tag | None = None
    closed: Tag | None = None
    answer: Span | None = None
    eos: Tag | None = None

    @property
    def is_tail(self) -> bool:
        """Whether this is only what stands after the last turn."""
        return self.opened is None and self.closed is None


class Cutter:
    """Walks over the tags of one text and notes the slips in them."""

    def __init__(self, text: str, slips: Slips) -> None:
        self._text = text
        self._slips = slips
        self._tags = scan(text)
        self._next = 0
        self._at = 0

    def turns(self) -> list[Turn]:
        """Every turn in text order; the last one may be a tail."""
        found: list[Turn] = []
        while not found or self._at < len(self._text):
            turn = self._gap()
            found.append(turn)
            if turn.is_tail:
                break
            if turn.closed is not None:
                turn.answer, turn.eos = self._answer(turn.closed.end)
        return found

    def _gap(self) -> Turn:
        start, first = self._at, self._next
        while self._next < len(self._tags) and self._tags[self._next].mark in {Mark.BOS, Mark.EOS}:
            self._next += 1
        marks = self._tags[first : self._next]
        if self._next == len(self._tags):
            end = self._at = len(self._text)
            return Turn((start, end), marks, (end, end))
        tag = self._tags[self._next]
        self._next += 1
        turn = Turn((start, tag.start), marks, (tag.start, tag.start))
        if tag.mark is Mark.END_INST:
            self._slips.note("missing-inst", tag.start, tag.start)
            turn.closed = tag
        else:
            turn.opened = tag
            turn.body, turn.closed = self._body(tag)
        return turn

    def _body(self, opened: Tag) -> tuple[Span, Tag | None]:
        """What stands after ``[INST]``, and the tag that closes it."""
        start = seen = opened.end
        blank = True
        while self._next < len(self._tags):
            tag = self._tags[self._next]
            blank = blank and self._blank(seen, tag.start)
            seen = tag.end
            if tag.mark is Mark.END_INST or (tag.mark is Mark.INST and not blank and not self._closes_later()):
                return (start, tag.start), self._close(tag)
            if tag.mark is Mark.INST and blank:
                self._slips.note("double-inst", start - len(INST), tag.start, "")
                start = tag.end
            elif tag.mark is Mark.INST or not self._turn_follows():
                self._slips.note("tag-in-content", tag.start, tag.end)
                blank = False
            elif not blank or tag.mark is Mark.EOS:
                return (start, self._leave(tag)), None
            self._next += 1
        self._at = len(self._text)
        self._slips.note("missing-inst-close", self._at, self._at, " [/INST]")
        return (start, self._at), None

    def _closes_later(self) -> bool:
        """Whether the tag after the present one is ``[/INST]``."""
        after = self._next + 1
        return after < len(self._tags) and self._tags[after].mark is Mark.END_INST

    def _close(self, tag: Tag) -> Tag:
        if tag.mark is Mark.INST:
            self._slips.note("inst-open-tag-twice", tag.start, tag.end, "[/INST]")
        elif tag.typo:
            self._slips.note("backslash-inst-typo", tag.start, tag.end, "[/INST]")
        self._next += 1
        self._at = tag.end
        return tag

    def _leave(self, tag: Tag) -> int:
        """End a question that was never closed where the next turn's ``<s>``, or its own ``</s>``, stands."""
        self._slips.note("missing-inst-close", tag.start, tag.start, " [/INST]")
        self._at = tag.start
        if tag.mark is Mark.EOS:
            self._at = tag.end
            self._next += 1
        return tag.start

    def _answer(self, start: int) -> tuple[Span, Tag | None]:
        """What stands after ``[/INST]``, and the tag that ends it."""
        seen, blank = start, True
        while self._next < len(self._tags):
            tag = self._tags[self._next]
            blank = blank and self._blank(seen, tag.start)
            seen = tag.end
            if tag.mark is Mark.INST or (tag.mark is Mark.BOS and self._turn_follows()):
                self._at = tag.start
                return (start, tag.start), None
            self._next += 1
            if tag.mark is Mark.EOS and (self._turn_follows(self._next - 1) or not (tag.typo or self._is_quoted())):
                self._at = tag.end
                return (start, tag.start), tag
            if tag.mark is Mark.END_INST and blank:
                self._slips.note("double-inst-close", start, tag.end, "")
                start = tag.end
            else:
                self._slips.note("tag-in-content", tag.start, tag.end)
                blank = False
        self._at = len(self._text)
        return (start, self._at), None

    def _is_quoted(self) -> bool:
        """Whether the ``</s>`` just passed is spoken of: words go on right after it, and another one ends the answer."""
        if self._next == len(self._tags) or self._tags[self._next].mark is not Mark.EOS:
            return False
        after, ends = self._tags[self._next - 1].end, self._tags[self._next]
        return not self._blank(after, ends.start) and self._text[after] not in "\r\n" and self._turn_follows()

    def _turn_follows(self, n: int | None = None) -> bool:
        """Whether nothing but whitespace stands between a ``<s>`` or ``</s>`` and the next turn, or the end.

        Otherwise it is part of a message: ``<s>`` is also HTML, and people ask about these tags.
        """
        at = self._next if n is None else n
        if at + 1 == len(self._tags):
            return self._blank(self._tags[at].end, len(self._text))
        after = self._tags[at + 1]
        return after.mark in {Mark.BOS, Mark.INST} and self._blank(self._tags[at].end, after.start)

    def _blank(self, start: int, end: int) -> bool:
        return start == end or self._text[start:end].isspace()
