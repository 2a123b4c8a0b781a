"""Where model files live under puna's home. Knows paths and files; fetches nothing and reads no environment.

Layout: ``home/models/NAME.gguf`` for a catalogue name, ``home/models/hub/OWNER/REPO/FILE.gguf`` for a hub file. A file
under its final name was verified when it was written; beside it lie a ``.lock``, and a ``.part`` folder while it is pulled.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout

from puna.errors import InputError, unknown
from puna.models.catalog import CATALOG, HUB_PREFIX, Entry, Hub

_PREFERRED = "q4_k_m"
"""The quantisation that llama.cpp's own documentation recommends where there is a choice."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A model file in the store. name: what it can be called by. size: bytes."""

    name: str
    path: Path
    size: int


def folder(home: Path) -> Path:
    """The folder that holds every model file."""
    return home / "models"


def path_of(entry: Entry, home: Path) -> Path:
    """Where the entry's file is, or will be.

    Raises:
        InputError: a repository without a file, which only a pull (or what was pulled) can choose.
    """
    if isinstance(entry.source, Hub) and entry.name not in CATALOG:
        if entry.source.file is None:
            raise InputError(f"{entry.name} names no file; pull it first, or name one as {entry.name}:FILE.gguf")
        return folder(home) / "hub" / PurePosixPath(entry.source.repo) / PurePosixPath(entry.source.file)
    return folder(home) / f"{entry.name}.gguf"


def find(entry: Entry, home: Path) -> Path | None:
    """The entry's file if it has been pulled. For a repository without a file: the one that a pull would choose."""
    if isinstance(entry.source, Hub) and entry.source.file is None:
        root = folder(home) / "hub" / PurePosixPath(entry.source.repo)
        files = [path.relative_to(root).as_posix() for path in root.rglob("*.gguf") if path.is_file()]
        chosen = choose(files)
        return root / chosen if chosen else None
    path = path_of(entry, home)
    return path if path.is_file() else None


def choose(files: list[str]) -> str | None:
    """The GGUF file that is meant where none is named: the only one, or the only Q4_K_M; None where it is open."""
    models = [file for file in files if file.lower().endswith(".gguf")]
    preferred = [file for file in models if _PREFERRED in file.lower()]
    for candidates in (models, preferred):
        if len(candidates) == 1:
            return candidates[0]
    return None


def listing(home: Path) -> tuple[Stored, ...]:
    """Every model that has been pulled, by name."""
    root = folder(home)
    found = [(path.stem, path) for path in root.glob("*.gguf")]
    for path in (root / "hub").glob("*/*/**/*.gguf"):
        owner, repo, *file = path.relative_to(root / "hub").parts
        found.append((f"{HUB_PREFIX}{owner}/{repo}:{'/'.join(file)}", path))
    return tuple(Stored(name, path, path.stat().st_size) for name, path in sorted(found) if path.is_file())


def lock_of(path: Path) -> FileLock:
    """The lock that whoever writes or removes this model file holds."""
    return FileLock(path.with_name(f"{path.name}.lock"))


def work_of(path: Path) -> Path:
    """The folder in which a pull of this model file works, and leaves what the next one goes on from."""
    return path.with_name(f"{path.name}.part")


def remove(entry: Entry, home: Path) -> Path:
    """Removes a pulled model, and what an unfinished pull of it has left. Returns the path that is free now.

    Raises:
        InputError: not a model that was pulled, or just being pulled.
    """
    path = find(entry, home) or _begun(entry, home)
    if path is None:
        here = [model.name for model in listing(home)]
        raise InputError(
            unknown("pulled model", entry.name, here) if here else f"{entry.name} is not here: no model is"
        )
    try:
        with lock_of(path).acquire(timeout=0):
            path.unlink(missing_ok=True)
            if work_of(path).exists():
                shutil.rmtree(work_of(path))
    except Timeout:
        raise InputError(f"{entry.name} is just being pulled; wait for that, or interrupt it, then remove it") from None
    except OSError as error:
        raise InputError(
            f"cannot remove {path}: {error.strerror or error}; is it yours, and no program using it?"
        ) from error
    return path


def _begun(entry: Entry, home: Path) -> Path | None:
    """The path of a model of which there is only an unfinished pull."""
    if isinstance(entry.source, Hub) and entry.source.file is None:
        return None
    path = path_of(entry, home)
    return path if work_of(path).is_dir() else None
