"""Variables are found and filled in once; what is filled in is content."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.errors import InputError
from puna.experiments.plan import PromptTemplate
from puna.experiments.template import fill, filled, variables, variables_of
from puna.messages import Dialog, Message, Role


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("no braces, {one} or }} two", ()),
        ("{{a}} and {{ b }}, {{a}} again", ("a", "b")),
        ("{{first name}} {{größe}} {{a-b.c}}", ("first name", "größe", "a-b.c")),
        (r"\{{a}} is text", ()),
        ('{"a": {{{a}}}}', ("a",)),
    ],
)
def test_variables_are_found_in_order_each_once(text, names):
    assert variables(text) == names


@pytest.mark.parametrize("text", ["{{", "{{}}", "{{ }}", "an {{open one", "{{a\nb}}", "{{a{b}}"])
def test_bad_braces_are_refused_with_the_way_to_mean_them(text):
    with pytest.raises(InputError, match=r"must be a variable, as in \{\{animal\}\}; .* write \\\{\{"):
        variables(text)


@given(st.text())
def test_what_is_filled_in_stays_as_it_is(value):
    assert fill("<{{a}}|{{ a }}>", {"a": value}) == f"<{value}|{value}>"


@pytest.mark.parametrize("value", ["{{b}}", r"\{{a}}", r"\1 \g<0>", "{{", "}}"])
def test_braces_and_backslashes_that_are_filled_in_are_no_markup(value):
    assert fill("{{a}}{{b}}", {"a": value, "b": "B"}) == value + "B"


def test_meant_braces_lose_their_backslash():
    assert fill(r"\{{a}} {{a}} {{{a}}}", {"a": "x"}) == "{{a}} x {x}"


def test_a_variable_without_a_value_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"unknown variable 'animl'. Did you mean 'animal'\? Known: animal, place"):
        fill("{{animl}}", {"animal": "llama", "place": "Andes"})


def test_prompts_are_filled_message_by_message():
    dialog = Dialog((Message(Role.SYSTEM, "You are {{who}}."), Message(Role.USER, "{{what}}, {{who}}?")))
    prompt = PromptTemplate("p", messages=dialog)
    assert variables_of(prompt) == ("who", "what")
    asked = filled(prompt, {"who": "Bob", "what": "{{who}}"})
    assert asked == Dialog((Message(Role.SYSTEM, "You are Bob."), Message(Role.USER, "{{who}}, Bob?")))
    assert filled(PromptTemplate("p", text="[INST] {{what}} [/INST]"), {"what": "x"}) == "[INST] x [/INST]"
