"""What a model container makes of a request: bytes to a prepared answer, its records, its receipts. Knows no HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar
from urllib.parse import quote

from puna.dialog.prune import Dropped
from puna.engines.base import EngineInfo, Scored
from puna.errors import InputError
from puna.generation import Delta, Logprob, Prompt, Receipt, Sampling, Written
from puna.server.merging import merged
from puna.turn import Ask
from puna.wire import dialects, reading, strictjson
from puna.wire.dialect import Choice, Dialect, Facts, Given, Request

T = TypeVar("T")


class Turn(Protocol):
    """A prepared turn, of which ``puna.turn.Turn`` is one."""

    @property
    def prompt(self) -> Prompt:
        """What the engine gets."""

    @property
    def sampling(self) -> Sampling:
        """What is in effect, the seed included."""

    @property
    def extra_stops(self) -> tuple[str, ...]:
        """Texts that end the answer besides those of the sampling: the format's."""

    @property
    def findings(self) -> tuple[str, ...]:
        """What the caller should know, a sentence each."""

    @property
    def dropped(self) -> tuple[Dropped, ...]:
        """Messages that are not sent."""

    @property
    def written(self) -> Written:
        """How the prompt that the engine gets relates to what was written."""

    @property
    def source(self) -> str | None:
        """Format in which the prompt was written."""

    @property
    def format(self) -> str:
        """Format in which the engine gets it."""

    def facts(self, *, prompts: bool) -> Mapping[str, object]:
        """What its receipt will tell, but for how it ends."""

    def again(self, n: int) -> Turn:
        """Another answer to the same prompt."""

    async def score(self, top: int) -> tuple[Scored, Receipt]:
        """Log-probabilities of the prompt's own tokens."""

    def stream(self) -> AsyncGenerator[Delta | Receipt, None]:
        """Deltas, then one receipt."""

    def answers(self, n: int) -> list[AsyncGenerator[Delta | Receipt, None]]:
        """Streams of ``n`` answers to the same prompt: this turn's, then as ``again`` makes them."""


class Speaker(Protocol):
    """Who answers, of which ``puna.chat.Spine`` is one."""

    @property
    def info(self) -> EngineInfo:
        """What the engine says of itself."""

    @property
    def writes(self) -> str | None:
        """Name of the format in which prompts are written; None where nobody knows."""

    async def prepare(self, ask: Ask) -> Turn:
        """Everything up to the first token; raises InputError on what cannot be answered."""

    async def encoded(self, ask: Ask) -> Prompt:
        """The exact prompt with its ids, also one that does not fit the window."""

    async def spelled(self, ids: Sequence[int]) -> list[bytes]:
        """What each token stands for."""


