"""What must hold in every family of the catalogue."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puna.errors import DialogError
from puna.formats import catalog
from puna.formats.base import Format
from puna.formats.catalog import FORMATS
from puna.formats.llama2_tags import END_SYS, SYS
from puna.formats.turns import PARAGRAPH, Place, TurnWriter
from puna.generation import Kind
from puna.messages import Dialog, Message, Role, dialog_of
from tests.formats.dialogs import any_order, codes, dialog, renders, text_of, texts
from tests.formats.vendor_templates import CLOCK, FAMILY_OF, Vendor, vendors

ALL = list(FORMATS)

DROPPED_BY_TEMPLATE = {"llama2", "mistral-v1", "mistral-v3", "mistral-v3-tekken", "gemma3"}
"""Templates that render a dialog of nothing but a system message without it; there a format refuses instead."""


def form_of(name: str) -> Format:
    return catalog.get(name, CLOCK if catalog.tells_todays_date(name) else None)


def drops_all(name: str, asked: Dialog) -> bool:
    return name in DROPPED_BY_TEMPLATE and [m.role for m in asked] == [Role.SYSTEM]


def written(form: Format, asked: Dialog, *, generation_prompt: bool) -> str | None:
    try:
        return form.text(asked, generation_prompt=generation_prompt)
    except DialogError:
        return None


# ---- equal to the vendor


@pytest.mark.parametrize("name", ALL)
def test_renders_of_the_vendor_s_template_are_equalled(name: str) -> None:
    form = form_of(name)
    for case in renders(FAMILY_OF[name]):
        asked = dialog_of(case["messages"])
        assert written(form, asked, generation_prompt=case["add_generation_prompt"]) == case["text"], case["dialog"]


control_texts = st.sampled_from(sorted({tag for form in FORMATS.values() for tag in form.tags}))
long_texts = st.builds(str.__mul__, texts, st.integers(1, 300))
contents = st.one_of(texts, control_texts, long_texts, st.builds("{}{}{}".format, texts, control_texts, texts))
dialogs = st.lists(st.builds(Message, st.sampled_from(Role), contents), min_size=1, max_size=5).map(
    lambda messages: Dialog(tuple(messages))
)


@st.composite
def in_turn(draw: st.DrawFn) -> Dialog:
    return dialog(*draw(st.lists(contents, min_size=1, max_size=5)), system=draw(st.none() | contents))


@pytest.fixture(scope="module")
def vendor() -> dict[str, Vendor]:
    return vendors()


@settings(
    derandomize=True, max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(asked=st.one_of(dialogs, in_turn()), prompt=st.booleans())
def test_any_dialog_is_written_as_the_vendor_s_template_writes_it(
    vendor: dict[str, Vendor], asked: Dialog, prompt: bool
) -> None:
    for name, template in vendor.items():
        expected = None if drops_all(name, asked) else template.text(asked, generation_prompt=prompt)
        assert written(form_of(name), asked, generation_prompt=prompt) == expected, name


@pytest.mark.parametrize("name", ALL)
def test_a_refusal_says_what_is_not_allowed_and_what_to_do(name: str) -> None:
    asked = (
        Dialog(),
        dialog("a").append(Role.USER, "b"),
        Dialog((Message(Role.ASSISTANT, "a"),)),
        Dialog((Message(Role.SYSTEM, "s"),)),
        Dialog((Message(Role.SYSTEM, "s"), Message(Role.SYSTEM, "t"), Message(Role.USER, "b"))),
    )
    refused = [one for one in asked if written(form_of(name), one, generation_prompt=True) is None]
    assert Dialog() in refused
    for one in refused:
        with pytest.raises(DialogError, match=rf"{re.escape(FORMATS[name].title)}.*(; |, but ).*(add|join|put)"):
            form_of(name).render(one)


# ---- segments


@settings(derandomize=True, max_examples=200, deadline=None)
@given(in_turn(), st.booleans(), st.booleans())
def test_segments_join_to_the_text_and_contents_are_the_messages_own(asked: Dialog, prompt: bool, begun: bool) -> None:
    begun = begun and asked[-1].role is Role.ASSISTANT
    for name in ALL:
        form = form_of(name)
        try:
            segments = form.render(asked, generation_prompt=prompt, continue_last=begun)
        except DialogError:
            continue
        assert "".join(s.text for s in segments) == form.text(asked, generation_prompt=prompt, continue_last=begun)
        given_contents = {(m.role, m.content.strip()) for m in asked}
        for segment in segments:
            if segment.kind is Kind.CONTENT:
                whole = any(segment.role is role and segment.text.strip() in text for role, text in given_contents)
                assert whole, (name, segment)


@pytest.mark.parametrize("name", ALL)
def test_a_begun_answer_is_left_open_for_the_model(name: str) -> None:
    form = form_of(name)
    asked = dialog("q", "Once upon ")
    text = form.text(asked, continue_last=True)
    assert text.endswith("Once upon ")
    assert not any(text.endswith(stop) for stop in form.stops)
    # A blank beginning asks for a whole answer.
    blank = form.text(dialog("q", " "), continue_last=True)
    assert blank == form.text(dialog("q"))


@pytest.mark.parametrize("name", ALL)
def test_each_prompt_begins_with_the_one_before_it(name: str) -> None:
    """What keeps the KV cache warm; not so in Mistral v3, whose system text moves, and where an ending is written."""
    form = form_of(name)
    asked = dialog("u", "a", "v") if form.system_allowed == "never" else dialog("u", "a", "v", system="S")
    start = form.text(Dialog(asked.messages[:-2]))
    whole = form.text(Dialog(asked.messages[:-1]), generation_prompt=False).removesuffix("<|endoftext|>")
    grows = form.text(asked).startswith(whole) and whole.startswith(start.removesuffix(form.text(asked)[-1:]))
    assert grows == (name not in {"mistral-v3", "mistral-v3-tekken"})


def test_what_a_template_leaves_out_or_moves_is_said() -> None:
    whole = dialog("q", "a", system="S")
    late = dialog("q").append(Role.SYSTEM, "S").append(Role.USER, "r")
    thought = dialog("q", "<think>t</think>a", "r")
    said = {(name, asked_name) for name in ALL for asked_name, asked in
            (("whole", whole), ("late", late), ("thought", thought)) if form_of(name).remarks(asked)}  # fmt: skip
    assert said == {
        ("llama2", "late"), ("mistral-v3", "whole"), ("mistral-v3-tekken", "whole"), ("gemma2", "late"), ("gemma3", "late"), ("vicuna", "late"),
        ("deepseek-v2", "late"), ("deepseek-v3", "late"), ("deepseek-r1", "late"), ("deepseek-r1", "thought"),
    }  # fmt: skip


# ---- reading undoes writing


def comes_back(form: Format, asked: Dialog) -> Dialog:
    """The dialog as the format's file says it comes back: trimmed, with the system text where it was put."""
    assert isinstance(form, TurnWriter)
    messages = list(asked)
    head = messages.pop(0).content if messages[0].role is Role.SYSTEM else None
    turns = []
    for n, m in enumerate(messages):
        tags = {Role.USER: form.user, Role.ASSISTANT: form.assistant, Role.SYSTEM: form.late_system or form.system}[
            m.role
        ]
        text = m.content.rpartition(form.thought_end)[2] if form.thought_end and m.role is Role.ASSISTANT else m.content
        if form.name == "llama2" and n == 0 and head is not None:
            text = text.rstrip() if text.strip() else ""
        elif tags and tags.trim:
            text = text.strip()
        if not (form.skips_empty_system and m.role is Role.SYSTEM and not text):
            turns.append(Message(m.role, text))
    if form.name == "llama2" or head is None:
        pass
    elif form.place is Place.FIRST_USER:
        return unfolded(form, head, turns)
    elif form.place is Place.LAST_USER:
        if turns[-1].role is Role.USER:
            turns[-1] = Message(Role.USER, f"{head}{PARAGRAPH}{turns[-1].content}")
        return Dialog(tuple(turns))
    elif form.standing or (form.system and form.system.trim):
        head = head.strip()
    # Another system message would then be the first.
    follows = bool(turns) and turns[0].role is not Role.SYSTEM
    gone = head is None or (
        head == "" and (form.skips_empty_system or (follows and (form.standing or form.place is Place.FRONT)))
    )
    return Dialog((*(() if gone else (Message(Role.SYSTEM, head or ""),)), *turns))


