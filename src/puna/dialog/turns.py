"""What a turn is, and which turns may be dropped. Knows the roles of messages; nothing of tokens and windows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from puna.errors import InputError
from puna.messages import Dialog, Role


@dataclass(frozen=True, slots=True)
class Turns:
    """A dialog cut into turns.

    A turn is a user message with everything after it up to the next user message. What an assistant says before the
    first user message belongs to the first turn; without any user message there is one turn. A system message is in
    no turn: it holds for the whole dialog.

    messages: indices of each turn's messages, oldest turn first. of: the turn of each message, None for a system
    message, shape (len(dialog),). pinned: the turns that hold a pinned message.
    """

    messages: tuple[tuple[int, ...], ...]
    of: tuple[int | None, ...]
    pinned: frozenset[int]

    @property
    def droppable(self) -> tuple[int, ...]:
        """Turns that may go, oldest first: all but the pinned ones and the last one."""
        return tuple(turn for turn in range(len(self.messages) - 1) if turn not in self.pinned)

    @property
    def last(self) -> frozenset[int]:
        """Indices of the last turn's messages."""
        return frozenset(self.messages[-1] if self.messages else ())


def cut(dialog: Dialog, pinned: Iterable[int] = ()) -> Turns:
    """The turns of a dialog. pinned: indices of messages, each of which pins its whole turn.

    Raises:
        InputError: a pinned index that is no index of the dialog.
    """
    said = [n for n, message in enumerate(dialog) if message.role is not Role.SYSTEM]
    begins = [n for n in said if dialog[n].role is Role.USER][1:]
    edges = [0, *begins, len(dialog)] if said else []
    of: list[int | None] = [None] * len(dialog)
    messages: list[tuple[int, ...]] = []
    for turn, (start, end) in enumerate(pairwise(edges)):
        messages.append(tuple(n for n in range(start, end) if dialog[n].role is not Role.SYSTEM))
        for n in messages[-1]:
            of[n] = turn
    pins = {of[n] for n in _checked(pinned, len(dialog))}
    return Turns(tuple(messages), tuple(of), frozenset(turn for turn in pins if turn is not None))


def _checked(pinned: Iterable[int], count: int) -> Iterable[int]:
    for index in pinned:
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < count:
            known = f"0 to {count - 1}" if count else "none, since the dialog is empty"
            raise InputError(
                f"a pinned message must be an index of the dialog ({known}), not {str(index)[:80]!r}; "
                "count its messages from 0"
            )
        yield index
