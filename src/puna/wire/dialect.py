"""What a dialect of a model container is: its fields, its answers, its records. Values only; knows no particular one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from puna.generation import NO_EXTRAS, Delta, Extras, Finish, Logprob, Receipt, Sampling, Timing, Usage
from puna.messages import Dialog

Given = str | Dialog | tuple[int, ...]
"""A prompt as a caller gives it: text, messages, or token ids of shape (n,)."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a request.

    name: as it stands in the body, ``parameters.top_p`` for one of an inner object. meaning: for people. to: the sampling
    parameter that it sets, if it sets one. type: a word of ``reading.TYPES``, where ``to`` does not imply it. span: of a whole
    number, the least and the largest. only: the values that
    change nothing; any other is refused by the field's name, since what it asks for is not offered. leaked: some client sends
    it without meaning anything for the model; it is accepted, and named in the receipt.
    """

    name: str
    meaning: str
    to: str | None = None
    type: str = ""
    span: tuple[int, int] | None = None
    only: tuple[object, ...] | None = None
    leaked: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """What a request says, in no dialect. given: our names of the sampling parameters in it.

    stream: None where it does not say. open_end: it sets no longest answer, and its dialect means what the window leaves. n:
    answers to each prompt. echo: the prompt is part of the answer. silent: no token is asked for, only the prompt's
    probabilities. ignored: fields that were accepted and have no effect; if_streamed: those that have one only in a stream.
    settings: what only its dialect's answers need to know.
    """

    prompts: tuple[Given, ...]
    sampling: Sampling
    given: frozenset[str] = frozenset()
    stream: bool | None = None
    extras: Extras = NO_EXTRAS
    open_end: bool = False
    n: int = 1
    echo: bool = False
    silent: bool = False
    ignored: tuple[str, ...] = ()
    if_streamed: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as a client of a dialect sends it. attributes: for the header of custom attributes."""

    body: Mapping[str, object]
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Heard:
    """What one record tells, or a whole answer.

    text: what is new. tokens: that make it, where they are told. whole: all of the answer's text, where it is told. open: another record
    must follow. finish: None where the answer has not ended, or does not say why. by_stop: it ended at a stop text; stopped_by: which, where that is told.
    failure: the container's sentence, where it failed. facts: whatever else may interest people, by name.
    """

    text: str = ""
    tokens: tuple[Logprob, ...] = ()
    whole: str | None = None
    open: bool = False
    finish: Finish | None = None
    by_stop: bool = False
    stopped_by: str | None = None
    usage: Usage | None = None
    failure: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """What an answer says of itself. id: of the request. created: seconds since 1970. model: who answers."""

    id: str
    created: int
    model: str


@dataclass(slots=True)
class Choice:
    """One of the answers to a request, as it grows.

    prompt: the prompt, where the answer repeats it. texts: as they came; length: their characters. echoed: the prompt's tokens,
    spelled, where they were scored; the first has no probability. scored: the time that this took. receipt: None until it has
    ended.
    """

    index: int
    prompt: str
    texts: list[str] = field(default_factory=list)
    length: int = 0
    tokens: list[Logprob] = field(default_factory=list)
    receipt: Receipt | None = None
    echoed: tuple[tuple[bytes, Logprob | None], ...] = ()
    scored: Timing | None = None

    def add(self, delta: Delta) -> None:
        """New text."""
        self.texts.append(delta.text)
        self.length += len(delta.text)
        self.tokens += delta.logprobs

    def end(self, receipt: Receipt) -> None:
        """It is complete."""
        self.receipt = receipt if self.scored is None else replace(receipt, scored=self.scored)

    @property
    def text(self) -> str:
        """All of its text so far."""
        return "".join(self.texts)

    @property
    def generated(self) -> int:
        """How many tokens the model made; that is more than there are in ``tokens`` where several make one character."""
        usage = self.ended.usage
        return usage.output if usage else len(self.tokens)

    @property
    def ended(self) -> Receipt:
        """The receipt of an answer that is complete."""
        if self.receipt is None:
            raise ValueError(f"choice {self.index} has not ended")
        return self.receipt


class Stream(Protocol):
    """The records of one streamed answer, as it grows. A record is a JSON value."""

    def begin(self, choices: Sequence[Choice]) -> Iterable[object]:
        """Records that come before any text."""

    def delta(self, choice: Choice, delta: Delta) -> Iterable[object]:
        """Records of new text; ``choice`` has it already."""

    def end(self, choice: Choice) -> Iterable[object]:
        """Records that end one choice; its receipt is there."""

    def close(self, choices: Sequence[Choice]) -> Iterable[object]:
        """Records after all choices have ended."""


@dataclass(frozen=True, slots=True)
class Framing:
    """How records become bytes. before, after: what stands around each. done: what ends a good stream. compact: no blanks."""

    media_type: str
    before: bytes = b""
    after: bytes = b"\n"
    done: bytes = b""
    compact: bool = False

    def encode(self, record: object) -> bytes:
        """One record. All beyond ASCII is escaped: some readers cut text where ``str.splitlines`` does, also at U+2028."""
        text = json.dumps(record, separators=(",", ":") if self.compact else None)
        return self.before + text.encode("ascii") + self.after


WHOLE = Framing("application/json")
"""Of a whole answer."""

LINES = Framing("application/jsonlines")
SSE = Framing("text/event-stream", b"data: ", b"\n\n")
"""Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html (read 2026-11-22)."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """A dialect, whole. The table of them is ``puna.wire.dialects.DIALECTS``.

    title, source: for people; where the facts are from. fields: in the order in which a page lists them. defaults: the sampling
    of a request that sets nothing. read: from the given fields, by name, to a request; the sampling fields are read already.
    fits: whether a body without ``--dialect`` is this one. whole: a complete answer. stream: None where it has none. error: a
    refusal's body, from status and sentence. statuses: the dialect's own status where it differs from ours. broken: the record
    that ends a stream which failed. scores: no tokens may be asked for. body: how a whole answer becomes bytes.

    For the other side, the client: write: a request to what is sent; raises InputError where the dialect has no words for it. hear: what a
    record or a whole answer tells, None of one that has not the dialect's shape. messages: it takes dialogs. alternatives: most of them that
    it tells for each token, None where it tells no log-probabilities at all.
    """

    name: str
    title: str
    source: str
    fields: tuple[Field, ...]
    defaults: Sampling
    read: Callable[[Reading], Request]
    fits: Callable[[Mapping[str, object], Mapping[str, str]], bool]
    whole: Callable[[Facts, Request, Sequence[Choice]], object]
    stream: Callable[[Facts, Request], Stream] | None
    framing: Framing
    error: Callable[[int, str], object]
    broken: Callable[[int, str], object]
    write: Callable[[Request], Sent]
    hear: Callable[[object], Heard | None]
    messages: bool = False
    alternatives: int | None = None
    statuses: Mapping[int, int] = field(default_factory=dict)
    scores: bool = False
    body: Framing = WHOLE

    def names(self) -> Iterator[str]:
        """Every field's name."""
        return (entry.name for entry in self.fields)


@dataclass(frozen=True, slots=True)
class Reading:
    """A request whose fields were checked by name. values: given fields and their values, null ones left out.

    sampling: set by those of them that set a parameter. attributes: of the request's header of custom attributes.
    """

    values: Mapping[str, object]
    sampling: Sampling
    given: frozenset[str]
    ignored: tuple[str, ...]
    attributes: Mapping[str, str]
