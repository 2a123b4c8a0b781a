"""Answers to questions whose answers are known: asked, judged, and with their signals. Knows the spine, packing and the shipped questions.

An answer is right where one of the accepted answers stands in it, word for word, and it does not abstain. Case, punctuation, function words,
the plural's s, digits or words for a number, and British or American metres and litres do not matter (``puna.context.words``). Whatever else the
answer says is not judged. An answer to a question that the documents do not answer is never right.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from typing import Any

from puna.chat import Spine
from puna.context.packing import pack
from puna.context.passages import passages
from puna.context.pieces import Piece
from puna.context.questions import Question
from puna.context.words import content_words
from puna.experiments.abstention import abstains
from puna.experiments.answerable import TOP, Signals, signals
from puna.experiments.checks import f1
from puna.experiments.questions import Asked, Document
from puna.generation import Delta, Extras, Logprob, Sampling
from puna.retrieval.index import Documents
from puna.turn import Ask

_SPELLED = re.compile(r"\b(\w*met|lit)er\b")


@dataclass(frozen=True, slots=True)
class Judged:
    """A question, its answer, and what that is worth. id, document: of the question; questions about one document are not independent.

    abstained: it says that it does not know, or nothing was found. found: the sources of the passages that were shown, the most relevant
    first. bm25: the score of the best one. f1: of SQuAD, against the nearest accepted answer; 0 where there is none. signals: None of an
    empty answer.
    """

    id: str
    document: str
    answerable: bool
    answer: str
    abstained: bool
    right: bool
    f1: float
    found: tuple[str, ...]
    bm25: float
    signals: Signals | None

    @property
    def answers(self) -> bool:
        """Whether it gives an answer, be that right or wrong."""
        return not self.abstained and self.signals is not None

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        told = asdict(self) | {"found": list(self.found), "f1": round(self.f1, 4), "bm25": round(self.bm25, 4)}
        return told | {"signals": None if self.signals is None else self.signals.as_json()}

    @classmethod
    def of_json(cls, told: Mapping[str, Any]) -> Judged:
        """The value that ``as_json`` told."""
        numbers = told["signals"]
        return cls(
            **{**told, "found": tuple(told["found"]), "signals": None if numbers is None else Signals(**numbers)}
        )


def pieces_of(documents: Sequence[Document]) -> tuple[Piece, ...]:
    """The passages of documents, each under its title; the source is the document's id."""
    texts = ((document.id, f"# {document.title}\n\n{document.text}") for document in documents)
    return tuple(piece for name, text in texts for piece in passages(text, source=name, kind="markdown"))


def is_right(answer: str, accepted: Sequence[str]) -> bool:
    """Whether one of the accepted answers stands in it, as whole words, and it does not abstain."""
    said = _words(answer)
    return not abstains(answer) and any(f" {words} " in f" {said} " for words in map(_words, accepted) if words)


def _words(text: str) -> str:
    return _SPELLED.sub(r"\1re", " ".join(word.text for word in content_words(text)))


async def judged(spine: Spine, asked: Asked, documents: Documents, *, n: int, max_tokens: int) -> Judged:
    """The model's greedy answer from the ``n`` best passages, judged. max_tokens: of the answer.

    Raises:
        InputError: the engine cannot score, or not even the question fits. EngineError: it failed.
    """
    found = await asyncio.to_thread(documents.search, asked.text, n)
    if not found:  # as puna.ask has it: where there is nothing to answer from, nobody is asked
        return Judged(asked.id, asked.document.id, asked.answerable, "", True, False, 0.0, (), 0.0, None)
    question = Question(asked.text, tuple(one.piece for one in found))
    counter, room = await spine.counter(), spine.info.context - max_tokens
    packed = await asyncio.to_thread(pack, question, counter.prompt, room=room)
    sampling = Sampling(temperature=0.0, max_tokens=max_tokens, seed=1)
    turn = await spine.prepare(Ask(packed.dialog, sampling, extras=Extras(logprobs=TOP)))
    text, told = "", list[Logprob]()
    async with aclosing(turn.stream()) as events:
        async for event in events:
            if isinstance(event, Delta):
                text += event.text
                told += event.logprobs
    return Judged(
        asked.id,
        asked.document.id,
        asked.answerable,
        text,
        abstains(text),
        is_right(text, asked.answers),
        max((f1(text, answer) for answer in asked.answers), default=0.0),
        tuple(piece.source for piece in packed.pieces),
        found[0].score,
        await signals(spine, packed, text, told) if text.strip() else None,
    )
