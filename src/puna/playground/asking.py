"""From what a page holds to what the spine is asked, and back: which message of the prompt is whose. Knows values only."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from puna.dialog.prune import Dropped
from puna.dialog.turns import cut
from puna.generation import Extras
from puna.messages import Dialog, Message, Role
from puna.playground.bodies import Talk
from puna.playground.labels import Said
from puna.turn import Ask, Begun


@dataclass(frozen=True, slots=True)
class Asked:
    """A talk as a dialog. dialog: system message, examples, conversation. first: index in it of the conversation's first message."""

    talk: Talk
    dialog: Dialog
    first: int

    def ask(self, *, top: int | None = 0, begun: Begun | None = None, continues: bool = False) -> Ask:
        """The spine's question. top: alternatives of each token, None for no probabilities. continues: the last message is the begun answer."""
        talk = self.talk
        extras = Extras(logprobs=top)
        if talk.prompt is not None:
            return Ask(talk.prompt, talk.sampling, talk.given, raw=True, extras=extras)
        return Ask(
            self.dialog,
            talk.sampling,
            talk.given,
            policy=talk.policy,
            extras=extras,
            pinned=tuple(talk.grounding.pinned),
            begun=begun,
            continues=continues,
        )

    def without(self, gone: Collection[int], begun: Begun | None = None) -> Ask:
        """The question without some of its messages, whether or not it fits."""
        whole = self.ask(begun=begun)
        if not gone:
            return whole
        return replace(whole, prompt=Dialog(tuple(m for n, m in enumerate(self.dialog) if n not in gone)), pinned=())

    def as_json(self, dropped: Dropped) -> dict[str, object]:
        """A message that is not sent, as JSON values; its number is the conversation's."""
        told = dropped.as_json()
        return {
            "message": self.message(dropped.index),
            "role": told["role"],
            "tokens": dropped.tokens,
            "why": dropped.why,
        }

    def all_gone(self, gone: Collection[int], tokens: int) -> list[dict[str, object]]:
        """The same of messages that had to go and did not help. tokens: of all of them together; told with the first."""
        why = "even without it, prompt and answer do not fit the window"
        first, *_ = numbers = sorted(gone)
        return [self.as_json(Dropped(n, self.dialog[n].role, tokens if n == first else 0, why)) for n in numbers]

    def turns_in(self, gone: Collection[int]) -> int:
        """How many turns these messages are."""
        return sum(self.dialog[n].role is Role.USER for n in gone)

    def droppable(self) -> frozenset[int]:
        """Indices of all messages that the policy could take away."""
        if self.talk.policy == "none":
            return frozenset()
        turns = cut(self.dialog, self.talk.grounding.pinned)
        return frozenset(n for turn in turns.droppable for n in turns.messages[turn])

    def message(self, index: int) -> int | None:
        """Which message of the conversation the dialog has at this index; None where none of it."""
        number = index - self.first
        return number if 0 <= number < len(self.talk.messages) else None

    def said(self, gone: Collection[int], begun: Begun | None = None) -> list[Said]:
        """The messages that are sent, each with its place in the window. gone: indices of those that are not."""
        kept = [n for n in range(len(self.dialog)) if n not in gone]
        users = [n for n in kept if self.dialog[n].role is Role.USER]
        last = users[-1] if users else 0
        turn = -1
        found = []
        for n in kept:
            message = self.dialog[n]
            turn += message.role is Role.USER
            found.append(
                Said(message.role, self._kinds(n, message), self._part(n, last), max(turn, 0), self.message(n))
            )
        if begun is not None:
            found.append(Said(Role.ASSISTANT, (("assistant", begun.text),), "turn", max(turn, 0), None))
        return found

    def _kinds(self, n: int, message: Message) -> tuple[tuple[str, str], ...]:
        if message.role is Role.SYSTEM:
            return self.talk.grounding.system_parts
        return (("example" if n < self.first else str(message.role), message.content),)

    def _part(self, n: int, last: int) -> str:
        if self.dialog[n].role is Role.SYSTEM:
            return "system"
        if n < self.first:
            return "context"
        return "turn" if n >= last else "history"


def asked(talk: Talk, *, upcoming: bool = False) -> Asked:
    """The talk as a dialog. upcoming: its next message is not written yet, and an empty one stands for it."""
    before = talk.grounding.before()
    messages = talk.messages.messages
    if upcoming and (not messages or messages[-1].role is not Role.USER):
        messages = (*messages, Message(Role.USER, ""))
    return Asked(talk, Dialog((*before, *messages)), len(before))
