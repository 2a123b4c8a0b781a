"""What stands before a conversation: its order, and that its pieces join to what is sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.context.grounding import ONLY, Example, Grounding
from puna.messages import Role

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def test_order_is_system_instruction_context_examples():
    grounding = Grounding(
        "Be brief.", "Quillboard is a whiteboard.", (Example("What is it?", "A whiteboard."),), only=True
    )
    before = grounding.before()
    assert [str(message.role) for message in before] == ["system", "user", "assistant"]
    assert before[0].content == f"Be brief.\n\n{ONLY}\n\nContext: Quillboard is a whiteboard."
    assert [message.content for message in before[1:]] == ["What is it?", "A whiteboard."]


@pytest.mark.parametrize("empty", [Grounding(), Grounding("  "), Grounding(context="\n"), Grounding(only=True)])
def test_nothing_given_is_nothing_sent(empty):
    assert len(empty.before()) == 0
    assert list(empty.pinned) == []


@given(
    st.builds(Grounding, texts, texts, st.lists(st.builds(Example, texts, texts), max_size=3).map(tuple), st.booleans())
)
def test_pieces_join_to_the_system_message_and_examples_are_pinned(grounding):
    before = grounding.before()
    assert (before.system or "") == "".join(text for _, text in grounding.system_parts)
    assert {kind for kind, _ in grounding.system_parts} <= {"system", "context"}
    assert [before[n].role for n in grounding.pinned] == [Role.USER, Role.ASSISTANT] * len(grounding.examples)
    assert len(before) == len(grounding.pinned) + bool(grounding.system_parts)
