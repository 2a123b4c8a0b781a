"""Formats that put fixed texts around each message: a value that says which, and the rendering that all of them share.

Knows no family, and cannot read: ``reader.py`` reads the text back by the same value, so that writing and reading stay
inverses of each other, and ``family.py`` puts the two together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from puna.errors import DialogError
from puna.formats.segments import check_begun, check_not_empty, content, control, written
from puna.formats.tags import BOS, Seams, Tags, atoms
from puna.generation import Segment
from puna.messages import Dialog, Message, Role

_SYSTEM, _USER, _ASSISTANT = Role.SYSTEM, Role.USER, Role.ASSISTANT

PARAGRAPH = "\n\n"
"""What stands between a system text and the message, or the other system text, that it is joined with."""


class Place(Enum):
    """Where a family writes system texts."""

    TURN = "a turn of its own"
    FIRST_USER = "inside the first user message"
    LAST_USER = "inside the last message, where that is the user's"
    FRONT = "all of them joined, before everything else"
    NONE = "nowhere"


Turn = tuple[Message, str, str, str]
"""A message; what is written before its content; the content as it is written; what is written after it."""


@dataclass(frozen=True)
class TurnWriter:
    """One family's format, as data.

    name: the catalogue's; title: for sentences. bos: what a prompt begins with. generation: what announces an answer.
    ending: what a whole dialog ends with instead. place, late_system: where system messages go, and how one is written
    that is not the first, where the family's template treats it otherwise (None: as every other, or refused).
    standing: the format's own words in a system turn, there in every prompt (``standing_pattern``: with other dates);
    ``default`` only where the dialog brings no system message. thought_end: an answer keeps only what follows the last
    such text.
    """

    name: str
    title: str
    user: Tags
    assistant: Tags
    system: Tags | None
    stops: tuple[str, ...]
    bos: str = ""
    generation: str = ""
    ending: str = ""
    place: Place = Place.TURN
    late_system: Tags | None = None
    drops_late_system: bool = False
    standing: str = ""
    standing_pattern: str = ""
    default: str | None = None
    alternates: bool = False
    skips_empty_system: bool = False
    thought_end: str = ""

    def _untagged_answers(self, dialog: Dialog) -> Iterator[str]:
        for n, message in enumerate(dialog):
            if message.role is _ASSISTANT and (not n or dialog[n - 1].role is not _USER):
                yield f"{self.title} has no tag before an answer, and message {n} follows no question that could tell it"
                return

    @cached_property
    def headers(self) -> tuple[str, ...]:
        """Those of the tags that begin a user's message."""
        return tuple(tag for tag in atoms(self.user.before) if tag != BOS)

    @property
    def decisive(self) -> str:
        """What no other family writes, as a regular expression."""
        return ""

    @property
    def misspelt(self) -> tuple[str, ...]:
        """Spellings of its tags that the reader knows as slips of their own."""
        return ()

    @property
    def announces(self) -> bool:
        """Whether a generation prompt is written."""
        return bool(self.generation)

    @property
    def system_allowed(self) -> str:
        """Where a system message may stand without being written as something else."""
        if self.place is Place.NONE:
            return "never"
        return "first" if self.alternates or self.place is not Place.TURN else "anywhere"

    def render(
        self, dialog: Dialog, *, generation_prompt: bool = True, continue_last: bool = False
    ) -> tuple[Segment, ...]:
        """The dialog's segments.

        Raises:
            DialogError: the family's template refuses the dialog, or would drop all of it.
        """
        self.check(dialog, continue_last=continue_last)
        segments = [control(self.opening(dialog))]
        for message, before, text, after in self.turns(dialog, is_open=continue_last):
            role = message.role
            segments += (control(before, role), content(text, role), control(after, role))
        segments.append(control(self.closing(generation_prompt=generation_prompt, is_open=continue_last), _ASSISTANT))
        return written(segments)

    def text(self, dialog: Dialog, *, generation_prompt: bool = True, continue_last: bool = False) -> str:
        """The text of ``render``, several times faster.

        Raises:
            DialogError: as ``render``.
        """
        self.check(dialog, continue_last=continue_last)
        parts = [self.opening(dialog)]
        for _, before, text, after in self.turns(dialog, is_open=continue_last):
            parts += (before, text, after)
        parts.append(self.closing(generation_prompt=generation_prompt, is_open=continue_last))
        return "".join(parts)

    def remarks(self, dialog: Dialog, *, generation_prompt: bool = True) -> tuple[str, ...]:  # noqa: ARG002  # the protocol's
        """What the family's template leaves out or writes as something else."""
        return tuple(self._remarks(dialog))

    def left_out(self, dialog: Dialog) -> tuple[int, ...]:
        """Numbers of the messages that the family's template does not write at all, though they hold text."""
        late = [n for n, message in enumerate(dialog) if n and message.role is _SYSTEM and self.drops_late_system]
        moved = self.place is Place.LAST_USER and dialog.system and dialog[-1].role is not _USER
        return (*((0,) if moved else ()), *late)

    def opening(self, dialog: Dialog) -> str:
        """What stands before the first message."""
        if self.system is None or dialog.system is not None:
            return self.bos
        words = self.standing or self.default
        return f"{self.bos}{self.system.before}{words}{self.system.after}" if words else self.bos

    def closing(self, *, generation_prompt: bool, is_open: bool = False) -> str:
        """What stands after the last message."""
        if is_open:
            return ""
        return self.generation if generation_prompt else self.ending

    def turns(self, dialog: Dialog, since: int = 0, *, is_open: bool = False) -> Iterator[Turn]:
        """Messages from number ``since`` on, as they stand in this dialog; nothing is checked."""
        place = self.place
        if place is Place.TURN:
            turns = self._plain(dialog.messages, since)
        elif place is Place.FRONT:
            turns = self._fronting(dialog, since)
        elif self._folds(dialog):
            turns = self._folding(dialog, since)
        else:
            turns = self._plain(dialog.messages, since)
        return self._left_open(turns, dialog) if is_open else turns

    def _folds(self, dialog: Dialog) -> bool:
        """Whether there is a system text to put into a user message, and a message to put it into."""
        if self.place is Place.NONE or dialog.system is None:
            return False
        return self.place is Place.LAST_USER or len(dialog) < 2 or dialog[1].role is _USER

    def _plain(self, messages: tuple[Message, ...], since: int) -> Iterator[Turn]:
        (user, assistant, late), thought_end = self._tags, self.thought_end
        for n in range(since, len(messages)):
            message = messages[n]
            role, text = message.role, message.content
            if role is _USER:
                before, after, trims = user
            elif role is _ASSISTANT:
                before, after, trims = assistant
                if thought_end and thought_end in text:
                    text = text.rpartition(thought_end)[2]
            elif (n and self.drops_late_system) or (self.skips_empty_system and not text):
                continue
            else:
                before, after, trims = late if n else self._first_system
            yield message, before, text.strip() if trims else text, after

    def _folding(self, dialog: Dialog, since: int) -> Iterator[Turn]:
        """With the system text inside a user message; where there is none to take it, it is left out."""
        system, turns = dialog.messages[0], dialog.messages[1:]
        bearer = 0 if self.place is Place.FIRST_USER else len(turns) - 1
        at = max(since - 1, 0)
        for n, (message, before, text, after) in enumerate(self._plain(turns, at), at):
            own = before
            if n == bearer and message.role is _USER:
                if since == 0 or self.place is Place.LAST_USER:
                    yield system, before, system.content, PARAGRAPH
                own = ""
            yield message, own, text, after

    def _fronting(self, dialog: Dialog, since: int) -> Iterator[Turn]:
        """With all system texts first, in a block."""
        fronted = [message for message in dialog.messages if message.role is _SYSTEM]
        if since == 0:
            for n, message in enumerate(fronted):
                yield message, PARAGRAPH if n else "", message.content, ""
        rest = tuple(message for message in dialog.messages if message.role is not _SYSTEM)
        yield from self._plain(rest, max(since - len(fronted), 0))

    def _left_open(self, turns: Iterator[Turn], dialog: Dialog) -> Iterator[Turn]:
        *whole, (last, before, _, _) = turns
        yield from whole
        begun = dialog[-1].content.lstrip() if self.assistant.trim else dialog[-1].content
        # A blank beginning is none: the model goes on from what announces the answer.
        yield (last, before, begun, "") if begun.strip() else (last, self.generation, "", "")

    @cached_property
    def _tags(self) -> tuple[tuple[str, str, bool], tuple[str, str, bool], tuple[str, str, bool]]:
        late = self.late_system or self.system or self.user
        return self.user.as_tuple(), self.assistant.as_tuple(), late.as_tuple()

    @cached_property
    def _first_system(self) -> tuple[str, str, bool]:
        system = self.system or self.late_system or self.user
        return system.before + self.standing, system.after, system.trim

    def check(self, dialog: Dialog, *, continue_last: bool = False) -> None:
        """Refuse what the family's template refuses.

        Raises:
            DialogError: says what the family allows, and what to do instead.
        """
        check_not_empty(dialog, self.title)
        if continue_last:
            check_begun(dialog)
        turns = dialog.messages
        if turns[0].role is _SYSTEM and self.place is not Place.TURN:
            if self.place is Place.NONE:
                raise DialogError(
                    f"{self.title} has no system message, but the dialog begins with one; put its text at the "
                    f"beginning of the first user message, as the family's makers advise"
                )
            if self.place is not Place.FRONT and len(turns) == 1:
                raise DialogError(
                    f"{self.title} writes the system text into a user message, but there is none; add a user message"
                )
        if self.alternates:
            self._check_order(turns[1:] if turns[0].role is _SYSTEM else turns)

    def _check_order(self, turns: tuple[Message, ...]) -> None:
        lets_pass = self.late_system is not None or self.drops_late_system
        for n, message in enumerate(turns):
            role = message.role
            if (role is _USER) == (n % 2 == 0) and (role is not _SYSTEM or lets_pass):
                continue
            if role is _SYSTEM:
                raise DialogError(
                    f"{self.title} allows a system message only as the first message, but turn {n + 1} is one too; "
                    "join the system messages, or write the later one into a user message"
                )
            want = _ASSISTANT if n % 2 else _USER
            raise DialogError(
                f"{self.title} turns must alternate user, assistant, user, ..., but turn {n + 1} is of the {role} where "
                f"the {want} must speak; join neighbours of one role, or add the missing {want} message"
            )

    def _remarks(self, dialog: Dialog) -> Iterator[str]:
        late = [n for n, message in enumerate(dialog) if n and message.role is _SYSTEM]
        if late and self.drops_late_system:
            yield f"{self.title} has no system message after the first; its template leaves message {late[0]} out"
        if self.place is Place.LAST_USER and dialog.system is not None and dialog[-1].role is not _USER:
            yield (
                f"{self.title} writes the system text into the last message, where that is the user's; this dialog "
                "ends with an answer, so its system text is not in the prompt"
            )
        if late and self.alternates and self.late_system is not None:
            yield (
                f"{self.title} has no system message after the first; its template writes message {late[0]} as a turn "
                f"that begins {self.late_system.before!r}"
            )
        if (
            late
            and self.system is not None
            and not self.system.before
            and self.place is Place.TURN
            and not self.alternates
        ):
            yield f"{self.title} writes message {late[0]}, a system message, without a tag that tells it from its neighbours"
        if not self.alternates and not atoms(self.assistant.before):
            yield from self._untagged_answers(dialog)
        if late and self.place is Place.FRONT:
            yield f"{self.title} writes all system texts at the very beginning; message {late[0]} was moved there"
        if self.thought_end and any(self.thought_end in m.content for m in dialog if m.role is _ASSISTANT):
            yield f"{self.title} leaves out of an answer what stands before {self.thought_end}"

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """Texts by which the format marks turns, the longest first."""
        texts = [self.bos, self.generation, self.ending]
        for tags in (self.user, self.assistant, self.system, self.late_system):
            texts += [tags.before, tags.after] if tags else []
        return tuple(sorted({atom for text in texts for atom in atoms(text)}, key=len, reverse=True))

    @cached_property
    def seams(self) -> Seams:
        """All that the format writes around contents; not its own words, which name a date or may be missing."""
        system = self.system
        ways = [tags for tags in (self.user, self.assistant, system) if tags]
        openings = {f"{self.bos}{tags.before}" for tags in ways}
        if system and (self.standing or self.default):
            openings = {f"{self.bos}{system.before}"}
        return Seams(
            openings=frozenset(openings),
            betweens=frozenset(f"{left.after}{right.before}" for left in ways for right in ways),
            endings=frozenset(f"{tags.after}{end}" for tags in ways for end in ("", self.generation, self.ending)),
        )

    @cached_property
    def own_words(self) -> str:
        """The format's own words in the system turn, as a regular expression; empty where it has none."""
        return re.escape(self.standing or self.default or "")
