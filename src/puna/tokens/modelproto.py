"""The bytes of a sentencepiece model, taken apart and put together. Knows protobuf's layout, not how text is cut.

Sources: https://github.com/google/sentencepiece (``src/sentencepiece_model.proto``) and
https://protobuf.dev/programming-guides/encoding, both read 2026-11-22.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

PIECES, TRAINER, NORMALIZER = 1, 2, 3
"""Fields of a ModelProto."""

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
"""Types of a piece. GGUF files number them alike."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_PIECE_TEXT, _PIECE_SCORE, _PIECE_TYPE = 1, 2, 3
_MODEL_TYPE, _BYTE_FALLBACK, _BPE = 3, 35, 2
_NORMALIZER_NAME, _ADD_DUMMY_PREFIX, _REMOVE_EXTRA_WHITESPACES, _ESCAPE_WHITESPACES = 1, 3, 4, 5


def fields(message: bytes) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each field of a message, whatever it means.

    Raises:
        ValueError, IndexError: the bytes are no protobuf message, or a part of one.
    """
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        start = at
        if tag & 7 == _BYTES:
            length, start = _read_varint(message, at)
            at = start + length
        elif tag & 7 == _VARINT:
            _, at = _read_varint(message, at)
        else:
            at += {_FIXED64: 8, _FIXED32: 4}[tag & 7] if tag & 7 in (_FIXED64, _FIXED32) else len(message) + 1
        if at > len(message):
            raise ValueError(tag)
        yield tag >> 3, start, at


def types(model: bytes) -> list[int]:
    """The type of each piece, shape (n,); the library does not tell user-defined ones from normal ones."""
    return [_type(model[start:end]) for number, start, end in fields(model) if number == PIECES]


def bpe_model(pieces: Iterable[tuple[str, float, int]], *, dummy_prefix: bool, byte_fallback: bool) -> bytes:
    """A model of pieces, each with its score and type, that cuts text as Llama 2's does.

    Text stays as it is (no Unicode normal form, no space removed), but for the space that is put before it where
    ``dummy_prefix`` says so.
    """
    written = bytearray()
    for text, score, kind in pieces:
        piece = _bytes(_PIECE_TEXT, text.encode()) + _tag(_PIECE_SCORE, _FIXED32) + struct.pack("<f", score)
        written += _bytes(PIECES, piece + _number(_PIECE_TYPE, kind))
    written += _bytes(TRAINER, _number(_MODEL_TYPE, _BPE) + _number(_BYTE_FALLBACK, byte_fallback))
    normalizer = (
        _bytes(_NORMALIZER_NAME, b"identity")
        + _number(_ADD_DUMMY_PREFIX, dummy_prefix)
        + _number(_REMOVE_EXTRA_WHITESPACES, value=False)
        + _number(_ESCAPE_WHITESPACES, value=True)
    )
    written += _bytes(NORMALIZER, normalizer)
    return bytes(written)


def _type(piece: bytes) -> int:
    for number, start, _ in fields(piece):
        if number == _PIECE_TYPE:
            return _read_varint(piece, start)[0]
    return NORMAL


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError(at)


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def _tag(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)


def _number(number: int, value: int) -> bytes:
    return _tag(number, _VARINT) + _varint(value)


def _bytes(number: int, value: bytes) -> bytes:
    return _tag(number, _BYTES) + _varint(len(value)) + value
