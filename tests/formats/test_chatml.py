import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.errors import DialogError
from puna.formats.chatml import CHATML, SMOLLM2, ChatML
from puna.formats.chatml_parse import SLIPS
from puna.generation import Kind
from puna.messages import Dialog, Message, Role, dialog_of
from tests.formats.dialogs import any_order, dialog, message, renders, text_of

FAMILIES = [CHATML, SMOLLM2]
TAGS = ("<|im_start|>", "<|im_end|>")
DEFAULT = f"<|im_start|>system\n{SMOLLM2.default_system}<|im_end|>\n"


@pytest.mark.parametrize("form", FAMILIES, ids=lambda form: form.name)
def test_renders_of_the_vendor_s_template(form: ChatML) -> None:
    for case in renders(form.name):
        text = text_of(form, dialog_of(case["messages"]), generation_prompt=case["add_generation_prompt"])
        assert text == case["text"], case["dialog"]


@pytest.mark.parametrize("form", FAMILIES, ids=lambda form: form.name)
def test_contents_are_content_and_nothing_else_is(form: ChatML) -> None:
    asked = dialog("a <|im_end|> b", " c ", "", system=" S ")
    contents = [(s.role, s.text) for s in form.render(asked) if s.kind is Kind.CONTENT]
    assert contents == [(m.role, m.content) for m in asked if m.content]


@settings(derandomize=True, max_examples=300, deadline=None)
@given(any_order(), st.booleans(), st.booleans(), st.sampled_from(FAMILIES))
def test_reading_undoes_writing(asked: Dialog, prompt: bool, continue_last: bool, form: ChatML) -> None:
    if any(tag in m.content for m in asked for tag in TAGS):
        return
    last = asked[-1]
    is_open = continue_last and last.role is Role.ASSISTANT and bool(last.content.strip())
    parsed = form.parse(text_of(form, asked, generation_prompt=prompt, continue_last=is_open))
    assert (parsed.format, parsed.dialog, parsed.open, parsed.findings) == (form.name, asked, is_open, ())
    assert parsed.confidence > 0.9


@settings(derandomize=True, max_examples=500, deadline=None)
@given(
    st.lists(st.sampled_from([*TAGS, "user", "assistant\n", "system\n", "tool\n", " ", "\n", "a"]), max_size=14).map(
        "".join
    )
)
def test_any_order_of_tags_is_read_or_refused(text: str) -> None:
    for form in FAMILIES:
        try:
            parsed = form.parse(text)
        except DialogError:
            continue
        assert all(0 <= f.start <= f.end <= len(text) for f in parsed.findings)


START = "<|im_start|>"
CASES: list[tuple[str, list[tuple[str, str]], list[str]]] = [
    ("<|im_start|>user\nq<|im_end|>\n", [("user", "q")], []),
    ("<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n", [("user", "q")], []),
    ("<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant", [("user", "q")], ["header-spelling"]),
    ("<|im_start|>user\nq<|im_end|>", [("user", "q")], ["no-newline-after-end"]),
    ("<|im_start|>user\nq<|im_end|>\n\n", [("user", "q")], ["space-between-turns"]),
    ("<|im_start|>user\nq", [("user", "q")], ["missing-im-end"]),
    ("<|im_start|>user\nq\n<|im_start|>assistant\n", [("user", "q")], ["missing-im-end"]),
    ("<|im_start|>user\nq<|im_end|><|im_start|>assistant\n", [("user", "q")], ["no-newline-after-end"]),
    ("<|im_start|>user\nq<|im_end|>\n \n<|im_start|>assistant\n", [("user", "q")], ["space-between-turns"]),
    ("\n<|im_start|>user\nq<|im_end|>\n", [("user", "q")], ["space-before-start"]),
    ("<s><|im_start|>user\nq<|im_end|>\n", [("user", "q")], ["stray-bos"]),
    ("<|im_start|>User: q<|im_end|>\n", [("user", "q")], ["header-spelling"]),
    ("<|im_start|> user\r\nq<|im_end|>\n", [("user", "q")], ["header-spelling"]),
    ("<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n\n", [("user", "q")], ["space-after-header"]),
    ("<|im_start|>user\nq<|im_end|><|im_end|>\n", [("user", "q")], ["stray-im-end"]),
    ("<|im_start|>user\nq<|im_end|>\n<|im_end|><|im_start|>assistant\n", [("user", "q")], ["stray-im-end"]),
    ("Be nice. <|im_start|>user\nq<|im_end|>\n", [("user", "Be nice."), ("user", "q")], ["text-outside-turn"]),
    ("<|im_start|>user\nq<|im_end|>\nr", [("user", "q"), ("user", "r")], ["text-outside-turn"]),
    ("<|im_start|>user\nwhy <|im_start|>?<|im_end|>\n", [("user", "why <|im_start|>?")], ["tag-in-content"]),
    ("<|im_start|>user\n q \n<|im_end|>\n", [("user", " q \n")], []),
]


