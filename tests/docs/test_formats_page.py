"""docs/formats.md, and the pages that are made from tables: what they say of prompts is what the code does."""

import importlib.util

import pytest

import puna
import puna.formats
from puna.errors import DialogError
from puna.formats import catalog
from puna.formats.chatml import SMOLLM2
from puna.messages import dialog_of
from puna.tokens.base import encode
from puna.tokens.sentencepiece import SentencePiece
from tests.oracles import oracle

from .pages import DOCS, blocks, code, table, text_of

FORMATS = text_of("docs/formats.md")


def plain(cell: str) -> str:
    """An example as it really is: line breaks put in."""
    (text,) = code(cell)
    return text.replace("\\n", "\n")


def rendered(form: str, *turns: tuple[str, str]) -> str:
    return puna.render([{"role": role, "content": content} for role, content in turns], format=form).text


def test_the_pages_that_are_made_from_tables_are_up_to_date():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    for page, make in generate.PAGES.items():
        assert (DOCS / page).read_text(encoding="utf-8") == make(), f"docs/{page}: run `make docs`"


def test_the_rendered_examples_are_exact():
    whole = (("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello."), ("user", "Bye"))
    assert blocks(FORMATS, "llama2") == [rendered("llama2", *whole) + "\n"]
    assert blocks(FORMATS, "chatml") == [rendered("chatml", *whole)]
    assert blocks(FORMATS, "smollm2") == [rendered("smollm2", ("user", "Hi"))]


def test_no_format_allows_a_dialog_of_no_messages():
    for name in catalog.FORMATS:
        with pytest.raises(DialogError):
            puna.render([], format=name)


@pytest.mark.parametrize("row", table(FORMATS, "prompt", "read as"), ids=lambda row: row["prompt"])
def test_a_prompt_is_read_as_documented(row):
    parsed = puna.parse(plain(row["prompt"]))
    assert f"{parsed.format} {round(parsed.confidence, 2)}" == row["read as"].replace("`", "")


def test_the_confidences_are_documented():
    start, end = "<|im_start|>", "<|im_end|>"
    turn = "<s>[INST] q [/INST] a </s><s>[INST] r [/INST]"
    for text, said in {
        turn: "0.99",
        "[INST] q [/INST]": "0.95",
        "<s>[INST] q": "0.6",
        "x [INST] q [/INST]": "0.6",
        "Tags are [INST] and [/INST].": "0.3",
        f"{start}user\nq{end}\n": "0.98",
        f"{start}user\nq{end}": "0.95",
        f"{start}user\nq": "0.6",
        f"x {start}user\nq{end}": "0.6",
        "USER: q ASSISTANT:": "0.6",
    }.items():
        parsed = puna.parse(text)
        confidence = 1 - parsed.confidence if parsed.format == catalog.PLAIN else parsed.confidence
        assert str(round(confidence, 4)) == said, text
        assert any(said in row["confidence"] for row in table(FORMATS, "confidence")), text
    assert puna.parse(f"{start}system\n{SMOLLM2.default}{end}\n{start}user\nq{end}\n").format == "smollm2"
    assert puna.parse(f"{start}tool\nq{end}\n").format == catalog.PLAIN


@pytest.mark.parametrize(
    ("source", "to", "part"),
    [
        ("chatml", "gemma2", "beginning of the first user message"),
        ("chatml", "llama2", "joined to it"),
        ("chatml", "mistral-v1", "was joined to the user message before it"),
        ("chatml", "gemma3", "an empty user message was put first"),
        ("llama2", "qwen2.5", "a system sentence of its own"),
    ],
)
def test_what_a_target_cannot_express_is_said_as_documented(source, to, part):
    messages = {
        "beginning": ("system", "user"), "joined to it": ("system", "user", "system", "user"),
        "was joined": ("user", "user"), "an empty": ("assistant", "user"), "a system": ("user",),
    }[next(key for key in ("beginning", "joined to it", "was joined", "an empty", "a system") if part.startswith(key))]  # fmt: skip
    text = rendered(source, *((role, str(n)) for n, role in enumerate(messages)))
    assert any(part in change for change in puna.translate(text, to, source).changes)


def test_the_tokens_of_llama_2_are_the_documented_ones():
    vocabulary = SentencePiece(oracle("formats/llama2.tokenizer.model").read_bytes())
    for row in table(FORMATS, "text", "in a message"):
        (text,) = code(row["text"])
        ids = encode(vocabulary, puna.render([{"role": "user", "content": f"Hi {text}"}]).segments)
        assert row["in a message"] in " ".join(map(str, ids[5:])), text
        control = encode(vocabulary, catalog.FORMATS["llama2"].render(dialog_of(
            [{"role": r, "content": "x"} for r in ("user", "assistant", "user")])))  # fmt: skip
        assert f" {row['in a control segment']} " in f" {' '.join(map(str, control))} ", text
