"""``AsyncChat`` for callers without a loop: scripts, threads, notebooks. Knows the bridge; every meaning is ``AsyncChat``'s."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from puna.api.stream import Reply, Stream
from puna.api.talking import AsyncChat
from puna.chat import Spine
from puna.dialog.budget import Budget
from puna.dialog.history import History
from puna.engines.base import EngineInfo
from puna.generation import Delta, Prompt, Receipt
from puna.messages import Dialog
from puna.sessions.session import Session
from puna.sync import bridge


class Chat:
    """``AsyncChat`` for synchronous callers, notebooks included; the same arguments and the same meaning.

    Threads may share one, but not a turn of it: a turn beside another is refused with a sentence.
    """

    def __init__(self, **arguments: object) -> None:
        self._chat = AsyncChat(**arguments)  # type: ignore[arg-type]  # AsyncChat checks them
        self._chat.end_with(bridge())

    @classmethod
    def load(cls, path: Path | str, **arguments: object) -> Self:
        """The conversation in a file, which ``save``, the playground or the terminal wrote."""
        return cls._of(AsyncChat.load(path, **arguments))

    @classmethod
    def from_json(cls, session: object, **arguments: object) -> Self:
        """``load``, of the JSON value itself."""
        return cls._of(AsyncChat.from_json(session, **arguments))

    @classmethod
    def _of(cls, chat: AsyncChat) -> Self:
        made = object.__new__(cls)
        made._chat = chat
        chat.end_with(bridge())
        return made

    def as_json(self) -> Session:
        """The conversation with every version, as a session's file and the playground have it."""
        return self._chat.as_json()

    def save(self, path: Path | str) -> None:
        """Put it into a file, which ``load`` and the playground's Import read."""
        self._chat.save(path)

    @property
    def history(self) -> Dialog:
        """The messages so far, the system message first."""
        return self._chat.history

    @property
    def tree(self) -> History:
        """All versions of all messages but those that stand before the conversation; may be set."""
        return self._chat.tree

    @tree.setter
    def tree(self, tree: History) -> None:
        self._chat.tree = tree

    @property
    def system(self) -> str | None:
        """The system message; may be set."""
        return self._chat.system

    @system.setter
    def system(self, text: str | None) -> None:
        self._chat.system = text

    @property
    def sampling(self) -> Mapping[str, object]:
        """The conversation's own sampling parameters; set others to change them."""
        return self._chat.sampling

    @sampling.setter
    def sampling(self, given: Mapping[str, object]) -> None:
        self._chat.sampling = given

    @property
    def reply(self) -> Reply | None:
        """The newest answer, whole or not; None before the first."""
        return self._chat.reply

    @property
    def receipt(self) -> Receipt | None:
        """What happened in the turn of the newest answer."""
        return self._chat.receipt

    @property
    def info(self) -> EngineInfo:
        """What the engine says of itself; opens it."""
        return bridge().run(self._chat.info)

    @property
    def prompt(self) -> Prompt:
        """What the next turn would send: text, ids and segments."""
        return bridge().run(self._chat.prompt)

    @property
    def budget(self) -> Budget:
        """Where the window's tokens go in that prompt."""
        return bridge().run(self._chat.budget)

    def prompt_for(self, text: str) -> Prompt:
        """What ``send(text)`` would send."""
        return bridge().run(self._chat.prompt_for, text)

    def stream(self, text: str | None = None, *, logprobs: int | None = None, **sampling: object) -> Stream:
        """The answer to a user turn, piece by piece; without a text, to the history as it stands."""
        return Stream(self._chat.stream(text, logprobs=logprobs, **sampling))

    def send(self, text: str, *, again: bool = False, **sampling: object) -> Reply:
        """Send a user turn and wait for the whole answer. again: once more, where it breaks off."""
        return bridge().run(self._chat.send, text, again=again, **sampling)

    def regenerate(self, **sampling: object) -> Reply:
        """Another version of the newest answer."""
        return bridge().run(self._chat.regenerate, **sampling)

    def edit(self, index: int, text: str, **sampling: object) -> Reply:
        """Another version of a message of ``history``; a user's one is answered."""
        return bridge().run(self._chat.edit, index, text, **sampling)

    def fork(self, index: int | None = None) -> Self:
        """A conversation of its own on the same engine, which goes on after a message of ``history``."""
        return self._of(self._chat.fork(index))

    def undo(self) -> None:
        """Take back the last change; what it made stays in the tree."""
        self._chat.undo()

    def versions(self, index: int) -> tuple[str, ...]:
        """The texts of all versions of a message of ``history``."""
        return self._chat.versions(index)

    def choose(self, index: int, n: int) -> None:
        """Go on with the n-th version (from 0) of a message of ``history``."""
        self._chat.choose(index, n)

    def clear(self) -> None:
        """Begin again with the same system message."""
        self._chat.clear()

    def complete(
        self, prompt: str, *, raw: bool = False, before: Dialog | None = None, **sampling: object
    ) -> Iterator[Delta | Receipt]:
        """The events of one written prompt, outside the conversation."""
        return bridge().iterate(self._chat.complete(prompt, raw=raw, before=before, **sampling))

    def open(self) -> Self:
        """Start the engine now rather than at the first turn."""
        bridge().run(self._chat.open)
        return self

    def spine(self) -> Spine:
        """What prepares this conversation's turns; for the bridge's event loop."""
        return bridge().run(self._chat.spine)

    def close(self) -> None:
        """Leave the engine; it is stopped where no fork of this conversation has it any more."""
        bridge().run(self._chat.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def behind(chat: Chat) -> AsyncChat:
    """The conversation itself, for coroutines on the bridge's event loop."""
    return chat._chat  # noqa: SLF001  # it is this file's


Chat.__init__.__signature__ = inspect.signature(AsyncChat.__init__)  # type: ignore[attr-defined]  # what help() and editors show
