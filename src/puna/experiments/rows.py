"""What came of a trial, as a value: one row, with everything that reports and scores need. Knows no database.

A trial that failed is a row too; its ``output`` is what had arrived before it failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from puna.experiments.plan import Cell
from puna.generation import Logprob, Prompt, Sampling, Timing, Usage


class State(StrEnum):
    """Whether there is an answer."""

    OK = "ok"
    FAILED = "failed"


class Failure(StrEnum):
    """Why there is none."""

    TIMEOUT = "timeout"
    """The answer was not whole within the experiment's ``seconds``."""
    REFUSED = "refused"
    """Engine or endpoint refused the request: a prompt that does not fit, a parameter it does not take, a full queue."""
    BROKEN = "broken"
    """The stream broke off."""
    UNREACHABLE = "unreachable"
    """There was no engine or endpoint to ask."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trial came to. seconds: from asking to the end. first: from asking to the first text; None where there was none.

    started: Unix time. failure, reason: None where all went well; reason is the sentence. attempts: 1 and more. sampling: what was in
    effect, with its seed. receipt: ``Receipt.as_json()`` of puna, or the remote endpoint's own where it gives one. prompt: what the
    engine got; where only a remote endpoint knows that, its ``ids`` are empty. logprobs: of the output's tokens, where they were
    recorded.
    """

    state: State
    output: str
    started: float
    seconds: float
    first: float | None = None
    attempts: int = 1
    failure: Failure | None = None
    reason: str | None = None
    finish: str | None = None
    stopped_by: str | None = None
    usage: Usage | None = None
    timing: Timing = field(default_factory=Timing)
    sampling: Sampling = field(default_factory=Sampling)
    prompt: Prompt | None = None
    written_as: str | None = None
    """The format in which the engine got the prompt; None where nobody knows."""
    model: str = ""
    model_sha256: str | None = None
    engine: str = ""
    reproducible: bool | None = None
    receipt_id: str = ""
    receipt: Mapping[str, object] | None = None
    logprobs: tuple[Logprob, ...] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A trial's row in a store: where it belongs, and its outcome. reused: the run from which it was taken, None where it was made here.

    prompt_sha256, ids_sha256: of the exact prompt's text and token ids (``Prompt.digests``). The outcome's ``prompt`` is None here, since
    many rows share one: ``Store.prompt_text(row.prompt_sha256)`` has it.
    """

    run: str
    cell: Cell
    repeat: int
    seed: int
    outcome: Outcome
    key: str = ""
    prompt_sha256: str | None = None
    ids_sha256: str | None = None
    prompt_tokens: int | None = None
    reused: str | None = None

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return self.outcome.state is State.OK

    @property
    def output(self) -> str:
        """The answer's text."""
        return self.outcome.output


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How likely a cell's model holds a continuation of the cell's prompt. tokens: one each, in order; their sum is its log-probability."""

    cell: int
    name: str
    text: str
    tokens: tuple[Logprob, ...]
    group: str | None = None

    @property
    def logprob(self) -> float:
        """Natural logarithm of the probability that the answer begins with exactly these tokens."""
        return sum(token.logprob for token in self.tokens)


@dataclass(frozen=True, slots=True)
class Distribution:
    """The likeliest next tokens at one position of an answer, before temperature and cuts: what the sampler chose from.

    position: from 0, tokens of the answer. chosen: the token that was chosen there, as text. tokens: texts, the likeliest first, for as
    many as are told; logprobs: natural logarithms, falling, shape (k,) with k at least len(tokens).
    """

    cell: int
    repeat: int
    position: int
    chosen: str
    tokens: tuple[str, ...]
    logprobs: tuple[float, ...]
