"""AWS event-stream frames: bytes to messages and back. Knows the frame, and the two messages of SageMaker Runtime.

    u32 total length | u32 headers length | u32 crc32 of the first 8 bytes | headers | payload | u32 crc32 of all before
    header: u8 name length | name | u8 type | value; of type 7, a string: u16 length | UTF-8

Big endian throughout, 16 bytes around headers and payload. Sources, read 2026-11-22: botocore 1.44.5
``eventstream.py`` and its service model of sagemaker-runtime 2017-05-13 (``ResponseStream``);
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html describes the same frame.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn
from zlib import crc32

from puna.errors import EndpointError
from puna.wire.strictjson import shown

MEDIA_TYPE = "application/vnd.amazon.eventstream"

MAX_HEADERS = 128 * 1024
MAX_PAYLOAD = 24 * 1024 * 1024
"""Bytes; what botocore takes."""

Value = str | int | bool | bytes
"""A header's value. Timestamps are milliseconds since 1970, UUIDs are 16 bytes, as botocore gives them."""

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_NUMBERS = {2: struct.Struct(">b"), 3: struct.Struct(">h"), 4: struct.Struct(">i"), 5: struct.Struct(">q"),
            8: struct.Struct(">q")}  # fmt: skip
_LENGTH = struct.Struct(">H")
_STRING = 7


@dataclass(frozen=True, slots=True)
class Message:
    """One frame, taken apart."""

    headers: Mapping[str, Value]
    payload: bytes

    @property
    def kind(self) -> Value | None:
        """``event``, ``exception`` or ``error``: by it clients decide what the rest means."""
        return self.headers.get(":message-type")


def encode(headers: Mapping[str, str], payload: bytes) -> bytes:
    """The frame of a message whose headers are strings, as all of SageMaker's are."""
    head = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    frame = _PRELUDE.pack(len(head) + len(payload) + 16, len(head), 0)[:8]
    frame += _CRC.pack(crc32(frame)) + head + payload
    return frame + _CRC.pack(crc32(frame))


def _header(name: bytes, value: bytes) -> bytes:
    return bytes((len(name),)) + name + bytes((_STRING,)) + _LENGTH.pack(len(value)) + value


def payload_part(data: bytes) -> bytes:
    """The frame of one part of the container's answer."""
    headers = {
        ":event-type": "PayloadPart",
        ":content-type": "application/octet-stream",
        ":message-type": "event",
    }
    return encode(headers, data)


def exception(name: str, body: Mapping[str, object]) -> bytes:
    """The frame that ends a broken stream. name: ``ModelStreamError`` or ``InternalStreamFailure``."""
    headers = {
        ":exception-type": name,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return encode(headers, json.dumps(body).encode("ascii"))


class Decoder:
    """Bytes in, messages out; cuts may fall anywhere. Both checksums and botocore's limits are checked."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0

    def feed(self, data: bytes) -> Iterator[Message]:
        """Takes ``data`` at once; gives the messages that are whole now.

        Raises:
            EndpointError: the bytes are no frames. What was whole before them is given first.
        """
        self._buffer += data
        return self._messages()

    def close(self) -> None:
        """The input has ended.

        Raises:
            EndpointError: in the middle of a frame; botocore passes over such a cut without a word.
        """
        if self._buffer:
            raise EndpointError(
                f"the event stream ended in the middle of a frame: {len(self._buffer)} bytes after byte {self._at} "
                f"are no whole frame; the answer is incomplete"
            )

    def _messages(self) -> Iterator[Message]:
        while len(self._buffer) >= _PRELUDE.size:
            total, headers = self._prelude()
            if len(self._buffer) < total:
                return
            frame = bytes(self._buffer[:total])
            if crc32(frame[:-4]) != _CRC.unpack(frame[-4:])[0]:
                self._refuse("its checksum is wrong")
            message = Message(self._headers(frame[12 : 12 + headers]), frame[12 + headers : -4])
            del self._buffer[:total]
            self._at += total
            yield message

    def _prelude(self) -> tuple[int, int]:
        total, headers, crc = _PRELUDE.unpack_from(self._buffer)
        if crc32(self._buffer[:8]) != crc:
            self._refuse("the checksum of its first 8 bytes is wrong")
        if total < headers + 16:
            self._refuse(f"its length {total} has no room for {headers} bytes of headers")
        if headers > MAX_HEADERS or total - headers - 16 > MAX_PAYLOAD:
            self._refuse(f"it has more than {MAX_HEADERS} bytes of headers or {MAX_PAYLOAD} of payload")
        return total, headers

    def _headers(self, data: bytes) -> dict[str, Value]:
        found: dict[str, Value] = {}
        at = 0
        try:
            while at < len(data):
                name, at = _cut(data, at + 1, data[at])
                value, at = _value(data, at)
                if name.decode() in found:
                    self._refuse(f"its header {name.decode()!r} stands there twice")
                found[name.decode()] = value
        except (IndexError, struct.error, ValueError):
            self._refuse("its headers cannot be read")
        return found

    def _refuse(self, why: str) -> NoReturn:
        raise EndpointError(
            f"an AWS event-stream frame was expected at byte {self._at}, but {why}; it begins "
            f"{shown(bytes(self._buffer[:40]))}; ask again, and look for what on the way changes it"
        )


def _value(data: bytes, at: int) -> tuple[Value, int]:
    kind, at = data[at], at + 1
    if kind in {0, 1}:
        return kind == 0, at
    if kind in _NUMBERS:
        number: int = _NUMBERS[kind].unpack_from(data, at)[0]
        return number, at + _NUMBERS[kind].size
    if kind in {6, _STRING}:
        value, end = _cut(data, at + 2, _LENGTH.unpack_from(data, at)[0])
        return (value.decode() if kind == _STRING else value), end
    if kind == 9:
        return _cut(data, at, 16)
    raise ValueError(kind)


def _cut(data: bytes, start: int, length: int) -> tuple[bytes, int]:
    end = start + length
    if end > len(data):
        raise ValueError(length)
    return data[start:end], end
