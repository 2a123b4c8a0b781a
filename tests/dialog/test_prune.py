import json
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.dialog.prune import POLICIES, fit
from puna.dialog.turns import cut
from puna.errors import ContextWindowError, DialogError, InputError, NoRoomError
from puna.messages import Dialog, Role
from tests.dialog.conversations import OVERHEAD, Joining, Words, chat, growing, life

TEN = chat([(10, 10)] * 9 + [(10, 0)], system=20)
"""A system message, nine turns of 20 tokens and a question: 213 tokens with the template."""


def test_what_fits_stays_whole():
    for policy in POLICIES:
        found = fit(TEN, Words(), context=263, reserve=50, policy=policy)
        assert found.dialog == TEN
        assert (found.kept, found.dropped, found.prompt_tokens) == (tuple(range(20)), (), 213)
        assert found.low_mark is None


def test_oldest_drops_as_little_as_possible():
    found = fit(TEN, Words(), context=262, reserve=50, policy="oldest")
    assert found.kept == (0, *range(3, 20))
    assert [entry.index for entry in found.dropped] == [1, 2]
    assert found.prompt_tokens == 193


def test_watermark_is_the_default_and_makes_room():
    found = fit(TEN, Words(), context=262, reserve=50)
    room = 212 - 20 - OVERHEAD
    assert found.policy == "watermark"
    assert found.low_mark == 1 - math.sqrt(2 * 20 / room)
    assert found.prompt_tokens - 20 - OVERHEAD <= found.low_mark * room < found.prompt_tokens - OVERHEAD
    assert [entry.index for entry in found.dropped] == list(range(1, 11))


def test_none_drops_nothing_and_refuses():
    with pytest.raises(NoRoomError) as caught:
        fit(TEN, Words(), context=262, reserve=50, policy="none")
    assert isinstance(caught.value, ContextWindowError)
    assert (caught.value.prompt_tokens, caught.value.max_tokens, caught.value.context) == (213, 50, 262)
    assert str(caught.value) == (
        "the prompt has 213 tokens (system 20, history 180, last turn 10, template 3) and 50 are reserved for the answer: "
        "together 263, but the context window holds 262; let the policy watermark drop old turns, or shorten the last "
        "turn, or lower reserve to 49 or less, or shorten the system message, or use a context of 263 or more"
    )


def test_a_last_turn_that_is_too_long_alone_is_refused_with_every_number():
    dialog = chat([(10, 10)] * 3 + [(90, 0)], system=20)
    for policy in ("watermark", "oldest"):
        with pytest.raises(NoRoomError) as caught:
            fit(dialog, Words(), context=120, reserve=10, policy=policy, pinned=[1])
        assert caught.value.parts == {
            "system": 20, "pinned turns": 20, "history": 0, "last turn": 90, "template": 3,
        }  # fmt: skip
        assert str(caught.value).endswith(
            "shorten the last turn, or unpin turns, or shorten the system message, or use a context of 143 or more"
        )


def test_what_went_is_told_with_its_cost_and_the_reason():
    dropped = fit(TEN, Words(), context=262, reserve=50).dropped
    assert {(entry.role, entry.tokens) for entry in dropped} == {(Role.USER, 10), (Role.ASSISTANT, 10)}
    assert {entry.why for entry in dropped} == {
        "the prompt passed 212 tokens at message 19: the oldest turns went, to reach the low mark of 102 tokens"
    }
    assert {entry.why for entry in fit(TEN, Words(), context=262, reserve=50, policy="oldest").dropped} == {
        "the prompt has more than 212 tokens: the oldest turns went until it fitted"
    }


def test_the_json_form():
    found = fit(TEN, Words(), context=73, reserve=20, policy="oldest")
    assert json.loads(json.dumps(found.as_json())) == {
        "kept": [0, 17, 18, 19],
        "dropped": [
            {"index": n, "role": "user" if n % 2 else "assistant", "tokens": 10, "why": found.dropped[0].why}
            for n in range(1, 17)
        ],
        "prompt_tokens": 53,
        "reserve": 20,
        "context": 73,
        "policy": "oldest",
        "low_mark": None,
    }
    assert fit(TEN, Words(), context=262, reserve=50, low_mark=1 / 3).as_json()["low_mark"] == 0.3333