@pytest.mark.parametrize(("text", "meant", "found"), CASES, ids=[text for text, _, _ in CASES])
def test_a_slip_is_named_and_read_past(text: str, meant: list[tuple[str, str]], found: list[str]) -> None:
    parsed = CHATML.parse(text)
    assert [f.code for f in parsed.findings] == found
    assert [(m.role, m.content) for m in parsed.dialog] == meant
    assert not parsed.open


def test_every_code_is_shown_by_a_case() -> None:
    assert set(SLIPS) == {code for _, _, found in CASES for code in found} | {"no-default-system"}


def test_a_begun_answer_is_open_as_it_stands() -> None:
    parsed = CHATML.parse("<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\nOnce upon ")
    assert parsed.open
    assert parsed.dialog[-1] == Message(Role.ASSISTANT, "Once upon ")
    assert parsed.findings == ()


def test_smollm2_s_own_sentence_is_written_and_read_past() -> None:
    asked = dialog("q")
    assert text_of(SMOLLM2, asked).startswith(DEFAULT)
    assert SMOLLM2.parse(text_of(SMOLLM2, asked)).dialog == asked
    assert CHATML.parse(text_of(SMOLLM2, asked)).dialog.system == SMOLLM2.default_system


def test_smollm2_s_own_sentence_alone_is_kept() -> None:
    assert SMOLLM2.parse(DEFAULT).dialog.system == SMOLLM2.default_system


def test_a_prompt_without_the_sentence_is_told_of_it() -> None:
    parsed = SMOLLM2.parse("<|im_start|>user\nq<|im_end|>\n")
    assert [(f.code, f.start, f.fix) for f in parsed.findings] == [("no-default-system", 0, DEFAULT)]


@pytest.mark.parametrize(
    "text", ["", "Hello", "<|im_end|>", "<|im_start|>", "<s>[INST] q [/INST]", "<|im_start|>?user\n"]
)
def test_text_without_a_message_is_refused(text: str) -> None:
    with pytest.raises(DialogError, match="no message begins in this text"):
        CHATML.parse(text)


def test_a_role_that_is_none_of_the_three_is_refused() -> None:
    with pytest.raises(DialogError, match=r"unknown role 'tool'.*Known: assistant, system, user"):
        CHATML.parse("<|im_start|>user\nq<|im_end|>\n<|im_start|>tool\n{}<|im_end|>\n")


def test_an_empty_dialog_is_refused() -> None:
    with pytest.raises(DialogError, match="at least one user message"):
        CHATML.render(Dialog())


def test_only_an_answer_can_be_continued() -> None:
    with pytest.raises(DialogError, match="must be the assistant's, but it is of the user"):
        CHATML.render(Dialog((message(Role.USER, "q"),)), continue_last=True)


@pytest.mark.parametrize(
    "unit", [*TAGS, "<|im_start|>user\n", "<|im_start|>user\n<|im_end|>\n", "<|im_start|>a ", "<|"]
)
def test_a_megabyte_of_one_tag_is_read_in_linear_time(unit: str) -> None:
    start = time.perf_counter()
    with contextlib.suppress(DialogError):
        CHATML.parse("<|im_start|>user\n" + unit * (1_000_000 // len(unit)))
    # Quadratic time would take hours; the bound only has room for a slow machine.
    assert time.perf_counter() - start < 20
