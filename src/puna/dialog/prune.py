"""Which turns of a dialog stay, so that prompt and answer fit the window. Knows turns and counts; no format, no engine.

Every policy drops whole turns, oldest first, and says which and why. System messages, pinned turns and the last turn stay.
What is returned fits by the exact count of its own prompt; what cannot fit is refused, with the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field

from puna.dialog.budget import Counter, check_window, parts_of
from puna.dialog.turns import Turns, cut
from puna.dialog.watermark import Cut, replay
from puna.errors import InputError, NoRoomError, unknown
from puna.messages import Dialog, Role

POLICIES = ("watermark", "oldest", "none")
"""``watermark``: cut to a low mark when full, then let the start stand. ``oldest``: drop as little as possible, at every turn.
``none``: drop nothing, refuse what does not fit."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A message that went. index: its place in the dialog that was given. tokens: what it would have cost."""

    index: int
    role: Role
    tokens: int
    why: str

    def as_json(self) -> dict[str, object]:
        """The message as JSON values."""
        return {**asdict(self), "role": str(self.role)}


@dataclass(frozen=True, slots=True)
class Fit:
    """What stays of a dialog. ``prompt_tokens + reserve <= context`` always holds.

    kept: indices of the messages that stay, in order. dropped: the others, in order. dialog: what stays, as a dialog.
    prompt_tokens: its exact count, template included. low_mark: the share of the room for turns, [0, 1], to which the newest
    cut went; None where no cut was made.
    """

    kept: tuple[int, ...]
    dropped: tuple[Dropped, ...]
    dialog: Dialog
    prompt_tokens: int
    reserve: int
    context: int
    policy: str
    low_mark: float | None

    def as_json(self) -> dict[str, object]:
        """The fit as ``puna prompt fit --json`` prints it; the kept messages by their indices only."""
        return {
            "kept": list(self.kept),
            "dropped": [entry.as_json() for entry in self.dropped],
            "prompt_tokens": self.prompt_tokens,
            "reserve": self.reserve,
            "context": self.context,
            "policy": self.policy,
            "low_mark": None if self.low_mark is None else round(self.low_mark, 4),
        }


def fit(
    dialog: Dialog,
    counter: Counter,
    *,
    context: int,
    reserve: int,
    policy: str = "watermark",
    pinned: Iterable[int] = (),
    low_mark: float | None = None,
) -> Fit:
    """The dialog, shortened by a policy until prompt and reserve fit the context.

    The result depends on nothing but the arguments. With ``watermark`` it is what a chat would have kept that had seen the
    dialog grow; so for a growing dialog, dropped turns stay dropped, and between two cuts the kept ones only grow.

    context, reserve: tokens. pinned: indices of messages, each of which keeps its whole turn. low_mark: [0, 1], the share of
    the room for turns to which ``watermark`` cuts; None computes it from the sizes of the turns.

    Raises:
        InputError: an unknown policy; a window, pinned index or low mark that makes no sense.
        NoRoomError: what must stay does not fit; its ``parts`` have the tokens of each part.
        DialogError: the format cannot express the dialog.
    """
    check_window(context, reserve)
    if policy not in POLICIES:
        raise InputError(unknown("policy", policy, POLICIES))
    _check_low_mark(low_mark, policy)
    turns = cut(dialog, pinned)
    window = _Window(dialog, counter, turns, counter.costs(dialog), context - reserve)
    start, cuts = _decided(window, policy, low_mark)
    if start is None:
        raise _no_room(window, 0 if policy == "none" else len(turns.droppable), reserve, context)
    kept = window.kept(start)
    return Fit(
        kept=kept,
        dropped=_dropped(window, start, policy, cuts),
        dialog=Dialog(tuple(dialog[n] for n in kept)),
        prompt_tokens=window.prompt(start),
        reserve=reserve,
        context=context,
        policy=policy,
        low_mark=cuts[-1].share if cuts else None,
    )


def _check_low_mark(low_mark: float | None, policy: str) -> None:
    if low_mark is None:
        return
    if policy != "watermark":
        raise InputError(f"low_mark belongs to the policy watermark, but the policy is {policy}; leave one of them out")
    if not isinstance(low_mark, int | float) or isinstance(low_mark, bool) or not 0 <= low_mark <= 1:
        raise InputError(
            f"low_mark must be a number from 0 to 1, a share of the room for turns, not {low_mark!r}; "
            "leave it out to have it computed"
        )


