"""The log files of engines under puna's home: one per process, the newest ten. Knows names of files, and nothing that is written."""

from __future__ import annotations

import os
from pathlib import Path

from puna.errors import InputError

KEPT = 10


def log_file(home: Path) -> Path:
    """The engine's log of this process; older ones beyond the newest ten go.

    Raises:
        InputError: nothing can be written there, as on a container's read-only disk.
    """
    folder = home / "logs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        logs = sorted(folder.glob("engine-*.log"), key=lambda log: log.stat().st_mtime)
        for old in logs[: -KEPT + 1]:
            old.unlink(missing_ok=True)
        log = folder / f"engine-{os.getpid()}.log"
        log.touch()
    except OSError as error:
        raise InputError(
            f"cannot write in {folder}: {error.strerror or error}; name a folder that can be written to in PUNA_HOME"
        ) from error
    return log