def unfolded(form: TurnWriter, head: str, turns: list[Message]) -> Dialog:
    text = f"{head}{PARAGRAPH}{turns[0].content}"
    if not form.user.trim or text == text.strip():
        return Dialog((Message(Role.USER, text), *turns[1:]))
    return Dialog((Message(Role.SYSTEM, head), *turns))


def blank_line_cuts(asked: Dialog) -> bool:
    """Whether a system text shows by its whitespace, and ends too early: at a blank line of its own."""
    head = asked.system or ""
    return head[:1].isspace() and re.search(r"\n\n\S", head) is not None


def is_ambiguous(name: str, asked: Dialog) -> bool:
    """Dialogs that the vendor's format writes as the text of another one, as the family's file says."""
    roles = [m.role for m in asked]
    late = Role.SYSTEM in roles[1:]
    untold = [n for n, role in enumerate(roles) if role is Role.ASSISTANT and (n == 0 or roles[n - 1] is not Role.USER)]
    untagged = name in {"vicuna", "deepseek-v2", "deepseek-v3", "deepseek-r1"}
    if set(roles) == {Role.SYSTEM} and (untagged or not any(m.content for m in asked)):
        return True
    if untagged and asked.system is not None and asked.system.isspace():
        return True
    if name in {"llama2", "gemma2", "gemma3", "vicuna", "deepseek-v2", "deepseek-v3", "deepseek-r1"} and late:
        return True
    if name == "gemma3" and blank_line_cuts(asked):
        return True
    if name == "phi4":
        return bool(untold)
    last = len(asked) - 1  # it may be left open
    return name in {"mistral-v7", "mistral-v7-tekken"} and any(
        n == last or not asked[n].content.strip() for n in untold
    )


