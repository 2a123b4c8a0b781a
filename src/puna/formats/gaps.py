"""Compares what stands between the messages of a prompt with what its format writes there, and names the differences.

Knows no family: what should stand there comes from the format that also renders. A slip that is found here has a fix
which, put in, makes the gap exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from puna.formats.slips import Slips
from puna.formats.spans import Span
from puna.formats.tagging import CLOSE, HEADER, SEQUENCE, Mark, Tagging
from puna.formats.turns import TurnWriter
from puna.messages import Dialog, Message, Role

_MISSING = {SEQUENCE: "no-bos", CLOSE: "missing-end", HEADER: "wrong-tag"}
_EXTRA = {SEQUENCE: "bos-between-turns", CLOSE: "stray-end", HEADER: "stray-header"}


def note_gaps(
    slips: Slips,
    form: TurnWriter,
    tagging: Tagging,
    text: str,
    spans: Sequence[Span],
    *,
    announced: bool,
    is_open: bool,
) -> None:
    """Note each gap of the text that is not as ``form`` writes it."""
    gaps = _Gaps(slips, form, tagging, text)
    dialog = Dialog(tuple(Message(span.role, text[span.start : span.end]) for span in spans))
    turns = list(form.turns(dialog))
    if not turns:  # an announced answer to nothing
        gaps.compare(0, len(text), f"{form.opening(dialog)}{form.closing(generation_prompt=announced)}", at_end=True)
        return
    gaps.start(spans[0], f"{form.opening(dialog)}{turns[0][1]}")
    for (left, right), (a, b) in zip(pairwise(spans), pairwise(turns), strict=True):
        if left.stray or right.stray:
            continue
        gaps.compare(left.end, right.start, f"{a[3]}{b[1]}")
    last = spans[-1]
    if not last.stray and not is_open:
        gaps.end(last, turns[-1][3], announced=announced)
    for span in spans:
        if span.stray:
            slips.note("text-outside-turn", span.start, span.end)


def note_order(slips: Slips, form: TurnWriter, text: str, spans: Sequence[Span]) -> None:
    """Note messages that may not stand where they do."""
    first_system: str | None = None
    before: Role | None = None
    for n, span in enumerate(spans):
        content = text[span.start : span.end].strip()
        if span.role is Role.SYSTEM:
            if content and first_system == content:
                slips.note("system-repeated", span.start, span.end)
            elif form.system_allowed == "never":
                slips.note("no-system-role", span.start, span.end)
            elif form.system_allowed == "first" and n:
                slips.note("system-not-first", span.start, span.end)
            first_system = first_system or content
        elif form.alternates and span.role is before:
            slips.note("two-turns-in-a-row", span.start, span.end)
        elif form.alternates and before in {None, Role.SYSTEM} and n <= 1 and span.role is Role.ASSISTANT:
            slips.note("first-turn-not-user", span.start, span.end)
        before = span.role


class _Gaps:
    """The gaps of one text."""

    def __init__(self, slips: Slips, form: TurnWriter, tagging: Tagging, text: str) -> None:
        self._slips = slips
        self._form = form
        self._tagging = tagging
        self._text = text

    def start(self, first: Span, expected: str) -> None:
        """Compare what stands before the first message; the format's own words may be missing there."""
        form, begin = self._form, 0
        words = form.standing or form.default
        if words and words in expected and words not in self._text[: first.start]:
            block = form.opening(Dialog()).removeprefix(form.bos)
            if block in expected:
                at = self._first_header(first)
                self._slips.note("no-default-system" if form.default else "no-standing-words", at, at, block)
                expected = expected.replace(block, "", 1)
            else:
                self._slips.note("no-standing-words", first.start, first.start, words)
                expected = expected.replace(words, "", 1)
        if first.stray:
            return
        bos = form.bos
        marks = list(self._tagging.find(self._text[: first.start]))
        while bos and len(marks) > 1 and marks[0].tag == marks[1].tag == bos:
            self._slips.note("double-bos", marks[0].start, marks[0].end, "")
            begin = marks[0].end
            marks.pop(0)
        if bos and not any(mark.kind == SEQUENCE for mark in marks):
            before = expected[: len(expected) - len(expected.removeprefix(bos).lstrip())]
            lead = len(self._text[: first.start]) - len(self._text[: first.start].lstrip())
            self._slips.note("no-bos", 0, lead, before)
            begin, expected = lead, expected[len(before) :]
        elif not bos and marks and marks[0].kind == SEQUENCE and expected.strip():
            self._slips.note("stray-bos", 0, marks[0].end, "")
            begin = marks[0].end
        self.compare(begin, first.start, expected, at_start=True)

    def _first_header(self, first: Span) -> int:
        marks = [mark for mark in self._tagging.find(self._text[: first.start]) if mark.kind == HEADER]
        return marks[0].start if marks else first.start

    def end(self, last: Span, after: str, *, announced: bool) -> None:
        """Compare what stands after the last message, and note whether an answer is asked for."""
        form = self._form
        endings = [f"{after}{form.generation}"] if announced else [after, f"{after}{form.ending}"]
        actual = self._text[last.end :]
        tags = [mark.tag for mark in self._tagging.find(actual)]
        fitting = [end for end in endings if [mark.tag for mark in self._tagging.find(end)] == tags]
        self.compare(last.end, len(self._text), (fitting or endings)[0], at_end=True)
        if last.role is not Role.ASSISTANT and not announced and form.generation:
            self._slips.note("no-generation-prompt", len(self._text), len(self._text), form.generation)

    def compare(self, start: int, end: int, expected: str, *, at_start: bool = False, at_end: bool = False) -> None:
        """Note how characters [start, end) differ from what is expected there."""
        actual = self._text[start:end]
        if actual == expected:
            return
        found, wanted = list(self._tagging.find(actual)), list(self._tagging.find(expected))
        if _words(actual, found):
            self._slips.note("wrong-tag", start, end, expected)
        elif [mark.tag for mark in found] == [mark.tag for mark in wanted]:
            self._spelling(start, actual, expected, list(zip(found, wanted, strict=True)), at_start, at_end)
        else:
            self._slips.note(_tag_code(found, wanted), start, end, expected)

    def _spelling(  # noqa: PLR0917  # one call
        self,
        offset: int,
        actual: str,
        expected: str,
        pairs: list[tuple[Mark, Mark]],
        at_start: bool,
        at_end: bool,
    ) -> None:
        """The tags are right; note what is not in how they are spelled, and in the whitespace around them."""
        at = want = 0
        before: Mark | None = None
        for mark, wanted in pairs:
            self._space(offset, (at, actual[at : mark.start]), expected[want : wanted.start], before, mark,
                        "start" if at_start and before is None else "content" if before is None else "")  # fmt: skip
            if actual[mark.start : mark.end] != wanted.tag:
                self._slips.note("header-spelling", offset + mark.start, offset + mark.end, wanted.tag)
            at, want, before = mark.end, wanted.end, mark
        self._space(offset, (at, actual[at:]), expected[want:], before, None, "end" if at_end else "content")

    def _space(  # noqa: PLR0917  # one call site's pieces
        self,
        offset: int,
        actual: tuple[int, str],
        expected: str,
        before: Mark | None,
        after: Mark | None,
        edge: str,
    ) -> None:
        at, space = actual
        if space == expected:
            return
        self._slips.note(
            _space_code(space, expected, before, after, edge), offset + at, offset + at + len(space), expected
        )


