"""A question that documents answer: what is sent of them, exactly as much as fits, and what the answer rests on. Knows the spine; no loop.

Nothing is asked where nothing was found. Where nobody can count a prompt (a server that takes messages and tells neither its window nor
how long they are), all passages that were asked for are sent, and that is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from puna.api.stream import Reply
from puna.chat import Spine
from puna.context.packing import Packed, pack
from puna.context.pieces import Piece
from puna.context.questions import Question
from puna.context.support import Claim, Verdict, support
from puna.dialog.budget import Counter
from puna.errors import InputError
from puna.experiments.abstention import abstains
from puna.generation import Receipt, Sampling
from puna.retrieval.index import Found
from puna.turn import Ask

PASSAGES = 4
"""Passages that are shown at most, where nothing else is said."""

MOST_PASSAGES = 1000
"""Passages that can be asked for; packing counts a prompt for each, and no window that there is has room for more."""

DEFAULTS: Mapping[str, object] = {"temperature": 0.0}
"""Sampling where nothing else is said: the same question has the same answer."""


@dataclass(frozen=True, slots=True)
class Source:
    """A passage that the model was shown. number: by which it is cited, from 1. score: of the search. cited: whether the answer does."""

    number: int
    piece: Piece
    score: float
    cited: bool = False

    @property
    def label(self) -> str:
        """Where it stands, as ``docs/cli.md:12``."""
        return self.piece.label

    def as_json(self) -> dict[str, object]:
        """JSON values; ``start`` and ``end`` are characters of the source."""
        piece = asdict(self.piece)
        return {"number": self.number, "score": round(self.score, 4), "cited": self.cited, **piece}


@dataclass(frozen=True, slots=True)
class Score:
    """How likely an answer is right, as far as a fit can tell. probability: 0 to 1. model, answers: whose, and how many, it was fitted on."""

    probability: float
    model: str
    answers: int

    def __str__(self) -> str:
        return (
            f"estimated probability that the answer is right: {self.probability:.2f}, by what the model holds of it, as fitted on "
            f"{self.answers} of its answers to questions whose answers are known"
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a question will be asked with. counted: whether the tokens of ``packed`` are known. ask: for the spine."""

    question: Question
    found: tuple[Found, ...]
    packed: Packed
    ask: Ask
    counted: bool = True
    notes: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[Source, ...]:
        """The passages that are shown."""
        scores = {found.piece: found.score for found in self.found}
        return tuple(Source(n, piece, scores[piece]) for n, piece in enumerate(self.packed.pieces, 1))

    def answer(self, text: str, receipt: Receipt | None) -> Answer:
        """What the model's text is, seen beside what it was shown. receipt: None where the turn did not come to its end."""
        pieces = self.packed.pieces
        claims = support(text, pieces, self.question.text)
        cited = {number for claim in claims for number in claim.cites}
        sources = tuple(replace(source, cited=source.number in cited) for source in self.sources)
        abstained = abstains(text)
        notes = self.notes if abstained else (*self.notes, *_doubts(text, claims, len(pieces)))
        return Answer(text, receipt, self.question.text, self, sources, claims, abstained, notes)

    def as_json(self) -> dict[str, object]:
        """What would be sent, as JSON values; tokens are None where they were not counted."""
        return {
            "question": self.question.text,
            "passages": [source.as_json() for source in self.sources],
            **self.budget(),
            "messages": [message.as_json() for message in self.packed.dialog],
            "notes": list(self.notes),
        }

    def budget(self) -> dict[str, object]:
        """What did not fit, and the tokens of what did."""
        left_out = [{"why": str(one.why), "tokens": one.tokens, **asdict(one.piece)} for one in self.packed.left_out]
        tokens, room = (self.packed.tokens, self.packed.room) if self.counted else (None, None)
        return {"left_out": left_out, "prompt_tokens": tokens, "room": room}


@dataclass(frozen=True, slots=True)
class Answer(Reply):
    """An answer from documents. ``text`` is empty where nothing was found, for then nobody is asked.

    prepared: what was sent; None where nothing was found. sources: the passages that the model was shown. claims: the answer's
    sentences, with what supports them. abstained: it says that it does not know, or nothing was found. notes: what a reader should
    know, a sentence each.
    """

    question: str
    prepared: Prepared | None = None
    sources: tuple[Source, ...] = ()
    claims: tuple[Claim, ...] = ()
    abstained: bool = True
    notes: tuple[str, ...] = ()
    score: Score | None = None
    """Where one was asked for, and can be told."""

    __str__ = Reply.__str__

    def as_json(self) -> dict[str, object]:
        """JSON values. ``answer`` is None where nobody was asked."""
        return {
            "question": self.question,
            "answer": None if self.prepared is None else self.text,
            "abstained": self.abstained,
            "score": None if self.score is None else asdict(self.score),
            "sources": [source.as_json() for source in self.sources],
            "claims": [asdict(claim) for claim in self.claims],
            "notes": list(self.notes),
            **({} if self.prepared is None else self.prepared.budget()),
            "receipt": None if self.receipt is None else self.receipt.as_json(),
        }


