"""The chat's sessions on disk: opened by one terminal at a time, saved at each turn, made whole after a crash. Knows files.

The folder is the playground's. A file of the shape that earlier releases wrote, {"messages": [...]}, is read and written anew.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from puna.dialog.history import History
from puna.errors import InputError, PunaError
from puna.messages import Role
from puna.sessions.session import ID, check
from puna.sessions.store import MAX_SESSION, SessionDamagedError, SessionNotFoundError, Sessions
from puna.terminal import journal as journals
from puna.terminal.journal import Cut, Journal
from puna.terminal.talk import Talk, of_messages, of_session
from puna.wire import strictjson

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

CUT = "the chat ended before this answer did"


class Keeper:
    """Keeps one conversation in a folder, or none until it has a name. tell: takes sentences for the person."""

    def __init__(self, folder: Path) -> None:
        self.sessions = Sessions(folder)
        self.told: list[str] = []
        self._lock: FileLock | None = None
        self._journal: Journal | None = None

    def open(self, name: str) -> Talk:
        """The session of that name, a new one where there is none.

        Raises:
            InputError: no name, or another terminal has the session open. SessionDamagedError: its file holds none.
        """
        session = id_of(name)
        lock = self._locked(session, name)
        try:
            talk = self._read(session, name)
            self._merge(session, talk)
        except BaseException:
            lock.release()
            raise
        self.close()
        self._lock, self._journal = lock, Journal(self._path(session, "journal"))
        if self.told:
            self.save(talk)
            with suppress(OSError):
                self._journal.end()
        return talk

    def close(self) -> None:
        """Leave the session to others."""
        if self._journal is not None:
            self._journal.close()
        if self._lock is not None:
            self._lock.release()
        self._lock = self._journal = None

    def save(self, talk: Talk) -> None:
        """What has a name is on disk when this returns. Where another has saved meanwhile, both are kept, this one under a new name.

        Raises:
            PunaError: it cannot be saved.
        """
        if talk.id is None:
            return
        if self._revision(talk.id) != talk.revision:
            before = talk.id
            self.rename(talk, self._free(before))
            self.told.append(
                f"the session {before} was changed elsewhere, which is kept as it is; this conversation goes on as {talk.id}"
            )
        talk.revision = self.sessions.put(talk.id, talk.as_session())["revision"]

    def rename(self, talk: Talk, session: str) -> None:
        """The conversation goes on as another session, which must be new.

        Raises:
            InputError: there is one of that id already, or another terminal is about to make it.
        """
        if self._revision(session):
            raise InputError(f"there is a session {session} already; /load {session} opens it, or give another name")
        lock = self._locked(session, session)
        self.close()
        self._lock, self._journal = lock, Journal(self._path(session, "journal"))
        talk.id, talk.revision = session, 0
        talk.title = talk.title or session

    def begin(self, talk: Talk) -> None:
        """An answer to the newest message is about to come."""
        head = talk.history.head
        if self._journal is not None and head is not None:
            question = talk.history.nodes[head].message.content
            with self._disk():
                self._journal.begin(head, len(talk.history.nodes), question, talk.params)

    def add(self, text: str) -> None:
        """A piece of it, before it is shown."""
        if self._journal is not None:
            with self._disk():
                self._journal.add(text)

    def end(self, talk: Talk) -> None:
        """The answer has ended and is in the conversation: save it, after which the journal is not needed."""
        self.save(talk)
        if self._journal is not None:
            with self._disk():
                self._journal.end()

    def free_name(self, title: str) -> str:
        """An id that no session has, after a title."""
        slug = re.sub(r"[^a-z0-9]+", "-", title[:200].lower()).strip("-")[:40].strip("-") or "chat"
        return self._free(slug) if self._revision(slug) else slug

    def _free(self, session: str) -> str:
        n = 2
        while self._revision(f"{session[:58]}-{n}"):
            n += 1
        return f"{session[:58]}-{n}"

    def _read(self, session: str, name: str) -> Talk:
        try:
            return of_session(self.sessions.get(session))
        except SessionNotFoundError:
            old = self._path(name, "json")
            if session == name or not old.is_file():
                return Talk(session, name)
        except SessionDamagedError as error:
            old = self._path(session, "json")
            if not _is_old(old):
                raise InputError(f"{error}, or choose another --session") from error
        talk = _converted(old)
        talk.id, talk.title, talk.revision = session, name, self._revision(session)
        self.told.append(f"the session {name} was of an older release; it is kept in today's form now")
        return talk

    def _merge(self, session: str, talk: Talk) -> None:
        """Put what a crash has left of an answer into the conversation."""
        path = self._path(session, "journal")
        try:
            cut = journals.read(path)
        except (OSError, ValueError, KeyError) as error:
            aside = path.with_suffix(".journal.damaged")
            path.replace(aside)
            self.told.append(f"what was left of an answer cannot be read ({error}); it is in {aside}")
            return
        if cut is None or _has(talk.history, cut):
            with suppress(OSError):
                path.unlink(missing_ok=True)
            return
        _put(talk, cut)
        self.told.append(
            "the last answer was cut off when the chat ended; all that had come is kept (/regenerate asks again)"
        )

    def _revision(self, session: str) -> int:
        """Of the file as it is: 0 where there is none, -1 where it holds no session."""
        try:
            revision: int = self.sessions.get(session)["revision"]
        except SessionNotFoundError:
            return 0
        except SessionDamagedError:
            return -1
        return revision

    def _locked(self, session: str, name: str) -> FileLock:
        with self._disk():
            self.sessions.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FileLock(self._path(f".{session}", "lock"), timeout=0)
            try:
                lock.acquire()
            except Timeout:
                raise InputError(
                    f"the session {name} is open in another terminal; close it there, or choose another name"
                ) from None
        return lock

    def _path(self, stem: str, ending: str) -> Path:
        return self.sessions.folder / f"{stem}.{ending}"

    def _disk(self) -> _Disk:
        return _Disk(self.sessions.folder)


class _Disk:
    """What the disk refuses, in a sentence."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise PunaError(
                f"the chat is kept in {self._folder}, which fails: {error.strerror or error}; free or mend it, then go on, or "
                "name another place by PUNA_HOME"
            ) from error


