"""A question packed into a number of tokens: whole pieces and examples, as many as fit. Counts by what it is given; knows no tokenizer.

The order of packing: the question with its instruction must fit; then the most relevant piece that fits, without which there is
nothing to answer from; then the examples, in their order; then the other pieces, the most relevant first. What does not fit is left
out, and what comes behind it is still tried: a smaller piece is better than empty room. Each step counts the whole prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from puna.context.grounding import Example
from puna.context.pieces import Piece
from puna.context.questions import Question, Span
from puna.errors import InputError
from puna.messages import Dialog


class Why(StrEnum):
    """Why a piece is not shown."""

    ROOM = "room"
    """It does not fit beside what is more relevant."""
    MOST = "most"
    """As many pieces are shown as were wanted at most."""
    EMPTY = "empty"
    """It has no text."""
    REPEATED = "repeated"
    """Its text is shown already, or its place in the source lies within that of a piece that is shown."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A piece that is not shown. tokens: what it would have added to the prompt, where that was counted; else None."""

    piece: Piece
    tokens: int | None
    why: Why


@dataclass(frozen=True, slots=True)
class Packed:
    """What a question became. ``pieces[0]`` is the one with the number 1; ``spans`` tell where each stands, in the same order.

    left_out: the pieces that are not shown, the most relevant first. examples, examples_left_out: in the order in which they were given.
    tokens: exactly those of the prompt, at most ``room``.
    """

    question: Question
    dialog: Dialog
    pieces: tuple[Piece, ...]
    left_out: tuple[LeftOut, ...]
    examples: tuple[Example, ...]
    examples_left_out: tuple[Example, ...]
    tokens: int
    room: int
    spans: tuple[Span, ...]

    def piece(self, number: int) -> Piece | None:
        """The piece that an answer cites as ``[number]``; None where there is none."""
        return self.pieces[number - 1] if 0 < number <= len(self.pieces) else None


def pack(question: Question, count: Callable[[Dialog], int], *, room: int, most: int | None = None) -> Packed:
    """The dialog of the question that has at most ``room`` tokens.

    count: exact tokens of the prompt of a dialog, such as ``PromptCounter.prompt``. room: tokens that the prompt may have: the window
    less what the answer shall have. most: pieces to show at most, 1 or more.

    Raises:
        InputError: not even the question with its instruction fits, or ``most`` is below 1.
        DialogError: the model's format cannot express the dialog.
    """
    if most is not None and most < 1:
        raise InputError(f"most must be 1 piece or more, not {most}; leave it out to show all that fit")
    packing = _Packing(question, count, room, most)
    if packing.tokens > room:
        raise InputError(
            f"the question with its instruction needs {packing.tokens} tokens of the prompt, but there is room for {room}; shorten them, "
            "keep fewer tokens for the answer, or use a model with a larger window"
        )
    waiting = iter(question.pieces)
    left_out = list(packing.offer(waiting, until=1))
    packing.offer_examples()
    left_out += packing.offer(waiting)
    return packing.packed(tuple(left_out))


class _Packing:
    """What is shown so far, and its tokens."""

    def __init__(self, question: Question, count: Callable[[Dialog], int], room: int, most: int | None) -> None:
        self.question, self.count, self.room = question, count, room
        self.most = len(question.pieces) if most is None else most
        self.pieces: list[Piece] = []
        self.examples: list[Example] = []
        self.examples_left_out: list[Example] = []
        self.shown = question.shown((), ())
        self.tokens = count(self.shown.dialog)

    def offer(self, pieces: Iterator[Piece], until: int | None = None) -> Iterator[LeftOut]:
        """Take the pieces that may be shown and fit, and give the others. until: pieces shown, at which no further one is looked at."""
        while until is None or len(self.pieces) < until:
            piece = next(pieces, None)
            if piece is None:
                return
            why, tokens = self._hindrance(piece), None
            if why is None:
                tokens = self._try([*self.pieces, piece], self.examples)
                why = None if tokens is None else Why.ROOM
            if why is not None:
                yield LeftOut(piece, tokens, why)

    def offer_examples(self) -> None:
        """Take the examples that fit."""
        for example in self.question.examples:
            if self._try(self.pieces, [*self.examples, example]) is not None:
                self.examples_left_out.append(example)

    def packed(self, left_out: tuple[LeftOut, ...]) -> Packed:
        shown, examples, gone = self.shown, tuple(self.examples), tuple(self.examples_left_out)
        return Packed(
            self.question, shown.dialog, shown.pieces, left_out, examples, gone, self.tokens, self.room, shown.spans
        )

    def _hindrance(self, piece: Piece) -> Why | None:
        """Why a piece is not shown, whatever room there is."""
        if not piece.text.strip():
            return Why.EMPTY
        if any(_repeats(piece, other) for other in self.pieces):
            return Why.REPEATED
        return Why.MOST if len(self.pieces) >= self.most else None

    def _try(self, pieces: list[Piece], examples: list[Example]) -> int | None:
        """Show these if they fit, and give None; else the tokens that they would have added."""
        shown = self.question.shown(pieces, examples)
        tokens = self.count(shown.dialog)
        if tokens > self.room:
            return tokens - self.tokens
        self.pieces, self.examples, self.shown, self.tokens = pieces, examples, shown, tokens
        return None


def _repeats(piece: Piece, other: Piece) -> bool:
    """Whether all that a piece says is said by the other one: the same text under the same headings, or a part of its place."""
    if piece.heading == other.heading and piece.text.split() == other.text.split():
        return True
    if not piece.source or piece.source != other.source:
        return False
    if piece.start is None or piece.end is None or other.start is None or other.end is None:
        return False
    return other.start <= piece.start and piece.end <= other.end
