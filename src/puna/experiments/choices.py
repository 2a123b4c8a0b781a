"""Given continuations of every prompt of a plan, scored without an answer being drawn, and which of a group is likeliest. Keeps nothing."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from puna.experiments.afterwards import likelihood_of, scored
from puna.experiments.likelihood import chosen
from puna.experiments.plan import Cell
from puna.experiments.rows import Likelihood
from puna.experiments.targets import Found, opened


@dataclass(frozen=True, slots=True)
class Scored:
    """A continuation of a cell's prompt. share: of the probability that its whole group has, [0, 1]; None without a group.

    chosen: whether it is the likeliest of its group.
    """

    cell: Cell
    likelihood: Likelihood
    share: float | None = None
    chosen: bool = False


async def choices(found: Found, cells: Sequence[Cell], by: str = "sum") -> AsyncGenerator[tuple[Scored, ...], None]:
    """The continuations of one prompt after the other, at one target. by: how those of a group are compared (``likelihood.BY``).

    Raises:
        InputError: the target cannot tell, or a text does not fit the window. EngineError: it failed.
    """
    wanted: dict[int, list[tuple[Cell, Likelihood]]] = {}
    async with opened(found, {cell.format for cell in cells}, 1) as here:
        texts = scored(cells)
        for n, (cell, text) in enumerate(texts):
            own = wanted.setdefault(cell.index, [])
            own.append((cell, await likelihood_of(here, cell, text)))
            if n + 1 == len(texts) or texts[n + 1][0].index != cell.index:
                yield tuple(_compared(wanted.pop(cell.index), by))


def _compared(own: Sequence[tuple[Cell, Likelihood]], by: str) -> Iterable[Scored]:
    groups: dict[str, list[Likelihood]] = {}
    for _, likelihood in own:
        if likelihood.group is not None:
            groups.setdefault(likelihood.group, []).append(likelihood)
    best = {name: chosen(members, by) for name, members in groups.items()}
    for cell, likelihood in own:
        members = groups.get(likelihood.group or "")
        if likelihood.group is None or members is None:
            yield Scored(cell, likelihood)
        else:
            yield Scored(cell, likelihood, _share(likelihood, members), likelihood is best[likelihood.group])


def _share(one: Likelihood, members: Iterable[Likelihood]) -> float:
    return 1 / sum(math.exp(min(700.0, other.logprob - one.logprob)) for other in members)


async def every(found: Iterable[Found], cells: Sequence[Cell], by: str) -> AsyncGenerator[tuple[Scored, ...], None]:
    """``choices`` at one target after the other."""
    for each in found:
        async with aclosing(choices(each, [c for c in cells if c.target == each.target.name], by)) as told:
            async for prompt in told:
                yield prompt
