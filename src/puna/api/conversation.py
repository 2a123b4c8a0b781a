"""A conversation as data: the tree of what was said, what stands before it, how it is sampled. Knows no engine and no loop.

One lock guards it, so that two threads get a sentence instead of a lost message; a turn claims it from its beginning to its end.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from puna.api.given import check_text
from puna.api.recording import Recording
from puna.api.stream import Reply
from puna.context.grounding import Grounding
from puna.dialog.history import History
from puna.dialog.nodes import Node
from puna.errors import InputError
from puna.generation import Extras, Sampling
from puna.messages import Dialog, Message, Role
from puna.turn import Ask

Verb = Callable[[History], History]
"""A change of the tree."""

BUSY = "a turn of this conversation is under way; let it end or stop it, or use another Chat (fork() makes one)"


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn under way. tree: with its question at the head."""

    recording: Recording
    tree: History


@dataclass(eq=False)
class Conversation:
    """tree: user and assistant messages, with all versions. ground: what stands before them besides the system message.

    facts: what is known of the answers, by the numbers of their nodes, as a session's file tells it. session: what such a file has
    that a conversation does not, kept for the next one. reply: the newest answer.
    """

    system: str | None = None
    tree: History = field(default_factory=History)
    sampling: Mapping[str, object] = field(default_factory=dict)
    policy: str = "watermark"
    ground: Grounding = field(default_factory=Grounding)
    facts: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    session: Mapping[str, Any] = field(default_factory=lambda: {"id": new_id()})
    reply: Reply | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)
    turn: Turn | None = None
    last: Recording | None = None
    """The newest turn: the next one begins when the engine is done with it."""

    @property
    def before(self) -> Dialog:
        """The system message and the examples."""
        if self.ground.context.strip() or self.ground.examples:
            return replace(self.ground, system=self.system or "").before()
        return Dialog() if self.system is None else Dialog((Message(Role.SYSTEM, self.system),))

    @property
    def history(self) -> Dialog:
        """All the messages that the model gets to see, the system message first."""
        return self.dialog(self.tree)

    def dialog(self, tree: History) -> Dialog:
        """What the model would get to see of this tree."""
        return Dialog((*self.before, *tree.path))

    def node(self, index: int, tree: History | None = None) -> int:
        """The number of the node behind a message of ``history``; negative indices count from its end.

        Raises:
            InputError: no such message, or one that stands before the conversation.
        """
        line, first = (self.tree if tree is None else tree).line, len(self.before)
        count = first + len(line)
        if not isinstance(index, int) or isinstance(index, bool) or not -count <= index < count:
            known = f"{first} to {count - 1}" if line else "there is none yet"
            raise InputError(f"index must be that of a message of the history ({known}), not {index!r:.80}")
        number = (index + count if index < 0 else index) - first
        if number < 0:
            raise InputError(f"message {index} stands before the conversation and has no versions; set .system instead")
        return line[number]

    def free(self) -> None:
        """Refuse a change while a turn is under way; called with the lock held.

        Raises:
            InputError: one is.
        """
        if self.turn is not None:
            raise InputError(BUSY)

    def change(self, verb: Verb) -> None:
        """Change the tree, as one step for ``undo``.

        Raises:
            InputError: a turn is under way, or the verb refuses.
        """
        with self.lock:
            self.free()
            self.tree = one_step(self.tree, verb(self.tree))

    def undo(self) -> None:
        """Take back the last change.

        Raises:
            InputError: a turn is under way, or there is nothing to undo.
        """
        with self.lock:
            self.free()
            self.tree = self.tree.undo()

    def plant(self, tree: History) -> None:
        """Take another tree. What is known of answers is kept for the nodes that are the same in it.

        Raises:
            InputError: no tree, or a turn is under way.
        """
        if not isinstance(tree, History):
            raise InputError(f"tree must be a puna.dialog.history.History, not {type(tree).__name__}")
        with self.lock:
            self.free()
            old = self.tree.nodes
            same = {n for n, node in enumerate(tree.nodes[: len(old)]) if node is old[n] or node == old[n]}
            self.facts = {n: facts for n, facts in self.facts.items() if n in same}
            self.tree = tree

    def clear(self) -> None:
        """Begin again with what stands before the conversation.

        Raises:
            InputError: a turn is under way.
        """
        with self.lock:
            self.free()
            self.tree, self.facts, self.reply, self.session = History(), {}, None, unnamed(self.session)

    def claim(self, recording: Recording, grow: Verb) -> tuple[Dialog, tuple[int, ...]]:
        """Begin a turn: the messages that shall be answered, and the indices of those that are pinned.

        Raises:
            InputError: another turn is under way; or the last message is no question.
        """
        with self.lock:
            self.free()
            tree = grow(self.tree)
            if tree.head is None or tree.nodes[tree.head].message.role is not Role.USER:
                raise InputError(
                    "the last message of the history is not the user's, so there is nothing to answer; give a text"
                )
            self.turn = Turn(recording, tree)
            self.last = recording
            return self.dialog(tree), self.pinned(tree)

    def pinned(self, tree: History) -> tuple[int, ...]:
        """Indices, in the whole dialog, of the messages that pruning keeps."""
        first = len(self.before)
        examples = 2 * len(self.ground.examples)
        return (*range(first - examples, first), *(first + n for n in tree.pinned))

    def finish(self, recording: Recording, facts: Mapping[str, Any]) -> None:
        """End the turn. What had come of its answer is kept; where nothing had, the conversation is as it was before."""
        with self.lock:
            turn, self.turn = self.turn, None
            if turn is None or not (recording.deltas or recording.receipt):
                return
            text = sayable(recording.text)
            self.reply = Reply(text, recording.receipt)
            answered = turn.tree.append(Role.ASSISTANT, text)
            self.facts = {**self.facts, len(turn.tree.nodes): facts}
            self.tree = one_step(self.tree, answered)

    def fork(self, index: int | None) -> Conversation:
        """A conversation of its own that goes on after a message of ``history``; None: after the last one."""
        with self.lock:
            tree = self.tree if index is None else self.tree.fork(self._end(index))
            return Conversation(
                self.system,
                tree,
                self.sampling,
                self.policy,
                self.ground,
                self.facts,
                unnamed(self.session),
                self.reply,
            )

    def _end(self, index: int) -> int | None:
        first = len(self.before)
        return None if first and index == first - 1 else self.node(index)


