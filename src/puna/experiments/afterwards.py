"""What is found out of prompts besides answers: how likely given continuations are, and what the sampler chose from. Knows no store.

Both are the model's own, before temperature and cuts, so that one cell stands for all that share its prompt: the first one for
continuations, the first one that is not greedy for distributions, whose first answer is gone through token by token.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from puna.experiments import likelihood
from puna.experiments.factors import greedy
from puna.experiments.lengths import Asked, asked
from puna.experiments.plan import Cell, Continuation, Record, Trial
from puna.experiments.rows import Distribution, Likelihood, Row
from puna.experiments.targets import Opened
from puna.generation import Kind, Logprob, Segment
from puna.messages import Role

TOLD = 20
"""Tokens of a distribution whose texts are kept; of the others, only how likely they are."""


def scored(cells: Iterable[Cell]) -> list[tuple[Cell, Continuation]]:
    """Every continuation of every prompt, with the cell that its likelihood is kept for."""
    seen: set[tuple[Asked, Continuation]] = set()
    found = []
    for cell in cells:
        for continuation in cell.continuations:
            if (asked(cell), continuation) not in seen:
                seen.add((asked(cell), continuation))
                found.append((cell, continuation))
    return found


async def likelihood_of(here: Opened, cell: Cell, continuation: Continuation) -> Likelihood:
    """How likely the target's model holds a continuation of a cell's prompt.

    Raises:
        InputError: the target cannot tell, or it does not fit the window. EngineError: it failed.
    """
    ask = here.ask(Trial(cell, 0, 0), Record())
    return await likelihood.find(here.spine_of(cell), ask, continuation, cell.index)


def gone_through(cells: Iterable[Cell]) -> Iterator[Cell]:
    """The cells whose answers tell what the sampler chose from: one for each prompt."""
    by: dict[Asked, Cell] = {}
    for cell in cells:
        kept = by.setdefault(asked(cell), cell)
        if greedy(kept.sampling) and not greedy(cell.sampling):
            by[asked(cell)] = cell
    return iter(by.values())


async def distributions_of(here: Opened, row: Row, prompt: tuple[int, ...], top: int) -> list[Distribution]:
    """What the sampler chose from at each position of an answer. prompt: its token ids. top: likeliest tokens of each position.

    Raises:
        InputError: the target cannot tell. EngineError: it failed.
    """
    answer = await _answer(here, row)
    ids = (prompt + answer)[: here.spine.info.context - 1]
    if len(ids) <= len(prompt):
        return []
    told = await here.spine.engine.score(ids, top, len(prompt))
    return [_distribution(row, n, token) for n, token in enumerate(told.known)]


async def _answer(here: Opened, row: Row) -> tuple[int, ...]:
    """The answer's tokens: those that were recorded where they are all of them, else those of its text."""
    kept, usage = row.outcome.logprobs, row.outcome.usage
    if kept and usage and usage.output - 1 <= len(kept) <= usage.output and all(token.id >= 0 for token in kept):
        return tuple(token.id for token in kept)
    return await here.spine.engine.encode((Segment(Kind.CONTENT, row.output, Role.ASSISTANT),))


def _distribution(row: Row, position: int, token: Logprob) -> Distribution:
    return Distribution(
        row.cell.index,
        row.repeat,
        position,
        _text(token),
        tuple(_text(other) for other in token.top[:TOLD]),
        tuple(other.logprob for other in token.top),
    )


def _text(token: Logprob) -> str:
    return token.data.decode("utf-8", "replace")


def first_answers(rows: Iterable[Row], cells: Sequence[Cell]) -> Mapping[int, Row]:
    """The first row with an answer of each of these cells, by the cell's index."""
    wanted = {cell.index for cell in cells}
    found: dict[int, Row] = {}
    for row in rows:
        if row.ok and row.output and row.cell.index in wanted:
            found.setdefault(row.cell.index, row)
    return found
