"""A format and a tokenizer together: the exact number of tokens of a prompt, and of each message in it.

Knows no family and no file. Exact means: what the engine is sent, template included.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from puna.formats.base import Writer
from puna.formats.segments import content, control
from puna.formats.turns import Place, Turn, TurnWriter
from puna.generation import Segment
from puna.messages import Dialog, Message, Role
from puna.tokens.base import Running, Tokenizer

_LONG_RUN = 4000
"""Characters of plain text from which a joint between two messages is counted as if a token ended there."""


@dataclass(frozen=True)
class PromptCounter:
    """Counts prompts of one model. The tokenizer should keep what it has encoded (``puna.tokens.cache``)."""

    form: Writer
    tokenizer: Tokenizer

    def prompt(self, dialog: Dialog) -> int:
        """Tokens of the prompt that asks for an answer to this dialog.

        Raises:
            DialogError: the format does not allow the dialog.
        """
        return Running(self.tokenizer).push(self.form.render(dialog)).count

    def costs(self, dialog: Dialog) -> tuple[int, ...]:
        """Tokens that each message adds to those before it, shape (len(dialog),).

        Where a family has the system text in the last message, its cost is told as if it were in the first. Of a
        template, only the whole is known exactly; what it writes itself is shared out evenly.
        """
        if isinstance(self.form, TurnWriter):
            return self._exact_costs(self.form, dialog)
        if not dialog:
            return ()
        texts = [Running(self.tokenizer).push((content(m.content, m.role),)).count for m in dialog]
        # By the first question, so that a message costs the same however the dialog goes on.
        first = next((n for n, m in enumerate(dialog) if m.role is Role.USER), len(dialog) - 1) + 1
        own = max(0, self.prompt(Dialog(dialog.messages[:first])) - sum(texts[:first])) // first
        return tuple(tokens + own for tokens in texts)

    def _exact_costs(self, form: TurnWriter, dialog: Dialog) -> tuple[int, ...]:
        if form.place is Place.LAST_USER:
            form = replace(form, place=Place.FIRST_USER)
        costs = [0] * len(dialog)
        state = Running(self.tokenizer).push((control(form.opening(dialog)),))
        for n, turn in zip(_order(form, dialog), form.turns(dialog), strict=True):
            after = state.push(_segments((turn,)))
            costs[n] = after.count - state.count
            # Where no control token closes a run, each message would be encoded with all before it.
            state = after if len(after.pending) < _LONG_RUN else Running(self.tokenizer, after.count)
        return tuple(costs)


def _order(form: TurnWriter, dialog: Dialog) -> list[int]:
    """Numbers of the messages in the order in which they are written, without those that are left out."""
    gone = set(form.left_out(dialog))
    numbers = [n for n, m in enumerate(dialog) if n not in gone and not (form.skips_empty_system and _is_empty(m))]
    return sorted(numbers, key=lambda n: dialog[n].role is not Role.SYSTEM) if form.place is Place.FRONT else numbers


def _is_empty(message: Message) -> bool:
    return message.role is Role.SYSTEM and not message.content


def _segments(turns: Sequence[Turn]) -> Iterator[Segment]:
    for message, before, text, after in turns:
        yield control(before)
        yield content(text, message.role)
        yield control(after)


@dataclass(frozen=True)
class Tally:
    """A dialog that grows, with the tokens of its prompt. Appending costs the new message and the one before it.

    Where a new message can change the text of more than the last one (a late system message, or the system text of
    Mistral v3), the whole prompt is looked at again; its encoded runs are still kept.
    """

    counter: PromptCounter
    dialog: Dialog = field(default_factory=Dialog)
    _before: Running | None = None
    """All but the last message, where that is known."""

    def append(self, message: Message) -> Tally:
        """The tally of the dialog with one more message.

        Raises:
            DialogError: the format does not allow it there.
        """
        form, dialog = self.counter.form, Dialog((*self.dialog.messages, message))
        if not isinstance(form, TurnWriter) or form.place is Place.LAST_USER or message.role is Role.SYSTEM:
            return Tally(self.counter, dialog)
        last = self.dialog.messages[-1:]
        if form.alternates and (not last or last[0].role in {message.role, Role.SYSTEM}):
            form.check(dialog)
        if self._before is None:
            opened = Running(self.counter.tokenizer).push((control(form.opening(dialog)),))
            turns = list(form.turns(dialog))
            return Tally(self.counter, dialog, opened.push(_segments(turns[:-1])))
        old, _ = form.turns(dialog, len(dialog) - 2)
        return Tally(self.counter, dialog, self._before.push(_segments((old,))))

    @cached_property
    def tokens(self) -> int:
        """Tokens of the prompt that asks for an answer to the dialog so far; as ``PromptCounter.prompt``.

        Raises:
            DialogError: the format does not allow the dialog.
        """
        form = self.counter.form
        if self._before is None or not isinstance(form, TurnWriter):
            return self.counter.prompt(self.dialog)
        (last,) = form.turns(self.dialog, len(self.dialog) - 1)
        closing = control(form.closing(generation_prompt=True))
        return self._before.push((*_segments((last,)), closing)).count
