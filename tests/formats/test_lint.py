from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.errors import DialogError, InputError
from puna.formats import catalog, lenient, llama2_slips, turn_slips
from puna.formats.catalog import FORMATS
from puna.formats.lint import fix, lint
from puna.formats.slips import Slip
from puna.formats.translate import translate
from tests.formats.dialogs import codes, dialog, mended

TABLES = {"llama2": llama2_slips.SLIPS, "turns": turn_slips.SLIPS, "any": lenient.SLIPS}
EVERY = [(code, slip) for table in TABLES.values() for code, slip in table.items()]
STAYS = {"tag-in-content", "foreign-tag", "lookalike-in-content", "ends-with-answer", "system-repeated", "blank-edges",
         "system-space-before-user"}  # fmt: skip
"""What only the author can mend."""


@pytest.mark.parametrize(("code", "slip"), EVERY, ids=[f"{slip.family}-{code}" for code, slip in EVERY])
def test_each_code_is_found_in_its_example_and_gone_after_fixing(code: str, slip: Slip) -> None:
    found = lint(slip.example, slip.family)
    assert {(f.code, f.severity) for f in found.parsed.findings} >= {(code, slip.severity)}
    fixed = found.fixed()
    again = lint(fixed, slip.family)
    left = {f.code for f in again.parsed.findings}
    assert again.ok
    assert left <= STAYS
    assert code not in left - STAYS
    assert again.fixed() == fixed
    if all(f.fix is not None for f in found.parsed.findings):
        assert mended(slip.example, found.parsed.findings) == fixed


def test_only_errors_make_a_prompt_not_ok() -> None:
    assert not lint("<s>[INST] q [/INST] a <\\s><s>[INST] r [/INST]").ok
    assert lint("[INST]q[/INST]").ok
    assert lint("Once upon a time").ok


PIECES = [
    "<s>", "</s>", "<\\s>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<|im_start|>user\n", "<|im_start|>assistant\n",
    "<|im_end|>\n", "<|im_end|>", "<|eot_id|>", "<|start_header_id|>user<|end_header_id|>\n\n", "<start_of_turn>user\n",
    "<end_of_turn>\n", "<start_of_turn>model\n", "<bos>", "USER: ", "ASSISTANT: ", " ", "\n", "\n\n", "a", "b c", "<|user|>\n",
    "<|assistant|>\n", "<|end|>\n", "<|system|>", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "<\uff5cUser\uff5c>",
    "<\uff5cAssistant\uff5c>", "\uff3bINST\uff3d", "<|im_end>", "&lt;s&gt;", "```\n", "\n```", "[/INST\u200b]",
]  # fmt: skip


@settings(derandomize=True, max_examples=1500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.sampled_from(["auto", *FORMATS]))
def test_fixing_is_idempotent_and_spans_lie_in_the_text(text: str, family: str) -> None:
    try:
        found = lint(text, family)
        fixed = found.fixed()
    except DialogError:
        return
    assert all(0 <= f.start <= f.end <= len(text) for f in found.parsed.findings)
    assert fix(fixed, family) == fixed


def test_an_announced_answer_to_nothing_cannot_be_fixed() -> None:
    with pytest.raises(DialogError, match="the dialog is empty"):
        fix("<|im_start|>assistant\n")


def test_other_text_stays_as_it_is() -> None:
    assert fix("Once upon\n a time ") == "Once upon\n a time "


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(InputError, match="Did you mean 'llama2'"):
        lint("x", "lama2")


# ---- the kinds of slip of Llama 2, in the other families


MULTI = dialog("Who are you?", "An assistant.", "Since when?")


