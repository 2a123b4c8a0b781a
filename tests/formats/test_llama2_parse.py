import ast
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.errors import DialogError
from puna.formats.llama2 import LLAMA2
from puna.formats.llama2_tags import has_tag
from puna.messages import Dialog, Message, Role, dialog_of
from tests.formats.dialogs import alternating, codes, mended, text_of
from tests.oracles import oracle, oracle_json


def trimmed(given: Dialog, *, is_open: bool = False) -> Dialog:
    """What the format states: the system text whole, the first user text under it stripped at its end, others whole."""
    first_user = 0 if given.system is None else 1
    kept = []
    for n, entry in enumerate(given):
        text = entry.content.strip()
        if entry.role is Role.SYSTEM:
            text = entry.content
        elif first_user == n == 1 and text:
            text = entry.content.rstrip()
        elif is_open and n == len(given) - 1:
            text = entry.content.lstrip()
        kept.append(Message(entry.role, text))
    if is_open and not kept[-1].content:
        kept.pop()
    return Dialog(tuple(kept))


def has_tags(given: Dialog) -> bool:
    return any(has_tag(entry.content) for entry in given)


@settings(derandomize=True, max_examples=400, deadline=None)
@given(alternating(), st.booleans())
def test_reading_undoes_writing(given: Dialog, continue_last: bool) -> None:
    if has_tags(given):
        return
    is_open = continue_last and given[-1].role is Role.ASSISTANT
    text = text_of(LLAMA2, given, generation_prompt=False, continue_last=is_open)
    parsed = LLAMA2.parse(text)
    assert parsed.dialog == trimmed(given, is_open=is_open)
    assert parsed.open == (is_open and bool(given[-1].content.strip()))
    assert {f.code for f in parsed.findings} <= {"system-space-before-user"}
    assert parsed.confidence > 0.9


TAGS = ["<s>", "</s>", "<\\s>", "[INST]", "[/INST]", "[\\INST]", "<<SYS>>", "<</SYS>>", "<<\\SYS>>"]
salads = st.lists(st.sampled_from([*TAGS, " ", "\n", "a", "\n\n"]), max_size=14).map("".join)


@settings(derandomize=True, max_examples=1000, deadline=None)
@given(salads)
def test_any_order_of_tags_is_read_or_refused_and_every_span_lies_in_the_text(text: str) -> None:
    try:
        parsed = LLAMA2.parse(text)
    except DialogError:
        assert not {"[INST]", "[/INST]", "<<SYS>>"} & set(re.findall(r"\[/?INST\]|<<SYS>>", text))
        return
    assert len(parsed.dialog) > 0
    assert all(
        0 <= f.start <= f.end <= len(text) and f.severity in {"error", "warning", "note"} for f in parsed.findings
    )
    assert sum(m.content.count("a") for m in parsed.dialog) <= text.count("a")


@settings(derandomize=True, max_examples=300, deadline=None)
@given(alternating(), salads)
def test_contents_with_tags_never_break_the_reader(given: Dialog, salad: str) -> None:
    forged = given.append(Role.USER if given[-1].role is not Role.USER else Role.ASSISTANT, salad)
    parsed = LLAMA2.parse(text_of(LLAMA2, forged, generation_prompt=False))
    assert parsed.format == "llama2"
    assert len(parsed.dialog) > 0
    assert all(0 <= finding.start <= finding.end for finding in parsed.findings)


def test_golden_texts_come_back_without_findings() -> None:
    for case in oracle_json("formats/llama2_tokens.json"):
        given = dialog_of(case["messages"])
        parsed = LLAMA2.parse(case["text"])
        if not has_tags(given):
            assert (parsed.dialog, parsed.open) == (trimmed(given), False), case["name"]
            assert {f.severity for f in parsed.findings} <= {"note"}, case["name"]


# ---- the workshop's notebook: what its readers send to the endpoint


def workshop_prompts() -> list[tuple[str, str]]:
    """(as it is sent, the same in order) for each call of ``run`` in the notebook."""
    source = oracle("seed/000_eb22516cb8b6b8af.txt").read_text("utf-8")
    found = []
    for call in re.finditer(r'\brun\(f?("""|")(.*?)\1', source, re.DOTALL):
        text = ast.literal_eval(call[1] + call[2] + call[1])
        found.append(re.sub(r"\{(\w+)\}", lambda name: f"<{name[1]}>", text))
    assert len(found) == 14
    return [(text, re.sub(r"\s+", " ", text).strip()) for text in found]


def test_every_prompt_of_the_workshop_means_what_its_author_meant() -> None:
    for text, flat in workshop_prompts():
        parsed = LLAMA2.parse(text)
        again = text_of(LLAMA2, parsed.dialog)
        # The same words in the same order, only the blanks differ.
        assert re.sub(r"\s", "", again) == re.sub(r"\s", "", flat), text
        assert parsed.dialog[-1].role is Role.USER
        assert not parsed.open
        assert all(entry.content == entry.content.strip() for entry in parsed.dialog)
        assert LLAMA2.parse(again).dialog == parsed.dialog
        assert LLAMA2.parse(again).findings == ()
        assert mended(text, parsed.findings) == again


def test_slips_of_the_workshop_are_found() -> None:
    found = {code for text, _ in workshop_prompts() for code in codes(LLAMA2.parse(text))}
    assert found == {
        "no-space-after-inst",
        "trailing-space",
        "trailing-newline",
        "no-space-before-eos",
        "newline-between-turns",
        "system-blank-line",
        "unstripped-contents",
    }


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<s>[INST] q [/INST] Once upon", "Once upon"),
        ("<s>[INST] q [/INST] 1. ", "1. "),
        ("<s>[INST] q [/INST]\nSure:\n", "Sure:\n"),
        ("<s>[INST] p [/INST] o </s>\n<s>[INST] q [/INST] Once", "Once"),
    ],
)
def test_text_after_the_last_close_is_a_begun_answer(text: str, answer: str) -> None:
    parsed = LLAMA2.parse(text)
    assert parsed.open
    assert parsed.dialog[-1] == Message(Role.ASSISTANT, answer)
    assert text_of(LLAMA2, parsed.dialog, continue_last=True).endswith(f"[/INST] {answer}")


@pytest.mark.parametrize("text", ["", "Hello", "<s>struck</s>", "<|im_start|>user\nHi<|im_end|>\n"])
def test_text_without_the_family_s_tags_is_refused(text: str) -> None:
    with pytest.raises(DialogError, match=r"has neither; write <s>\[INST\]"):
        LLAMA2.parse(text)


def test_words_about_tags_are_hardly_taken_for_a_prompt() -> None:
    assert LLAMA2.parse("What do [INST] and [/INST] mean?").confidence < 0.5
    assert LLAMA2.parse("You are nice. [INST] q [/INST]").confidence > 0.5


LONG = 1_000_000
UNITS = [
    *TAGS,
    "[INST]x",
    "x[/INST]",
    "<s>[INST] ",
    "[/INST] </s>",
    "[INST] <<SYS>>",
    "<<SYS>>\n\n",
    " ",
    "<s> ",
    "[",
    "<<",
]


@pytest.mark.parametrize("unit", UNITS)
def test_a_megabyte_of_one_tag_is_read_in_linear_time(unit: str) -> None:
    def seconds(size: int) -> float:
        text = "[INST] a" + unit * (size // len(unit))
        start = time.thread_time()  # what else the machine does is not counted
        LLAMA2.parse(text)
        return time.thread_time() - start

    # Quadratic time would take hours; the bound only has room for a slow machine.
    assert seconds(LONG) < 20
