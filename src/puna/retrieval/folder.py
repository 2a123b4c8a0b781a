"""Files and folders of text: which of them can be read, what they say, and why the others were left out. Knows no passage and no index.

In a folder, text, Markdown and HTML files are read, by the ends of their names; a file that is named itself is read whatever its name
ends in. Nothing is followed that leads out of what was named: a link inside a folder is told, and left alone, so that no text comes from
where nobody pointed at, and no circle of links has an end to wait for.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from puna.errors import InputError

Kind = Literal["text", "markdown", "html"]

KINDS: dict[str, Kind] = {
    ".txt": "text",
    ".text": "text",
    ".rst": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
}
"""What a file is read as, by the end of its name."""

MAX_FILE = 8 * 1024 * 1024
"""Bytes of a file; more is a log or a data set rather than something that was written to be read."""

OTHER_KIND = f"not one of {' '.join(KINDS)}"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file, folder or link that was left out. path: as a person finds it. why: a few words, the same for the same reason."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells a changed file from one that is as it was: bytes, and times in nanoseconds."""

    size: int
    modified: int
    changed: int


@dataclass(frozen=True, slots=True)
class File:
    """A file that can be looked into. path: its real one. shown: as a person finds it, from what was named."""

    path: str
    shown: str
    kind: Kind
    stamp: Stamp


def named(paths: Iterable[Path | str]) -> tuple[Path, ...]:
    """The paths as they were given, each once.

    Raises:
        InputError: none was given, an empty one, or one that is not there.
    """
    paths = tuple(paths)
    if "" in paths:  # which a shell makes of a variable that is not set, and which would be the current folder
        raise InputError(
            "documents must be files or folders, but the path is empty; name one, or . for the current folder"
        )
    given = tuple(dict.fromkeys(Path(path) for path in paths))
    if not given:
        raise InputError("documents must be at least one file or folder, but none was named")
    for path in given:
        try:
            path.stat()
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            why = getattr(error, "strerror", None) or error
            raise InputError(f"documents must be files or folders that can be read, but {path}: {why}") from error
    return given


def look(paths: Sequence[Path]) -> tuple[tuple[File, ...], tuple[Skipped, ...]]:
    """The files in what was named, each once and in the order of their names, and what was left out. Reads no file."""
    files: dict[str, File] = {}
    skipped: dict[str, Skipped] = {}
    for path in paths:
        for found in _in(path):
            if isinstance(found, Skipped):
                skipped.setdefault(found.path, found)
            else:
                files.setdefault(found.path, found)
    return tuple(files.values()), tuple(skipped.values())


def read(file: File) -> tuple[bytes, Stamp] | Skipped:
    """The bytes of a file with the stamp that they had, or why they are not read."""
    try:
        # A pipe that has taken the file's place would be waited for.
        opened = os.open(file.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(opened, "rb") as stream:
            found = os.fstat(opened)
            if not stat.S_ISREG(found.st_mode):
                return Skipped(file.shown, "no plain file")
            data = stream.read(MAX_FILE + 1)
    except OSError as error:
        return Skipped(file.shown, f"cannot be read: {error.strerror or error}")
    return Skipped(file.shown, _TOO_LARGE) if len(data) > MAX_FILE else (data, _stamp(found))


def text_of(file: File, data: bytes) -> str | Skipped:
    """What the bytes of a file say, or why that cannot be told."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in data:
        return Skipped(file.shown, "binary, not text")
    declared = _DECLARED.search(data[:_DECLARED_WITHIN]) if file.kind == "html" else None
    for name in (encoding, *([] if declared is None else [_as_browsers(declared[1])])):
        try:
            return data.decode(name)
        except (UnicodeError, LookupError):
            continue
    return Skipped(file.shown, "not UTF-8" if encoding == "utf-8" else f"not the {encoding.upper()} that it begins as")


def _as_browsers(name: bytes) -> str:
    """The encoding that browsers take for one that a page declares."""
    found = name.decode("ascii").lower().replace("_", "-")
    return "cp1252" if found in _LATIN or found in _NO_PAGES else found


def readable(name: str) -> str:
    """The name of a file as text that UTF-8 can carry: bytes that are none stand as escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""What a file begins with that says its encoding; that of UTF-32 before that of UTF-16, which it begins with."""
_DECLARED = re.compile(
    rb"(?:<meta\b[^>]*?\bcharset|<\?xml\b[^>]*?\bencoding)\s*=\s*[\"']?\s*([A-Za-z0-9][\w.:-]*)", re.IGNORECASE
)
_DECLARED_WITHIN = 1024
"""Bytes in which a page must say its encoding: https://html.spec.whatwg.org/multipage/semantics.html#charset, seen 2026-11."""
_LATIN = frozenset({"ascii", "iso-8859-1", "iso8859-1", "latin-1", "latin1", "us-ascii", "windows-1252"})
"""Names of what Windows wrote: https://encoding.spec.whatwg.org/#names-and-labels, seen 2026-11."""
_NO_PAGES = frozenset({"idna", "punycode", "raw-unicode-escape", "unicode-escape", "utf-7", "utf7"})
"""What Python can decode besides, and no browser does; it can take time out of all proportion."""
_TOO_LARGE = f"larger than {MAX_FILE // 1024 // 1024} MiB"


def _in(path: Path) -> Iterator[File | Skipped]:
    real = os.path.realpath(path)
    if os.path.isdir(real):  # noqa: PTH112
        yield from _in_folder(real, path)
    else:
        yield _file(real, readable(str(path)), KINDS.get(path.suffix.lower(), "text"))


def _in_folder(real: str, path: Path) -> Iterator[File | Skipped]:
    """Everything below a folder; what a folder has itself comes before what its folders have."""
    waiting = deque([(real, "" if str(path) == "." else f"{path}{'' if str(path).endswith(os.sep) else os.sep}")])
    while waiting:
        folder, shown = waiting.popleft()
        try:
            with os.scandir(folder) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield Skipped(readable(shown), f"cannot be read: {error.strerror or error}")
            continue
        for entry in inside:
            name = readable(f"{shown}{entry.name}")
            if entry.name.startswith("."):
                yield Skipped(name, "hidden")
            elif entry.is_symlink():
                yield Skipped(name, "a link; name what it leads to")
            elif entry.is_dir(follow_symlinks=False):
                waiting.append((entry.path, f"{shown}{entry.name}{os.sep}"))
            elif (kind := KINDS.get(os.path.splitext(entry.name)[1].lower())) is None:  # noqa: PTH122
                yield Skipped(name, OTHER_KIND)
            else:
                yield _file(entry.path, name, kind)


def _file(real: str, shown: str, kind: Kind) -> File | Skipped:
    try:
        found = os.lstat(real)
    except OSError as error:
        return Skipped(shown, f"cannot be read: {error.strerror or error}")
    if not stat.S_ISREG(found.st_mode):
        return Skipped(shown, "no plain file")
    return File(real, shown, kind, _stamp(found)) if found.st_size <= MAX_FILE else Skipped(shown, _TOO_LARGE)


def _stamp(found: os.stat_result) -> Stamp:
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns)