def sayable(text: str) -> str:
    """An answer as a message can hold it: a server's JSON may bring halves of surrogate pairs, each in another piece."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def one_step(old: History, new: History) -> History:
    """The new tree, whose head's way from the old one counts as one move."""
    return new if new is old else replace(new, trail=(*old.trail, old.head))


def unnamed(session: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a file's session has besides its messages, for another session."""
    return {name: value for name, value in session.items() if name not in {"revision", "title"}} | {"id": new_id()}


def new_id() -> str:
    """A session's id unlike any other: the day and 40 random bits, as the playground makes it."""
    return f"{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(5)}"


def begun(system: str | None, history: Dialog, policy: str) -> Conversation:
    """A conversation with messages that came before; where no system message is given, theirs is it."""
    if system is None and history.system is not None:
        return begun(history.system, Dialog(history.messages[1:]), policy)
    if system is not None:
        check_text("system", system)
    return Conversation(system, tree_of(history), policy=policy)


def tree_of(dialog: Iterable[Message]) -> History:
    """The tree of messages that came before."""
    nodes = tuple(Node(n - 1 if n else None, message) for n, message in enumerate(dialog))
    return History(nodes, len(nodes) - 1 if nodes else None)


def ask_of(
    dialog: Dialog, given: Mapping[str, object], *, policy: str, pinned: tuple[int, ...], logprobs: int | None = None
) -> Ask:
    """What the spine is asked."""
    return Ask(
        dialog, Sampling.of(given), frozenset(given), policy=policy, pinned=pinned, extras=Extras(logprobs=logprobs)
    )
