"""The byte layout of a GGUF header, read with bounds on everything. Knows bytes; not what any key means.

Layout (ggml's docs/gguf.md, versions 2 and 3, little endian; read 2026-11-22)::

    "GGUF"  u32 version  u64 tensor count  u64 pair count
    pair:   text key  u32 type  value               text: u64 length, bytes
    array:  u32 type  u64 count  items              (types: see _NUMBERS, 8 text, 9 array)
    tensor: text name  u32 dimensions  u64 each  u32 type  u64 offset from the data
    padding to general.alignment (32 unless given), then the data

A hostile file cannot make the reader slow or large: every length is checked against the file before it is used, and a
header is refused beyond ``MAX_HEADER`` bytes. Large arrays are walked, not decoded.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from puna.errors import ModelFileError

MAX_HEADER = 64 << 20
"""Bytes. Llama 3's header, with 128k tokens and 280k merges, has 7.8 MB; Gemma's 262k tokens make about 16 MB."""

_MAX_PAIRS = 1 << 12
_MAX_TENSORS = 1 << 16
_MAX_DIMENSIONS = 4  # GGML_MAX_DIMS
_BLOCK = 2 << 20

_TEXT, _ARRAY = 8, 9
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class Texts:
    """An array of texts, decoded one by one. starts: byte positions in ``buffer``, shape (n,)."""

    buffer: bytearray
    starts: array[int]

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> str:
        start = self.starts[index]
        (length,) = _U64.unpack_from(self.buffer, start - 8)
        return self.buffer[start : start + length].decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Numbers:
    """An array of numbers, decoded when asked for. code: the letter of its type in ``struct``."""

    buffer: bytearray
    start: int
    count: int
    code: str

    def values(self) -> tuple[int | float, ...]:
        """All of them, shape (count,)."""
        return struct.unpack_from(f"<{self.count}{self.code}", self.buffer, self.start)


Value = int | float | str | Texts | Numbers


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where a tensor lies. kind: ggml's type number. offset: bytes from the start of the data."""

    kind: int
    elements: int
    offset: int


@dataclass(frozen=True, slots=True)
class Header:
    """A header taken apart. end: its length in bytes, before the padding that the data follows."""

    version: int
    metadata: dict[str, Value]
    tensors: tuple[Tensor, ...]
    end: int


def parse(file: BinaryIO, path: Path, size: int) -> Header:
    """The header of an opened GGUF file of ``size`` bytes. ``path`` is for the sentences only.

    Raises:
        ModelFileError: it is no GGUF header, a damaged one, one of another version or byte order, or too large.
    """
    cursor = _Cursor(file, path, size)
    version = _version(cursor)
    tensor_count = cursor.count("tensors", _MAX_TENSORS)
    pair_count = cursor.count("metadata pairs", _MAX_PAIRS)
    metadata: dict[str, Value] = {}
    for _ in range(pair_count):
        key = cursor.text()
        if key in metadata:
            raise cursor.damaged(f"it gives the key {key[:80]!r} twice")
        metadata[key] = _value(cursor)
    tensors = tuple(_tensor(cursor) for _ in range(tensor_count))
    return Header(version, metadata, tensors, cursor.position)


class _Cursor:
    """A position in a file that is read in blocks, forward only, as far as the header goes."""

    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self.file = file
        self.path = path
        self.size = size
        self.buffer = bytearray()
        self.position = 0

    def damaged(self, what: str) -> ModelFileError:
        return ModelFileError(f"{self.path} has a damaged GGUF header: {what}; pull or copy the file again")

    def number(self, layout: struct.Struct) -> int:
        self.skip(layout.size)
        value: int = layout.unpack_from(self.buffer, self.position - layout.size)[0]
        return value

    def count(self, what: str, most: int) -> int:
        given = self.number(_U64)
        if given > most:
            raise self.damaged(f"it announces {given} {what}, more than the {most} that any model has")
        return given

    def text(self) -> str:
        length = self.number(_U64)
        self.skip(length)
        return self.buffer[self.position - length : self.position].decode("utf-8", "replace")

    def texts(self, count: int) -> Texts:
        """Walks an array of texts. The loop is flat: a vocabulary has 10**5 of them, and its merges twice that."""
        starts, unpack, buffer = array("Q"), _U64.unpack_from, self.buffer
        append = starts.append
        position, filled = self.position, len(buffer)
        for _ in range(count):
            if position + 8 > filled:
                self._fill(position + 8)
                filled = len(buffer)
            start = position + 8
            append(start)
            position = start + unpack(buffer, position)[0]
        self.position = position
        self.skip(0)
        return Texts(buffer, starts)

    def skip(self, length: int) -> None:
        """Moves over ``length`` bytes, which are in the buffer afterwards."""
        self.position += length
        if self.position > len(self.buffer):
            self._fill(self.position)

    def _fill(self, end: int) -> None:
        """Reads on, so that the buffer holds the file's first ``end`` bytes."""
        if end <= self.size and end > MAX_HEADER:
            raise self.damaged(f"it has more than {MAX_HEADER} bytes")
        if end <= self.size:
            self.buffer += self.file.read(max(end - len(self.buffer), _BLOCK))
        if end > len(self.buffer):
            raise ModelFileError(
                f"{self.path} has {self.size} bytes, but its GGUF header alone needs at least {end}: it is truncated "
                "or damaged; pull or copy it again"
            )


def _version(cursor: _Cursor) -> int:
    cursor.skip(4)  # the magic, which the caller has checked
    version = cursor.number(_U32)
    if version in {2, 3}:
        return version
    if version in {2 << 24, 3 << 24}:
        raise ModelFileError(f"{cursor.path} is a big-endian GGUF file; take the little-endian one of the same model")
    mend = "convert the model again with a current llama.cpp" if version < 2 else "is it damaged, or newer than puna?"
    raise ModelFileError(f"{cursor.path} is GGUF version {version}, and versions 2 and 3 are understood; {mend}")


def _value(cursor: _Cursor) -> Value:
    kind = cursor.number(_U32)
    if kind == _TEXT:
        return cursor.text()
    if kind == _ARRAY:
        return _items(cursor)
    if kind in _NUMBERS:
        return cursor.number(struct.Struct(f"<{_NUMBERS[kind]}"))
    raise cursor.damaged(f"a value has the type {kind}, and types are 0 to 12")


def _items(cursor: _Cursor) -> Texts | Numbers:
    kind = cursor.number(_U32)
    count = cursor.number(_U64)
    if kind == _TEXT:
        if count * _U64.size > cursor.size:
            raise cursor.damaged(f"an array announces {count} texts, more than the file's {cursor.size} bytes can hold")
        return cursor.texts(count)
    if kind not in _NUMBERS:
        raise cursor.damaged(f"an array has items of the type {kind}, neither numbers nor texts")
    code = _NUMBERS[kind]
    start = cursor.position
    cursor.skip(count * struct.calcsize(f"<{code}"))
    return Numbers(cursor.buffer, start, count, code)


def _tensor(cursor: _Cursor) -> Tensor:
    cursor.text()  # its name
    dimensions = cursor.number(_U32)
    if dimensions > _MAX_DIMENSIONS:
        raise cursor.damaged(f"a tensor has {dimensions} dimensions, and {_MAX_DIMENSIONS} are the most")
    elements = 1
    for _ in range(dimensions):
        elements *= cursor.number(_U64)
    return Tensor(kind=cursor.number(_U32), elements=elements, offset=cursor.number(_U64))
