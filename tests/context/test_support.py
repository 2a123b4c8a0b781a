"""What an answer's sentences have of the pieces: citations, words, places; and what the method does not see, said as such."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.context.pieces import Piece
from puna.context.support import Verdict, support
from puna.experiments.questions import Asked, questions

LLAMAS = Piece(
    "Llamas live in the Andes. They can carry 30 kilograms. A herd of llamas has about twenty animals.", "llamas.md"
)
HOURS = Piece(
    "The museum opens at nine and closes at 17:30. On Mondays it is closed.", "hours.md", ("Museum of wool", "Hours")
)
PIECES = (LLAMAS, HOURS)


def verdicts(answer: str, question: str = "") -> list[str]:
    return [str(claim.verdict) for claim in support(answer, PIECES, question)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Llamas live in the Andes [1].", ["supported"]),
        ("A llama carries 30 kilograms. [1]", ["supported"]),
        ("A llama carries 50 kilograms. [1]", ["unsupported"]),  # every number must be there
        ("Llamas live in the Andes.", ["uncited"]),
        ("Llamas live in the Andes [2].", ["elsewhere"]),
        ("Llamas live in the Andes [7].", ["elsewhere"]),
        ("Llamas breathe fire above glaciers [1].", ["unsupported"]),
        ("I don't know.", ["abstains"]),
        ("I don\u2019t know. Llamas live in the Andes. [1]", ["abstains", "supported"]),
        ("Yes. [1]", ["empty"]),
        ("The wool museum opens at 9. [2]", ["supported"]),  # nine is 9
        ("Wool hours: nine. [2]", ["supported"]),  # headings help
        ("Llamas live in the Andes, and the museum opens at nine [1, 2].", ["supported"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_a_sentence_is_judged(answer, expected):
    assert verdicts(answer) == expected


def test_words_of_the_question_do_not_count():
    question = "In which mountains of South America do llamas live?"
    assert verdicts("Llamas live in the mountains of the Alps. [1]") == ["unsupported"]
    answer = "The llamas live in the Alps. [1]"
    assert verdicts(answer) == ["supported"]  # llama and live are two of three
    assert verdicts(answer, question) == ["unsupported"]
    assert verdicts("The llamas live in the Andes. [1]", question) == ["supported"]
    # Where nothing else is said, they do.
    assert verdicts("Llamas live. [1]", "Do llamas live?") == ["supported"]


@pytest.mark.parametrize(
    ("answer", "cites"),
    [
        ("A llama hums. [1] It spits. [2]", [(1,), (2,)]),
        ("A llama hums [1]. It spits [1][2].", [(1,), (1, 2)]),
        ("A llama hums.[1] It spits.[2, 3]", [(1,), (2, 3)]),
        ("[1] A llama hums. [2] It spits.", [(1,), (2,)]),
        ("[1] A llama hums. It spits.", [(1,), ()]),
        ("- It hums [1]\n- It spits [2-4]", [(1,), (2, 3, 4)]),
        ("[2]", [(2,)]),
        ("It hums \u30101\u3011 and spits \uff3b\uff12\uff3d.", [(1, 2)]),
        ("It hums [0] [99999].", [(0,)]),
        ("It hums [1\uff0c2] and spits [2\u30013].", [(1, 2, 3)]),
        ("It hums [1 and 2].", [(1, 2)]),
        ("It hums [3-1].", [(1, 2, 3)]),  # what spans nothing is a range written backwards
        ("\u8349\u3092\u98df\u3079\u308b[1]\u3002\u6c34\u3092\u98f2\u3080[2]\u3002", [(1,), (2,)]),
        (
            "\u0935\u0939 \u0916\u093e\u0924\u093e \u0939\u0948 [1]\u0964 \u0935\u0939 \u092a\u0940\u0924\u093e \u0939\u0948 [2]\u0964",
            [(1,), (2,)],
        ),
        ("\u0644\u0645\u0627\u0630\u0627 [1]\u061f \u0646\u0639\u0645 [2].", [(1,), (2,)]),
        ("It weighs [1-9999] kilos.", [(1, 9999)]),
        ("Write a[i] or [x], see [note 1].", [()]),
    ],
)
def test_citations_belong_to_sentences(answer, cites):
    assert [claim.cites for claim in support(answer, PIECES)] == cites


def test_the_place_in_the_piece_is_told():
    (claim,) = support("It can carry 30 kilograms, they say, in snow. [1][3]", PIECES)
    (found,) = claim.cited
    assert LLAMAS.text[found.start : found.end] == "carry 30 kilograms"
    assert claim.best == found
    assert found.missing == ("snow",)
    assert found.share == 3 / 4
    assert (claim.unknown, claim.verdict) == ((3,), Verdict.SUPPORTED)


def test_words_that_lie_far_apart_do_not_support_together():
    scattered = Piece("Alpacas hum. " + "Some other sentence stands here. " * 5 + "Wool was sold in Arequipa.")
    (claim,) = support("Alpacas hum in Arequipa [1].", (scattered,))
    assert claim.cited[0].share == 2 / 3
    (claim,) = support("Alpacas sold Arequipa [1].", (scattered,))
    assert claim.cited[0].missing == ("Alpacas",)


def test_what_the_method_does_not_see():
    """It is not entailment; the page says so."""
    assert verdicts("The Andes live in llamas. [1]") == ["supported"]
    assert verdicts("Each animal hauls loads of some weight. [1]") == ["unsupported"]


def test_a_piece_s_own_bracketed_numbers_are_no_support():
    quoting = Piece("Alpacas hum.[2] They are shorn in spring.[3]")
    (claim,) = support("Alpacas hum.[2]", (quoting,))
    assert (claim.unknown, claim.verdict, claim.best and claim.best.number) == ((2,), Verdict.ELSEWHERE, 1)


def test_a_script_without_spaces_is_judged_by_pairs_of_its_signs():
    thai = [Piece("\u0e41\u0e21\u0e27\u0e01\u0e34\u0e19\u0e1b\u0e25\u0e32")]  # a cat eats fish
    answers = (
        "\u0e41\u0e21\u0e27\u0e01\u0e34\u0e19[1]",
        "\u0e27\u0e32\u0e01\u0e41\u0e19\u0e21\u0e25\u0e1b[1]",
    )  # a cat eats; the same signs in disorder
    verdicts = [claim.verdict for answer in answers for claim in support(answer, thai)]
    assert verdicts == [Verdict.SUPPORTED, Verdict.UNSUPPORTED]


texts = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("ab. [1]2\n,-")), max_size=60)


@given(texts, st.lists(st.builds(Piece, texts, heading=st.lists(texts, max_size=1).map(tuple)), max_size=3), texts)
def test_places_hold_whatever_is_written(answer, pieces, question):
    for claim in support(answer, pieces, question):
        assert answer[claim.start : claim.end] == claim.text
        assert set(claim.unknown) == {n for n in claim.cites if not 0 < n <= len(pieces)}
        for found in (*claim.cited, *((claim.best,) if claim.best else ())):
            assert 0 <= found.share <= 1
            assert 0 <= found.start <= found.end <= len(pieces[found.number - 1].text)
            assert (found.share == 1) == (not found.missing)


@given(texts)
def test_a_sentence_is_supported_by_itself(text):
    (piece,) = [Piece(text)]
    for claim in support(text, [piece]):
        # Citations in the text are not words of the claim, but the rest is all there.
        assert claim.verdict is not Verdict.UNSUPPORTED or claim.cites


def test_shipped_answers_are_found_in_their_documents_and_not_in_others():
    """The figures of docs/in-context.md."""
    asked = [one for one in questions() if one.answerable]

    def found(answer: str, of: Asked) -> bool:
        claims = support(answer, [Piece(of.document.text)], of.text)
        return any(claim.verdict is Verdict.UNCITED for claim in claims)

    own = sum(found(one.answers[0], one) for one in asked)
    # An answer of another document: 41 further, since each document has four.
    other = sum(found(asked[(n + 41) % len(asked)].answers[0], one) for n, one in enumerate(asked))
    assert (len(asked), own, other) == (160, 160, 2)
