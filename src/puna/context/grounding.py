"""A context, examples and an instruction, put before a conversation. Knows messages; no tokens, formats or retrieval.

The context stands in the system message, so that pruning keeps it and the prompt's start stays the same from turn to turn.
Examples are turns of their own: a question and the answer that is wanted (few-shot prompting: Brown et al. 2020,
https://arxiv.org/abs/2005.14165).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from puna.messages import Dialog, Message, Role

ONLY = "Answer only from the context. If the context does not say, reply: I don't know."
"""What keeps a model to the context, as far as words can; examples of it keep a small model better."""

LABEL = "Context: "

_BETWEEN = "\n\n"


@dataclass(frozen=True, slots=True)
class Example:
    """A question, and how it shall be answered."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Grounding:
    """What stands before a conversation, in this order: system text, instruction, context, examples.

    only: whether the model is told to answer from the context alone, where there is one.
    """

    system: str = ""
    context: str = ""
    examples: tuple[Example, ...] = ()
    only: bool = False

    @property
    def system_parts(self) -> tuple[tuple[str, str], ...]:
        """The system message in pieces that join to it: ``("system" | "context", text)``, whitespace between in the latter one."""
        context = self.context.strip()
        pieces = [("system", self.system)] if self.system.strip() else []
        pieces += [("system", ONLY)] if self.only and context else []
        pieces += [("context", LABEL + context)] if context else []
        return tuple((kind, text if not n else _BETWEEN + text) for n, (kind, text) in enumerate(pieces))

    def before(self) -> Dialog:
        """The messages that come before the conversation."""
        return Dialog(tuple(self._messages()))

    def _messages(self) -> Iterator[Message]:
        if self.system_parts:
            yield Message(Role.SYSTEM, "".join(text for _, text in self.system_parts))
        for example in self.examples:
            yield Message(Role.USER, example.question)
            yield Message(Role.ASSISTANT, example.answer)

    @property
    def pinned(self) -> range:
        """Indices, in the whole dialog, of the messages that examples make: pruning shall keep them."""
        first = 1 if self.system_parts else 0
        return range(first, first + 2 * len(self.examples))