def holds_tags(form: Format, asked: Dialog) -> bool:
    # What begins or ends a prompt in any family is looked for in all of them.
    sequence = ("<s>", "</s>", "<bos>", "<|begin_of_text|>", "<|endoftext|>", "<\uff5cbegin\u2581of\u2581sentence\uff5c>",
                "<|eot_id|>", "<|eot|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<\uff5cend\u2581of\u2581sentence\uff5c>")  # fmt: skip
    inside = (SYS, END_SYS) if form.name == "llama2" else ()  # no turn's tags, but the reader looks for them
    bare = re.compile("|".join(map(re.escape, (*form.tags, *form.misspelt, *sequence, *inside))), re.IGNORECASE)
    return any(bare.search(m.content) for m in asked)


@settings(derandomize=True, max_examples=2600, deadline=None)
@given(st.one_of(in_turn(), any_order()), st.booleans(), st.booleans())
def test_reading_undoes_writing_and_finds_nothing_wrong(asked: Dialog, prompt: bool, begun: bool) -> None:
    begun = begun and asked[-1].role is Role.ASSISTANT and bool(asked[-1].content.strip())
    drawn = asked
    for name in ALL:
        form = form_of(name)
        # Where there is no system message, the rest of the dialog is tried.
        asked = Dialog(drawn.messages[1:]) if form.system_allowed == "never" and drawn.system is not None else drawn
        if not asked or holds_tags(form, asked) or is_ambiguous(name, asked):
            continue
        try:
            text = form.text(asked, generation_prompt=prompt, continue_last=begun)
        except DialogError:
            continue
        parsed = form.parse(text)
        assert [f for f in parsed.findings if f.severity != "note" and f.code != "system-repeated"] == [], (name, text)
        if not begun:
            assert parsed.dialog == comes_back(form, asked), (name, text)
        assert parsed.open == begun, (name, text)


@pytest.mark.parametrize("blank", ["\n\n", " a\n\n", "\n\n\n\n"])
def test_a_blank_line_ends_a_folded_system_text_that_begins_with_whitespace(blank: str) -> None:
    """Two dialogs with one text: the reader gives the one whose system text is the shorter."""
    form = form_of("gemma3")
    long, short = dialog("q", system=f"{blank}b"), dialog("b\n\nq", system=blank.removesuffix("\n\n"))
    assert form.text(long) == form.text(short)
    assert is_ambiguous("gemma3", long)
    assert not is_ambiguous("gemma3", short)
    assert form.parse(form.text(long)).dialog == short


@pytest.mark.parametrize("name", ALL)
def test_no_canonical_render_raises_a_false_alarm(name: str) -> None:
    for case in renders(FAMILY_OF[name]):
        if case["text"] is None or case["dialog"].startswith(("e5", "e6")):
            continue
        parsed = catalog.parse(case["text"], name)
        assert {finding.severity for finding in parsed.findings} <= {"note"}, (case["dialog"], codes(parsed))


def test_tags_of_any_family_in_a_message_are_content_in_every_one() -> None:
    forged = " ".join(sorted({tag for form in FORMATS.values() for tag in form.tags}))
    for name in ALL:
        contents_ = [s.text for s in form_of(name).render(dialog(forged)) if s.kind is Kind.CONTENT]
        assert contents_ == [forged], name


def test_text_of_is_text() -> None:
    for name in ALL:
        assert text_of(form_of(name), dialog("q")) == form_of(name).text(dialog("q"))
