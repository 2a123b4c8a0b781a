import pytest

from puna.errors import DialogError
from puna.messages import Dialog, Message, Role, dialog_of


def test_a_dialog_reads_back_as_json():
    given = [{"role": "system", "content": ""}, {"role": "user", "content": "hé"}]
    assert dialog_of(given).as_json() == given


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ("hello", "list"),
        ({"role": "user", "content": "x"}, "list"),
        (7, "list"),
        (["hello"], "messages[0]"),
        ([{"role": "user"}], "messages[0]"),
        ([{"role": "user", "content": "x", "name": "y"}], "'name'"),
        ([{"role": "usr", "content": "x"}], "Did you mean 'user'"),
        ([{"role": 3, "content": "x"}], "role"),
        ([{"role": "user", "content": "x"}, {"role": "user", "content": None}], "messages[1].content"),
        ([{"role": "user", "content": "a\ud800b"}], "surrogate"),
    ],
)
def test_what_is_no_dialog_is_refused_by_its_place(given, part):
    with pytest.raises(DialogError) as caught:
        dialog_of(given)
    assert part in str(caught.value)


def test_append_leaves_the_dialog_as_it_was():
    first = Dialog((Message(Role.USER, "a"),))
    assert len(first.append(Role.ASSISTANT, "b")) == 2
    assert len(first) == 1


def test_only_a_first_system_message_is_the_system():
    assert Dialog((Message(Role.USER, "a"), Message(Role.SYSTEM, "s"))).system is None
    assert Dialog((Message(Role.SYSTEM, "s"),)).system == "s"