@dataclass(frozen=True, slots=True)
class _Window:
    """A dialog in a window of ``limit`` tokens. start: how many of the droppable turns are gone, oldest first."""

    dialog: Dialog
    counter: Counter
    turns: Turns
    costs: tuple[int, ...]
    limit: int
    counted: dict[int, int] = field(default_factory=dict)
    """Exact prompt tokens by start: counting is what is slow here."""

    def kept(self, start: int) -> tuple[int, ...]:
        gone = set(self.turns.droppable[:start])
        return tuple(n for n, turn in enumerate(self.turns.of) if turn is None or turn not in gone)

    def prompt(self, start: int) -> int:
        if start not in self.counted:
            self.counted[start] = self.counter.prompt(Dialog(tuple(self.dialog[n] for n in self.kept(start))))
        return self.counted[start]

    def fits(self, start: int) -> bool:
        return self.prompt(start) <= self.limit

    def overhead(self) -> int:
        """Tokens of the template, taken from the first question: it stays the same while the dialog grows."""
        first = next(n for n, message in enumerate(self.dialog) if message.role is Role.USER) + 1
        return self.counter.prompt(Dialog(self.dialog.messages[:first])) - sum(self.costs[:first])

    def surplus(self, overhead: int) -> int:
        """About how many tokens of the whole dialog are too many."""
        return overhead + sum(self.costs) - self.limit

    def enough(self, surplus: int) -> int:
        """The start from which about ``surplus`` tokens are gone, at most that of all droppable turns."""
        turns = self.turns.droppable
        for start, turn in enumerate(turns):
            if surplus <= 0:
                return start
            surplus -= sum(self.costs[n] for n in self.turns.messages[turn])
        return len(turns)


def _decided(window: _Window, policy: str, share: float | None) -> tuple[int | None, tuple[Cut, ...]]:
    """From where the dialog is kept, None when nothing fits; and the cuts that led there."""
    most = len(window.turns.droppable)
    if policy == "none" or not most:
        return (0 if window.fits(0) else None), ()
    overhead = window.overhead()
    surplus = window.surplus(overhead)
    # Joints are worth a token or so each: beyond that, the long way of counting a whole dialog exactly is spared.
    if surplus <= len(window.dialog) and window.fits(0):
        return 0, ()
    if policy == "oldest":
        return _smallest(window.fits, 0, window.enough(surplus), most), ()
    cuts = replay(window.turns, window.costs, limit=window.limit, overhead=overhead, share=share)
    least = sum(len(entry.turns) for entry in cuts)
    # Where the exact count is above the sum of costs, as little more goes as must: the next cut by the marks is not far,
    # and it takes these turns too, so that what was dropped stays dropped.
    return _smallest(window.fits, least, least, most), cuts


def _smallest(fits: Callable[[int], bool], low: int, guess: int, high: int) -> int | None:
    """The smallest number in [low, high] that fits, None when not even ``high`` does; few tries when the guess is near.

    Steps away from the guess double until they pass the border; what lies between is then halved.
    """
    bad, good = low - 1, high + 1
    probe, step = guess, 1
    while good - bad > 1:
        if fits(probe):
            good = probe
        else:
            bad = probe
        if bad < low:
            probe = max(good - step, low)
        elif good > high:
            probe = min(bad + step, high)
        else:
            probe = (good + bad) // 2
        step *= 2
    return good if good <= high else None


def _dropped(window: _Window, start: int, policy: str, cuts: tuple[Cut, ...]) -> tuple[Dropped, ...]:
    if policy == "oldest":
        plain = f"the prompt has more than {window.limit} tokens: the oldest turns went until it fitted"
    else:
        plain = (
            f"the exact count of the prompt is above {window.limit} tokens: the next oldest turns went until it fitted"
        )
    why = dict.fromkeys(window.turns.droppable[:start], plain)
    for entry in cuts:
        reason = (
            f"the prompt passed {window.limit} tokens at message {entry.at}: "
            f"the oldest turns went, to reach the low mark of {entry.tokens} tokens"
        )
        why |= dict.fromkeys(entry.turns, reason)
    return tuple(
        Dropped(n, window.dialog[n].role, window.costs[n], why[turn])
        for n, turn in enumerate(window.turns.of)
        if turn is not None and turn in why
    )


def _no_room(window: _Window, start: int, reserve: int, context: int) -> NoRoomError:
    parts = parts_of(window.dialog, window.costs, window.turns, window.kept(start))
    prompt = window.prompt(start)
    ways = {
        "let the policy watermark drop old turns": parts["history"] > 0,
        "shorten the last turn": parts["turn"] > 0,
        f"lower reserve to {context - prompt} or less": context > prompt,
        "unpin turns": parts["pinned"] > 0,
        "shorten the system message": parts["system"] > 0,
        f"use a context of {prompt + reserve} or more": True,
    }
    told = {
        "system": parts["system"],
        "pinned turns": parts["pinned"],
        "history": parts["history"],
        "last turn": parts["turn"],
        "template": prompt - sum(parts.values()),
    }
    return NoRoomError(told, reserve, context, [way for way, helps in ways.items() if helps])
