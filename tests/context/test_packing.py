"""Packing: whole pieces within the room, the most relevant first, and every piece either shown or left out with its reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna import config
from puna.context.grounding import Example
from puna.context.packing import Packed, Why, pack
from puna.context.pieces import Piece
from puna.context.questions import INSTRUCTION, Order, Question
from puna.errors import InputError
from puna.formats.chatml import SMOLLM2
from puna.formats.counting import PromptCounter
from puna.messages import Dialog

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
asked = texts.filter(str.strip)
pieces = st.builds(
    Piece,
    st.one_of(texts, st.sampled_from(["[2] Context:", "Question: who?", "\n[1] x\n\nQuestion: y"])),
    st.sampled_from(["", "a.md", "b.md"]),
    st.lists(texts, max_size=2).map(tuple),
    st.one_of(st.none(), st.integers(0, 50)),
    st.one_of(st.none(), st.integers(0, 50)),
    st.one_of(st.none(), st.integers(1, 9)),
)
examples = st.builds(Example, texts, texts)
questions = st.builds(
    Question,
    asked,
    st.lists(pieces, max_size=6).map(tuple),
    st.sampled_from([INSTRUCTION, "", "Be brief."]),
    st.lists(examples, max_size=3).map(tuple),
    st.sampled_from(list(Order)),
    st.booleans(),
)


def words(dialog: Dialog) -> int:
    """A count that needs no model: a token per word and blank, and four for each message."""
    return 3 + sum(4 + len(message.content.split(" ")) for message in dialog)


def packed_at(question: Question, room: int, most: int | None = None) -> Packed:
    return pack(question, words, room=room, most=most)


@given(questions, st.integers(0, 150), st.one_of(st.none(), st.integers(1, 4)))
def test_what_is_packed_fits_and_is_whole(question, spare, most):
    room = words(question.dialog(0)) + spare
    try:
        packed = packed_at(question, room, most)
    except InputError:
        assert words(Question(question.text, instruction=question.instruction).dialog()) > room
        return
    assert packed.tokens == words(packed.dialog) <= room == packed.room
    assert most is None or len(packed.pieces) <= most
    assert [packed.dialog[s.message].content[s.start : s.end] for s in packed.spans] == [p.text for p in packed.pieces]
    assert [span.number for span in packed.spans] == list(range(1, len(packed.pieces) + 1))
    assert sorted(map(repr, [*packed.pieces, *(gone.piece for gone in packed.left_out)])) == sorted(
        map(repr, question.pieces)
    )
    assert sorted(map(repr, (*packed.examples, *packed.examples_left_out))) == sorted(map(repr, question.examples))
    assert all(gone.tokens is not None and packed.tokens <= room for gone in packed.left_out if gone.why is Why.ROOM)


@given(questions, st.integers(0, 100), st.integers(0, 100))
def test_more_room_never_costs_the_most_relevant_piece(question, spare, more):
    """The best piece that is shown is as good or better, whatever else changes."""
    room = words(Question(question.text, instruction=question.instruction).dialog()) + spare

    def best(packed: Packed) -> int:
        return min((question.pieces.index(piece) for piece in packed.pieces), default=len(question.pieces))

    assert best(packed_at(question, room + more)) <= best(packed_at(question, room))


@given(questions)
def test_with_room_for_all_only_empty_and_repeated_pieces_are_left_out(question):
    packed = packed_at(question, 10_000)
    assert {gone.why for gone in packed.left_out} <= {Why.EMPTY, Why.REPEATED}
    assert packed.examples == question.examples


def test_a_question_that_does_not_fit_is_refused_with_both_numbers():
    question = Question("Where do llamas live?")
    needed = words(question.dialog())
    assert packed_at(question, needed).tokens == needed
    with pytest.raises(InputError, match=f"needs {needed} tokens of the prompt, but there is room for {needed - 1}"):
        packed_at(question, needed - 1)
    with pytest.raises(InputError, match="most must be 1 piece or more, not 0"):
        packed_at(question, 1000, most=0)


def test_a_piece_that_does_not_fit_makes_room_for_a_smaller_one():
    long, short = Piece("word " * 200), Piece("Llamas live in the Andes.")
    packed = packed_at(Question("Where?", (long, short)), 100)
    assert packed.pieces == (short,)
    assert [(gone.piece, gone.why) for gone in packed.left_out] == [(long, Why.ROOM)]
    whole = words(Question("Where?", (long,)).dialog())
    assert packed.left_out[0].tokens == whole - words(Question("Where?").dialog())


def test_examples_come_after_the_first_piece_and_before_the_others():
    example = Example("Who?", "They.")
    question = Question("Where?", (Piece("one"), Piece("two")), examples=(example,))
    with_one = Question("Where?", (Piece("one"),), examples=(example,))
    packed = packed_at(question, words(with_one.dialog()))
    assert (packed.pieces, packed.examples) == ((Piece("one"),), (example,))
    assert [gone.piece for gone in packed.left_out] == [Piece("two")]
    packed = packed_at(question, words(with_one.dialog()) - 1)
    assert packed.examples == ()
    assert packed.examples_left_out == (example,)
    assert packed.pieces[0] == Piece("one")


def test_reasons_are_told_for_each_piece():
    first = Piece("Llamas live in the Andes.", "a.md", ("Life",), 0, 25, 1)
    given = (
        first,
        Piece(" \n"),
        Piece("Llamas live\nin the Andes. ", "b.md", ("Life",)),
        Piece("in the Andes", "a.md", (), 12, 24, 1),
        Piece("Llamas live in the Andes.", "b.md", ("Alpacas",)),
        Piece("They hum."),
    )
    packed = packed_at(Question("Where?", given), 1000, most=2)
    assert packed.pieces == (first, given[4])
    assert [gone.why for gone in packed.left_out] == [Why.EMPTY, Why.REPEATED, Why.REPEATED, Why.MOST]
    assert packed.piece(2) == given[4]
    assert packed.piece(3) is packed.piece(0) is None


@pytest.mark.model
def test_tokens_are_those_of_the_model(model_home, model_file):
    """Counted for the prompt as it is sent, at every room down to the smallest."""
    counter = config.counter_of(model_file, SMOLLM2)
    assert isinstance(counter, PromptCounter)
    given = tuple(Piece(f"Llama number {n} lives in the Andes, at {3000 + n} metres. 🦙", f"{n}.md") for n in range(8))
    question = Question("At what height does llama 3 live?", given, examples=(Example("Hi?", "Hello. [1]"),))
    most, least = counter.prompt(question.dialog()), counter.prompt(Question(question.text).dialog())
    shown = []
    for room in range(least, most + 1, 7):
        packed = pack(question, counter.prompt, room=room)
        assert packed.tokens == counter.prompt(packed.dialog) <= room
        shown.append(len(packed.pieces))
    assert shown == sorted(shown)
    assert pack(question, counter.prompt, room=most).pieces == given
    with pytest.raises(InputError):
        pack(question, counter.prompt, room=least - 1)
