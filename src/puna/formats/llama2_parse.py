"""Reads a dialog back from a Llama 2 prompt, slips and all. Knows what the parts of a turn mean, not where they are."""

from __future__ import annotations

import re

from puna.errors import DialogError
from puna.formats.base import Parsed
from puna.formats.llama2_cut import Cutter, Span, Turn
from puna.formats.llama2_slips import SLIPS
from puna.formats.llama2_tags import BOS, END_INST, END_INST_TYPO, EOS, INST, SYS, Mark, Tag
from puna.formats.llama2_text import Texts
from puna.formats.slips import NOTE, Slips
from puna.formats.tags import FOREIGN_END
from puna.messages import Dialog, Message, Role

_PROSE = re.compile(r"\[/?INST\][.,:;)\"'`\u3001\u3002\u3068\u306f]")
"""A tag in a sentence: nobody begins a question, or an answer, with a full stop."""

_SURE, _LIKELY, _HALF, _HARDLY = 0.99, 0.95, 0.6, 0.3


def parse(text: str) -> Parsed:
    """The dialog that the text's author meant. Linear in the length of the text.

    Raises:
        DialogError: none of Llama 2's own tags is there.
    """
    if not any(tag in text for tag in (INST, END_INST, SYS)):
        raise DialogError(
            f"a Llama 2 prompt has {INST} and {END_INST}, but this text has neither; "
            f"write {BOS}{INST} your question {END_INST}, or send it as a message"
        )
    reader = _Reader(text)
    turns = reader.read()
    findings = reader.slips.in_text_order()
    return Parsed(
        format="llama2",
        confidence=_confidence(text, turns, clean=all(finding.severity == NOTE for finding in findings)),
        dialog=Dialog(tuple(reader.messages)),
        open=reader.open,
        findings=findings,
    )


def _confidence(text: str, turns: list[Turn], *, clean: bool) -> float:
    """How surely somebody wrote a prompt, and not a text about prompts: it starts with a tag, or ends with one."""
    starts = text.lstrip().startswith((BOS, INST, SYS))
    closes = END_INST in text or END_INST_TYPO in text
    if _PROSE.search(text) or not (closes or BOS in text or SYS in text):
        return _HARDLY
    if starts and any(turn.closed for turn in turns):
        return _SURE if clean else _LIKELY
    asks = text.rstrip().endswith(END_INST) and INST in text
    begins = text.lstrip().removeprefix(BOS).lstrip().startswith((INST, SYS))
    return _HALF if begins or asks else _HARDLY


