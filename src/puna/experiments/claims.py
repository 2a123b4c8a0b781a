"""Which process is writing a run: a lock file beside the store for as long as it does. Knows files; no run's contents.

The operating system lets go of a lock when its process ends, however it ends, so a run whose lock is free has nobody writing it.
"""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

_PATIENCE = 1.0
"""Seconds: who looks whether a run is claimed holds its lock for an instant."""


def path_of(store: Path, run: str) -> Path:
    """The lock file of a run."""
    return store.with_name(f"{store.name}.{run}.lock")


def take(path: Path) -> FileLock:
    """Hold a lock file until ``let_go``.

    Raises:
        Timeout: another one holds it. OSError: it cannot be made.
    """
    lock = FileLock(path, timeout=_PATIENCE)
    lock.acquire()
    return lock


def let_go(lock: FileLock) -> None:
    """Release a lock file, and remove it."""
    _remove(Path(lock.lock_file))
    lock.release()


def is_claimed(path: Path) -> bool:
    """Whether somebody holds a lock file. One that a killed process left is removed."""
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            _remove(path)
    except Timeout:
        return True
    except (
        OSError
    ):  # it cannot be written: of another user, or on a disk for reading, where no lock can be left behind by us
        return path.exists()
    return False


def this_process() -> str:
    """How errors name the process that holds a run."""
    return f"process {os.getpid()} on {platform.node() or 'this machine'}"


def _remove(path: Path) -> None:
    """While the lock is held, so that nobody can have opened a file that is then gone. Windows removes no open file: it stays."""
    with suppress(OSError):
        path.unlink()