def _words(actual: str, found: list[Mark]) -> bool:
    """Whether there is more between the tags than whitespace."""
    ends = [0, *(mark.end for mark in found)]
    starts = [*(mark.start for mark in found), len(actual)]
    return any(actual[end:start].strip() for end, start in zip(ends, starts, strict=True))


def _tag_code(found: list[Mark], wanted: list[Mark]) -> str:
    have, want = Counter(mark.tag for mark in found), Counter(mark.tag for mark in wanted)
    missing = [mark.kind for mark in wanted if (want - have)[mark.tag]]
    extra = [mark.kind for mark in found if (have - want)[mark.tag]]
    if missing and extra:
        return "wrong-tag"
    if missing:
        return _MISSING[missing[0]]
    return _EXTRA[extra[0]] if extra else "wrong-tag"


def _space_code(space: str, expected: str, before: Mark | None, after: Mark | None, edge: str) -> str:
    if edge == "start":
        return "space-before-start"
    if edge == "end":
        if len(space) < len(expected):
            return "no-newline-after-end" if before and before.kind == CLOSE else "space-after-header"
        return "trailing-newline" if "\n" in space[len(expected) :] else "trailing-space"
    if before is not None and after is not None:
        if before.kind == CLOSE and "\n" in expected and "\n" not in space:
            return "no-newline-after-end"
        return "space-between-turns" if before.kind == CLOSE else "space-before-header"
    return _beside_content(space, expected, before, after)


def _beside_content(space: str, expected: str, before: Mark | None, after: Mark | None) -> str:
    if len(space) > len(expected) and (space.startswith(expected) if after is None else space.endswith(expected)):
        return "untrimmed-contents"
    if after is not None:
        return "space-before-end" if after.kind == CLOSE else "space-before-header"
    if before is None:
        return "space-between-turns"
    return "space-after-header"
