"""How far an answer is supported by the pieces that it was given: sentence by sentence, by words. Knows no model.

The method. The answer is cut into sentences, and each citation (``[1]``, ``[2, 3]``, ``[1-3]``) belongs to the sentence that it stands in or
behind; in an answer that begins with a citation, to the one before which it stands. Of a sentence, the content words count that the question
does not have already, or all where none is left. In a piece, the run of one to three sentences is looked for that has the largest
share of them, its headings helping. A sentence is supported where the pieces it cites have together at least ``ENOUGH`` of its words, and
every number in it.

The limits. These are words, not meanings: it is no entailment. A paraphrase in other words looks unsupported; who did what to whom is
not seen; and a sentence made of the piece's own words can still be wrong. So what is unsupported is worth a look, and what is
supported has at least a place at which to look.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from puna.context.citations import CITATION, numbers
from puna.context.pieces import Piece
from puna.context.sentences import sentences
from puna.context.words import Word, content_words

ENOUGH = 0.6
"""Share of a sentence's words, from which on a piece is said to support it."""

_RUN = 3
"""Sentences of a piece that may support one of the answer together."""

_CITATION = re.compile(CITATION)
_BARE = frozenset({"no", "not"})
"""Negations that stand for a whole answer are no words by which to tell."""
_ABSTAINS = re.compile(r"\W*i (?:do not|don['\u2019]?t) know\b", re.IGNORECASE)


class Verdict(StrEnum):
    """What is to be said of a sentence."""

    SUPPORTED = "supported"
    """The pieces that it cites have its words."""
    UNCITED = "uncited"
    """It cites nothing, but a piece has its words."""
    ELSEWHERE = "elsewhere"
    """The pieces that it cites do not have its words, but another one does."""
    UNSUPPORTED = "unsupported"
    """No piece has its words."""
    ABSTAINS = "abstains"
    """It says that it does not know."""
    EMPTY = "empty"
    """It has no words by which to tell, such as "Yes."."""


@dataclass(frozen=True, slots=True)
class Support:
    """What one piece has of a sentence. number: the piece's, from 1. share: of the words that count, 0 to 1.

    start, end: characters of the piece's text, from the first word found to the last, [start, end); both 0 where none is found in it.
    missing: the words that were not found, as the answer spells them.
    """

    number: int
    share: float
    start: int
    end: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of an answer: ``answer[start:end] == text``.

    cites: the numbers that it cites, in order. unknown: those among them that no piece has. cited: what each cited piece has of it. best:
    the piece that has most of it, cited or not; None where no piece has anything.
    """

    text: str
    start: int
    end: int
    cites: tuple[int, ...]
    unknown: tuple[int, ...]
    cited: tuple[Support, ...]
    best: Support | None
    verdict: Verdict


def support(answer: str, pieces: Sequence[Piece], question: str = "") -> tuple[Claim, ...]:
    """The sentences of an answer, and how far the pieces support each. pieces: as they were numbered, from 1 (``Packed.pieces``)."""
    found = list(_CITATION.finditer(answer))
    bare = _CITATION.sub(lambda citation: " " * len(citation.group()), answer)
    places = list(sentences(bare)) or ([(found[0].start(), found[-1].end())] if found else [])
    leads = bool(found) and not answer[: found[0].start()].strip()
    cites: list[list[int]] = [[] for _ in places]
    for citation in found:
        owner = _owner(places, citation, leads=leads)
        cites[owner] += (number for number in numbers(citation.group()) if number not in cites[owner])
    asked = {word.text for word in content_words(question)}
    read = [_Read.of(piece) for piece in pieces]
    claims = []
    for place, own in zip(places, cites, strict=True):
        words = list(content_words(bare, *place))
        counted = [word for word in words if word.text not in asked] or words
        claims.append(_claim(answer, place, counted, tuple(own), read))
    return tuple(claims)


@dataclass(frozen=True, slots=True)
class _Read:
    """The sentences of a piece by their words; ``heading`` helps each."""

    sentences: tuple[tuple[Word, ...], ...]
    heading: frozenset[str]

    @classmethod
    def of(cls, piece: Piece) -> _Read:
        cut = (tuple(content_words(piece.text, start, end)) for start, end in sentences(piece.text))
        heading = frozenset(word.text for part in piece.heading for word in content_words(part))
        return cls(tuple(words for words in cut if words), heading)

    def best(self, wanted: frozenset[str]) -> tuple[frozenset[str], int, int]:
        """The words that the best run of sentences has of those wanted, and where: the shortest such run, and the first."""
        found, start, end = wanted & self.heading, 0, 0
        for length in range(1, _RUN + 1):
            for at in range(len(self.sentences) - length + 1):
                words = [
                    word for sentence in self.sentences[at : at + length] for word in sentence if word.text in wanted
                ]
                has = wanted & (self.heading | {word.text for word in words})
                if words and (len(has) > len(found) or (start == end and has == found)):
                    found, start, end = has, words[0].start, words[-1].end
        return found, start, end


def _claim(
    answer: str, place: tuple[int, int], counted: Sequence[Word], cites: tuple[int, ...], read: Sequence[_Read]
) -> Claim:
    wanted = frozenset(word.text for word in counted)
    found = {number: piece.best(wanted) for number, piece in enumerate(read, 1)} if wanted else {}

    def told(number: int) -> Support:
        has, start, end = found[number]
        missing = dict.fromkeys(answer[word.start : word.end] for word in counted if word.text not in has)
        return Support(number, len(has) / len(wanted), start, end, tuple(missing))

    def enough(numbers: Sequence[int]) -> bool:
        has = frozenset[str]().union(*(found[number][0] for number in numbers))
        return len(has) >= ENOUGH * len(wanted) and all(word.text in has for word in counted if word.number)

    known = [number for number in cites if number in found]
    best = max(found, key=lambda number: (len(found[number][0]), number in known, -number), default=None)
    text = answer[slice(*place)]
    if _ABSTAINS.match(text):
        verdict = Verdict.ABSTAINS
    elif wanted <= _BARE:
        verdict = Verdict.EMPTY
    elif known and enough(known):
        verdict = Verdict.SUPPORTED
    elif any(enough([number]) for number in found):
        verdict = Verdict.ELSEWHERE if cites else Verdict.UNCITED
    else:
        verdict = Verdict.UNSUPPORTED
    return Claim(
        text,
        *place,
        cites,
        tuple(number for number in cites if not 0 < number <= len(read)),
        tuple(told(number) for number in known),
        told(best) if best is not None and found[best][0] else None,
        verdict,
    )


def _owner(places: Sequence[tuple[int, int]], citation: re.Match[str], *, leads: bool) -> int:
    """The sentence that a citation belongs to. leads: whether citations stand before what they are for."""
    if leads:
        return next((n for n, (_, end) in enumerate(places) if end > citation.start()), len(places) - 1)
    return max((n for n, (start, _) in enumerate(places) if start < citation.start()), default=0)
