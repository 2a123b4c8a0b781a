"""A conversation as the chat has it: a tree of messages with what is known of each. Knows sessions; no file, no engine.

It is a session of the playground's, so that either goes on with what the other began: what only the page uses is kept as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from puna.context.grounding import Example, Grounding
from puna.dialog.history import History
from puna.errors import InputError
from puna.generation import NO_EXTRAS, Extras, Receipt, Sampling
from puna.messages import Dialog, Role, dialog_of
from puna.sessions.session import MAX_TITLE, MAX_WORD, VERSION, Session, check
from puna.turn import Ask

Facts = dict[str, Any]
"""What a session tells of a message besides its text: params, finish, tokens, seed, usage, timings, error."""

_PAGE: Mapping[str, Any] = {"context": "", "examples": [], "only": False, "raw": "", "draft": "", "mode": "chat"}


@dataclass(slots=True)
class Talk:
    """A conversation. params: the sampling that was chosen, by name; the rest stands at its default. page: what only the page sets.

    facts: by the numbers of the history's nodes. revision: of the file that it was read from or saved to last, 0 for none.
    """

    id: str | None = None
    title: str = ""
    history: History = field(default_factory=History)
    facts: dict[int, Facts] = field(default_factory=dict)
    system: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    policy: str = "watermark"
    page: dict[str, Any] = field(default_factory=lambda: dict(_PAGE))
    revision: int = 0
    marks: list[tuple[int | None, str]] = field(default_factory=list)

    @property
    def grounding(self) -> Grounding:
        """What stands before the messages."""
        examples = tuple(Example(entry["question"], entry["answer"]) for entry in self.page["examples"])
        return Grounding(self.system, self.page["context"], examples, self.page["only"])

    @property
    def before(self) -> Dialog:
        """The messages that stand before the conversation: the system message, and examples."""
        return self.grounding.before()

    @property
    def sampling(self) -> Sampling:
        """With the defaults of what was not chosen."""
        return Sampling.of(self.params)

    @property
    def waits(self) -> bool:
        """Whether the newest message is a question without its answer."""
        head = self.history.head
        return head is not None and self.history.nodes[head].message.role is Role.USER

    def dialog(self, text: str | None = None) -> Dialog:
        """What a model gets to see. text: of one more user message."""
        more = self.history.path if text is None else self.history.path.append(Role.USER, text)
        return Dialog((*self.before, *more))

    def ask(self, text: str | None = None, extras: Extras = NO_EXTRAS) -> Ask:
        """The request for the next answer."""
        given = frozenset(name for name, value in self.params.items() if value is not None)
        first = len(self.before)
        pinned = (*self.grounding.pinned, *(first + n for n in self.history.pinned))
        return Ask(self.dialog(text), self.sampling, given, policy=self.policy, extras=extras, pinned=pinned)

    def node(self, index: int) -> int:
        """The number of the node behind a message of the path, counted from 1 as people do.

        Raises:
            InputError: there is no such message.
        """
        line = self.history.line
        if 1 <= index <= len(line):
            return line[index - 1]
        known = f"1 to {len(line)}" if line else "none yet"
        raise InputError(f"there is no message {index} ({known}); /history shows them")

    def newest(self, role: Role) -> int | None:
        """The number of the newest node of a role on the path."""
        return next((n for n in reversed(self.history.line) if self.history.nodes[n].message.role is role), None)

    def answered(self, text: str, facts: Facts) -> None:
        """Keep an answer, or as much of it as came."""
        self.history = self.history.append(Role.ASSISTANT, text)
        self.facts[len(self.history.nodes) - 1] = facts

    def mark(self) -> None:
        """Here ``undo`` comes back to; called before whatever changes the conversation."""
        self.marks.append((self.history.head, self.system))

    def undo(self) -> None:
        """Back to before the last turn, choice or edit.

        Raises:
            InputError: there is nothing to go back to.
        """
        while self.marks:
            head, system = self.marks.pop()
            if (head, system) != (self.history.head, self.system):
                self.history, self.system = self.history.fork(head), system
                return
        asked = self.newest(Role.USER)  # a session that was read tells no moves
        if asked is None:
            raise InputError("there is nothing to undo; the conversation is at its beginning")
        self.history = self.history.fork(self.history.nodes[asked].parent)

    def as_session(self) -> Session:
        """The session to be saved, checked.

        Raises:
            InputError: it cannot be kept.
        """
        nodes = [
            {"id": n, "parent": node.parent, **node.message.as_json(), **self.facts.get(n, {})}
            for n, node in enumerate(self.history.nodes)
        ]
        return check({
            "v": VERSION, "id": self.id or "unnamed", "revision": max(0, self.revision), "title": self.title[:MAX_TITLE], "params": self.params,
            "system": self.system, "policy": self.policy, "nodes": nodes, "leaf": self.history.head, **self.page,
        })  # fmt: skip


def of_session(session: Session) -> Talk:
    """The conversation of a session that was checked."""
    nodes = [{name: node[name] for name in ("parent", "role", "content")} for node in session["nodes"]]
    history = History.from_json({"version": 1, "nodes": nodes, "head": session["leaf"], "pins": [], "trail": []})
    kept = {"id", "parent", "role", "content"}
    facts = {
        n: {name: value for name, value in node.items() if name not in kept} for n, node in enumerate(session["nodes"])
    }
    return Talk(
        session["id"], session["title"], history, facts, session["system"], dict(session["params"]), session["policy"],
        {name: session[name] for name in _PAGE}, session["revision"],
    )  # fmt: skip


def of_messages(messages: object) -> Talk:
    """The conversation of a plain list of messages, as earlier releases kept them.

    Raises:
        InputError: it is no dialog, or has a system message that is not the first.
    """
    dialog = dialog_of(messages)
    talk = Talk(system=dialog.system or "")
    for message in dialog.messages[1 if dialog.system is not None else 0 :]:
        if message.role is Role.SYSTEM:
            raise InputError("a conversation has one system message, which comes first, but this one has another later")
        talk.history = talk.history.append(message.role, message.content)
    return talk


def facts_of(params: Mapping[str, Any], receipt: Receipt | None, first: float, tokens: list[list[Any]]) -> Facts:
    """What a session tells of an answer. first: seconds until its first token. tokens: id, text and log-probability of each."""
    facts: Facts = {"params": dict(params)}
    if tokens:
        facts["tokens"] = tokens
    if receipt is None:
        return facts
    facts |= {"finish": str(receipt.finish)[:MAX_WORD], "seed": receipt.sampling.seed}
    if receipt.usage is not None:
        usage = receipt.usage
        facts["usage"] = {
            "prompt": usage.prompt,
            "cached": usage.cached,
            "evaluated": usage.evaluated,
            "output": usage.output,
        }
    timing = receipt.timing
    facts["timings"] = {"queue": timing.queue, "prefill": timing.prefill, "decode": timing.decode, "first": first}
    return facts
