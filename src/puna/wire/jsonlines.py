r"""JSON lines: one JSON value a line, UTF-8, lines end with ``\n`` (https://jsonlines.org, read 2026-11-22).

Knows lines and JSON, no dialect. A reader that is fed bytes as they come; cuts may fall anywhere, also in a character.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from puna.errors import EndpointError
from puna.wire import strictjson

MEDIA_TYPE = "application/jsonlines"

MAX_LINE = 2**20
"""Bytes of one line that a decoder holds by default; a token's line has about 30."""


def encode(value: object) -> bytes:
    r"""One line, its newline included.

    Everything beyond ASCII is escaped, for the sake of readers that cut decoded text with ``str.splitlines``: that also
    cuts at U+2028, U+0085 and others, which JSON allows in a string as they are.
    """
    return json.dumps(value).encode("ascii") + b"\n"


class Decoder:
    """Bytes in, values out. Blank lines are passed over. limit: bytes that one line may have."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0
        self._line = 0

    def feed(self, data: bytes) -> Iterator[object]:
        """Takes ``data`` at once; gives the values of the lines that are whole now.

        Raises:
            EndpointError: a line is not JSON or is too long; it names the line and shows its start.
        """
        self._buffer += data
        return self._lines()

    def close(self) -> Iterator[object]:
        """The input has ended: gives the value of a last line that has no newline.

        Raises:
            EndpointError: the line is not JSON, as after a cut connection.
        """
        return self.feed(b"\n")

    def _lines(self) -> Iterator[object]:
        while (end := self._buffer.find(b"\n", self._searched)) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._searched = 0
            self._line += 1
            self._check(line, self._line)
            if line.strip():
                yield self._value(line)
        self._searched = len(self._buffer)
        self._check(self._buffer, self._line + 1)

    def _check(self, line: bytes | bytearray, number: int) -> None:
        if len(line) > self._limit:
            raise EndpointError(
                f"a JSON line may have {self._limit} bytes, but line {number} of the stream is longer; it begins "
                f"{strictjson.shown(bytes(line[:400]))}"
            )

    def _value(self, line: bytes) -> object:
        try:
            return strictjson.loads(line)
        except ValueError as error:
            raise EndpointError(
                f"line {self._line} of the stream must be JSON, but {error}; it begins {strictjson.shown(line)}; ask again, and see "
                "the log of what answered"
            ) from None
