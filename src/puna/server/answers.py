"""What a model container makes of a request: bytes to a prepared answer, its records, its receipt. Knows no HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from puna.chat import Ask
from puna.engines.base import EngineInfo
from puna.errors import InputError
from puna.generation import Delta, Receipt, Written
from puna.wire import jsonlines, strictjson, workshop
from puna.wire.pieces import Pieces


class Turn(Protocol):
    """A prepared turn, of which ``puna.chat.Turn`` is one."""

    @property
    def written(self) -> Written:
        """How the prompt that the engine gets relates to what was written."""

    @property
    def source(self) -> str | None:
        """Format in which the prompt was written."""

    @property
    def format(self) -> str:
        """Format in which the engine gets it."""

    def stream(self) -> AsyncIterator[Delta | Receipt]:
        """Deltas, then one receipt."""


class Speaker(Protocol):
    """Who answers, of which ``puna.chat.Spine`` is one."""

    @property
    def info(self) -> EngineInfo:
        """What the engine says of itself."""

    async def prepare(self, ask: Ask) -> Turn:
        """Everything up to the first token; raises InputError on what cannot be answered."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose first token is still to come. streamed: one record per piece, or one for the whole text."""

    turn: Turn
    streamed: bool

    @property
    def media_type(self) -> str:
        """What the records are."""
        return jsonlines.MEDIA_TYPE if self.streamed else "application/json"

    @property
    def origin(self) -> str:
        """How the prompt came about, for the header ``x-puna-prompt``: ``translated; from=llama2; to=smollm2``."""
        told = {
            Written.AS_IS: (),
            Written.REPAIRED: (("from", self.turn.source),),
            Written.TRANSLATED: (("from", self.turn.source), ("to", self.turn.format)),
            Written.RENDERED: (("to", self.turn.format),),
        }[self.turn.written]
        # A format may be named by a file, whose name may hold anything.
        return "; ".join((str(self.turn.written), *(f"{key}={quote(name or '', safe='/:.+')}" for key, name in told)))

    async def records(self, done: Callable[[Receipt], None]) -> AsyncIterator[bytes]:
        """The answer in records, each with its newline. ``done`` gets the receipt before the body ends."""
        pieces, whole = Pieces(), []
        async with aclosing(self.turn.stream()) as events:  # type: ignore[type-var]  # they are generators
            async for event in events:
                if isinstance(event, Receipt):
                    done(event)
                    continue
                for piece in pieces.push(event.text):
                    if self.streamed:
                        yield jsonlines.encode(workshop.write_outputs(piece))
                    else:
                        whole.append(piece)
        if not self.streamed:
            yield jsonlines.encode(workshop.write_outputs("".join(whole)))


async def answer_to(speaker: Speaker, body: bytes, *, streams: bool) -> Answer:
    """Understand a request and prepare its answer. streams: whether to stream where the request does not say.

    Raises:
        InputError: the body is no request, or one that this model cannot answer.
    """
    if not body.strip():
        raise InputError('the body is empty; send JSON such as {"prompt": "<s>[INST] Hello [/INST]"}')
    try:
        value = strictjson.loads(body)
    except ValueError as error:
        raise InputError(f"the body must be JSON, but {error}; it begins {strictjson.shown(body)}") from None
    request = workshop.read_request(value)
    turn = await speaker.prepare(Ask(request.prompt, request.sampling, request.given))
    return Answer(turn, streams if request.stream is None else request.stream)


def note_of(receipt: Receipt) -> str:
    """A receipt in a few words: ``translated llama2->smollm2 41+64 tokens``."""
    names = {
        Written.AS_IS: "",
        Written.REPAIRED: receipt.format,
        Written.TRANSLATED: f"{receipt.source}->{receipt.format}",
        Written.RENDERED: receipt.format,
    }[receipt.written]
    usage = f"{receipt.usage.prompt}+{receipt.usage.output} tokens" if receipt.usage else ""
    return " ".join(word for word in (str(receipt.written), names, usage) if word)
