import pytest

from puna.dialog.turns import cut
from puna.errors import InputError
from puna.messages import Dialog, Message, Role


def of(letters: str) -> Dialog:
    roles = {"s": Role.SYSTEM, "u": Role.USER, "a": Role.ASSISTANT}
    return Dialog(tuple(Message(roles[letter], "x") for letter in letters))


@pytest.mark.parametrize(
    ("letters", "turns"),
    [
        ("", ()),
        ("s", ()),
        ("u", ((0,),)),
        ("sua", ((1, 2),)),
        ("suaua", ((1, 2), (3, 4))),
        ("uaau", ((0, 1, 2), (3,))),
        ("uu", ((0,), (1,))),
        ("auau", ((0, 1, 2), (3,))),
        ("saaua", ((1, 2, 3, 4),)),
        ("aa", ((0, 1),)),
        ("usau", ((0, 2), (3,))),
        ("uasu", ((0, 1), (3,))),
    ],
)
def test_a_turn_is_a_question_with_all_that_follows_it(letters, turns):
    found = cut(of(letters))
    assert found.messages == turns
    assert found.of == tuple(next((t for t, own in enumerate(turns) if n in own), None) for n in range(len(letters)))


def test_neither_the_last_turn_nor_a_pinned_one_can_be_dropped():
    dialog = of("suauauau")
    assert cut(dialog).droppable == (0, 1, 2)
    assert cut(dialog, [4]).droppable == (0, 2)
    assert cut(dialog, [3, 4, 1]).droppable == (2,)
    assert cut(dialog, [0, 7]).droppable == (0, 1, 2), "a system message stays anyway, and so does the last turn"


@pytest.mark.parametrize("index", [-1, 2, "0", True, 1.0, None])
def test_a_pin_that_is_no_index_is_refused(index):
    with pytest.raises(InputError, match=r"index of the dialog \(0 to 1\).*count its messages from 0"):
        cut(of("ua"), [index])


def test_nothing_can_be_pinned_in_an_empty_dialog():
    with pytest.raises(InputError, match="the dialog is empty"):
        cut(of(""), [0])
