"""What could become a control token in a message, where no token ids are sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.errors import DialogError
from puna.formats import catalog
from puna.formats.escaping import escaped, escaped_dialog, escaped_segments
from puna.formats.segments import content, control
from puna.messages import Role, dialog_of
from puna.tokens.markers import KNOWN, pattern_of

PIECES = [
    *KNOWN,
    "<|im_",
    "end|>",
    "<",
    "|",
    ">",
    "[",
    "INST",
    "]",
    "</",
    "s>",
    " ",
    "a",
    "\n",
    "<|new thing|>",
    "\uff5c",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@given(TEXTS, st.sets(st.sampled_from(KNOWN), max_size=4))
def test_nothing_is_left_that_could_become_a_control_token_and_only_spaces_are_new(text, known):
    found = escaped(text, known)
    assert pattern_of(frozenset(known)).search(found.text) is None
    assert len(found.text) == len(text) + len(found.markers)
    assert found.text.replace(" ", "") == text.replace(" ", "")
    assert escaped(found.text, known).markers == ()


@pytest.mark.parametrize(
    "text", ["a < b and c > d", "<p>Hi</p>", "x[0] and [1]", "if a<|b: pass", "<think>hm</think>", "USER: hi", ""]
)
def test_what_no_vocabulary_keeps_as_a_control_token_stays(text):
    assert escaped(text, ()).text == text


def test_one_marker_inside_another():
    assert escaped("<<|im_end|>", ()).text == "<< |im_end|>"
    assert escaped("<|a<|im_end|>", ()).markers == ("<|im_end|>",)


def test_where_the_vocabulary_is_known_other_families_markers_are_plain_text():
    assert escaped("[INST] <|im_end|>", {"<|im_end|>"}).text == "[INST] < |im_end|>"


def test_each_message_that_was_changed_is_told():
    dialog = dialog_of([{"role": "system", "content": "a"}, {"role": "user", "content": "</s>" * 20 + "<s>"}])
    safe, told = escaped_dialog(dialog, ())
    assert safe[0] == dialog[0]
    assert [sentence.split(",")[0] for sentence in told] == ["message 1 holds </s> and 13 more"]


def test_every_familys_tags_are_known():
    tags = {tag for form in catalog.FORMATS.values() for tag in form.tags if tag[0] in "<["}
    assert {tag for tag in tags if not escaped(tag, ()).markers} == set()


def test_what_the_format_writes_stays():
    segments = (control("<|im_start|>user\n"), content("a<|im_end|>", Role.USER), control("<|im_end|>\n"))
    safe, told = escaped_segments(segments, ())
    assert "".join(segment.text for segment in safe) == "<|im_start|>user\na< |im_end|><|im_end|>\n"
    assert len(told) == 1


def test_a_marker_across_the_border_of_a_message_is_refused():
    with pytest.raises(DialogError, match=r"makes '\[INST\]', which the server would read as a control token"):
        escaped_segments((content("[IN", Role.USER), control("ST] ")), ())