def test_pinned_turns_stay_whole_and_in_their_place():
    for policy in ("watermark", "oldest"):
        found = fit(TEN, Words(), context=120, reserve=20, policy=policy, pinned=[4])
        assert found.kept[:3] == (0, 3, 4)
        assert found.kept[-1] == 19
        assert 1 in [entry.index for entry in found.dropped]


@pytest.mark.parametrize(("share", "turns"), [(0, 1), (0.5, 5), (1, 9)])
def test_a_low_mark_of_ones_own(share, turns):
    found = fit(TEN, Words(), context=262, reserve=50, low_mark=share)
    assert len(cut(found.dialog).messages) == turns
    assert found.low_mark == share


def test_an_answer_at_the_end_stays_with_its_question():
    dialog = chat([(10, 10)] * 10)
    for policy in ("watermark", "oldest"):
        assert fit(dialog, Words(), context=24, reserve=1, policy=policy).kept == (18, 19)
    with pytest.raises(NoRoomError):
        fit(dialog, Words(), context=24, reserve=2)


def test_a_greeting_goes_with_the_first_turn():
    found = fit(chat([(10, 10)] * 9 + [(10, 0)], greeting=9), Words(), context=230, reserve=30, policy="oldest")
    assert found.kept[0] == 3


@pytest.mark.parametrize("policy", POLICIES)
def test_a_dialog_without_turns_is_kept_or_refused_as_a_whole(policy):
    assert fit(Dialog(), Words(), context=4, reserve=1, policy=policy).prompt_tokens == 3
    alone = chat([], system=20)
    assert fit(alone, Words(), context=24, reserve=1, policy=policy).kept == (0,)
    with pytest.raises(NoRoomError, match="shorten the system message"):
        fit(alone, Words(), context=24, reserve=2, policy=policy)
    greeted = chat([], greeting=20)
    assert fit(greeted, Words(), context=24, reserve=1, policy=policy).kept == (0,)


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ({"policy": "old"}, "unknown policy 'old'. Did you mean 'oldest'? Known: none, oldest, watermark"),
        ({"reserve": 262}, "reserve must be below context"),
        ({"context": 0}, "context must be"),
        ({"pinned": [20]}, "index of the dialog (0 to 19)"),
        ({"low_mark": 1.5}, "low_mark must be a number from 0 to 1"),
        ({"low_mark": float("nan")}, "low_mark must be"),
        ({"low_mark": True}, "low_mark must be"),
        ({"low_mark": "0.5"}, "low_mark must be"),
        ({"low_mark": 0.5, "policy": "oldest"}, "low_mark belongs to the policy watermark"),
    ],
)
def test_nonsense_is_refused(more, part):
    with pytest.raises(InputError) as caught:
        fit(TEN, Words(), **{"context": 262, "reserve": 50, **more})
    assert part in str(caught.value)


def test_what_the_format_cannot_express_is_for_the_counter_to_say():
    class Strict(Words):
        def costs(self, dialog: Dialog) -> tuple[int, ...]:
            raise DialogError("turns must alternate")

    with pytest.raises(DialogError, match="alternate"):
        fit(TEN, Strict(), context=262, reserve=50)


@pytest.mark.parametrize("policy", ["watermark", "oldest"])
def test_what_fits_exactly_stays_whole_though_its_costs_add_up_to_more(policy):
    class Shared(Words):
        def prompt(self, dialog: Dialog) -> int:
            return super().prompt(dialog) - max(0, len(dialog) - 2)

    assert fit(TEN, Shared(), context=245, reserve=50, policy=policy).dropped == ()
    assert fit(TEN, Shared(), context=244, reserve=50, policy=policy).dropped != ()


# ---- what always holds


def must_stay(dialog: Dialog, pinned: list[int], policy: str) -> Dialog:
    turns = cut(dialog, pinned)
    gone = [] if policy == "none" else turns.droppable
    return Dialog(tuple(message for message, turn in zip(dialog, turns.of, strict=True) if turn not in gone))


SIZES = st.lists(
    st.tuples(
        st.one_of(st.integers(5, 40), st.integers(100, 400)),
        st.one_of(st.just(0), st.integers(5, 40), st.integers(100, 400)),
    ),
    min_size=1,
    max_size=40,
)


