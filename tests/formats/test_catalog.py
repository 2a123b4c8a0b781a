import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.errors import DialogError, InputError
from puna.formats import catalog
from puna.formats.catalog import FORMATS
from puna.messages import Dialog, Role
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


PROSE = [
    "", " ", "What is re:Invent?\n", "<s>struck</s>", "What do [INST] and [/INST] mean?", "Say <|im_start|>user please",
    "<user>Hi</user>", "<user>bob</user><system>linux</system>", "\u3008system\u3009\u3068\u3008user\u3009", "<|user|> is a tag",
    "[INST] installing foo\n[INST] installing bar\n[DONE]", "[inst]\nname=x\n[system]\n", "[INST]: short for institute",
    "\u3010INST\u3011\u3068\u306f\u4f55\u3067\u3059\u304b", "\uff3bINST\uff3d\u3068\uff3b\uff0fINST\uff3d\u306f\u30bf\u30b0\u3067\u3059",
    "[INST] begins a question. It is closed by [/INST]. Then", "The prompt must end with [/INST]",
    "<s> and </s> are sequence tokens; [INST] begins a question.", "User: Hi\n\nAssistant: Hello\n\nUser: Bye",
    "std::vector<User> users; if (a < b && c > d) {}", "class <User> extends Model<User>", "```\nx = [1]\n```",
]  # fmt: skip


@pytest.mark.parametrize("text", PROSE)
def test_other_text_is_one_user_message_as_it_stands(text: str) -> None:
    parsed = catalog.parse(text)
    assert (parsed.format, parsed.dialog, parsed.open, parsed.findings) == ("plain", dialog(text), False, ())
    assert parsed.confidence > 0.5


S, U, A = Role.SYSTEM, Role.USER, Role.ASSISTANT
READ = [
    ("<s> [INST] <<SYS>>\nx\n<</SYS>>\n\nq [/INST]", "llama2", [(S, "x"), (U, "q")]),
    (
        "[INST] <<SYS>>\nx\n<</SYS>>\n\nq [/INST] a </s>[INST] r [/INST]",
        "llama2",
        [(S, "x"), (U, "q"), (A, "a"), (U, "r")],
    ),
    ("[INST] q [/INST] a </s>[INST] r [/INST]", "llama2", [(U, "q"), (A, "a"), (U, "r")]),
    ("<s><s>[INST] q [/INST]", "llama2", [(U, "q")]),
    ("<s> [INST] q [/INST] a</s> [INST] r [/INST]", "mistral-v1", [(U, "q"), (A, "a"), (U, "r")]),
    ("<s>[INST] q[/INST] a</s>[INST] r[/INST]", "mistral-v3", [(U, "q"), (A, "a"), (U, "r")]),
    ("<s>[INST] a[/INST][/INST] b</s>[INST] c[/INST]", "mistral-v3", [(U, "a"), (A, "b"), (U, "c")]),
    ("<s>[INST] q[/INST][INST] r[/INST]", "mistral-v7", [(U, "q"), (U, "r")]),
    ("\ufeff<|im_start|>user\nq<|im_end|>\n", "chatml", [(U, "q")]),
    ("<|im_start|>human\nq<|im_end|>\n<|im_start|>bot\n", "chatml", [(U, "q")]),
    ("<|im_start|>user\nWhat is <|im_end|> for?<|im_end|>\n", "chatml", [(U, "What is <|im_end|> for?")]),
    (
        "<|im_start|>user\n<s> [INST] <|eot_id|><|im_end|>\n<|im_start|>assistant\n",
        "chatml",
        [(U, "<s> [INST] <|eot_id|>")],
    ),
    ("<|im_start|>user<|im_sep|>user<|im_end|><|im_start|>assistant<|im_sep|>", "phi4", [(U, "user")]),
    ("<|user|>user<|end|><|assistant|>", "phi4-mini", [(U, "user")]),
    ("<|User|>\nq<|end|>\n<|Assistant|>\n", "phi3", [(U, "q")]),
    ("<| user|>\nq<|end|>\n<|assistant |>\n", "phi3", [(U, "q")]),
    ("<|USER|>\nq</s>\n<|ASSISTANT|>\n", "zephyr", [(U, "q")]),
    (" <s>x USER: q ASSISTANT:", "vicuna", [(S, "x"), (U, "q")]),
    ("<|begin_of_sentence|>User: q\n\nAssistant:", "deepseek-v2", [(U, "q")]),
    ("<|begin_of_sentence|>x<|User|>q<|Assistant|>", "deepseek-v3", [(S, "x"), (U, "q")]),
    ("<start_of_turn>user\r\nq<end_of_turn>\r\n<start_of_turn>model\r\n", "gemma2", [(U, "q")]),
]


@pytest.mark.parametrize(("text", "family", "meant"), READ, ids=[text for text, _, _ in READ])
def test_a_prompt_is_read_as_its_author_meant_it(text: str, family: str, meant: list[tuple[Role, str]]) -> None:
    parsed = catalog.parse(text)
    assert (parsed.format, [(m.role, m.content) for m in parsed.dialog]) == (family, meant)


@pytest.mark.parametrize(("text", "also"), [
    ("<s>[INST] q [/INST]", "mistral-old"), ("<s> [INST] q [/INST]", "llama2"), ("<s>[INST] q[/INST]", "mistral-v3"),
    ("<|im_start|>system\nx<|im_end|>\n<|im_start|>user\n q <|im_end|>\n", "smollm2"), ("<s>[INST]q[/INST]", "mistral-v3-tekken"),
])  # fmt: skip
def test_families_that_fit_as_well_are_named(text: str, also: str) -> None:
    assert also in catalog.parse(text).also


def test_what_another_family_writes_just_so_is_only_noted() -> None:
    for text in ("<s>[INST] q[/INST]", "<s>[INST]q[/INST]"):
        parsed = catalog.parse(text)
        assert parsed.format == "llama2"
        assert {finding.severity for finding in parsed.findings} == {"note"}
    assert {f.severity for f in catalog.parse("<s>[INST]q [/INST]").findings} == {"warning"}


def test_a_system_turn_where_there_can_be_none_is_named_not_stumbled_over() -> None:
    for rest in ("<start_of_turn>model\nHi", "<start_of_turn>system\ny<end_of_turn>\n", ""):
        assert catalog.parse(f"<bos><start_of_turn>system\nx<end_of_turn>\n{rest}", "gemma3").findings


@pytest.mark.parametrize("end", [" ", "x", "\n\n"])
def test_a_long_first_message_is_searched_for_a_system_text_in_linear_time(end: str) -> None:
    text = "<bos><start_of_turn>user\n" + " a\n\n" * 200_000 + end + "<end_of_turn>\n<start_of_turn>model\n"
    # Quadratic time would take hours.
    assert catalog.parse(text, "gemma3").dialog[-1].role is Role.USER


def test_a_fence_is_taken_off_once() -> None:
    nested = "```\n" * 3000 + "<s>[INST] q [/INST]" + "\n```" * 3000
    assert catalog.parse(nested).format in {"plain", "llama2"}


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