def checked_passages(given: object) -> int:
    """The number of passages to show at most.

    Raises:
        InputError: it is none, or out of range.
    """
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= MOST_PASSAGES:
        raise InputError(f"passages must be a whole number from 1 to {MOST_PASSAGES}, not {given!r:.80}")
    return given


async def prepare(spine: Spine, question: Question, found: Sequence[Found], given: Mapping[str, object]) -> Prepared:
    """What is sent: the passages that were found, one or more, as many as fit beside the longest answer. given: sampling parameters.

    Raises:
        InputError: not even the best passage fits, or a parameter is out of range. EngineError: a server that counts failed.
    """
    given = {**DEFAULTS, **given}
    sampling = Sampling.of(given)
    question = replace(question, pieces=tuple(one.piece for one in found))
    counter = await _counter(spine)
    notes: tuple[str, ...] = ()
    if counter is None:
        packed, notes = pack(question, lambda _: 0, room=0), (_uncounted(spine, len(found)),)
    else:
        room = max(0, spine.info.context - sampling.max_tokens)
        packed = await asyncio.to_thread(pack, question, counter.prompt, room=room)
    if not packed.pieces:
        raise InputError(
            f"none of the {len(found)} passages that were found fits beside the question in the {packed.room} tokens that the window of "
            f"{spine.info.context} leaves for a prompt; lower max_tokens, or use a model with a larger window"
        )
    ask = Ask(packed.dialog, sampling, frozenset(given))
    return Prepared(question, tuple(found), packed, ask, counter is not None, notes)


async def scored(spine: Spine, answer: Answer) -> Answer:
    """The answer with its score or, where there can be none, with a note that says why; as it is, where it abstains or broke off.

    Raises:
        EngineError: the engine failed.
    """
    if answer.prepared is None or answer.receipt is None or answer.abstained:
        return answer
    try:
        return replace(answer, score=await _score(spine, answer.prepared, answer.text, answer.receipt))
    except InputError as error:
        return replace(answer, notes=(*answer.notes, f"how likely the answer is right cannot be told: {error}"))


async def _score(spine: Spine, prepared: Prepared, text: str, receipt: Receipt) -> Score:
    try:
        from puna.experiments.answerable import signals  # noqa: PLC0415  # of another extra, which few questions need
        from puna.experiments.calibration import Calibrated, digest, model_of  # noqa: PLC0415
    except ImportError as error:
        raise InputError(f"{error.name} is not installed: pip install 'puna[experiments]'") from error
    known = await asyncio.to_thread(Calibrated.load, model_of(receipt))
    if known.instruction != digest([prepared.question.instruction]):
        raise InputError(
            "it was fitted on answers under puna's own instruction, and this question has another; leave that out"
        )
    found = await signals(spine, prepared.packed, text)
    return Score(round(known.probability(found), 4), known.model, len(known.told))


async def _counter(spine: Spine) -> Counter | None:
    """What counts prompts; None where the window or the count is not known."""
    if not spine.info.context:
        return None
    try:
        return await spine.counter()
    except InputError:
        return None


def _uncounted(spine: Spine, passages: int) -> str:
    what = "does not tell its window" if not spine.info.context else "does not tell how long a prompt is"
    return f"{spine.info.build} {what}, so the {passages} passages were sent uncounted"


def _doubts(text: str, claims: Sequence[Claim], pieces: int) -> Iterator[str]:
    """What makes an answer doubtful, as far as words tell, a sentence each."""
    if not text.strip():
        yield "the model answered nothing"
    for number in sorted({number for claim in claims for number in claim.unknown}):
        yield f"the answer cites [{number}], but was shown passages 1 to {pieces}"
    unsupported = (" ".join(claim.text.split()) for claim in claims if claim.verdict is Verdict.UNSUPPORTED)
    for sentence in dict.fromkeys(unsupported):
        yield f"no passage has the words of: {sentence}"
