"""Answers for the tests of dialects: what a model said, and its receipt."""

from __future__ import annotations

from dataclasses import replace

from puna.generation import Delta, Finish, Logprob, Receipt, Sampling, Timing, Usage, Written
from puna.wire.dialect import Choice, Dialect, Facts, Request

FACTS = Facts("an-id", 1_700_000_000, "llama-2-7b")
RECEIPT = Receipt(
    written=Written.RENDERED,
    source=None,
    format="chatml",
    sampling=Sampling(seed=7),
    defaulted=(),
    finish=Finish.STOP,
    usage=Usage(prompt=12, cached=4, output=4),
    timing=Timing(),
    model="a-model",
    engine="an-engine",
)


def token(number: int, text: str | bytes, logprob: float, *top: Logprob) -> Logprob:
    return Logprob(number, text.encode() if isinstance(text, str) else text, logprob, top)


LLAMA = (b"\xf0\x9f", b"\xa6\x99")  # the two tokens of one character
DELTAS = (
    Delta("Hi", 1, (token(11, "Hi", -0.5, token(11, "Hi", -0.5), token(12, "Ho", -1.5)),)),
    Delta(" ", 1, (token(13, " ", -0.25, token(13, " ", -0.25)),)),
    Delta("🦙", 2, (token(14, LLAMA[0], -1.0), token(15, LLAMA[1], -0.125))),
)


def records(
    dialect: Dialect, request: Request, receipt: Receipt = RECEIPT, deltas: tuple[Delta, ...] = DELTAS
) -> list[object]:
    """What a stream of the answer is made of."""
    assert dialect.stream is not None
    stream, choice = dialect.stream(FACTS, request), Choice(0, "")
    found = [*stream.begin([choice])]
    for delta in deltas:
        choice.add(delta)
        found += stream.delta(choice, delta)
    choice.receipt = receipt
    return [*found, *stream.end(choice), *stream.close([choice])]


def whole(dialect: Dialect, request: Request, receipt: Receipt = RECEIPT, deltas: tuple[Delta, ...] = DELTAS) -> object:
    """The same answer as a whole."""
    choice = Choice(0, "", receipt=receipt)
    for delta in deltas:
        choice.add(delta)
    return dialect.whole(FACTS, request, [choice])


def stopped_by(text: str) -> Receipt:
    return replace(RECEIPT, stopped_by=text)


CUT = replace(RECEIPT, finish=Finish.LENGTH)
