"""A store's SQLite file: opened, checked, its transactions, and what fails as sentences. Knows no run and no table.

The file is never opened by other means than SQLite's: closing any descriptor of it would drop the locks that SQLite holds in this
process (https://sqlite.org/howtocorrupt.html, 2.2).
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from puna.errors import InputError, PunaError
from puna.experiments import migrations

BUSY_SECONDS = 30.0
"""Longest wait for another process's transaction; each of ours takes milliseconds."""

_LOGGED = 100
"""Transactions between two times that the log is folded into the file: some megabytes."""


class StoreError(PunaError):
    """The store's file or its disk fails; what was stored before is kept."""


class Database:
    """A connection that threads may share. path: the file. writable: False where only reading is possible."""

    def __init__(self, path: Path, connection: sqlite3.Connection, *, writable: bool) -> None:
        self.path = path
        self.writable = writable
        self._connection = connection
        self._alone = threading.RLock()
        self._logged = 0

    @classmethod
    def open(cls, path: Path, *, create: bool) -> Database:
        """Open a store; where there is none, make it if ``create`` says so.

        Raises:
            InputError: no file, no store of puna's, one of a newer version, a folder that cannot be written.
            StoreError: the disk or the file fails.
        """
        _check_place(path, create=create)
        with told(path):
            connection, writable = _connected(path, create=create)
            try:
                _prepare(connection, path, create=create, writable=writable)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection, writable=writable)

    def close(self) -> None:
        """Close the file. The last process that does so folds the write-ahead log into it."""
        with self._alone, told(self.path):
            self._connection.close()

    def check_writable(self) -> None:
        """Nothing, where the store can be written.

        Raises:
            InputError: it can only be read.
        """
        if not self.writable:
            raise _unwritable(self.path)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is on the disk when it ends, or has done nothing where it fails."""
        self.check_writable()
        with self._alone:
            with self._transaction("BEGIN IMMEDIATE") as connection:
                yield connection
            self._fold()

    def shrink(self) -> None:
        """Give the disk back what was freed."""
        with self._alone, told(self.path):
            self._connection.executescript(
                "PRAGMA incremental_vacuum"
            )  # a step for each page, of which ``execute`` does one

    def _fold(self) -> None:
        """Fold the write-ahead log into the file, now and then.

        Not by SQLite's own ``wal_autocheckpoint``, which does so while others write: before version 3.51.3 that could, very rarely,
        damage the file (https://sqlite.org/wal.html#walresetbug). FULL lets nobody write meanwhile.
        """
        self._logged += 1
        if self._logged >= _LOGGED:
            self._logged = 0
            with told(self.path):
                self._connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A view of the store at one moment, whatever others write meanwhile."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._alone, told(self.path):
            connection = self._connection
            connection.execute(begin)
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # SQLite itself has rolled back after some errors, as a full disk
                    connection.execute("ROLLBACK")
                raise


def bound(values: Sequence[object]) -> list[object]:
    """Values as SQLite takes them: a text that is no UTF-8 (a lone surrogate, as a broken server may send) as its bytes."""
    return [_bytes_of(value) if isinstance(value, str) else value for value in values]


def text_of(value: object) -> str:
    """A text as it was bound."""
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else str(value)


def _bytes_of(text: str) -> str | bytes:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What SQLite refuses, in a sentence."""
    try:
        yield
    except sqlite3.Error as error:
        raise _sentence(path, error) from error


def _sentence(path: Path, error: sqlite3.Error) -> PunaError:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return StoreError(f"the store {path} cannot be used: {error}")
    match code & 0xFF:  # the rest of the number says more than a user can use
        case sqlite3.SQLITE_NOTADB:
            return InputError(f"{path} is not a store of puna: it is no SQLite file; name another file")
        case sqlite3.SQLITE_FULL:
            return StoreError(f"no room is left on the disk of {path}; what was stored until now is kept: make room, then do the same again (a sweep: with --resume)")  # fmt: skip
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreError(f"another process has been writing to {path} for {BUSY_SECONDS:g} s; go on once it is done, or use another store")  # fmt: skip
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN:
            return _unwritable(path)
        case sqlite3.SQLITE_CORRUPT:
            return StoreError(f"the store {path} is damaged ({error}); keep a copy, and save what is readable with: sqlite3 {path} .recover")  # fmt: skip
        case sqlite3.SQLITE_IOERR:
            return StoreError(f"the disk of {path} fails ({error}); what was stored until now is kept: make room or mend it, then do the same again (a sweep: with --resume)")  # fmt: skip
    return StoreError(f"the store {path} cannot be used: {error}")


def _check_place(path: Path, *, create: bool) -> None:
    try:
        if path.is_dir():
            raise InputError(f"a store is a file, but {path} is a folder; name a file in it, as {path / 'runs.db'}")
        if not create and not path.exists():
            raise InputError(
                f"there is no store {path}; `puna sweep FILE --store {path}` makes one, or name another file"
            )
        if not path.parent.is_dir():
            raise InputError(
                f"the folder {path.parent} of the store does not exist; make it first, or name another file"
            )
    except OSError as error:
        raise InputError(
            f"the store {path} cannot be looked at: {error.strerror or error}; name another file"
        ) from None


def _connected(path: Path, *, create: bool) -> tuple[sqlite3.Connection, bool]:
    """A connection, and whether it can write.

    Raises:
        InputError: it cannot, but is to make a store or go on with one.
    """
    exists = path.exists()
    if os.access(path.parent, os.W_OK) and (not exists or os.access(path, os.W_OK)):
        empty = not exists or not path.stat().st_size
        connection = _connect(path, "mode=rwc" if create else "mode=rw")
        if empty:
            connection.execute(
                "PRAGMA auto_vacuum = INCREMENTAL"
            )  # cannot be chosen later; where there is a store, it would write
        return connection, True
    if create:
        raise _unwritable(path)
    # SQLite would make a -shm file, also for reading, unless it is told that nobody writes: nobody does where there is no log.
    written = path.with_name(f"{path.name}-wal").exists()
    return _connect(path, "mode=ro" if written else "mode=ro&immutable=1"), False


def _unwritable(path: Path) -> InputError:
    return InputError(
        f"the store {path} cannot be opened for writing; make its file and folder writable, or name another file"
    )


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,  # transactions begin and end where this file says so
        check_same_thread=False,  # ``Database._alone`` sees to it
    )


