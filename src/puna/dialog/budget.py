"""Where the tokens of a context window go. Knows sums; how tokens are counted is injected, as a `Counter`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from puna.dialog.turns import Turns, cut
from puna.errors import InputError
from puna.messages import Dialog, Role


class Counter(Protocol):
    """Counts tokens by a model's own format and tokenizer."""

    def prompt(self, dialog: Dialog) -> int:
        """Exact tokens of the prompt that asks for an answer to this dialog, template included.

        Raises:
            DialogError: the format cannot express this dialog.
        """

    def costs(self, dialog: Dialog) -> tuple[int, ...]:
        """Tokens that each message adds, shape (len(dialog),).

        Their sum and a constant are about the prompt's tokens; about, since tokens may join where messages meet. The
        cost of a message does not depend on those after it: else a cut that was made would move as the dialog grows.

        Raises:
            DialogError: the format cannot express this dialog.
        """


@dataclass(frozen=True, slots=True)
class Budget:
    """A context window, part by part. All values are tokens; the parts and ``free`` add up to ``context`` exactly.

    context: the whole window, 1 or more. reserve: kept for the answer, [0, context). system: system messages. pinned:
    pinned turns before the last. history: the other turns before the last. turn: the last turn. overhead: what the
    template adds beyond its messages; a little below 0 where messages share tokens at their joints.

    Raises:
        InputError: context or reserve is no whole number, or out of its range.
    """

    context: int
    reserve: int
    system: int
    pinned: int
    history: int
    turn: int
    overhead: int

    def __post_init__(self) -> None:
        check_window(self.context, self.reserve)

    @property
    def prompt(self) -> int:
        """Tokens of the prompt: every part but the reserve."""
        return self.system + self.pinned + self.history + self.turn + self.overhead

    @property
    def free(self) -> int:
        """Tokens that nothing uses; below 0 by as many as there are too many."""
        return self.context - self.reserve - self.prompt

    @property
    def over(self) -> bool:
        """Whether prompt and reserve together exceed the window."""
        return self.free < 0

    def as_json(self) -> dict[str, int]:
        """Every part by its name, and ``free``."""
        return {**asdict(self), "free": self.free}

    def bar(self, width: int = 64) -> str:
        """The window as one line of ``width`` characters (1 or more), each part as wide as its share.

        ``O`` overhead, ``S`` system, ``P`` pinned, ``h`` history, ``T`` this turn, ``.`` free, ``=`` reserve. When the
        window is over, the line is as long as what was asked for.
        """
        if width < 1:
            raise InputError(f"the width of a bar must be 1 character or more, not {width}; give a wider one")
        parts = [("O", self.overhead), ("S", self.system), ("P", self.pinned), ("h", self.history), ("T", self.turn),
                 (".", self.free), ("=", self.reserve)]  # fmt: skip
        whole = max(self.context, self.prompt + self.reserve)
        drawn, so_far = "", 0
        for letter, tokens in parts:
            so_far += max(tokens, 0)
            drawn += letter * (round(so_far * width / whole) - len(drawn))
        return drawn[:width]


def budget_of(dialog: Dialog, counter: Counter, *, context: int, reserve: int, pinned: Iterable[int] = ()) -> Budget:
    """Where the tokens go when this dialog is sent as it is. context, reserve: tokens. pinned: indices of messages.

    Raises:
        InputError: a window or a pinned index that makes no sense.
        DialogError: the format cannot express this dialog.
    """
    check_window(context, reserve)
    turns = cut(dialog, pinned)
    parts = parts_of(dialog, counter.costs(dialog), turns, range(len(dialog)))
    return Budget(context, reserve, **parts, overhead=counter.prompt(dialog) - sum(parts.values()))


def parts_of(dialog: Dialog, costs: Sequence[int], turns: Turns, kept: Iterable[int]) -> dict[str, int]:
    """Tokens of the kept messages by part: ``system``, ``pinned``, ``history``, ``turn``. costs: shape (len(dialog),)."""
    sums = {"system": 0, "pinned": 0, "history": 0, "turn": 0}
    for n in kept:
        if dialog[n].role is Role.SYSTEM:
            part = "system"
        elif n in turns.last:
            part = "turn"
        else:
            part = "pinned" if turns.of[n] in turns.pinned else "history"
        sums[part] += costs[n]
    return sums


def check_window(context: int, reserve: int) -> None:
    """Refuse a window in which no prompt has room.

    Raises:
        InputError: context is below 1, reserve below 0 or not below context, or one of them no whole number.
    """
    for name, value, least in (("context", context, 1), ("reserve", reserve, 0)):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise InputError(
                f"{name} must be a whole number of tokens, {least} or more, not {str(value)[:80]!r}; give a larger one"
            )
    if reserve >= context:
        raise InputError(
            f"reserve must be below context, so that a prompt has room, but {reserve} of {context} tokens are kept "
            "for the answer; lower reserve, or raise context"
        )