def with_last(text: str, old: str, new: str) -> str:
    before, found, after = text.rpartition(old)
    return f"{before}{new if found else ''}{after}"


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "llama2"])
def test_slips_in_any_family_are_read_past(name: str) -> None:
    form = FORMATS[name]
    text = form.text(MULTI)
    end = form.stops[0]
    slips = (
        with_last(text, end, f" {end}"),
        with_last(text, end, "<|eot_id|>" if end != "<|eot_id|>" else "</s>"),
        text + " ",
        text + "\n",
        "\n" + text,
        form.bos + text,  # type: ignore[attr-defined]  # every family here has one
        text.replace(form.bos, ""),  # type: ignore[attr-defined]
    )
    for spoiled in slips:
        parsed = catalog.parse(spoiled, name)
        assert [(m.role, m.content.strip()) for m in parsed.dialog] == [(m.role, m.content) for m in MULTI], spoiled
        assert spoiled == text or parsed.findings or any(m.content != m.content.strip() for m in parsed.dialog)


@pytest.mark.parametrize(
    "name", ["llama3", "llama4", "gemma2", "chatml", "phi3", "phi4", "zephyr", "deepseek-v3", "mistral-v3"]
)
@pytest.mark.parametrize("spoil", ["zero width", "full width", "case", "blank"])
def test_look_alike_tags_are_taken_for_the_tags_that_they_look_like(name: str, spoil: str) -> None:
    form = FORMATS[name]
    tag = form.stops[0]
    near = {
        "zero width": f"{tag[:2]}\u200b{tag[2:]}",
        "full width": tag.replace("<", "\uff1c").replace(">", "\uff1e"),
        "case": tag.upper() if tag.upper() != tag else tag.lower(),
        "blank": f"{tag[0]} {tag[1:]}",
    }[spoil]
    if near == tag:
        pytest.skip("the tag has no other case")
    text = form.text(MULTI).replace(tag, near, 1)
    found = lint(text, name)
    assert {"lookalike-tag", "tag-spelling"} & set(codes(found.parsed))
    assert not found.ok
    assert found.fixed() == form.text(MULTI)


def test_a_message_may_speak_about_tags_in_any_spelling() -> None:
    for about in (
        "&lt;s&gt; and [inst]",
        "\uff3bINST\uff3d",
        "[/INST\u200b]",
        "<|im_end>",
        "```\n[INST] x [/INST]\n```",
    ):
        for name in ("chatml", "llama3", "gemma2"):
            text = FORMATS[name].text(dialog(f"Explain {about} please"))
            parsed = catalog.parse(text, name)
            assert [m.content for m in parsed.dialog] == [f"Explain {about} please"]
            assert lint(text, name).ok


def test_places_are_those_of_the_text_that_was_written() -> None:
    text = "<s>[ INST ] q [/inst] a &lt;/s&gt;\n<s>[INST]r [/INST]"
    found = {f.code: text[f.start : f.end] for f in lint(text).parsed.findings}
    assert found["newline-between-turns"] == "\n"
    assert found["tag-spelling"] == "&lt;/s&gt;"
    assert lint(text).fixed() == "<s>[INST] q [/INST] a </s><s>[INST] r [/INST]"


def test_an_answer_that_is_announced_once_more_stays_announced() -> None:
    text = FORMATS["chatml"].text(dialog("q", "a"))
    assert text.endswith("a<|im_end|>\n<|im_start|>assistant\n")
    assert fix(text, "chatml") == text


def test_a_prompt_keeps_its_own_date() -> None:
    on = catalog.get("llama3.1", date(2026, 11, 22))
    text = on.text(dialog("q", system="S"))
    assert fix(text, "llama3.1") == text
    assert "Today Date: 22 Nov 2026" in translate(text, "llama3.2", "llama3.1").text
    left_out = translate(text, "llama3", "llama3.1")
    assert "Today Date" not in left_out.text
    assert any("22 Nov 2026" in change for change in left_out.changes)


def test_a_look_alike_is_taken_for_the_tag_that_has_its_letters() -> None:
    parsed = catalog.parse("<|begin_of_sentence|>S<|User|>q<|Assistant|>")
    assert (parsed.format, [m.content for m in parsed.dialog]) == ("deepseek-v3", ["S", "q"])
