"""The spine: one turn, from what a caller wrote to deltas and a receipt. Policy lives in the wings, effects in engines.

understand (parse what was written) -> render in the model's format -> encode -> fit the window -> stream -> account.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, fields, replace

from puna.engines.base import Engine, EngineInfo
from puna.errors import ContextWindowError, DialogError, EngineError, InputError
from puna.formats import catalog
from puna.formats.base import Writer
from puna.formats.translate import write
from puna.generation import (
    MAX_SEED,
    Delta,
    End,
    Kind,
    Prompt,
    Receipt,
    Sampling,
    Segment,
    Written,
)
from puna.messages import Dialog, Role

LONG_PROMPT = 20_000
"""Characters from which a prompt is read in a thread; below, a thread costs more than the reading."""

RAW = "raw"
"""Format name of a prompt that is sent as its author wrote it."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a caller wants. given: names of the sampling parameters that the caller set; the others are defaults."""

    prompt: str | Dialog
    sampling: Sampling = field(default_factory=Sampling)
    given: frozenset[str] = frozenset()
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """A prepared turn: everything that is known before the first token."""

    engine: Engine
    info: EngineInfo
    prompt: Prompt
    sampling: Sampling
    written: Written
    source: str | None
    format: str
    defaulted: tuple[str, ...]
    extra_stops: tuple[str, ...]
    findings: tuple[str, ...]

    async def stream(self) -> AsyncGenerator[Delta | Receipt, None]:
        """Deltas in order, then exactly one receipt. Closing the iterator early stops the generation."""
        effective = replace(self.sampling, stop=(*self.sampling.stop, *self.extra_stops))
        async with aclosing(self.engine.stream(self.prompt, effective)) as events:
            async for event in events:
                if isinstance(event, End):
                    yield self._receipt(event)
                    return
                yield event
        raise EngineError("the engine's stream broke off without saying why; ask again, and see the engine's log")

    def _receipt(self, end: End) -> Receipt:
        asked_for = end.stopped_by in self.sampling.stop
        return Receipt(
            written=self.written,
            source=self.source,
            format=self.format,
            sampling=self.sampling,
            defaulted=self.defaulted,
            finish=end.finish,
            usage=end.usage,
            timing=end.timing,
            model=self.info.model,
            engine=self.info.build,
            stopped_by=end.stopped_by if asked_for else None,
            findings=self.findings,
            remote=end.remote,
        )


@dataclass(frozen=True, slots=True)
class _Understood:
    segments: tuple[Segment, ...]
    written: Written
    format: str
    source: str | None = None
    dialog: Dialog | None = None
    findings: tuple[str, ...] = ()


class Spine:
    """A started engine and the format of its model. raw: never parse a text prompt.

    format: None where the engine takes messages, so that rendering is its own affair.
    """

    def __init__(self, engine: Engine, info: EngineInfo, format: Writer | None, *, raw: bool = False) -> None:  # noqa: A002
        self.engine = engine
        self.info = info
        self.format = format
        self.raw = raw

    async def prepare(self, ask: Ask) -> Turn:
        """Everything up to the first token.

        Raises:
            DialogError: the prompt cannot be understood, or the model's format cannot express it.
            ContextWindowError: prompt and requested tokens do not fit the window.
        """
        understood = await self._understood(ask)
        ids = () if self.format is None else await self._encoded(understood.segments, ask.sampling.max_tokens)
        seed = ask.sampling.seed
        return Turn(
            engine=self.engine,
            info=self.info,
            prompt=Prompt(understood.segments, ids, understood.dialog),
            sampling=replace(ask.sampling, seed=secrets.randbelow(MAX_SEED + 1) if seed is None else seed),
            written=understood.written,
            source=understood.source,
            format=understood.format,
            defaulted=tuple(entry.name for entry in fields(Sampling) if entry.name not in ask.given),
            extra_stops=self._extra_stops(understood.format),
            findings=understood.findings,
        )

    async def _encoded(self, segments: tuple[Segment, ...], max_tokens: int) -> tuple[int, ...]:
        ids = await self.engine.encode(segments)
        if not ids:
            raise InputError("the prompt must not be empty; give the text that the model shall continue")
        if len(ids) + max_tokens > self.info.context:
            raise ContextWindowError(len(ids), max_tokens, self.info.context)
        return ids

    def _extra_stops(self, written_as: str) -> tuple[str, ...]:
        """The format's stops that are plain text to this model; its control tokens the engine knows by itself."""
        if written_as == RAW or self.format is None:
            return ()
        return tuple(stop for stop in self.format.stops if stop.strip() not in self.info.control)

    async def _understood(self, ask: Ask) -> _Understood:
        """A megabyte of markers takes seconds to read, and nobody else's stream may stand still for that."""
        size = sum(len(m.content) for m in ask.prompt) if isinstance(ask.prompt, Dialog) else len(ask.prompt)
        if size < LONG_PROMPT:
            return self._understand(ask)
        return await asyncio.to_thread(self._understand, ask)

    def _understand(self, ask: Ask) -> _Understood:
        if self.format is None:
            return _to_endpoint(ask.prompt)
        if isinstance(ask.prompt, Dialog):
            return _rendered(ask.prompt, self.format)
        if ask.raw or self.raw:
            return self._as_written(ask.prompt)
        parsed = catalog.parse(ask.prompt, own=self.format.name)
        if parsed.format == catalog.PLAIN:
            return self._as_written(ask.prompt, *self._control_in(ask.prompt))
        again = write(parsed, self.format)
        own = parsed.format == self.format.name
        written = Written.AS_IS if own and again.text == ask.prompt else Written.REPAIRED if own else Written.TRANSLATED
        findings = (*(finding.message for finding in parsed.findings), *again.changes)
        return _Understood(again.segments, written, self.format.name, parsed.format, parsed.dialog, findings)

    def _control_in(self, text: str) -> Iterator[str]:
        """What its author should know of a text of no known format that is sent as it is."""
        for token in sorted(self.info.control):
            if token in text:
                yield f"no known format was recognised, so {token} is sent as the model's control token of that name"

    def _as_written(self, text: str, *findings: str) -> _Understood:
        """The caller's own text; a vocabulary that demands a BOS gets it exactly once."""
        bos = self.info.bos
        if bos is None or text.startswith(bos):
            return _Understood((Segment(Kind.CONTROL, text),), Written.AS_IS, RAW, findings=findings)
        segments = (Segment(Kind.CONTROL, bos), Segment(Kind.CONTROL, text))
        return _Understood(
            segments, Written.AS_IS, RAW, findings=(*findings, f"{bos} was put first, as the vocabulary demands")
        )


def _rendered(dialog: Dialog, form: Writer) -> _Understood:
    """A dialog that is to be answered, in the model's format."""
    if dialog and not form.announces and dialog[-1].role is not Role.USER:
        raise DialogError(
            f"to be answered, a dialog in the format {form.name} must end with a user message, since nothing announces an "
            f"answer there, but it ends with a message of the {dialog[-1].role}; add the next question"
        )
    if form.left_out(dialog):
        raise DialogError(f"{form.remarks(dialog)[0]}; join it to the first system message, or to a user message")
    return _Understood(form.render(dialog), Written.RENDERED, form.name, dialog=dialog, findings=form.remarks(dialog))


def _to_endpoint(prompt: str | Dialog) -> _Understood:
    """An endpoint gets messages, or the caller's own text, and renders by itself."""
    if isinstance(prompt, Dialog):
        return _Understood((), Written.RENDERED, "endpoint", dialog=prompt)
    return _Understood((Segment(Kind.CONTROL, prompt),), Written.AS_IS, RAW)
