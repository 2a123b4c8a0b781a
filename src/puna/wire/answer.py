"""An answer read back, whichever container wrote it: bytes in, text and tokens out. Finds the framing by itself; knows no connection.

    data: {...}        server-sent events, with or without the blank, ``[DONE]`` and comments
    {...}              JSON lines, the last one with or without its line break
    {...} or [...]     one JSON value, on one line or spread over many

Cuts may fall anywhere, also in a character. What never ends is refused: no line, event or value may be longer than ``MAX_RECORD``.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from puna.errors import EndpointError
from puna.generation import Delta, Finish, Usage
from puna.wire import jsonlines, sse, strictjson
from puna.wire.dialect import Heard
from puna.wire.failures import MAX_SENTENCE, failure_in

MAX_RECORD = 2**23
"""Bytes: a whole answer of SageMaker has at most 6291456 (botocore's service model of sagemaker-runtime)."""

Hear = Callable[[object], Heard | None]

_EVENTS = (b"data:", b"event:", b"id:", b"retry:", b":")
_MARK = b"\xef\xbb\xbf"
_TOLD = 60
"""Bytes of what is no answer that an error should show."""


class Expected(NamedTuple):
    """What was asked for, and what to do where something else comes, for a sentence."""

    what: str
    mend: str


CONTAINER = Expected(
    "an answer of a model's container was expected, in one of the known dialects",
    "name the dialect, or ask with that container's own client",
)


class _Decoder(Protocol):
    """Bytes to values."""

    def feed(self, data: bytes) -> Iterator[object]:
        """Values that are whole now."""

    def close(self) -> Iterator[object]:
        """Those that the end makes whole."""


class Answer:
    """One answer, as it comes. hears: of the dialects, tried in order on each record.

    expected: for the error of a record that none of them knows.

    echoed: a text with which whole answers begin and which is no part of them: the prompt, of containers that repeat it.

    records: how many came. ended: the answer is complete. framing: ``events``, ``lines`` or ``whole``, "" before it is known. finish, by_stop,
    stopped_by, usage, facts: as in ``Heard``, of the whole answer. text: all of it so far.
    """

    def __init__(self, hears: Sequence[Hear], echoed: str = "", expected: Expected = CONTAINER) -> None:
        self._hears = list(hears)
        self._expected = expected
        self._echoed = echoed
        self._start = bytearray()
        self._searched = 0
        self._decoder: _Decoder | None = None
        self._texts: list[str] = []
        self.records = 0
        self.ended = False
        self.framing = ""
        self.finish: Finish | None = None
        self.by_stop = False
        self.stopped_by: str | None = None
        self.usage: Usage | None = None
        self.facts: dict[str, str] = {}

    @property
    def text(self) -> str:
        """All of the answer so far."""
        return "".join(self._texts)

    def feed(self, data: bytes) -> Iterator[Delta]:
        """New text. What is whole before an error is given first.

        Raises:
            EndpointError: the container failed, or what came is no answer of any dialect.
        """
        if self._decoder is not None:
            return self._read(self._decoder.feed(data))
        self._start += data
        if len(self._start) > MAX_RECORD:
            raise EndpointError(
                f"the answer has no line within its first {MAX_RECORD} bytes; is that a model's container?"
            )
        self._decoder = self._found()
        if self._decoder is None:
            return iter(())
        start, self._start = bytes(self._start), bytearray()
        return self._read(self._decoder.feed(start))

    def close(self) -> Iterator[Delta]:
        """The input has ended.

        Raises:
            EndpointError: in the middle of an answer, of a line or of an event.
        """
        if self._decoder is None:
            self.framing = "whole"
            yield from self._read(_whole(bytes(self._start)))
        else:
            yield from self._read(self._decoder.close())
        if self.records and not self.ended:
            raise EndpointError("the stream ended before the answer had ended; ask again")

    def _found(self) -> _Decoder | None:
        """What reads the rest; None where more must come to know it."""
        if not self.framing:
            self._begin()
        if self.framing == "events":
            return sse.Decoder(MAX_RECORD)
        if self.framing == "lines" and (end := self._start.find(b"\n", self._searched)) >= 0:
            if _is_json(bytes(self._start[:end])):
                return jsonlines.Decoder(MAX_RECORD)
            self.framing = "whole"  # one value over many lines
        self._searched = len(self._start)
        return None

    def _begin(self) -> None:
        """Look at the first bytes; what stands before them is taken away."""
        begun = bytes(self._start).removeprefix(_MARK).lstrip()
        if begun.startswith(_EVENTS):
            self.framing = "events"
        elif begun.startswith((b"{", b"[")):
            self.framing = "lines"
        elif len(begun) >= _TOLD:
            raise EndpointError(
                f"an answer in JSON, or a stream of it, was expected, but it begins {strictjson.shown(begun)}; is that a model's container?"
            )
        if self.framing:
            self._start = bytearray(begun)

    def _read(self, values: Iterable[object]) -> Iterator[Delta]:
        for value in values:
            yield from self._deltas(self._heard(value))
        self.ended = self.ended or (isinstance(self._decoder, sse.Decoder) and self._decoder.done)

    def _heard(self, value: object) -> Heard:
        if failure := failure_in(value):
            raise EndpointError(f"the container failed: {failure}")
        for hear in self._hears:
            try:
                heard = hear(value)
            except (AttributeError, KeyError, TypeError, ValueError, IndexError, OverflowError):
                continue
            if heard is not None:
                if heard.failure:
                    raise EndpointError(f"the container failed: {heard.failure[:MAX_SENTENCE]}")
                return heard
        raise EndpointError(f"{self._expected.what}, but it is {reprlib.repr(value)}; {self._expected.mend}")

    def _deltas(self, heard: Heard) -> Iterator[Delta]:
        self.records += 1
        self.ended = self.ended or not heard.open
        self.finish = heard.finish or self.finish
        self.by_stop, self.stopped_by = heard.by_stop or self.by_stop, heard.stopped_by or self.stopped_by
        self.usage = heard.usage or self.usage
        self.facts |= heard.facts
        text = heard.text
        if heard.whole is not None and not (text or any(self._texts)):
            text = heard.whole.removeprefix(self._echoed)  # all of it; after pieces it says nothing new
        if text or heard.tokens:
            self._texts.append(text)
            yield Delta(text, max(1, len(heard.tokens)), heard.tokens)


def _is_json(line: bytes) -> bool:
    try:
        strictjson.loads(line)
    except ValueError:
        return False
    return True


def _whole(data: bytes) -> Iterator[object]:
    if not data.removeprefix(_MARK).strip():
        return
    try:
        yield strictjson.loads(data)
    except ValueError as error:
        raise EndpointError(
            f"the answer must be JSON, but {error}; it begins {strictjson.shown(data)}; ask again, and see the log of what answered"
        ) from None
