import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.dialog.history import History
from puna.errors import InputError
from puna.messages import Role


def talk(*contents: str) -> History:
    """Question, answer, question ..."""
    found = History()
    for n, content in enumerate(contents):
        found = found.append(Role.ASSISTANT if n % 2 else Role.USER, content)
    return found


def texts(history: History) -> list[str]:
    return [message.content for message in history.path]


def test_a_history_grows_and_leaves_the_old_one_as_it_was():
    first = talk("a")
    second = first.append(Role.ASSISTANT, "b")
    assert (texts(first), texts(second)) == (["a"], ["a", "b"])
    assert second.line == (0, 1)
    assert talk("a") == first


def test_an_edit_is_a_sibling_and_nothing_below_it_is_lost():
    old = talk("a", "b", "c")
    new = old.edit(0, "A")
    assert texts(new) == ["A"]
    assert new.path[0].role is Role.USER
    assert new.versions(0) == new.versions(3) == (0, 3)
    assert texts(new.choose(0)) == ["a", "b", "c"], "back to the newest message of the version"
    assert texts(new.fork(0)) == ["a"], "a fork goes just there"


def test_choose_goes_to_the_newest_message_below_whichever_branch_it_is_on():
    found = talk("a", "b", "c", "d").fork(1).append(Role.USER, "e").fork(None).append(Role.USER, "z")
    assert texts(found.choose(0)) == ["a", "b", "e"]
    assert texts(found.choose(2)) == ["a", "b", "c", "d"]


def test_regenerate_makes_room_for_another_answer():
    asked = talk("a", "b").regenerate()
    assert texts(asked) == ["a"]
    again = asked.append(Role.ASSISTANT, "B")
    assert again.versions(again.line[-1]) == (1, 2)
    assert texts(again.choose(1)) == ["a", "b"]


def test_regenerate_asked_twice_or_before_the_answer_keeps_the_question():
    once = talk("a", "b", "c", "d").regenerate()
    assert once.regenerate() == once
    assert talk("a", "b", "c").regenerate() == talk("a", "b", "c")


def test_regenerate_passes_over_a_system_message():
    assert texts(talk("a", "b").append("system", "s").regenerate()) == ["a"]


@pytest.mark.parametrize("history", [History(), History().append(Role.SYSTEM, "s")])
def test_without_question_and_answer_there_is_nothing_to_regenerate(history):
    with pytest.raises(InputError, match="append a user message first"):
        history.regenerate()


def test_a_greeting_can_be_regenerated_into_another_root():
    found = History().append(Role.ASSISTANT, "hi").regenerate().append(Role.ASSISTANT, "hello")
    assert found.versions(0) == (0, 1)
    assert texts(found) == ["hello"]


def test_fork_to_the_place_before_every_message_begins_anew():
    found = talk("a", "b").fork(None).append(Role.USER, "z")
    assert texts(found) == ["z"]
    assert found.versions(0) == (0, 2)


def test_undo_takes_the_head_back_move_by_move_and_keeps_every_node():
    found = talk("a", "b").edit(1, "B").fork(0).choose(1)
    seen = []
    for _ in range(5):
        seen.append(found.head)
        found = found.undo()
    assert seen == [1, 0, 2, 1, 0]
    assert (found.head, len(found.nodes)) == (None, 3)
    with pytest.raises(InputError, match="nothing to undo"):
        found.undo()


def test_a_move_to_where_the_head_is_needs_no_undo():
    assert talk("a").fork(0).trail == talk("a").choose(0).trail == (None,)


def test_pins_are_told_as_indices_of_the_path():
    found = talk("a", "b", "c", "d").pin(2).pin(3).unpin(3).pin(2)
    assert found.pinned == (2,)
    other = found.edit(0, "A").append(Role.ASSISTANT, "x")
    assert other.pinned == (), "the pinned node is on another path"
    assert other.choose(0).pinned == (2,)
    assert found.unpin(2) == found.unpin(2).unpin(0)


@pytest.mark.parametrize("node", [-1, 2, True, "0", 0.0])
@pytest.mark.parametrize("verb", ["fork", "versions", "choose", "pin", "unpin", "edit"])
def test_a_node_that_is_not_there_is_refused(verb, node):
    more = ("x",) if verb == "edit" else ()
    with pytest.raises(InputError, match=r"number of a node \(0 to 1\)"):
        getattr(talk("a", "b"), verb)(node, *more)


