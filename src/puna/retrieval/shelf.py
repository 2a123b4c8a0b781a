"""An index of documents on disk: what it was made of, its passages, its rankings. Knows files; how they are made ``index`` says.

``FOLDER/index.json`` says what the index was made of, and names the folder beside it that has the rest. That folder is written whole and
flushed before the name is moved into place, and never changed, so that after a crash at any moment the old index or the new one is there.
Every byte is covered by a checksum: what a disk has damaged is found when it is opened, never answered from.
"""

from __future__ import annotations

import json
import mmap
import os
import secrets
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
from filelock import FileLock, Timeout

from puna.context.pieces import Piece
from puna.errors import PunaError
from puna.retrieval.dense import Vectors
from puna.retrieval.folder import Stamp
from puna.retrieval.ranking import Ranking

MADE_BY = f"puna 3, bm25s {bm25s.__version__}"
"""What an index was made by: another one is made anew. The number changes with words, passages and files."""

WAIT_SECONDS = 600
"""How long one process waits for another that indexes the same documents."""

_INDEX, _LOCK, _UNFINISHED = "index.json", ".lock", ".unfinished"
_PASSAGES, _PLACES, _VECTORS, _WORDS = "passages.jsonl", "places.npy", "vectors.npy", "words"


class DamagedIndexError(PunaError):
    """What the disk has is not the index that was written."""


class IndexStoreError(PunaError):
    """The folder of an index cannot be read or written."""


@dataclass(frozen=True, slots=True)
class Known:
    """A file as it was read. path: its real one. digest: SHA-256 of its bytes. count: passages. why: it was skipped because.

    young: it was changed so shortly before it was read that a later change may bear the same times.
    """

    path: str
    kind: str
    stamp: Stamp
    digest: str
    count: int
    why: str | None = None
    young: bool = False


class Passages:
    """The passages of an index, each a JSON line of which only those that are wanted are read. places: where each begins, (n + 1,)."""

    def __init__(self, lines: bytes | mmap.mmap, places: np.ndarray[Any, Any]) -> None:
        self._lines = lines
        self._places = places

    @classmethod
    def of(cls, lines: Sequence[bytes]) -> Passages:
        """In memory."""
        return cls(b"".join(lines), np.fromiter(accumulate(map(len, lines), initial=0), np.int64, len(lines) + 1))

    @classmethod
    def load(cls, folder: Path) -> Passages:
        """Of a folder. They stay readable when the folder is removed."""
        with (folder / _PASSAGES).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            lines = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        return cls(lines, np.load(folder / _PLACES))

    def save(self, folder: Path) -> None:
        """Into a folder."""
        (folder / _PASSAGES).write_bytes(self._lines)
        np.save(folder / _PLACES, self._places)

    def __len__(self) -> int:
        return len(self._places) - 1

    def line(self, n: int) -> bytes:
        """The n-th passage as it is kept."""
        return self._lines[self._places[n] : self._places[n + 1]]

    def piece(self, n: int) -> Piece:
        """The n-th passage; its source is left empty, for that depends on where it is looked for from."""
        return _piece(self.line(n))


def line_of(piece: Piece) -> bytes:
    """A passage as it is kept, without its source."""
    row = [piece.text, list(piece.heading), piece.start, piece.end, piece.line]
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + b"\n"


def _piece(line: bytes) -> Piece:
    text, heading, *place = json.loads(line)
    return Piece(text, "", tuple(heading), *place)


@dataclass(frozen=True, slots=True)
class Contents:
    """All that an index is."""

    files: tuple[Known, ...]
    passages: Passages
    ranking: Ranking
    vectors: Vectors | None


