"""Counters whose sums can be done in the head, and dialogs of known sizes."""

import zlib
from collections.abc import Iterable
from itertools import pairwise

from puna.dialog.prune import fit
from puna.dialog.turns import cut
from puna.messages import Dialog, Message, Role

PER_MESSAGE, OVERHEAD = 4, 3


class Words:
    """A token per word, 4 for each message, 3 for the template. asked: how often the prompt was counted."""

    def __init__(self) -> None:
        self.asked = 0
        self.costed = 0

    def prompt(self, dialog: Dialog) -> int:
        self.asked += 1
        return OVERHEAD + sum(map(self._cost, dialog))

    def costs(self, dialog: Dialog) -> tuple[int, ...]:
        self.costed += 1
        return tuple(map(self._cost, dialog))

    @staticmethod
    def _cost(message: Message) -> int:
        return PER_MESSAGE + len(message.content.split())


class Joining(Words):
    """Tokens join, or part, where two messages meet: the prompt is not the sum of the costs. by: at most so many."""

    def __init__(self, by: int = 1) -> None:
        super().__init__()
        self.by = by

    def prompt(self, dialog: Dialog) -> int:
        met = pairwise(dialog)
        joints = (zlib.crc32((a.content + b.content).encode()) % (2 * self.by + 1) - self.by for a, b in met)
        return super().prompt(dialog) + sum(joints)


def message(role: Role, tokens: int, name: object) -> Message:
    """A message that costs this many tokens, 5 or more, and equals no other."""
    words = tokens - PER_MESSAGE
    return Message(role, " ".join([f"{role[0]}{name}", *["x"] * (words - 1)]))


def chat(turns: Iterable[tuple[int, int]], *, system: int = 0, greeting: int = 0) -> Dialog:
    """Question and answer of each turn, in tokens; 0 leaves the answer, the system message or the greeting out."""
    said = [message(Role.SYSTEM, system, "s")] if system else []
    said += [message(Role.ASSISTANT, greeting, "g")] if greeting else []
    for n, (question, answer) in enumerate(turns):
        said.append(message(Role.USER, question, n))
        if answer:
            said.append(message(Role.ASSISTANT, answer, n))
    return Dialog(tuple(said))


def growing(dialog: Dialog) -> list[Dialog]:
    """The dialog after each of its messages."""
    return [Dialog(dialog.messages[:n]) for n in range(1, len(dialog) + 1)]


def asking(dialog: Dialog) -> list[Dialog]:
    """The dialog whenever an answer is asked for: up to each user message."""
    return [part for part in growing(dialog) if part[-1].role is Role.USER]


def life(
    sizes: list[tuple[int, int]], policy: str, *, limit: int, system: int = 0, low_mark: float | None = None
) -> tuple[int, float, int]:
    """Prompt tokens to evaluate over a chat's life, mean number of turns in view, and how often the start moved.

    An engine keeps the last prompt and its reply; what a new prompt has in common with them it does not evaluate.
    """
    whole = chat(sizes, system=system)
    costs = Words().costs(whole)
    cached: tuple[int, ...] = ()
    evaluated, seen, moved, gone = 0, 0, 0, 0
    questions = asking(whole)
    for dialog in questions:
        found = fit(dialog, Words(), context=limit + 64, reserve=64, policy=policy, low_mark=low_mark)
        same = 0
        while same < min(len(cached), len(found.kept)) and cached[same] == found.kept[same]:
            same += 1
        evaluated += found.prompt_tokens - sum(costs[n] for n in found.kept[:same])
        seen += len(cut(found.dialog).messages)
        moved += len(found.dropped) > gone
        gone = len(found.dropped)
        cached = (*found.kept, len(dialog))
    return evaluated, seen / len(questions), moved
