"""Documents that can be searched: passages of files and folders, ranked by BM25 and, where wished, by meaning too. Knows no model.

An index is made once and kept; when it is opened again, only files that have changed are read, and only their words are looked for.
Whether one has changed, its size and times tell; where they differ, its bytes do.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path, PurePath

import numpy as np

from puna.context.passages import passages
from puna.context.pieces import Piece
from puna.errors import InputError
from puna.retrieval import dense as by_meaning
from puna.retrieval import shelf
from puna.retrieval.folder import File, Skipped, Stamp, look, named, read, text_of
from puna.retrieval.ranking import Ranking, best, fused
from puna.retrieval.shelf import Contents, Known, Passages

CANDIDATES = 50
"""Passages of each ranking that are fused."""

HEADING_WEIGHT = 3
"""How often the words of a passage's own heading count, as of a field that weighs more (Robertson, Zaragoza and Taylor 2004,
https://doi.org/10.1145/1031171.1031181). ``benchmarks/retrieval.py`` measures it on puna's own pages."""

YOUNG = 2_000_000_000
"""Nanoseconds: the coarsest times that file systems keep (FAT's)."""

TELL_SECONDS = 10
"""How often it is told how many files have been looked at, where that takes longer."""

Tell = Callable[[str], None]


def _quiet(_: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that answers to a question. score: of BM25, or of the fusion; higher is better, and only within one search."""

    piece: Piece
    score: float


class Documents:
    """Passages that can be searched. ``skipped``: the files that were left out, and why; ``len()``: passages."""

    def __init__(self, contents: Contents, sources: Sequence[str], skipped: tuple[Skipped, ...]) -> None:
        self.skipped = skipped
        self._contents = contents
        self._sources = sources
        self._ends = np.cumsum([known.count for known in contents.files])

    @classmethod
    def open(
        cls,
        paths: Path | str | Iterable[Path | str],
        *,
        folder: Path | None = None,
        dense: bool = False,
        tell: Tell = _quiet,
    ) -> Documents:
        """The documents in files and folders, indexed where that was not done yet or they have changed since.

        folder: where indexes are kept, each in a folder of its own; None keeps none, and reads everything. dense: rank by meaning too,
        which wants wordllama. tell: gets a line about what takes time.

        Raises:
            InputError: no such file or folder, or wordllama is missing. IndexStoreError: the disk refuses.
        """
        given = named([paths] if isinstance(paths, str | PurePath) else paths)
        if folder is None:
            files, skipped = look(given)
            reading = _Reading(files, None, tell)
            return cls._made(reading.contents(dense=dense), files, (*skipped, *reading.skipped))
        reals = sorted(os.path.realpath(path) for path in given)
        key = json.dumps([reals, dense]).encode()
        place = folder / hashlib.sha256(key).hexdigest()[:16]
        with shelf.alone(place, tell):
            try:
                old = shelf.load(place)
            except shelf.DamagedIndexError as error:
                tell(f"{error}; it is made anew")
                old = None
            files, skipped = look(given)
            reading = _Reading(files, old, tell)
            contents = reading.contents(dense=dense)
            if old is None or contents.passages is not old.passages:
                shelf.save(place, contents)
            elif contents.files != old.files:
                shelf.save_files(place, contents.files)
        return cls._made(contents, files, (*skipped, *reading.skipped))

    @classmethod
    def of(cls, pieces: Iterable[Piece | str], *, dense: bool = False) -> Documents:
        """Passages that are there already, in memory; a text is one.

        Raises:
            InputError: none of them is a text or a piece, or wordllama is missing.
        """
        given = tuple(Piece(piece) if isinstance(piece, str) else piece for piece in pieces)
        if wrong := next((piece for piece in given if not isinstance(piece, Piece)), None):
            raise InputError(f"documents must be texts or pieces, not {type(wrong).__name__}")
        files = tuple(Known(piece.source, "text", _NO_STAMP, "", 1) for piece in given)
        sources = [piece.source for piece in given]
        lines = Passages.of([shelf.line_of(piece) for piece in given])
        return cls(_ranked(files, lines, sources, dense=dense, old=None, kept={}), sources, ())

    @classmethod
    def _made(cls, contents: Contents, files: Sequence[File], skipped: tuple[Skipped, ...]) -> Documents:
        shown = {file.path: file.shown for file in files}
        sources = [shown[known.path] for known in contents.files]
        unread = [Skipped(shown[known.path], known.why) for known in contents.files if known.why is not None]
        return cls(contents, sources, tuple(sorted((*skipped, *unread), key=lambda entry: entry.path)))

    @property
    def files(self) -> int:
        """How many files the passages are of."""
        return sum(known.count > 0 for known in self._contents.files)

    @property
    def dense(self) -> bool:
        """Whether passages are ranked by meaning too."""
        return self._contents.vectors is not None

    def __len__(self) -> int:
        return len(self._contents.passages)

    def __repr__(self) -> str:
        return f"<Documents: {len(self)} passages of {self.files} files, {len(self.skipped)} skipped>"

    def search(self, question: str, n: int = 8) -> tuple[Found, ...]:
        """The passages that answer to a question, best first, ``n`` at most; none where none does. Of the same text, one only.

        Raises:
            InputError: ``n`` is below 1.
        """
        if n < 1:
            raise InputError(f"n must be 1 passage or more, not {n}")
        found: dict[str, Found] = {}
        for number, score in self._ranked(question, max(2 * n, CANDIDATES)):
            piece = self.piece(number)
            found.setdefault(piece.text, Found(piece, score))
            if len(found) == n:
                break
        return tuple(found.values())

    def piece(self, n: int) -> Piece:
        """The n-th passage, from 0, in the order of the files."""
        file = int(np.searchsorted(self._ends, n, side="right"))
        return replace(self._contents.passages.piece(n), source=self._sources[file])

    def _ranked(self, question: str, n: int) -> list[tuple[int, float]]:
        """Numbers and scores of passages, best first."""
        scores = self._contents.ranking.scores(question)
        by_words = [] if scores is None else best(scores, n)
        if self._contents.vectors is None or not len(self):
            return [(number, float(scores[number])) for number in by_words] if scores is not None else []
        near = best(by_meaning.cosines(self._contents.vectors, question), n, by_meaning.FLOOR)
        return list(fused(by_words, near).items())


_NO_STAMP = Stamp(0, 0, 0)


class _Reading:
    """What an index is made of: the files as they are, and what is known of them from the last time.

    skipped: files that cannot be read for now, which nothing is remembered of.
    """

    def __init__(self, files: Sequence[File], old: Contents | None, tell: Tell) -> None:
        self.skipped: list[Skipped] = []
        self._files = files
        self._old = old
        self._tell = tell
        self._known: dict[str, tuple[Known, int]] = {}
        at = 0
        for known in () if old is None else old.files:
            self._known[known.path] = known, at
            at += known.count

    def contents(self, *, dense: bool) -> Contents:
        """The index: the old one, where no passage has changed."""
        changed = sum(
            file.path not in self._known or self._known[file.path][0].stamp != file.stamp for file in self._files
        )
        if changed:
            what = "new or changed" if self._old else "for the first time"
            self._tell(f"reading {_number(changed, 'file')} {what}")
        began = time.monotonic()
        entries, lines, kept = self._read()
        old = self._old
        if (
            old is not None
            and len(kept) == len(lines) == len(old.passages)
            and [entry.path for entry in entries] == [known.path for known in old.files]
        ):
            return replace(old, files=tuple(entries))
        shown = [file.shown for file in self._shown(entries)]
        contents = _ranked(tuple(entries), Passages.of(lines), shown, dense=dense, old=old, kept=kept)
        took = time.monotonic() - began
        self._tell(f"{_number(len(lines), 'passage')} of {_number(len(entries), 'file')} indexed in {took:.1f} s")
        return contents

    def _read(self) -> tuple[list[Known], list[bytes], dict[int, int]]:
        """The files that can be read, their passages as they are kept and, of those that the old index has, their numbers there."""
        entries: list[Known] = []
        lines: list[bytes] = []
        kept: dict[int, int] = {}
        told = time.monotonic()
        for n, file in enumerate(self._files):
            if time.monotonic() - told >= TELL_SECONDS:
                told = time.monotonic()
                self._tell(f"{n:,} of {_number(len(self._files), 'file')} looked at")
            known, made = self._entry(file)
            if known is None:
                continue
            entries.append(known)
            if made is None and self._old is not None:
                at = self._known[known.path][1]
                kept |= zip(count(len(lines)), range(at, at + known.count), strict=False)
                made = [self._old.passages.line(number) for number in range(at, at + known.count)]
            lines += made or []
        return entries, lines, kept

    def _shown(self, entries: Iterable[Known]) -> list[File]:
        files = {file.path: file for file in self._files}
        return [files[entry.path] for entry in entries]

    def _unchanged(self, file: File) -> bool:
        known = self._known.get(file.path)
        return known is not None and (known[0].stamp, known[0].kind, known[0].young) == (file.stamp, file.kind, False)

    def _entry(self, file: File) -> tuple[Known | None, list[bytes] | None]:
        """What is known of a file now, and its passages where they are not those of the last time."""
        known = self._known.get(file.path)
        if known is not None and self._unchanged(file):
            return known[0], None
        now = time.time_ns()
        found = read(file)
        if isinstance(found, Skipped):
            self.skipped.append(found)
            return None, None
        data, stamp = found
        digest, young = hashlib.sha256(data).hexdigest(), now - max(stamp.modified, stamp.changed) < YOUNG
        if known is not None and (known[0].digest, known[0].kind) == (digest, file.kind):
            return replace(known[0], stamp=stamp, young=young), None
        text = text_of(file, data)
        why = text.why if isinstance(text, Skipped) else None
        made = [] if isinstance(text, Skipped) else [shelf.line_of(piece) for piece in passages(text, kind=file.kind)]
        return Known(file.path, file.kind, stamp, digest, len(made), why, young), made


def _ranked(
    files: tuple[Known, ...],
    passages: Passages,
    sources: Sequence[str],
    *,
    dense: bool,
    old: Contents | None,
    kept: Mapping[int, int],
) -> Contents:
    """The passages with their rankings. sources: of each file, as a person finds it.

    kept: of passages that the old index has, the numbers that they have there: their words are not looked for again.
    """
    names = [PurePath(source).stem for source in sources]
    named_by = [name for name, known in zip(names, files, strict=True) for _ in range(known.count)]
    texts = [kept[n] if n in kept else _searched(name, passages.piece(n)) for n, name in enumerate(named_by)]
    before = None if old is None else old.vectors
    vectors = by_meaning.vectors(texts, before) if dense else None
    return Contents(files, passages, Ranking.of(texts, None if old is None else old.ranking), vectors)


def _searched(name: str, piece: Piece) -> str:
    """What a passage is found by: the name of its file, its headings, its text."""
    return "\n".join((name, *piece.heading[:-1], *piece.heading[-1:] * HEADING_WEIGHT, piece.text))


def _number(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"
