"""How ``puna ask`` prints what was found, what is sent, and what an answer rests on. Knows these values; asks nobody."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from textwrap import wrap

from rich.text import Text

from puna.api.answers import Answer, Prepared, Source
from puna.context.support import Claim, Support, Verdict
from puna.retrieval.folder import OTHER_KIND, Skipped
from puna.terminal.harmless import harmless, one_line
from puna.terminal.screen import LEAST_WIDTH, Screen

_KINDS_SAID = 4
"""Reasons that are told one by one; with more, the rest is a number."""

_DOUBTS = 3
"""Sentences about an answer that are told; with more, the rest is a number."""

_LABEL = 4096
"""Characters of a place with its headings; a path may be that long."""

_INDENT = "    "

_QUOTE = 300
"""Characters that are quoted of a passage, at most."""


def skipped_line(skipped: Sequence[Skipped], *, whole: bool) -> str | None:
    """What was left out and why, on one line; None where nothing was.

    Hidden files are what everybody expects to be left out. whole: with files of other kinds, which are told once.
    """
    told = [entry for entry in skipped if entry.why != "hidden" and (whole or entry.why != OTHER_KIND)]
    if not told:
        return None
    parts = []
    reasons = Counter(entry.why for entry in told)
    for why, count in reasons.most_common(_KINDS_SAID):
        first = next(entry.path for entry in told if entry.why == why)
        parts.append(f"{one_line(first)}{f' and {count - 1} more' if count > 1 else ''} ({one_line(why)})")
    rest = sum(count for _, count in reasons.most_common()[_KINDS_SAID:])
    return f"left out: {'; '.join(parts)}{f'; and {rest} more' if rest else ''}"


def nothing(question: str, passages: int, *, as_json: bool) -> int:
    """That nothing was found in so many passages; gives the exit status."""
    if as_json:
        _print_json(Answer("", None, question).as_json())
    why = f"none of the {passages:,} passages has to do with the question" if passages else "the documents have no text"
    _note(f"nothing found, so no model was asked: {why}")
    return 1


def show(prepared: Prepared, context: int, *, as_json: bool) -> None:
    """What would be sent."""
    if as_json:
        _print_json(prepared.as_json() | {"context": context or None})
        return
    screen, packed = Screen(), prepared.packed
    for source in prepared.sources:
        _heading(screen, source, source.label, f"score {source.score:.2f}")
        _lines(screen, source.piece.text)
        screen.write("\n")
    for one in packed.left_out:
        cost = "" if one.tokens is None else f" ({one.tokens} tokens)"
        screen.write(one_line(f"left out: {one.piece.label}{cost}, {one.why}", _LABEL) + "\n")
    if prepared.counted:
        reserve = context - packed.room
        free = packed.room - packed.tokens
        screen.write(f"prompt {packed.tokens} tokens, answer at most {reserve}, free {free}, window {context}\n")
    _notes(prepared.notes)


def tell(answer: Answer, *, as_json: bool) -> None:
    """What stands behind an answer that has been printed."""
    if as_json:
        _print_json(answer.as_json())
        return
    screen = Screen()
    resting = (
        [] if answer.abstained else [(source, claim) for source in answer.sources if (claim := _of(source, answer))]
    )
    cites = any(source.cited for source in answer.sources)
    if answer.abstained:
        _note("the model says that the passages do not answer this")
    elif not cites:
        _note("the answer cites no passage" + ("; its words stand in these" if resting else ""))
    if resting:
        screen.write("\n")
    for source, claim in resting:
        place, quoted = _quote(source, claim)
        _heading(screen, source, place, "" if source.cited or not cites else "not cited")
        _lines(screen, quoted)
    if answer.score is not None:
        screen.write(f"\n{answer.score}\n")
    others = [source for source in answer.sources if source not in [one for one, _ in resting]]
    for source in others:
        place = f"[{source.number}] {source.label}  {' > '.join(source.piece.heading)}"
        _note(one_line(f"also shown to the model: {place}", _LABEL))
    _notes(answer.notes)


def _of(source: Source, answer: Answer) -> Support | None:
    """The words of a passage on which an answer rests: the best of what cites it or, where nothing cites it, has its words."""
    found = [one for claim in answer.claims for one in _supports(claim) if one.number == source.number]
    return max(found, key=lambda one: (one.share, one.end - one.start), default=None)


def _supports(claim: Claim) -> Iterator[Support]:
    yield from claim.cited
    if claim.best is not None and claim.verdict in {Verdict.UNCITED, Verdict.ELSEWHERE}:
        yield claim.best


def _quote(source: Source, support: Support) -> tuple[str, str]:
    """The place of the supporting words, and the lines that they stand in; the passage's beginning, where it has none of them."""
    piece = source.piece
    if support.start == support.end:
        return piece.label, one_line(piece.text, _QUOTE)
    before = piece.text[: support.start]
    begin, line = before.rfind("\n") + 1, piece.line
    # The lines of HTML's text are not those of its source.
    place = (
        piece.source
        if line is None
        else f"{piece.source}:{line + (before.count(chr(10)) if piece.start is not None else 0)}"
    )
    return place, one_line(piece.text[begin : max(support.end, begin + _QUOTE)], _QUOTE)


def _heading(screen: Screen, source: Source, place: str, more: str) -> None:
    told = Text(one_line(f"[{source.number}] {place}", _LABEL), style="bold")
    heading = " > ".join(source.piece.heading)
    for part in (heading, more):
        if part:
            told.append(f"  {one_line(part)}", style="not bold")
    screen.console.print(told)


def _lines(screen: Screen, text: str) -> None:
    """Text below a heading. On a terminal, lines are wrapped to its width, so that what goes on stays indented."""
    width = screen.size()[0] - len(_INDENT) - 1 if screen.terminal else None
    for line in harmless(text).split("\n"):
        short = width is None or len(line) <= width
        for part in [line] if short else wrap(line, max(width or 0, LEAST_WIDTH), drop_whitespace=False):
            screen.console.print(Text(f"{_INDENT}{part}".rstrip(), style="dim"))


def _notes(notes: Sequence[str]) -> None:
    for note in notes[:_DOUBTS]:
        _note(note)
    if len(notes) > _DOUBTS:
        _note(f"and {len(notes) - _DOUBTS} more like this (--json has them all)")


def _note(text: str) -> None:
    print(f"puna: {harmless(text)}", file=sys.stderr, flush=True)


def _print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False))
