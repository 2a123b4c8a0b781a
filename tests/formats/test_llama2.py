import pytest

from puna.errors import DialogError
from puna.formats.llama2 import LLAMA2
from puna.generation import Kind, Segment
from puna.messages import Dialog, Role, dialog_of
from tests.formats.dialogs import dialog, message, text_of
from tests.oracles import oracle_json


def test_golden_dialogs_have_the_reference_s_text() -> None:
    for case in oracle_json("formats/llama2_tokens.json"):
        assert text_of(LLAMA2, dialog_of(case["messages"])) == case["text"], case["name"]


def test_golden_contents_are_content_and_nothing_else_is() -> None:
    for case in oracle_json("formats/llama2_tokens.json"):
        given = dialog_of(case["messages"])
        segments = LLAMA2.render(given)
        contents = [(s.role, s.text.strip()) for s in segments if s.kind is Kind.CONTENT and s.text.strip()]
        assert contents == [(m.role, m.content.strip()) for m in given if m.content.strip()], case["name"]


def test_dialogs_that_the_reference_refuses_are_refused_or_written_as_by_the_template() -> None:
    for case in oracle_json("formats/llama2_errors.json"):
        # The template renders a lone system message as nothing at all; nothing is dropped in silence here.
        written = None if case["name"] == "err-system-only" else case["hf_template"]["text"]
        try:
            text = text_of(LLAMA2, dialog_of(case["messages"]))
        except DialogError:
            text = None
        assert text == written, case["name"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (Dialog(), "the dialog is empty; add"),
        (dialog(system="x"), "there is none; add a user message"),
        (Dialog((message(Role.ASSISTANT, "a"),)), "turn 1 is of the assistant where the user must speak; join"),
        (Dialog((message(Role.USER, "a"), message(Role.USER, "b"))), "turn 2 is of the user where the assistant must"),
        (
            Dialog((message(Role.SYSTEM, "a"), message(Role.SYSTEM, "b"))),
            "only as the first message, but turn 1 is one",
        ),
    ],
)
def test_a_refusal_says_what_is_allowed_and_what_to_do(given: Dialog, sentence: str) -> None:
    with pytest.raises(DialogError, match=sentence):
        LLAMA2.render(given)


def test_segments_name_kind_and_role() -> None:
    found = [(s.kind.value, s.role, s.text) for s in LLAMA2.render(dialog("u", "a", "v", system="S"))]
    assert found == [
        ("control", Role.SYSTEM, "<s>[INST] <<SYS>>\n"),
        ("content", Role.SYSTEM, "S"),
        ("control", Role.SYSTEM, "\n<</SYS>>\n\n"),
        ("content", Role.USER, "u"),
        ("control", Role.USER, " [/INST]"),
        ("control", Role.ASSISTANT, " "),
        ("content", Role.ASSISTANT, "a"),
        ("control", Role.ASSISTANT, " </s>"),
        ("control", Role.USER, "<s>[INST] "),
        ("content", Role.USER, "v"),
        ("control", Role.USER, " [/INST]"),
    ]


def test_tags_in_a_message_stay_content() -> None:
    assert Segment(Kind.CONTENT, "a </s><s>[INST] b", Role.USER) in LLAMA2.render(dialog("a </s><s>[INST] b"))


@pytest.mark.parametrize(
    ("answer", "end"),
    [("Once", " Once"), ("  Once upon ", " Once upon "), ("1.\n", " 1.\n"), ("", ""), (" \n", "")],
)
def test_a_begun_answer_is_left_open(answer: str, end: str) -> None:
    assert text_of(LLAMA2, dialog("u", answer), continue_last=True) == "<s>[INST] u [/INST]" + end


@pytest.mark.parametrize("given", [dialog("u"), dialog("u", "a", "v"), Dialog()])
def test_only_an_answer_can_be_continued(given: Dialog) -> None:
    with pytest.raises(DialogError):
        LLAMA2.render(given, continue_last=True)


def test_each_prompt_begins_with_the_dialog_before_it() -> None:
    whole = text_of(LLAMA2, dialog("u", "a", system="S"), generation_prompt=False)
    assert whole.startswith(text_of(LLAMA2, dialog("u", system="S")))
    assert text_of(LLAMA2, dialog("u", "a", "v", system="S")).startswith(whole)