def id_of(name: str) -> str:
    """The id of the session of a name.

    Raises:
        InputError: it is none.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"a session's name is 1 to 64 letters, digits, dots, dashes or underscores, not {name[:80]!r}")
    found = re.sub(r"[^a-z0-9-]", "-", name.lower())
    if not ID.fullmatch(found):
        raise InputError(f"a session's name is 1 to 64 letters, digits, dots, dashes or underscores, not {name[:80]!r}")
    return found


def read_file(path: Path) -> Talk:
    """The conversation of a file: a session, or {"messages": [...]}.

    Raises:
        InputError: it cannot be read, or holds neither.
    """
    try:
        return _converted(path) if _is_old(path) else of_session(check(strictjson.loads(_bytes(path))))
    except (ValueError, InputError) as error:
        raise InputError(f"{path} holds no conversation: {error}; save one with /save or /export json") from None


def write_file(path: Path, text: str) -> None:
    """A file for its owner alone, written whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(
            os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8", newline="\n"
        ) as file:
            file.write(text)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {error.strerror or error}; give another file") from None


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SESSION + 1)
    except OSError as error:
        raise InputError(error.strerror or str(error)) from None
    if len(data) > MAX_SESSION:
        raise InputError(f"it has more than {MAX_SESSION} bytes")
    return data


def _is_old(path: Path) -> bool:
    try:
        value = json.loads(_bytes(path))
    except (ValueError, InputError):
        return False
    return isinstance(value, dict) and set(value) == {"messages"}


def _converted(path: Path) -> Talk:
    try:
        return of_messages(json.loads(_bytes(path))["messages"])
    except (ValueError, KeyError, TypeError, InputError) as error:
        raise InputError(f"{path} is no session of puna ({error}); move it away, or choose another name") from error


def _has(history: History, cut: Cut) -> bool:
    """Whether the answer is in the conversation already: the crash came after it was saved."""
    nodes = history.nodes[cut.nodes :]
    return any(node.parent == cut.parent and node.message.content.startswith(cut.text) for node in nodes)


def _put(talk: Talk, cut: Cut) -> None:
    """The answer under its question; under a question of its own where the conversation has gone another way."""
    nodes = talk.history.nodes
    known = (
        isinstance(cut.parent, int) and cut.parent < len(nodes) and nodes[cut.parent].message.content == cut.question
    )
    talk.history = talk.history.fork(cut.parent) if known else talk.history.append(Role.USER, cut.question)
    talk.answered(cut.text, {"params": cut.params, "finish": "broken", "error": {"message": CUT}})
