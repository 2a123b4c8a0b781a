"""Grounded question answering as a value: a question, the pieces to answer it from, and the dialog that they make. Knows no tokens.

The instruction is the system message. Examples follow as turns, then the question's own message: the numbered pieces, then the
question. So everything before the pieces is the same from question to question, and a prompt cache keeps it.

Text of a piece is shown as it stands and can say anything, ``[2]`` and ``Question:`` included; which characters belong to which piece
is therefore told by spans, never read back out of the prompt.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from puna.context.citations import CITATION
from puna.context.grounding import Example
from puna.context.pieces import Piece
from puna.errors import InputError, unknown
from puna.messages import Dialog, Message, Role

ABSTENTION = "I don't know."
"""What the instruction asks for where the context does not say."""

INSTRUCTION = (
    "Answer the question from the numbered context only. After each statement, cite the number of the passage that says it, like [1]. "
    f"If the context does not say, reply: {ABSTENTION}"
)

CONTEXT, QUESTION, ANSWER = "Context:", "Question:", "Answer:"
"""What stands before the pieces, the question and, inline, an example's answer."""

_BETWEEN = "\n\n"
_LINE_ENDS = r"\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
_IMITATION = re.compile(
    rf"{CITATION}|(?:(?<=[{_LINE_ENDS}])|\A)[^\S{_LINE_ENDS}]*((?:context|question|answer)\s*:)",
    re.IGNORECASE,
)


class Order(StrEnum):
    """How the pieces stand in the prompt."""

    RELEVANCE = "relevance"
    """As they were given: the most relevant first."""
    DOCUMENT = "document"
    """As they stand in their sources; of several sources, first the one with the most relevant piece."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where a piece stands in a dialog: ``dialog[message].content[start:end]`` is its text.

    number: the piece's, from 1. message: index in the dialog. imitates: what in the piece's text or heading looks like the prompt's
    own marks, such as ``[2]`` or ``Question:``; a model may take it for one.
    """

    number: int
    message: int
    start: int
    end: int
    imitates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """A dialog with the pieces that it shows, number 1 first, and where each stands."""

    dialog: Dialog
    pieces: tuple[Piece, ...]
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A question and what a model is given to answer it.

    pieces: the most relevant first, whatever ``order`` they are shown in. instruction: the system message; none where it is empty.
    examples: questions with the answers that are wanted. inline: the examples stand in the question's own message instead of turns.

    Raises:
        InputError: the question has no text, or there is no such order.
    """

    text: str
    pieces: tuple[Piece, ...] = ()
    instruction: str = INSTRUCTION
    examples: tuple[Example, ...] = ()
    order: str = Order.RELEVANCE
    inline: bool = False

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise InputError("a question must have a text, but it is empty; ask something")
        if self.order not in list(Order):
            raise InputError(unknown("order of pieces", self.order, Order))
        object.__setattr__(self, "pieces", tuple(self.pieces))
        object.__setattr__(self, "examples", tuple(self.examples))

    def dialog(self, pieces: int | None = None) -> Dialog:
        """What is sent, with the first pieces only or with all, and with all examples. Whether it fits is for ``pack`` to find out."""
        return self.shown(self.pieces[:pieces], self.examples).dialog

    def shown(self, pieces: Iterable[Piece], examples: Iterable[Example]) -> Shown:
        """The dialog with these of the pieces, the most relevant first, and these of the examples."""
        ordered = self._ordered(tuple(pieces))
        messages = [Message(Role.SYSTEM, self.instruction)] if self.instruction.strip() else []
        before = ""
        for example in examples:
            if self.inline:
                before += f"{QUESTION} {example.question}\n{ANSWER} {example.answer}{_BETWEEN}"
            else:
                messages += [Message(Role.USER, example.question), Message(Role.ASSISTANT, example.answer)]
        content, spans = self._asked(before, ordered, len(messages))
        return Shown(Dialog((*messages, Message(Role.USER, content))), ordered, tuple(spans))

    def answered(self, answer: str) -> Example:
        """This question with its pieces, and how it shall be answered: an example for other questions."""
        return Example(self._asked("", self._ordered(self.pieces), 0)[0], answer)

    def _asked(self, before: str, pieces: tuple[Piece, ...], message: int) -> tuple[str, list[Span]]:
        """The question's own message, and where the pieces stand in it."""
        text, spans = before, []
        if pieces:
            text += CONTEXT
        for number, piece in enumerate(pieces, 1):
            text += f"{_BETWEEN}[{number}] {_heading(piece)}"
            spans.append(Span(number, message, len(text), len(text) + len(piece.text), tuple(_imitations(piece))))
            text += piece.text
        if not text:
            return self.text, spans
        return f"{text.removesuffix(_BETWEEN)}{_BETWEEN}{QUESTION} {self.text}", spans

    def _ordered(self, pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
        if self.order == Order.RELEVANCE:
            return pieces
        sources = list(dict.fromkeys(piece.source for piece in pieces))
        return tuple(sorted(pieces, key=lambda piece: (sources.index(piece.source), *_place(piece))))


def _place(piece: Piece) -> tuple[float, float]:
    """Where a piece stands in its source; last where nobody knows."""
    return (
        math.inf if piece.line is None else piece.line,
        math.inf if piece.start is None else piece.start,
    )


def _heading(piece: Piece) -> str:
    """The headings on one line of their own, so that none can begin a line; nothing where there are none."""
    parts = [" ".join(part.split()) for part in piece.heading]
    told = " > ".join(part for part in parts if part)
    return f"{told}\n" if told else ""


def _imitations(piece: Piece) -> Iterator[str]:
    for text in (_heading(piece), piece.text):
        for found in _IMITATION.finditer(text):
            yield found.group(1) or found.group()