def test_an_unknown_role_or_content_that_is_no_text_is_refused():
    with pytest.raises(InputError, match="Did you mean 'user'"):
        History().append("usr", "x")
    with pytest.raises(InputError, match="surrogate"):
        History().append("user", "\ud800")
    with pytest.raises(InputError, match="must be text"):
        History().append("user", None)  # type: ignore[arg-type]


VERBS = st.one_of(
    st.tuples(st.just("append"), st.sampled_from(list(Role)), st.text(st.characters(codec="utf-8"), max_size=3)),
    st.tuples(st.just("edit"), st.integers(0, 30), st.just("e")),
    st.tuples(st.sampled_from(["fork", "choose", "pin", "unpin"]), st.integers(0, 30)),
    st.tuples(st.sampled_from(["regenerate", "undo"])),
)


@given(st.lists(VERBS, max_size=25))
@settings(derandomize=True, deadline=None)
def test_whatever_is_done_nothing_is_lost_and_json_gives_it_back(verbs):
    found = History()
    for name, *given_ in verbs:
        before = found
        try:
            found = getattr(found, name)(*given_)
        except InputError:
            continue
        assert found.nodes[: len(before.nodes)] == before.nodes
        assert len(found.path) == len(found.line)
        if len(found.trail) > len(before.trail):
            assert found.undo().head == before.head
    again = History.from_json(json.loads(json.dumps(found.as_json())))
    assert again == found


def test_a_chain_of_100_000_messages_needs_no_recursion():
    count = 100_000
    nodes = [{"parent": n - 1 if n else None, "role": "user", "content": str(n)} for n in range(count)]
    given = {"version": 1, "nodes": nodes, "head": count - 1, "pins": [count - 1], "trail": []}
    found = History.from_json(given)
    assert len(found.path) == count
    assert found.pinned == (count - 1,)
    assert found.fork(0).choose(0).head == count - 1
    assert found.as_json() == given


GOOD = talk("a", "b", "c").edit(2, "C").pin(0).as_json()


def but(**changes: object) -> dict[str, object]:
    return {**GOOD, **changes}


def node(**changes: object) -> dict[str, object]:
    return but(nodes=[{"parent": None, "role": "user", "content": "a", **changes}], head=0, pins=[], trail=[])


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (None, "a history must be an object"),
        ([], "a history must be an object"),
        ({}, "with just head, nodes, pins, trail, version"),
        (but(more=1), "more"),
        (but(version=2), "version of a history must be 1, not 2"),
        (but(version=True), "version"),
        (but(nodes={}), "nodes of a history must be a list"),
        (but(pins=None), "pins of a history must be a list"),
        (but(trail="12"), "trail of a history must be a list"),
        (but(head=4), "head must be the number of a node (0 to 3), not 4"),
        (but(head=-1), "head must be"),
        (but(head=True), "head must be"),
        (but(head="0"), "head must be"),
        (but(pins=[9]), "pins[0] must be the number of a node"),
        (but(pins=[None]), "pins[0] must be"),
        (but(pins=[0, 0]), "pins must name each node once"),
        (but(trail=[None, 7]), "trail[1] must be the number of a node"),
        (but(nodes=[]), "none yet"),
        (but(nodes=["a"]), "nodes[0] must be an object with just content, parent, role, but it is 'a'"),
        (node(name="x"), "name"),
        (node(parent=0), "nodes[0].parent must be null or the number of an earlier node (there is none"),
        (node(parent=5), "nodes[0].parent"),
        (node(parent="x"), "nodes[0].parent"),
        (node(parent=False), "nodes[0].parent"),
        (node(role="usr"), "nodes[0]: unknown role 'usr'. Did you mean 'user'?"),
        (node(role=["user"]), "nodes[0]: unknown role"),
        (node(content=7), "nodes[0]: content of a user message must be text"),
        (node(content="\udcff"), "surrogate"),
        (node(parent="y" * 500), "..."),
    ],
)
def test_bad_json_is_refused_with_one_short_sentence(given, part):
    with pytest.raises(InputError) as caught:
        History.from_json(given)
    assert part in str(caught.value)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_two_nodes_that_follow_each_other_are_a_circle_and_refused():
    circle = [{"parent": 1, "role": "user", "content": "a"}, {"parent": 0, "role": "user", "content": "b"}]
    with pytest.raises(InputError, match=r"nodes\[0\].parent .* put a node after the one that it follows"):
        History.from_json(but(nodes=circle))
