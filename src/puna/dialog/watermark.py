"""When old turns go, and how many: a low mark that is computed. Knows token counts; no texts and no tokenizer.

Keeping the window full drops a turn at every turn, and then no prompt begins as the one before it: the engine evaluates all
of it again. So when the window is full, history is cut down to a low mark, and then left alone until the window is full
again. How low: let ``L`` be the tokens that turns have room for, ``t`` the mean tokens of a turn, ``rho`` the low mark as a
share of ``L``. Two things are lost per turn, both in windows of ``L`` tokens:

- evaluation: a cut evaluates the ``rho L`` tokens that stay, and comes every ``(1 - rho) L / t`` turns; with ``u``, the tokens
  of a turn that no cache has yet, that is ``[u + rho t / (1 - rho)] / L`` per turn;
- memory: history goes to and fro between ``rho L`` and ``L``, so ``(1 - rho) / 2`` of the room stands empty on average.

The sum is least where its derivative ``t / (L (1 - rho)^2) - 1/2`` is 0: ``rho = 1 - sqrt(2 t / L)``. It is the economic order
quantity of stock-keeping (Harris 1913): a cut is an order, the forgotten turns are the stock that is missed. ``u`` drops out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from puna.dialog.turns import Turns


def low_mark(room: int, turn: float) -> float:
    """The best low mark, as a share of ``room``, [0, 1]. room: tokens for turns; turn: mean tokens of a turn."""
    return max(0.0, 1 - math.sqrt(2 * turn / room)) if room > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Cut:
    """One cut of the history.

    at: index of the message that no longer fitted. turns: the turns that went, oldest first. share: the low mark, [0, 1]
    of the room for turns. tokens: the low mark in tokens.
    """

    at: int
    turns: tuple[int, ...]
    share: float
    tokens: int


def replay(
    turns: Turns, costs: Sequence[int], *, limit: int, overhead: int, share: float | None = None
) -> tuple[Cut, ...]:
    """The cuts that a chat would have made which had seen the dialog grow, message by message.

    The state after a message depends on nothing that comes later: so a caller that keeps no state finds the same cuts at
    every turn, and what was dropped stays dropped. Linear in the number of messages.

    costs: tokens of each message, shape (n,). limit: the most tokens of a prompt. overhead: tokens of the template. share:
    the low mark, [0, 1]; None computes it from the turns that were complete at the time of the cut.
    """
    window = _Window(turns, limit, share, fixed=overhead)
    cuts = []
    for at, cost in enumerate(costs):
        window.add(at, cost)
        if window.fixed + window.history > limit:
            cuts.append(window.cut(at))
    return tuple(cut for cut in cuts if cut.turns)


@dataclass(slots=True)
class _Window:
    """The window while a dialog is replayed. fixed: tokens that never go; history: those of unpinned turns not yet gone.

    first: the oldest turn that is not gone; now: the newest. sizes: tokens of each turn so far, 0 for a pinned one.
    complete, count: tokens and number of the unpinned turns before the newest.
    """

    turns: Turns
    limit: int
    share: float | None
    fixed: int
    history: int = 0
    first: int = 0
    now: int = 0
    sizes: list[int] = field(default_factory=list)
    complete: int = 0
    count: int = 0

    def add(self, at: int, cost: int) -> None:
        turn = self.turns.of[at]
        if turn is None:
            self.fixed += cost
            return
        if turn == len(self.sizes):
            self._complete(turn - 1)
            self.sizes.append(0)
            self.now = turn
        if turn in self.turns.pinned:
            self.fixed += cost
        else:
            self.history += cost
            self.sizes[turn] += cost

    def _complete(self, turn: int) -> None:
        if turn >= 0 and turn not in self.turns.pinned:
            # A window never holds more of a turn than its limit: one huge turn shall not make every turn look huge.
            self.complete += min(self.sizes[turn], self.limit)
            self.count += 1

    def cut(self, at: int) -> Cut:
        room = max(self.limit - self.fixed, 0)
        share = low_mark(room, self.complete / max(self.count, 1)) if self.share is None else self.share
        gone = []
        while self.history > int(share * room) and self.first < self.now:
            if self.first not in self.turns.pinned:
                self.history -= self.sizes[self.first]
                gone.append(self.first)
            self.first += 1
        return Cut(at, tuple(gone), share, int(share * room))