def _prepare(connection: sqlite3.Connection, path: Path, *, create: bool, writable: bool) -> None:
    version, empty = _facts(connection, path)
    if version > len(migrations.STEPS):
        raise InputError(
            f"the store {path} was written by a newer puna: it has version {version}, and this puna knows those up to "
            f"{len(migrations.STEPS)}; upgrade puna with `pip install -U puna`, or name another file"
        )
    if empty and not create:
        raise InputError(f"{path} is empty and holds no run; `puna sweep FILE --store {path}` makes one")
    if writable:
        _log_ahead(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA foreign_keys = ON")
    if version < len(migrations.STEPS):
        if not writable:
            raise InputError(f"the store {path} is of an older version and cannot be written here; copy it, then open the copy")  # fmt: skip
        migrations.migrate(connection)


def _facts(connection: sqlite3.Connection, path: Path) -> tuple[int, bool]:
    """A store's version, and whether there is nothing in it.

    Raises:
        InputError: it is another program's.
    """
    connection.execute("BEGIN")  # all three at one moment
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    connection.execute("COMMIT")
    if application != migrations.APPLICATION and (tables or version or application):
        raise InputError(f"{path} is not a store of puna, but another program's SQLite file; name another file")
    return version, not tables


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Write-ahead logging: readers and the writer do not wait for each other. The file remembers it."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            with closing(connection.execute("PRAGMA journal_mode = WAL")) as answer:
                answer.fetchone()
        except sqlite3.OperationalError as error:
            # SQLite does not wait here, as two processes that wait for each other could wait for ever.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return
