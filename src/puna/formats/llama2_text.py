"""Trims the texts of one Llama 2 turn, tells the system text from the user's, and notes the spacing around them.

The trimming is the inverse of what ``llama2.py`` states; where the spelling is another, everything blank goes.
"""

from __future__ import annotations

from typing import NamedTuple

from puna.formats.llama2_tags import END_SYS, END_SYS_TYPO, SYS
from puna.formats.slips import Slips


class _Block(NamedTuple):
    """A system prompt at [start, end) with its tags; its text lies at [inner_start, inner_end)."""

    start: int
    inner_start: int
    inner_end: int
    end: int


class Texts:
    """The texts between the tags of one prompt."""

    def __init__(self, text: str, slips: Slips) -> None:
        self._text = text
        self._slips = slips

    def question(self, span: tuple[int, int], *, opened: bool, closed: bool) -> tuple[str | None, str]:
        """System text (None where there is none) and user text of ``[INST] ... [/INST]``."""
        if not opened:
            return None, ""
        block = self._block(*span)
        if block is None:
            return None, self._between(*span, "no-space-after-inst", "no-space-before-close" if closed else None)
        before = self._text[span[0] : block.start].strip()
        if before:
            self._slips.note("system-not-first", block.start, block.end)
            after = self._text[block.end : span[1]].strip()
            return self._system(block), "\n".join(filter(None, [before, after]))
        self._expect_space(span[0], block.start, "no-space-after-inst")
        return self._system(block), self._under_system(block.end, span[1], closed=closed)

    def answer(self, span: tuple[int, int], *, ended: bool, is_open: bool) -> str:
        """An answer; a begun one keeps the whitespace at its end, which the model will go on from."""
        stripped = self._between(*span, "no-space-after-close", "no-space-before-eos" if ended else None)
        return self._text[slice(*span)].lstrip() if is_open and not ended else stripped

    def stray(self, span: tuple[int, int]) -> tuple[str | None, str]:
        """System and user text of a stretch outside every turn."""
        block = self._block(*span)
        if block is None:
            self._slips.note("text-outside-turn", *span)
            return None, self._text[slice(*span)].strip()
        self._slips.note("system-outside-inst", block.start, block.end)
        around = (self._text[span[0] : block.start].strip(), self._text[block.end : span[1]].strip())
        return self._system(block), "\n".join(filter(None, around))

    def _block(self, start: int, end: int) -> _Block | None:
        opens = self._text.find(SYS, start, end)
        inner = opens + len(SYS)
        closes, tag = self._closing(max(inner, start) if opens >= 0 else start, end)
        if opens < 0 and closes < 0:
            return None
        if opens < 0:
            self._slips.note("missing-system-open", start, start)
            return _Block(start, start, closes, closes + len(tag))
        if closes >= 0:
            return _Block(opens, inner, closes, closes + len(tag))
        return self._unclosed(opens, inner, end)

    def _closing(self, start: int, end: int) -> tuple[int, str]:
        at = self._text.find(END_SYS, start, end)
        if at >= 0:
            return at, END_SYS
        at = self._text.find(END_SYS_TYPO, start, end)
        if at >= 0:
            self._slips.note("backslash-sys-typo", at, at + len(END_SYS_TYPO), END_SYS)
        return at, END_SYS_TYPO

    def _unclosed(self, opens: int, inner: int, end: int) -> _Block:
        again = self._text.find(SYS, inner, end)
        if again >= 0:
            self._slips.note("system-open-tag-twice", again, again + len(SYS), END_SYS)
            return _Block(opens, inner, again, again + len(SYS))
        # A guess, and said so: people part the system text from the question by a blank line.
        blank_line = self._text.find("\n\n", inner, end)
        stop = blank_line if blank_line >= 0 else end
        self._slips.note("missing-system-close", opens, opens + len(SYS))
        return _Block(opens, inner, stop, stop)

    def _system(self, block: _Block) -> str:
        """The system text without the one line break on either side; where that is missing, without any blanks."""
        start, end = block.inner_start, block.inner_end
        # Where lines end in \r\n throughout, the \r before the closing tag belongs to the line break too.
        windows = self._text.startswith("\r\n", start, end)
        if self._text.startswith("\n", start, end):
            start += 1
        else:
            start = self._mend_left(start, end, "system-no-newlines", "\n")
        if self._text.endswith("\n", start, end) and not windows:
            end -= 1
        else:
            end = self._mend_right(start, end, "system-no-newlines", "\n")
        return self._text[start:end]

    def _under_system(self, start: int, end: int, *, closed: bool) -> str:
        raw = self._text[start:end]
        user = raw.strip()
        if not user:
            self._expect_space(start, end, "no-space-before-close")
            return ""
        if closed:
            self._check_right(start, end, "no-space-before-close")
        if raw.startswith("\n\n"):
            if raw[2].isspace():
                blanks = len(raw[2:]) - len(raw[2:].lstrip())
                self._slips.note("system-space-before-user", start + 2, start + 2 + blanks)
            return raw[2:].rstrip()
        breaks = raw[: len(raw) - len(raw.lstrip())].count("\n")
        code = ("system-no-newlines", "system-one-newline")[breaks] if breaks <= 1 else "system-blank-line"
        self._mend_left(start, end, code, "\n\n")
        return user

    def _between(self, start: int, end: int, left: str, right: str | None) -> str:
        """The stripped text between two tags that should have one space on either side."""
        raw = self._text[start:end]
        if not raw.strip():
            if raw != "  " and right is not None:
                self._slips.note(left if len(raw) <= 1 else "unstripped-contents", start, end, "  ")
            return ""
        if not raw.startswith(" ") or raw[1].isspace():
            self._mend_left(start, end, "unstripped-contents" if raw[0].isspace() else left, " ")
        if right is not None:
            self._check_right(start, end, right)
        return raw.strip()

    def _check_right(self, start: int, end: int, code: str) -> None:
        raw = self._text[start:end]
        if not raw.endswith(" ") or raw[-2].isspace():
            self._mend_right(start, end, "unstripped-contents" if raw[-1].isspace() else code, " ")

    def _expect_space(self, start: int, end: int, code: str) -> None:
        if self._text[start:end] != " ":
            self._slips.note(code if start == end else "unstripped-contents", start, end, " ")

    def _mend_left(self, start: int, end: int, code: str, fix: str) -> int:
        stop = start + len(self._text[start:end]) - len(self._text[start:end].lstrip())
        self._slips.note(code, start, stop, fix)
        return stop

    def _mend_right(self, start: int, end: int, code: str, fix: str) -> int:
        begin = start + len(self._text[start:end].rstrip())
        self._slips.note(code, begin, end, fix)
        return begin
