"""Server-sent events read back: bytes in, the JSON of each event out. Knows lines and JSON, no dialect.

    data: {"choices": [...]}
    (blank line)
    data: [DONE]

Lines end with LF, CR LF or CR; other fields than ``data``, and comments, are passed over. Source:
https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream (read 2026-11-28), and ``[DONE]`` of the OpenAI API.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from puna.errors import EndpointError
from puna.wire import strictjson

MAX_EVENT = 2**22
"""Bytes of one event; a token with 20 alternatives has about 3000."""

_END = re.compile(rb"\r\n|\n|\r(?!\Z)")
"""A CR at the end of what has come may be the first half of CR LF."""


class Decoder:
    """Bytes as they come, cut anywhere. done: ``[DONE]`` has come."""

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0
        self._data: list[bytes] = []
        self._held = 0  # bytes of these, with their line breaks
        self.done = False

    def feed(self, data: bytes) -> Iterator[object]:
        """The values of the events that are whole now.

        Raises:
            EndpointError: an event is not JSON or is too long.
        """
        self._buffer += data
        start = 0
        while (end := _END.search(self._buffer, max(start, self._searched))) is not None:
            yield from self._line(bytes(self._buffer[start : end.start()]))
            start = end.end()
        del self._buffer[:start]
        self._searched = max(0, len(self._buffer) - 1)  # the last byte may be a CR
        if len(self._buffer) + self._held > self._limit:
            raise EndpointError(
                f"an event of the stream is longer than {self._limit} bytes; is that a stream of an answer?"
            )

    def close(self) -> Iterator[object]:
        """The input has ended: the value of a last event that no blank line ends."""
        yield from self.feed(b"\n\n")

    def _line(self, line: bytes) -> Iterator[object]:
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
            self._held += len(line) + 1
        elif not line and self._data:
            event, self._data, self._held = b"\n".join(self._data), [], 0
            if event.strip() == b"[DONE]":
                self.done = True
            elif event.strip():  # an empty one keeps a connection alive
                yield _value(event)


def _value(event: bytes) -> object:
    try:
        return strictjson.loads(event)
    except ValueError as error:
        raise EndpointError(
            f"an event of the stream must be JSON, but {error}; it begins {strictjson.shown(event)}; ask again, and see the log of "
            "what answered"
        ) from None
