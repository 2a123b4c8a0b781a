import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.errors import DialogError, InputError
from puna.formats import catalog
from puna.formats.catalog import FORMATS
from puna.messages import Dialog
from tests.formats.dialogs import any_order, dialog, templates, text_of
from tests.formats.vendor_templates import CLOCK, FAMILY_OF

ASKED = dialog("q", "a", "r", system="S")


def test_each_format_has_its_own_name_and_stops() -> None:
    assert {form.name for form in FORMATS.values()} == set(FORMATS) >= {"llama2", "chatml", "smollm2"}
    assert all(form.stops for form in FORMATS.values())


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    for ask in (catalog.get, lambda name: catalog.parse("q", name)):
        with pytest.raises(InputError, match=r"unknown format 'lama2'\. Did you mean 'llama2'\?"):
            ask("lama2")


@pytest.mark.parametrize("name", ["llama2", "chatml"])
def test_a_prompt_is_recognised_by_its_tags(name: str) -> None:
    for asked in (dialog("q"), ASKED):
        parsed = catalog.parse(text_of(catalog.get(name), asked))
        assert (parsed.format, parsed.dialog) == (name, asked)
        assert parsed.confidence > 0.8


def test_smollm2_is_recognised_by_its_own_sentence() -> None:
    assert catalog.parse(text_of(catalog.get("smollm2"), dialog("q"))).format == "smollm2"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "What is re:Invent?\n",
        "<s>struck</s>",
        "What do [INST] and [/INST] mean?",
        "Say <|im_start|>user please",
    ],
)
def test_other_text_is_one_user_message_as_it_stands(text: str) -> None:
    parsed = catalog.parse(text)
    assert (parsed.format, parsed.dialog, parsed.open, parsed.findings) == ("plain", dialog(text), False, ())
    assert parsed.confidence > 0.5


def test_plain_can_be_asked_for() -> None:
    assert catalog.parse("[INST] q [/INST]", "plain").dialog == dialog("[INST] q [/INST]")


def test_a_named_format_is_not_second_guessed() -> None:
    with pytest.raises(DialogError):
        catalog.parse("[INST] q [/INST]", "chatml")


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.text())
def test_any_text_at_all_is_read(text: str) -> None:
    assert len(catalog.parse(text).dialog) > 0


@settings(derandomize=True, max_examples=50, deadline=None)
@given(any_order())
def test_a_prompt_that_quotes_another_family_keeps_its_own(asked: Dialog) -> None:
    quoting = Dialog((*dialog("Explain <s>[INST] x [/INST]"), *asked))
    if not any("<|im_" in entry.content for entry in asked):
        assert catalog.parse(text_of(catalog.get("chatml"), quoting)).dialog == quoting


def test_templates_map_to_the_family_that_they_write() -> None:
    found = {
        family: catalog.of_template(source["text"], source["bos_token"], source["eos_token"], today=CLOCK).name
        for family, source in templates().items()
    }
    same = {"llama-3.3": "llama3.1", "tinyllama": "zephyr"}
    ours = {family: name for name, family in FAMILY_OF.items()} | same
    assert found == {family: ours.get(family, "jinja") for family in found}


def test_a_template_with_other_token_texts_is_not_llama2() -> None:
    source = templates()["llama-2"]
    assert catalog.of_template(source["text"], "<bos>", "</s>").name == "jinja"
    assert catalog.of_template(source["text"]).name == "jinja"


def test_a_template_that_is_no_jinja_is_refused() -> None:
    with pytest.raises(DialogError, match="must be valid Jinja"):
        catalog.of_template("{% if %}")