@contextmanager
def alone(folder: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """No other process is in the folder, which is made where it is missing. tell: gets a word where that takes time.

    Raises:
        IndexStoreError: the disk refuses, or another process does not end.
    """
    with _disk(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            tell("another process is indexing the same documents; waiting for it")
            try:
                lock.acquire(timeout=WAIT_SECONDS)
            except Timeout:
                raise IndexStoreError(
                    f"another process has been indexing the same documents for {WAIT_SECONDS} s; end it, or try again later"
                ) from None
        try:
            yield
        finally:
            lock.release()


def load(folder: Path) -> Contents | None:
    """The index in a folder; None where none was made, or by another version.

    Raises:
        DamagedIndexError: it cannot be read, or is not as it was written.
    """
    try:
        data = (folder / _INDEX).read_bytes()
    except FileNotFoundError:
        return None
    try:
        found = json.loads(data)
        if found["made_by"] != MADE_BY:
            return None
        inner = folder / found["folder"]
        if {name: _checksum(inner / name) for name in found["checksums"]} != found["checksums"]:
            raise DamagedIndexError(f"the index in {folder} is not as it was written")
        if zlib.crc32(json.dumps(found["files"]).encode()) != found["checksum"]:
            raise DamagedIndexError(f"{folder / _INDEX} is not as it was written")
        files = tuple(Known(**{**row, "stamp": Stamp(**row["stamp"])}) for row in found["files"])
        vectors = np.load(inner / _VECTORS) if _VECTORS in found["checksums"] else None
        return Contents(files, Passages.load(inner), Ranking.load(inner / _WORDS), vectors)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedIndexError(f"the index in {folder} cannot be read: {error}") from error


def save(folder: Path, contents: Contents) -> None:
    """Put an index in the place of the one that is there; called by ``alone``.

    Raises:
        IndexStoreError: the disk refuses.
    """
    inner = folder / secrets.token_hex(8)
    with _disk(folder):
        try:
            contents.ranking.save(inner / _WORDS)
            contents.passages.save(inner)
            if contents.vectors is not None:
                np.save(inner / _VECTORS, contents.vectors)
            written = sorted(path for path in inner.rglob("*") if path.is_file())
            for path in written:
                _flush(path)
            checksums = {path.relative_to(inner).as_posix(): _checksum(path) for path in written}
            _write_index(folder, inner.name, checksums, contents.files)
        except BaseException:
            shutil.rmtree(inner, ignore_errors=True)
            raise
        _remove_others(folder, inner.name)


def save_files(folder: Path, files: Iterable[Known]) -> None:
    """Say of the index that is there that these are the files that it was made of; called by ``alone``.

    Raises:
        IndexStoreError: the disk refuses.
    """
    with _disk(folder):
        found = json.loads((folder / _INDEX).read_bytes())
        _write_index(folder, found["folder"], found["checksums"], files)


def _write_index(folder: Path, inner: str, checksums: dict[str, int], files: Iterable[Known]) -> None:
    rows = [asdict(known) for known in files]
    checksum = zlib.crc32(json.dumps(rows).encode())
    index = {"made_by": MADE_BY, "folder": inner, "checksums": checksums, "checksum": checksum, "files": rows}
    unfinished = folder / f"{inner}{_UNFINISHED}"
    unfinished.write_text(json.dumps(index), encoding="utf-8")
    _flush(unfinished)
    unfinished.replace(folder / _INDEX)
    if os.name == "posix":  # elsewhere a folder cannot be opened
        _flush(folder)


def _remove_others(folder: Path, inner: str) -> None:
    """What earlier indexes and broken off ones have left. Where a reader holds them, as on Windows, they go the next time."""
    for path in folder.iterdir():
        if path.is_dir() and path.name != inner:
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix == _UNFINISHED:
            path.unlink(missing_ok=True)


def _checksum(path: Path) -> int:
    found = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found = zlib.crc32(block, found)
    return found


def _flush(path: Path) -> None:
    opened = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """What the disk refuses, in a sentence."""
    try:
        yield
    except OSError as error:
        why = error.strerror or f"it takes no more ({error})"  # so numpy tells what it could not write whole
        raise IndexStoreError(
            f"the index of documents is kept in {folder}, which fails: {why}; free or mend it, or name another "
            "place by PUNA_HOME"
        ) from error