class _Reader:
    """Turns into messages."""

    def __init__(self, text: str) -> None:
        self.slips = Slips(SLIPS)
        self.messages: list[Message] = []
        self.open = False
        self._text = text
        self._texts = Texts(text, self.slips)
        self._system: str | None = None

    def read(self) -> list[Turn]:
        turns = Cutter(self._text, self.slips).turns()
        for n, turn in enumerate(turns):
            rest = turns[n + 1 : n + 2]
            is_last = not rest or (rest[0].is_tail and not self._has_text(rest[0]))
            self._turn(turn, is_first=n == 0, is_last=is_last)
        return turns

    def _turn(self, turn: Turn, *, is_first: bool, is_last: bool) -> None:
        stray = self._gap(turn, is_first=is_first)
        if turn.is_tail:
            if stray:
                self._say(Role.USER, "\n".join(stray))
            return
        system, user = self._texts.question(turn.body, opened=turn.opened is not None, closed=turn.closed is not None)
        blank_answer = self._is_unanswered(turn)
        if system is not None:
            self._say_system(system, turn.body)
        if system is not None and not user and not stray and not is_last and blank_answer:
            self.slips.note("system-own-inst", *turn.body)
            return
        self._say(Role.USER, "\n".join(filter(None, [*stray, user])))
        self._answer(turn, is_last=is_last, blank=blank_answer)

    def _is_unanswered(self, turn: Turn) -> bool:
        """Whether no answer is meant; the two spaces that the format itself writes for an empty one are an answer."""
        if turn.answer is None:
            return True
        raw = self._text[slice(*turn.answer)]
        return not raw.strip() and (turn.eos is None or raw != "  ")

    def _answer(self, turn: Turn, *, is_last: bool, blank: bool) -> None:
        if turn.answer is None:
            return
        if turn.eos is None and blank:
            self._no_answer(turn.answer, is_last=is_last)
            return
        if turn.eos is not None and blank and is_last:
            # Somebody who wraps a question in <s> ... </s> asks it; nobody asks for what follows an empty answer.
            self.slips.note("stray-eos", turn.answer[0], turn.eos.end, "")
            return
        span = self._without_foreign_end(turn.answer, ended=turn.eos is not None)
        ended = turn.eos is not None or span != turn.answer
        self._say(Role.ASSISTANT, self._texts.answer(span, ended=ended, is_open=is_last))
        if not ended and is_last:
            self.open = True
        elif not ended:
            begin = span[0] + len(self._text[slice(*span)].rstrip())
            self.slips.note("no-eos-in-history", begin, span[1], f" {EOS}")
        elif turn.eos is not None and turn.eos.typo:
            self.slips.note("backslash-s-typo", turn.eos.start, turn.eos.end, EOS)

    def _without_foreign_end(self, span: Span, *, ended: bool) -> Span:
        """An answer that another family's tag ends, without it."""
        found = FOREIGN_END.search(self._text, max(span[0], span[1] - 200), span[1])
        if found is None or found.start() <= span[0]:
            return span
        # The space before the right tag is the answer's own affair.
        self.slips.note("foreign-end", found.start(), found.end(), "" if ended else EOS)
        return span[0], found.start()

    def _no_answer(self, span: Span, *, is_last: bool) -> None:
        if not is_last:
            self.slips.note("missing-answer", *span)
        elif span[0] < span[1]:
            self._trailing(*span)

    def _trailing(self, start: int, end: int) -> None:
        code = "trailing-newline" if "\n" in self._text[start:end] else "trailing-space"
        self.slips.note(code, start, end, "")

    def _say(self, role: Role, content: str) -> None:
        self.messages.append(Message(role, content))

    def _say_system(self, system: str, span: Span) -> None:
        if self._system is not None and system.strip() == self._system.strip():
            self.slips.note("system-repeated", *span)
            return
        if self.messages:
            self.slips.note("system-not-first", *span)
        else:
            self._system = system
        self._say(Role.SYSTEM, system)

    def _has_text(self, turn: Turn) -> bool:
        return any(not self._text[start:end].isspace() for start, end, _ in _pieces(turn) if start < end)

    def _gap(self, turn: Turn, *, is_first: bool) -> list[str]:
        """Check what stands before a turn; the user's texts that got lost there."""
        self._sequence_tags(turn, is_first=is_first)
        stray = []
        for start, end, before in _pieces(turn):
            if start == end:
                continue
            if self._text[start:end].isspace():
                self._space(turn, (start, end), before, is_first=is_first)
                continue
            system, user = self._texts.stray((start, end))
            if system is not None:
                self._say_system(system, (start, end))
            stray.append(user)
        return [text for text in stray if text]

    def _sequence_tags(self, turn: Turn, *, is_first: bool) -> None:
        bos = [tag for tag in turn.marks if tag.mark is Mark.BOS]
        for tag in turn.marks:
            if tag.mark is Mark.EOS:
                self.slips.note("stray-eos", tag.start, tag.end, "")
        for tag in bos[1:]:
            self.slips.note("double-bos", tag.start, tag.end, "")
        if turn.is_tail and bos:
            self.slips.note("dangling-bos", bos[0].start, bos[0].end, "")
        if not turn.is_tail and not bos:
            # Stray text will move into the turn, so <s> belongs before it.
            at = turn.gap[0] if self._has_text(turn) else turn.gap[1]
            self.slips.note("no-bos" if is_first else "bos-only-once", at, at, BOS)

    def _space(self, turn: Turn, span: Span, before: Tag | None, *, is_first: bool) -> None:
        if turn.is_tail:
            self._trailing(*span)
            return
        code = "newline-between-turns" if "\n" in self._text[slice(*span)] else "space-between-turns"
        if before is not None and before.mark is Mark.BOS:
            code = "leading-space"
        elif is_first:
            code = "space-before-bos"
        self.slips.note(code, *span, "")


def _pieces(turn: Turn) -> list[tuple[int, int, Tag | None]]:
    """What stands between the tags of a gap, each with the tag before it."""
    starts = [turn.gap[0], *(tag.end for tag in turn.marks)]
    ends = [*(tag.start for tag in turn.marks), turn.gap[1]]
    return list(zip(starts, ends, [None, *turn.marks], strict=True))
