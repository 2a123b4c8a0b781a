"""What every way of fetching shares: progress, room on the disk, writing, checksums. Knows bytes, not where from."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from puna.errors import ModelFileError

BLOCK = 1 << 20
"""Bytes read or written at once."""

_MARGIN = 32 << 20
"""Bytes that stay free: a disk filled to the last byte fails other programs first."""

_FULL = {errno.ENOSPC, errno.EDQUOT}


class Phase(StrEnum):
    """What a pull is doing."""

    WAITING = "waiting"
    """Another pull of the same model is at work; this one waits for its result."""
    FETCHING = "fetching"
    UNPACKING = "unpacking"
    VERIFYING = "verifying"
    PRESENT = "present"
    """Nothing was to do: the file was here, whole and verified."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pull is. done: bytes, those of an earlier, interrupted pull included. total: bytes, None if unknown."""

    phase: Phase
    done: int = 0
    total: int | None = None


Report = Callable[[Progress], None]
"""Called from the pull's own thread, often (per megabyte); it must be quick. What it raises ends the pull."""


def check_room(folder: Path, needed: int) -> None:
    """Refuses to begin what cannot end. needed: bytes still to be written below ``folder``.

    Raises:
        ModelFileError: fewer bytes than that, and a margin, are free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + _MARGIN:
        raise ModelFileError(
            f"the disk of {folder} has {free} bytes free, and {needed} more are needed, with {_MARGIN} to spare: make "
            "room (`puna models rm NAME` removes a model), or set PUNA_HOME to a folder on a larger disk"
        )


def append(path: Path, blocks: Iterable[bytes], *, phase: Phase, total: int | None, report: Report) -> None:
    """Writes blocks at the end of a file, telling after each how far it is.

    Raises:
        ModelFileError: the disk is full; what was written stays, for a next pull to go on from.
    """
    try:
        with path.open("ab") as file:
            done = file.tell()
            for block in blocks:
                file.write(block)
                done += len(block)
                report(Progress(phase, done, total))
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise ModelFileError(
            f"the disk of {path.parent} became full; make room, or set PUNA_HOME to a folder on a larger disk, then "
            "pull the model again"
        ) from error


def sha256_of(path: Path, report: Report) -> str:
    """The file's sha256, in hexadecimal."""
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            report(Progress(Phase.VERIFYING, done, total))
    return digest.hexdigest()
