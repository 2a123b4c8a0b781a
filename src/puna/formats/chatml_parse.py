"""Reads a dialog back from a ChatML prompt, slips and all. Linear in the length of the text."""

from __future__ import annotations

import re

from puna.errors import DialogError, unknown
from puna.formats.base import Parsed
from puna.formats.chatml_tags import END, START
from puna.formats.slips import ERROR, NOTE, WARNING, Slips, Table
from puna.messages import Dialog, Message, Role

SLIPS: Table = {
    "text-outside-turn": (
        ERROR,
        f"this text stands outside {START} ... {END}; it is read as the user's, put it inside",
    ),
    "missing-im-end": (ERROR, f"this message is not ended; write {END} and a line break after it"),
    "stray-im-end": (ERROR, f"{END} stands where no message ends; remove it"),
    "tag-in-content": (WARNING, f"{START} stands inside a message; a server that takes text makes a turn of it"),
    "header-spelling": (WARNING, f"a message begins {START}, the role in small letters, one line break"),
    "no-newline-after-end": (WARNING, f"one line break must follow {END}"),
    "space-between-turns": (WARNING, f"only one line break stands between {END} and {START}"),
    "space-before-start": (WARNING, f"whitespace stands before the first {START}; the prompt starts with it"),
    "stray-bos": (WARNING, f"ChatML has no token before the first {START}; remove it"),
    "space-after-header": (WARNING, "whitespace stands after the assistant's header; the answer starts right there"),
    "no-default-system": (NOTE, "the model's template puts its default system sentence before a prompt without one"),
}
"""Every slip that the reader of ChatML can report."""

_HEADER = re.compile(r"[ \t]{0,8}([A-Za-z_]{1,32})(?:[ \t]{0,8}\r?\n|:?[ \t]{1,8}|\Z|(?=<\|im_))")
"""A role after ``<|im_start|>``; what is longer is no header but text. The bounds keep the search linear."""

_BOS = {"<s>", "<|begin_of_text|>", "<|endoftext|>"}

_EXACT = re.compile(r"(?:system|user|assistant)\n\Z")


def parse(text: str, name: str, default_system: str | None) -> Parsed:
    """The dialog that the text's author meant; ``default_system`` is left out of it.

    Raises:
        DialogError: no message begins anywhere in the text, or one has a role that puna does not know.
    """
    reader = _Reader(text)
    first = reader.read()
    if first is None:
        raise DialogError(
            f"a ChatML prompt has {START} and a role before each message, but no message begins in this text; "
            f"write {START}user, a line break and your question, or send it as a message"
        )
    messages = reader.messages
    told = default_system is not None and messages[:1] == [Message(Role.SYSTEM, default_system)]
    if told:
        messages = messages[1:] or messages
    elif default_system is not None and messages and messages[0].role is not Role.SYSTEM:
        reader.slips.note("no-default-system", first, first, f"{START}system\n{default_system}{END}\n")
    findings = reader.slips.in_text_order()
    clean = all(finding.severity == NOTE for finding in findings)
    implied = default_system if told else None
    return Parsed(
        name, _confidence(text, clean=clean, told=told), Dialog(tuple(messages)), reader.open, findings, implied
    )


def _confidence(text: str, *, clean: bool, told: bool) -> float:
    """How surely somebody wrote a prompt in this family. told: the family's own default sentence is there."""
    if not text.lstrip().startswith(START):
        return 0.6 if text.rstrip().endswith((END, f"{START}assistant")) else 0.3
    return (0.98 if clean else 0.95) + (0.01 if told else 0)


class _Reader:
    """Walks over the messages of one text."""

    def __init__(self, text: str) -> None:
        self.slips = Slips(SLIPS)
        self.messages: list[Message] = []
        self.open = False
        self._text = text

    def read(self) -> int | None:
        """Read everything; where the first message begins, None where none does."""
        at, start = 0, self._next_start(0)
        first = start[0] if start else None
        while start is not None:
            self._outside(at, start[0])
            self._check_header(start)
            at, start = self._message(start)
        if first is not None:
            self._after(at)
        return first

    def _next_start(self, at: int) -> tuple[int, int, Role] | None:
        """The next header: its first character, its end, its role."""
        while (start := self._text.find(START, at)) >= 0:
            at = start + len(START)
            header = _HEADER.match(self._text, at)
            role = _role(header) if header else None
            if header is not None and role is not None:
                return start, header.end(), role
            self.slips.note("tag-in-content", start, at)
        return None

    def _message(self, start: tuple[int, int, Role]) -> tuple[int, tuple[int, int, Role] | None]:
        """Read one message; where it ends, and the header after it."""
        _, begin, role = start
        after = self._next_start(begin)
        stop = after[0] if after else len(self._text)
        end = self._text.find(END, begin, stop)
        if end >= 0:
            self._say(role, self._text[begin:end])
            return end + len(END), after
        self._unended(role, begin, stop, is_last=after is None)
        return stop, after

    def _unended(self, role: Role, begin: int, stop: int, *, is_last: bool) -> None:
        text = self._text[begin:stop]
        if is_last and role is Role.ASSISTANT:
            self._begun(begin, text)
            return
        self.slips.note("missing-im-end", begin + len(text.rstrip()), stop, f"{END}\n")
        self._say(role, text.rstrip())

    def _begun(self, begin: int, text: str) -> None:
        if text.strip():
            self._say(Role.ASSISTANT, text)
            self.open = True
        elif text:
            self.slips.note("space-after-header", begin, begin + len(text), "")

    def _say(self, role: Role, content: str) -> None:
        self.messages.append(Message(role, content))

    def _check_header(self, start: tuple[int, int, Role]) -> None:
        begin, end, role = start
        if not _EXACT.match(self._text[begin + len(START) : end]):
            self.slips.note("header-spelling", begin, end, f"{START}{role}\n")

    def _outside(self, begin: int, end: int) -> None:
        """Look at what stands before a message; any words there are the user's."""
        between = self._text[begin:end]
        if begin == 0 and between.strip() in _BOS:
            self.slips.note("stray-bos", begin, end, "")
        elif END in between or (between and not between.isspace()):
            self._stray(begin, end)
        elif begin == 0:
            if between:
                self.slips.note("space-before-start", begin, end, "")
        elif self._text.endswith(END, 0, begin) and between != "\n":
            code = "space-between-turns" if "\n" in between else "no-newline-after-end"
            self.slips.note(code, begin, end, "\n")

    def _stray(self, begin: int, end: int) -> None:
        for piece in re.finditer(re.escape(END), self._text[begin:end]):
            self.slips.note("stray-im-end", begin + piece.start(), begin + piece.end(), "")
        text = self._text[begin:end].replace(END, "").strip()
        if text:
            self.slips.note("text-outside-turn", begin, end)
            self._say(Role.USER, text)

    def _after(self, at: int) -> None:
        """Look at what stands after the last message's end."""
        rest = self._text[at:]
        if rest == "\n" or not self._text.endswith(END, 0, at):
            return
        if rest.strip():
            self._stray(at, len(self._text))
        else:
            self.slips.note(
                "no-newline-after-end" if "\n" not in rest else "space-between-turns", at, len(self._text), "\n"
            )


def _role(header: re.Match[str]) -> Role | None:
    """The role in a header; None where the word is no role and nothing but its place makes it look like one."""
    word = header.group(1)
    if word.lower() in set(Role):
        return Role(word.lower())
    if header.group().endswith("\n"):
        raise DialogError(f"after {START} stands an {unknown('role', word, list(Role))}")
    return None