@given(
    SIZES,
    st.sampled_from([0, 30]),
    st.sampled_from([0, 12]),
    st.sets(st.integers(0, 10), max_size=2),
    st.sampled_from([0, 1, 3]),
    st.sampled_from(POLICIES),
    st.sampled_from([None, 0, 0.5, 1.0]),
)
@settings(derandomize=True, deadline=None, max_examples=150)
def test_a_growing_dialog(sizes, system, greeting, pins, joining, policy, share):  # noqa: PLR0917  # drawn by hypothesis
    """At each message: it fits, what must stay stays, and what was dropped stays dropped."""
    share = share if policy == "watermark" else None
    dropped: set[int] = set()
    for dialog in growing(chat(sizes, system=system, greeting=greeting)):
        pinned = [n for n in pins if n < len(dialog)]
        counter = Joining(joining)
        try:
            found = fit(dialog, counter, context=300, reserve=20, policy=policy, pinned=pinned, low_mark=share)
        except NoRoomError:
            assert counter.prompt(must_stay(dialog, pinned, policy)) > 280
            continue
        turns = cut(dialog, pinned)
        gone = {entry.index for entry in found.dropped}
        assert sorted((*found.kept, *gone)) == list(range(len(dialog)))
        assert found.prompt_tokens == counter.prompt(found.dialog) <= 280
        assert found.dialog.messages == tuple(dialog[n] for n in found.kept)
        assert not gone & turns.last
        assert all(turns.of[n] not in turns.pinned and dialog[n].role is not Role.SYSTEM for n in gone)
        droppable = [n for turn in turns.droppable for n in turns.messages[turn]]
        assert droppable[: len(gone)] == sorted(gone), "whole turns, the oldest first"
        assert dropped <= gone, "a dropped turn came back"
        dropped = gone


def test_between_two_cuts_a_prompt_begins_as_the_one_before():
    before, cuts = fit(TEN, Words(), context=400, reserve=50), 0
    for dialog in growing(chat([(10, 14)] * 200, system=20))[20:]:
        found = fit(dialog, Words(), context=400, reserve=50)
        if len(found.dropped) == len(before.dropped):
            assert found.kept == (*before.kept, len(dialog) - 1)
        else:
            cuts += 1
        before = found
    assert 15 < cuts < 40


@pytest.mark.parametrize("joining", [0, 1])
def test_long_dialogs_are_counted_exactly_only_a_few_times(joining):
    dialog = chat([(12, 30)] * 2500)
    for policy in ("watermark", "oldest"):
        counter = Joining(joining)
        assert len(fit(dialog, counter, context=4096, reserve=512, policy=policy).dropped) > 4000
        assert counter.asked <= 6
        assert counter.costed == 1


def test_costs_that_are_far_off_still_give_an_exact_fit_in_few_counts():
    class Far(Words):
        def costs(self, dialog: Dialog) -> tuple[int, ...]:
            return tuple(cost * self.per_cent // 100 for cost in super().costs(dialog))

        per_cent = 50

    for per_cent in (50, 150):
        for policy in ("watermark", "oldest"):
            counter = Far()
            counter.per_cent = per_cent
            found = fit(chat([(12, 30)] * 500), counter, context=4096, reserve=512, policy=policy)
            assert found.prompt_tokens == Words().prompt(found.dialog) <= 3584
            assert counter.asked <= 25
            if policy == "oldest":
                assert found.prompt_tokens > 3584 - 42


# ---- what it costs


def drawn(low: int, high: int) -> list[tuple[int, int]]:
    draw = random.Random(7)
    return [(draw.randint(low, high), 24) for _ in range(200)]


@pytest.mark.parametrize("sizes", [[(40, 24)] * 200, drawn(16, 64)], ids=["fixed", "random"])
@pytest.mark.parametrize("system", [0, 60])
def test_a_long_chat_evaluates_a_fifth_and_sees_more_than_half(sizes, system):
    limit = 930 + system
    full, naive_seen, slides = life(sizes, "oldest", limit=limit, system=system)
    evaluated, seen, cuts = life(sizes, "watermark", limit=limit, system=system)
    assert evaluated * 5 <= full
    assert seen * 2 >= naive_seen
    assert cuts * 5 <= slides


@pytest.mark.parametrize("turn", [40, 100, 200, 300, 420, 600])
def test_more_than_half_of_the_turns_stay_in_view_whatever_their_size(turn):
    sizes = [(turn // 2, turn // 2)] * 80
    assert life(sizes, "watermark", limit=930)[1] * 2 >= life(sizes, "oldest", limit=930)[1]
