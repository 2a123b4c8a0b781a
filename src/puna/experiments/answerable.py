"""Signs of whether a question can be answered from its context, and was: numbers of one answer. Knows the spine, scoring and words.

A model that answers from a context holds its answer likelier with the context than without; one that makes an answer up need not. No number
here says that an answer is right: ``puna.experiments.calibration`` makes a probability of them, fitted on questions whose answers are known.

What it costs: the model's own tokens are told with the answer where log-probabilities are recorded, else they are scored behind the cached
prompt; then at most ``MOST`` tokens behind the question alone, and those of "I don't know." behind the cached prompt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from puna.chat import Spine
from puna.context.packing import Packed
from puna.context.questions import ABSTENTION, Question
from puna.context.support import Verdict, support
from puna.context.words import content_words
from puna.errors import InputError
from puna.experiments.likelihood import find
from puna.experiments.plan import Continuation
from puna.generation import Logprob
from puna.messages import Dialog
from puna.turn import Ask

MOST = 32
"""Tokens of an answer that are looked at, from its first on."""

TOP = 10
"""Alternatives by which the entropy of a token is told."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a model holds of its answer, token by token: shape (n,), n at most ``MOST``, and of "I don't know." behind the same prompt.

    given: the answer's tokens behind the context and the question. alone: behind the question without the context. unknown: the
    tokens of "I don't know." behind the context and the question.
    """

    given: tuple[Logprob, ...]
    alone: tuple[Logprob, ...]
    unknown: tuple[Logprob, ...]


@dataclass(frozen=True, slots=True)
class Signals:
    """Numbers that may tell whether an answer rests on its context. Log-probabilities are natural, of the first ``MOST`` tokens.

    logprob: mean of the answer's tokens behind the context, nats per token. least: of the least likely one. entropy: mean of the choices at
    these tokens, nats, at least; None where no alternatives are told. contrast: the mean behind the context less that behind the
    question alone, nats per token. unknown: log-probability of "I don't know." behind the context, nats. support: share of the answer's
    words that a passage has, the mean of its sentences, 0 to 1. covered: share of the question's content words that the passages
    have, 0 to 1.
    """

    logprob: float
    least: float
    entropy: float | None
    contrast: float
    unknown: float
    support: float
    covered: float

    def as_json(self) -> dict[str, float | None]:
        """Every number by name, rounded to what an engine gives the same each time."""
        return {name: None if value is None else round(value, 4) for name, value in asdict(self).items()}


async def signals(spine: Spine, packed: Packed, answer: str, told: Sequence[Logprob] = ()) -> Signals:
    """The numbers of an answer to a packed question. told: its log-probabilities as they came with it, which saves scoring them.

    Raises:
        InputError: the answer is empty, or the engine cannot score. EngineError: it failed.
    """
    return signals_of(packed, answer, await evidence(spine, packed, answer, told))


async def evidence(spine: Spine, packed: Packed, answer: str, told: Sequence[Logprob] = ()) -> Evidence:
    """What the model holds of its answer; as ``signals``."""
    if not answer.strip():
        raise InputError("an answer must have a text to be judged, but it is empty; ask for one that has")
    unknown = await _scored(spine, packed.dialog, ABSTENTION)
    given = tuple(told[:MOST]) or await _scored(spine, packed.dialog, answer, top=TOP)
    alone = await _scored(spine, alone_of(packed), answer)
    return Evidence(given, alone, unknown)


def alone_of(packed: Packed) -> Dialog:
    """The same question with its instruction and examples, and no context."""
    question: Question = replace(packed.question, examples=packed.examples)
    return question.dialog(0)


def signals_of(packed: Packed, answer: str, found: Evidence) -> Signals:
    """The numbers, of what was found."""
    given = [token.logprob for token in found.given]
    alone = [token.logprob for token in found.alone]
    entropies = [value for token in found.given if (value := _entropy(token)) is not None]
    return Signals(
        _mean(given),
        min(given),
        _mean(entropies) if entropies else None,
        _mean(given) - _mean(alone),
        sum(token.logprob for token in found.unknown),
        supported(packed, answer),
        covered(packed),
    )


def supported(packed: Packed, answer: str) -> float:
    """Share of the answer's words that the passage with most of them has, the mean of its sentences, 0 to 1; 0 where no sentence has words."""
    claims = support(answer, packed.pieces, packed.question.text)
    shares = [
        0.0 if claim.best is None else claim.best.share
        for claim in claims
        if claim.verdict not in {Verdict.ABSTAINS, Verdict.EMPTY}
    ]
    return _mean(shares) if shares else 0.0


def covered(packed: Packed) -> float:
    """Share of the question's content words that the passages and their headings have, 0 to 1; 0 where it has none."""
    asked = {word.text for word in content_words(packed.question.text)}
    shown = "\n".join("\n".join((*piece.heading, piece.text)) for piece in packed.pieces)
    return len(asked & {word.text for word in content_words(shown)}) / len(asked) if asked else 0.0


async def _scored(spine: Spine, dialog: Dialog, text: str, *, top: int = 1) -> tuple[Logprob, ...]:
    found = await find(spine, Ask(dialog), Continuation("answer", text), top=top, most=MOST)
    return found.tokens


def _entropy(token: Logprob) -> float | None:
    """Least entropy of the choice at a token's place, nats: what is not told counts as one token more."""
    if not token.top:
        return None
    told = {
        other.data or other.id: other.logprob for other in (*token.top, token)
    }  # by text: servers tell no ids of alternatives
    likely = [math.exp(logprob) for logprob in told.values()]
    return -sum(p * math.log(p) for p in (*likely, max(0.0, 1 - sum(likely))) if p > 0)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
