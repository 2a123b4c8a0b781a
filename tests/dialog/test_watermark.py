"""The replay and its low mark: what is claimed about them in docs/window.md and the module's docstring, simulated."""

import math
import random

import pytest

from puna.dialog.turns import Turns, cut
from puna.dialog.watermark import low_mark, replay
from tests.dialog.conversations import chat


def sizes_of(kind: str, mean: float, count: int) -> list[tuple[int, int]]:
    """Question and answer of each turn in tokens, 6 to 4 in size."""
    draw = random.Random(1)
    each = {"fixed": lambda: mean, "uniform": lambda: draw.uniform(0.3, 1.7) * mean,
            "skewed": lambda: min(12 + draw.expovariate(1 / (mean - 12)), 8 * mean)}[kind]  # fmt: skip
    return [(round(0.6 * size), round(0.4 * size)) for size in (each() for _ in range(count))]


def lost(sizes: list[tuple[int, int]], turns: Turns, room: int, share: float | None) -> float:
    """What one turn loses on average, in windows: tokens to evaluate, and room that history leaves empty."""
    costs = [tokens for turn in sizes for tokens in turn]
    cuts = {entry.at: entry for entry in replay(turns, costs, limit=room, overhead=0, share=share)}
    history, fresh, full = 0, False, False
    evaluated, empty, count = 0, 0, 0
    for n, tokens in enumerate(costs):
        history += tokens
        if n in cuts:
            history -= sum(sum(sizes[turn]) for turn in cuts[n].turns)
            fresh = True
        if n % 2:
            continue
        if full:
            count += 1
            evaluated += history if fresh else tokens
            empty += room - history
        full, fresh = full or fresh, False
    return (evaluated + empty) / (room * count)


@pytest.mark.parametrize("kind", ["fixed", "uniform", "skewed"])
@pytest.mark.parametrize(("room", "turn"), [(930, 64), (2000, 64), (6400, 64), (3500, 350)])
def test_the_computed_low_mark_loses_least(room, turn, kind):
    sizes = sizes_of(kind, turn, 2000)
    turns = cut(chat(sizes))
    losses = {share: lost(sizes, turns, room, share) for share in (n / 50 for n in range(50))}
    best = min(losses, key=lambda share: losses[share])
    computed = low_mark(room, turn)
    # Whole turns go, so on average about a turn less stays than the mark says: the best mark is up to two turns higher.
    assert abs(best - computed) <= 2 * turn / room + 0.02
    assert lost(sizes, turns, room, computed) <= 1.06 * losses[best]
    assert lost(sizes, turns, room, None) == pytest.approx(lost(sizes, turns, room, computed), rel=0.02)
    for other in (0.0, 0.3, 0.96):
        assert losses[other] > losses[best]


@pytest.mark.parametrize(("room", "turn"), [(930, 64), (4096, 100), (100, 100), (100, 50.1), (1, 500)])
def test_the_formula_is_where_the_derivative_of_the_loss_is_nought(room, turn):
    def loss(share: float) -> float:
        evaluation: float = turn / room * share / (1 - share)
        return evaluation + (1 - share) / 2

    found = low_mark(room, turn)
    assert found == max(0, 1 - math.sqrt(2 * turn / room))
    for step in (-0.01, 0.01):
        if 0 <= found + step < 1:
            assert loss(found + step) > loss(found)


def test_without_room_nothing_of_history_is_to_stay():
    assert low_mark(0, 10) == low_mark(-5, 10) == 0


def cuts_of(sizes: list[tuple[int, int]], *, limit: int, share: float | None = None, pinned: tuple[int, ...] = ()):
    costs = [tokens for turn in sizes for tokens in turn]
    return replay(cut(chat(sizes), pinned), costs, limit=limit, overhead=0, share=share)


def test_a_cut_goes_down_to_the_mark_and_the_next_one_waits_until_the_window_is_full():
    found = cuts_of([(10, 10)] * 12, limit=100, share=0.5)
    assert [(entry.at, entry.turns, entry.tokens) for entry in found] == [
        (10, (0, 1, 2), 50), (16, (3, 4, 5), 50), (22, (6, 7, 8), 50),
    ]  # fmt: skip


def test_a_turn_that_no_window_holds_takes_what_is_older_with_it_and_goes_next():
    found = cuts_of([(10, 10)] * 4 + [(500, 10)] + [(10, 10)] * 3, limit=100, share=0.5)
    assert [(entry.at, entry.turns) for entry in found] == [(8, (0, 1, 2, 3)), (10, (4,))]


def test_one_huge_turn_does_not_make_every_turn_look_huge():
    usual = cuts_of([(10, 10)] * 40, limit=200)[-1]
    huge = cuts_of([(10, 10)] * 20 + [(100_000, 10)] + [(10, 10)] * 20, limit=200)[-1]
    assert huge.share == pytest.approx(usual.share, abs=0.1)


def test_pinned_turns_take_room_from_history_and_count_for_no_usual_turn():
    found = cuts_of([(50, 50)] + [(10, 10)] * 12, limit=200, pinned=(0,))
    assert found[0].share == low_mark(100, 20)
    assert all(0 not in entry.turns for entry in found)
    assert found[0].at == 12, "five turns of history fill what the pinned turn leaves"
