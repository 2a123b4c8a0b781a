"""Sessions on disk, one file each. Knows files; what a session is ``session`` says. Every method blocks.

``FOLDER/ID.json`` is written whole under another name, flushed to the disk and moved into place, so that after a crash at any moment
the old file or the new one is there. A lock on the folder keeps writers apart, also those of several servers.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from puna.errors import InputError, PunaError
from puna.sessions.session import ID, MAX_NUMBER, Session, check, check_id, texts_of, turns_of
from puna.wire import strictjson

MAX_SESSION = 8 * 1024 * 1024
"""Bytes of a session's file."""

WAIT_SECONDS = 10
"""How long a writer waits for another one, which takes a fraction of a second."""

_LOCK = ".lock"
_UNFINISHED = ".unfinished"

Rows = list[dict[str, Any]]
"""Named here, since in the class ``list`` is a method."""


class SessionNotFoundError(InputError):
    """There is no session of that id."""

    status = 404
    code = "ResourceNotFound"


class SessionTooLargeError(InputError):
    """A session exceeds MAX_SESSION."""

    status = 413


class SessionDamagedError(PunaError):
    """A session's file does not hold a session."""


class SessionStoreError(PunaError):
    """The folder of sessions cannot be read or written."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the list shows of a file as it was. stamp: tells whether the file is still the same."""

    stamp: tuple[int, int, int]
    row: dict[str, Any]
    revision: int


class Sessions:
    """The sessions in a folder, which is made when the first one is saved."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, _Known] = {}

    def list(self, query: str = "") -> Rows:
        """``{id, title, changed, turns}`` of every session, newest first; a file that is damaged is left out.

        query: only sessions with this text in their title or in anything written in them, in any version; case does not
        count. changed: when it was saved, in UTC, by ISO 8601. turns: user messages on the path to the leaf.
        """
        wanted = query.casefold().strip()
        found: list[_Known] = []
        for path in self._files():
            with suppress(SessionNotFoundError, SessionDamagedError):
                if not wanted or any(wanted in text.casefold() for text in texts_of(self._read(path))):
                    found.append(self._look(path))
        return [dict(known.row) for known in sorted(found, key=_newest_first)]

    def get(self, id: str) -> Session:  # noqa: A002  # as the wire has it
        """A session, with the revision under which it was saved.

        Raises:
            InputError: no id. SessionNotFoundError: no such session. SessionDamagedError: its file cannot be read.
        """
        return self._read(self._path(id))

    def put(self, id: str, value: object) -> dict[str, Any]:  # noqa: A002
        """Save a session; gives its new ``revision``, and ``overwrote``: whether another had saved since it was loaded.

        value: the session, whose ``revision`` is the one that was loaded, 0 for a new one. The later save wins.

        Raises:
            InputError: no id, or no session. SessionTooLargeError: more than MAX_SESSION. SessionStoreError: the disk refuses.
        """
        path, session = self._path(id), check(value)
        if session["id"] != id:
            raise InputError(
                f"the session's id is {session['id']}, but it was to be saved as {id}; let both be the same"
            )
        with self._disk(), self._alone():
            before = self._revision(path)
            revision = min(max(before or 0, 0) + 1, MAX_NUMBER)
            self._write(path, _data_of({**session, "revision": revision}))
        return {"revision": revision, "overwrote": before is not None and before != session["revision"]}

    def delete(self, id: str) -> None:  # noqa: A002
        """Remove a session, if it is there.

        Raises:
            InputError: no id. SessionStoreError: the disk refuses.
        """
        path = self._path(id)
        if self.folder.is_dir():
            with self._disk(), self._alone():
                path.unlink(missing_ok=True)
                self._known.pop(id, None)

    def _path(self, given: object) -> Path:
        return self.folder / f"{check_id(given)}.json"

    def _files(self) -> Iterator[Path]:
        with self._disk():
            names = os.listdir(self.folder) if self.folder.exists() else []  # noqa: PTH208  # ``glob`` hides what fails
        for name in names:
            if name.endswith(".json") and ID.fullmatch(name.removesuffix(".json")):
                yield self.folder / name

    def _look(self, path: Path) -> _Known:
        """What the list shows; the file is read only where it has changed since it was looked at."""
        with self._opened(path) as file:
            found = os.fstat(file.fileno())
        known, stamp = self._known.get(path.stem), (found.st_mtime_ns, found.st_size, found.st_ino)
        if known is None or known.stamp != stamp:
            session = self._read(path)
            changed = datetime.fromtimestamp(found.st_mtime, UTC).isoformat(timespec="milliseconds")
            row = {"id": path.stem, "title": session["title"], "changed": changed, "turns": turns_of(session)}
            known = self._known[path.stem] = _Known(stamp, row, session["revision"])
        return known

    def _revision(self, path: Path) -> int | None:
        """Of the file as it is: None where there is none, -1 where it is damaged, which is nobody's revision."""
        try:
            return self._look(path).revision
        except SessionNotFoundError:
            return None
        except SessionDamagedError:
            return -1

    def _read(self, path: Path) -> Session:
        with self._opened(path) as file:
            try:
                session = check(strictjson.loads(file.read(MAX_SESSION + 1)))
            except (ValueError, InputError) as error:
                raise _damaged(path, str(error)) from None
        if session["id"] != path.stem:
            raise _damaged(path, f"it is the session {session['id']}")
        return session

    @contextmanager
    def _opened(self, path: Path) -> Iterator[BinaryIO]:
        """A file for reading, which must be a plain one: a link may lead out of the folder, and a pipe may never answer."""
        if path.is_symlink():
            raise _damaged(path, "it is a link")
        try:
            opened = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        except FileNotFoundError:
            raise SessionNotFoundError(f"there is no session {path.stem}; it may have been deleted") from None
        except OSError as error:
            raise _damaged(path, error.strerror or str(error)) from None
        try:
            found = os.fstat(opened)
            if not stat.S_ISREG(found.st_mode):
                raise _damaged(path, "it is no plain file")
            if found.st_size > MAX_SESSION:
                raise _damaged(path, f"it has more than {MAX_SESSION} bytes")
            with os.fdopen(opened, "rb", closefd=False) as file:
                yield file
        finally:
            os.close(opened)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other writer is in the folder, so an unfinished file there is one that a crash has left."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / _LOCK, timeout=WAIT_SECONDS):
                yield
        except Timeout:
            raise SessionStoreError(
                f"another process has been writing to {self.folder} for {WAIT_SECONDS} s; save again once it is done"
            ) from None

    def _write(self, path: Path, data: bytes) -> None:
        unfinished = self.folder / _UNFINISHED
        unfinished.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)  # noqa: PTH105  # one atomic step, over an older file too
        finally:
            unfinished.unlink(missing_ok=True)
        if os.name == "posix":  # elsewhere a folder cannot be opened
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """What the disk refuses, in a sentence."""
        try:
            yield
        except OSError as error:
            raise SessionStoreError(
                f"sessions are kept in {self.folder}, which fails: {error.strerror or error}; free or mend it, then save again"
            ) from error


def _newest_first(known: _Known) -> tuple[int, str]:
    return -known.stamp[0], known.row["id"]


def _damaged(path: Path, why: str) -> SessionDamagedError:
    return SessionDamagedError(f"the file {path} does not hold a session: {why}; mend or remove it")


def _data_of(session: Session) -> bytes:
    data = json.dumps(session, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
    if len(data) > MAX_SESSION:
        raise SessionTooLargeError(
            f"a session may have {MAX_SESSION} bytes, but this one has {len(data)}; delete versions, or begin a new session"
        )
    return data
