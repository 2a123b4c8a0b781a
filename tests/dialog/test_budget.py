import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.dialog.budget import Budget, budget_of
from puna.errors import InputError
from puna.messages import Dialog
from tests.dialog.conversations import Joining, Words, chat

THREE = chat([(10, 20), (11, 21), (12, 0)], system=30, greeting=7)


def test_every_token_has_its_part():
    found = budget_of(THREE, Words(), context=200, reserve=50, pinned=[2])
    assert found.as_json() == {
        "context": 200, "reserve": 50, "system": 30, "pinned": 37, "history": 32, "turn": 12, "overhead": 3, "free": 36,
    }  # fmt: skip
    assert found.prompt == Words().prompt(THREE)
    assert not found.over


def test_too_much_is_told_as_less_than_nothing_free():
    found = budget_of(THREE, Words(), context=120, reserve=50)
    assert (found.free, found.over) == (-44, True)
    assert not budget_of(THREE, Words(), context=164, reserve=50).over, "just full is not over"


def test_an_answer_at_the_end_belongs_to_the_last_turn():
    found = budget_of(chat([(10, 20), (11, 21)]), Words(), context=200, reserve=50, pinned=[3])
    assert (found.history, found.turn, found.pinned) == (30, 32, 0)


@given(
    st.lists(st.tuples(st.integers(5, 40), st.integers(5, 40)), max_size=8),
    st.sampled_from([0, 9]),
    st.integers(0, 5),
)
@settings(derandomize=True, deadline=None)
def test_the_parts_add_up_to_the_window_where_tokens_join_too(sizes, system, by):
    dialog = chat(sizes, system=system, greeting=6)
    found = budget_of(dialog, Joining(by), context=100, reserve=10, pinned=range(len(dialog) // 2))
    values = found.as_json()
    assert sum(values.values()) - values["context"] == 100
    assert found.prompt == Joining(by).prompt(dialog)


def test_an_empty_dialog_costs_its_template():
    assert budget_of(Dialog(), Words(), context=10, reserve=2).free == 5


@pytest.mark.parametrize(
    ("context", "reserve", "part"),
    [
        (0, 0, "context must be a whole number of tokens, 1 or more, not '0'"),
        (-5, 0, "context must be"),
        (10.0, 1, "context must be"),
        (True, 0, "context must be"),
        ("4096", 1, "context must be"),
        (10, -1, "reserve must be a whole number of tokens, 0 or more, not '-1'"),
        (10, None, "reserve must be"),
        (10, 10, "10 of 10 tokens are kept for the answer; lower reserve, or raise context"),
        (10, 11, "reserve must be below context"),
    ],
)
def test_a_window_without_room_for_a_prompt_is_refused(context, reserve, part):
    for build in (
        lambda: budget_of(THREE, Words(), context=context, reserve=reserve),
        lambda: Budget(context, reserve, 0, 0, 0, 0, 0),
    ):
        with pytest.raises(InputError) as caught:
            build()
        assert part in str(caught.value)


def test_the_bar_is_as_wide_as_asked_and_in_proportion():
    found = budget_of(THREE, Words(), context=200, reserve=50, pinned=[2])
    assert {letter: found.bar(200).count(letter) for letter in "OSPhT.="} == {
        "O": 3, "S": 30, "P": 37, "h": 32, "T": 12, ".": 36, "=": 50,
    }  # fmt: skip
    with pytest.raises(InputError, match="width"):
        found.bar(0)


@given(st.integers(1, 120), st.lists(st.integers(0, 300), min_size=6, max_size=6))
@settings(derandomize=True, deadline=None)
def test_the_bar_keeps_its_width_whatever_is_in_it(width, sizes):
    reserve, *parts = sizes
    assert len(Budget(301, reserve, *parts).bar(width)) == width


def test_a_bar_that_is_over_has_no_free_part():
    bar = budget_of(THREE, Words(), context=120, reserve=50).bar(164)
    assert "." not in bar
    assert bar.count("=") == 50
