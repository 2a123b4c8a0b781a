"""What the sampler chose from: how many tokens hold a share of the probability, and what temperature and cuts make of it. Draws nothing.

Distributions hold the likeliest tokens of the vocabulary only; what is said of more tokens than they hold says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from puna.errors import InputError
from puna.experiments.plan import Cell
from puna.experiments.rows import Distribution
from puna.experiments.stats import Floats
from puna.generation import Sampling

SHARES = (0.5, 0.9, 0.95)
"""Of the probability, for which nuclei are shown."""

SHOWN = 8
"""Tokens of a position that are shown by name."""

CUTS = (
    Sampling(temperature=1, top_p=1, top_k=0),
    Sampling(temperature=0.3, top_p=1, top_k=0),
    Sampling(temperature=1.5, top_p=1, top_k=0),
    Sampling(temperature=1, top_p=1, top_k=5),
    Sampling(temperature=1, top_p=0.9, top_k=0),
    Sampling(),
)
"""The samplings by which a distribution is shown cut again: as it is, one parameter at a time, and the defaults."""


@dataclass(frozen=True, slots=True)
class Nucleus:
    """One answer, token by token. tokens: as chosen, shape (n,).

    sizes: for each of ``SHARES`` the least number of the likeliest tokens that hold so much, shape (3, n). told: where that is known;
    elsewhere the size is how many tokens were recorded, and the true one is larger.
    """

    cell: Cell
    repeat: int
    tokens: tuple[str, ...]
    sizes: tuple[tuple[int, ...], ...]
    told: tuple[tuple[bool, ...], ...]


@dataclass(frozen=True, slots=True)
class Recut:
    """A distribution after temperature and cuts. shares: of the tokens shown, 0 where they are cut off.

    rest: the share of all the ``others`` that are left.
    """

    sampling: Sampling
    shares: tuple[float, ...]
    rest: float
    others: int


@dataclass(frozen=True, slots=True)
class Position:
    """A place of an answer, and what could have stood there. before: the answer up to it. held: share of the probability that is recorded."""

    cell: Cell
    repeat: int
    position: int
    before: str
    chosen: str
    tokens: tuple[str, ...]
    recuts: tuple[Recut, ...]
    recorded: int
    held: float


def nuclei(distributions: Iterable[Distribution], cells: Sequence[Cell]) -> tuple[Nucleus, ...]:
    """The nuclei of each answer whose distributions were recorded."""
    by_index = {cell.index: cell for cell in cells}
    found = []
    for (index, repeat), several in groupby(distributions, key=lambda each: (each.cell, each.repeat)):
        mine = list(several)
        sizes = [[_size(each.logprobs, share) for each in mine] for share in SHARES]
        found.append(
            Nucleus(
                by_index[index],
                repeat,
                tuple(each.chosen for each in mine),
                tuple(tuple(size for size, _ in line) for line in sizes),
                tuple(tuple(told for _, told in line) for line in sizes),
            )
        )
    return tuple(found)


def telling(nucleus: Nucleus) -> int:
    """The first position at which about as many tokens hold 0.9 of the probability as are shown by name."""
    sizes = nucleus.sizes[SHARES.index(0.9)]
    return min(range(len(sizes)), key=lambda place: abs(sizes[place] - SHOWN))


def position(distributions: Sequence[Distribution], nucleus: Nucleus, place: int) -> Position:
    """What could have stood at a place of an answer, cut by each of ``CUTS``; the likeliest tokens by name.

    Raises:
        InputError: the answer has no such position.
    """
    if not 0 <= place < len(nucleus.tokens):
        raise InputError(f"a position of this answer must be from 0 to {len(nucleus.tokens) - 1}, not {place}")
    mine = [each for each in distributions if (each.cell, each.repeat) == (nucleus.cell.index, nucleus.repeat)]
    it = mine[place]
    shown = it.tokens[:SHOWN]
    return Position(
        nucleus.cell,
        nucleus.repeat,
        it.position,
        "".join(each.chosen for each in mine[:place]),
        it.chosen,
        shown,
        tuple(_recut(it.logprobs, sampling, len(shown)) for sampling in CUTS),
        len(it.logprobs),
        min(1.0, math.fsum(map(math.exp, it.logprobs))),
    )


def shares_left(logprobs: Sequence[float], sampling: Sampling) -> Floats:
    """Probabilities after temperature, top_k, top_p and min_p, in this order, shape (k,); their sum is 1. logprobs: falling, shape (k,)."""
    logits = np.asarray(logprobs, dtype=np.float64)
    if sampling.temperature == 0:
        return np.eye(1, len(logits)).ravel()
    kept = np.exp((logits - logits[0]) / sampling.temperature)
    if sampling.top_k:
        kept[sampling.top_k :] = 0
    kept /= kept.sum()
    kept[np.concatenate(([False], np.cumsum(kept)[:-1] >= sampling.top_p))] = 0  # the token that reaches top_p stays
    kept[kept < sampling.min_p * kept[0]] = 0
    left: Floats = kept / kept.sum()
    return left


def _size(logprobs: Sequence[float], share: float) -> tuple[int, bool]:
    reached = np.nonzero(np.cumsum(np.exp(logprobs)) >= share)[0]
    return (int(reached[0]) + 1, True) if len(reached) else (len(logprobs), False)


def _recut(logprobs: Sequence[float], sampling: Sampling, shown: int) -> Recut:
    left = shares_left(logprobs, sampling)
    others = left[shown:]
    return Recut(sampling, tuple(map(float, left[:shown])), float(others.sum()), int((others > 0).sum()))