@dataclass(slots=True)
class Waiting:
    """For how many seconds an answer has waited for its engine, while nothing else of it was done."""

    seconds: float = 0.0

    async def events(self, given: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
        """The same events, each waited for by this clock."""
        async with aclosing(given) as open_events:
            while True:
                with self:
                    event = await anext(open_events, None)
                if event is None:
                    return
                yield event

    def __enter__(self) -> None:
        self.seconds -= time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.monotonic()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose first token is still to come. turns: one for each choice. streamed: as it grows, or as a whole.

    waiting: for the engine.
    """

    speaker: Speaker
    dialect: Dialect
    request: Request
    facts: Facts
    turns: tuple[Turn, ...]
    streamed: bool
    waiting: Waiting = field(default_factory=Waiting)

    @property
    def media_type(self) -> str:
        """What the records are."""
        return (self.dialect.framing if self.streamed else self.dialect.body).media_type

    @property
    def origin(self) -> str:
        """How the prompt came about, for the header ``x-puna-prompt``: ``translated; from=llama2; to=smollm2``."""
        turn = self.turns[0]
        told = {
            Written.AS_IS: (),
            Written.REPAIRED: (("from", turn.source),),
            Written.TRANSLATED: (("from", turn.source), ("to", turn.format)),
            Written.RENDERED: (("to", turn.format),),
        }[turn.written]
        # A format may be named by a file, whose name may hold anything.
        return "; ".join((str(turn.written), *(f"{key}={quote(name or '', safe='/:.+')}" for key, name in told)))

    async def records(
        self, done: Callable[[Sequence[Receipt]], None], pulse: Callable[[], None]
    ) -> AsyncGenerator[bytes, None]:
        """The answer in records. ``done`` gets the receipts before the body ends; ``pulse`` is called for each new text."""
        choices = [Choice(n, "") for n in range(len(self.turns))]
        if self.request.echo:
            await self._echo(choices)
        if self.request.silent:
            done([choice.ended for choice in choices])
            yield self._whole(choices)
            return
        async with aclosing(self._events()) as events:
            if self.streamed and self.dialect.stream is not None:
                async for record in self._stream(choices, events, done, pulse):
                    yield record
                return
            async for n, event in events:
                if isinstance(event, Receipt):
                    choices[n].end(event)
                else:
                    pulse()
                    choices[n].add(event)
        done([choice.ended for choice in choices])
        yield self._whole(choices)

    def _events(self) -> AsyncGenerator[tuple[int, Delta | Receipt], None]:
        n = self.request.n
        streams = [stream for turn in self.turns[::n] for stream in turn.answers(n)]
        # Where nobody knows the slots, the server behind has a queue of its own.
        return self.waiting.events(merged(streams, self.speaker.info.slots or len(streams)))

    async def _stream(
        self,
        choices: list[Choice],
        events: AsyncIterator[tuple[int, Delta | Receipt]],
        done: Callable[[Sequence[Receipt]], None],
        pulse: Callable[[], None],
    ) -> AsyncGenerator[bytes, None]:
        if self.dialect.stream is None:
            raise TypeError(f"the dialect {self.dialect.name} has no stream")
        stream, encode = self.dialect.stream(self.facts, self.request), self.dialect.framing.encode
        begun, left = False, len(choices)
        async for n, event in events:
            if not begun:  # not before there is an event: what fails before the first record is a plain HTTP error
                begun = True
                for record in stream.begin(choices):
                    yield encode(record)
            choice = choices[n]
            records: Iterable[object]
            if isinstance(event, Receipt):
                choice.end(event)
                left -= 1
                if not left:
                    done([entry.ended for entry in choices])
                records = stream.end(choice)
            else:
                pulse()
                choice.add(event)
                records = stream.delta(choice, event)
            for record in records:
                yield encode(record)
        for record in stream.close(choices):
            yield encode(record)
        if self.dialect.framing.done:
            yield self.dialect.framing.done

    def _whole(self, choices: Sequence[Choice]) -> bytes:
        return self.dialect.body.encode(self.dialect.whole(self.facts, self.request, choices))

    async def _echo(self, choices: Sequence[Choice]) -> None:
        """Each prompt as it was given, with the log-probabilities of its tokens where they are wanted."""
        request = self.request
        for first in range(0, len(choices), request.n):
            turn, given = self.turns[first], request.prompts[first // request.n]
            ids = turn.prompt.ids
            wanted = not isinstance(given, str) or request.extras.logprobs is not None
            spelled = await self.speaker.spelled(ids) if wanted else []
            echoed: tuple[tuple[bytes, Logprob | None], ...] = ()
            if request.extras.logprobs is not None:
                with self.waiting:
                    scored, receipt = await turn.score(request.extras.logprobs)
                echoed = tuple(zip(spelled, scored.tokens, strict=True))
                choices[first].scored = scored.timing
                if request.silent:
                    for choice in choices[first : first + request.n]:
                        choice.receipt = receipt
            for choice in choices[first : first + request.n]:
                choice.prompt = given if isinstance(given, str) else b"".join(spelled).decode("utf-8", "replace")
                choice.echoed = echoed


_ONLY_IF_ASKED = frozenset({"chat", "completion"})
"""Dialects that tell of tokens where a request wants it. The others do so anyhow, and do without where an engine does not tell."""


async def answer_to(
    speaker: Speaker,
    dialect: Dialect,
    value: object,
    *,
    facts: Facts,
    streams: bool,
    cap: bool = False,
    attributes: Mapping[str, str] | None = None,
    accept: Callable[[Request], None] = lambda _: None,
) -> Answer:
    """Understand a request and prepare its answer.

    value: of the body. streams: whether to stream where the request does not say. cap: whether a longest answer may be lowered
    to what the window leaves. accept: refuses, by raising, what is well formed and still not wanted here.

    Raises:
        InputError: the body is no request, or one that this model cannot answer.
    """
    request = reading.read(dialect, value, attributes)
    accept(request)
    wanted = streams if request.stream is None else request.stream
    streamed = wanted and dialect.stream is not None and not request.silent
    unused = () if streamed else tuple(f"{name} (the answer is not streamed)" for name in request.if_streamed)
    if request.stream and not streamed:
        unused += ("stream (there is nothing to stream)" if request.silent else "stream (this dialect does not)",)
    ignored = (*request.ignored, *unused)
    if (
        dialect.name not in _ONLY_IF_ASKED
        and not request.extras.logprobs
        and speaker.info.found.get("logprobs") is False
    ):
        request = replace(request, extras=replace(request.extras, logprobs=None))
    prepared = [await speaker.prepare(_ask(request, prompt, ignored, cap=cap)) for prompt in request.prompts]
    turns = tuple(turn.again(n) if n else turn for turn in prepared for n in range(request.n))
    return Answer(speaker, dialect, request, facts, turns, streamed)


def _ask(request: Request, prompt: Given, ignored: tuple[str, ...], *, cap: bool) -> Ask:
    return Ask(
        prompt,
        request.sampling,
        request.given,
        raw=request.echo,
        extras=request.extras,
        cap=cap,
        open_end=request.open_end,
        ignored=ignored,
    )


def value_of(body: bytes) -> object:
    """The JSON value of a body.

    Raises:
        InputError: it is empty, or no JSON.
    """
    if not body.strip():
        raise InputError('the body is empty; send JSON such as {"prompt": "<s>[INST] Hello [/INST]"}')
    try:
        return strictjson.loads(body)
    except ValueError as error:
        raise InputError(f"the body must be JSON, but {error}; it begins {strictjson.shown(body)}") from None


def chosen(name: str, value: object, attributes: Mapping[str, str]) -> Dialect:
    """The dialect of a body. name: of one, or ``auto`` for the one whose shape the body has."""
    return dialects.dialect_of(value, attributes) if name == dialects.AUTO else dialects.DIALECTS[name]


def note_of(receipts: Sequence[Receipt]) -> str:
    """Receipts of one request in a few words: ``translated llama2->smollm2 41+64 tokens``."""
    receipt = receipts[0]
    names = {
        Written.AS_IS: "",
        Written.REPAIRED: receipt.format,
        Written.TRANSLATED: f"{receipt.source}->{receipt.format}",
        Written.RENDERED: receipt.format,
    }
    used = [entry.usage for entry in receipts if entry.usage]
    usage = f"{used[0].prompt}+{sum(entry.output for entry in used)} tokens" if used else ""
    return " ".join(word for word in (str(receipt.written), names[receipt.written], usage) if word)
