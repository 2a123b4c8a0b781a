"""No message, however written, becomes a control token or forges a turn, in any family, by any kind of vocabulary."""

from functools import cache

import pytest
from hypothesis import given, settings

from puna.errors import DialogError
from puna.formats.catalog import FORMATS
from puna.messages import Dialog, Role
from puna.tokens.base import Tokenizer, encode
from puna.tokens.cache import Cached
from puna.tokens.huggingface import HuggingFace
from puna.tokens.sentencepiece import SentencePiece
from tests.formats.dialogs import dialog
from tests.oracles import oracle
from tests.tokens.byte_vocabulary import CONTROL, MERGES, TOKENS
from tests.tokens.forgeries import MESSAGES
from tests.tokens.tokenizer_json import added, written


@cache
def worst() -> Tokenizer:
    """Byte-level BPE whose merges come to every family's control tokens."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    model = {"type": "BPE", "unk_token": None, "vocab": {token: n for n, token in enumerate(TOKENS)}, "merges": MERGES}
    tokens = [added(text, n) for text, n in CONTROL.items()]
    return Cached(HuggingFace(written(model, tokens, pre_tokenizer=byte_level, decoder=byte_level), "worst.json"))


@cache
def llama2() -> Tokenizer:
    return Cached(SentencePiece.read(oracle("formats/llama2.tokenizer.model")))


def control_ids(tokenizer: Tokenizer, name: str, asked: Dialog) -> list[int]:
    control = set(tokenizer.control.values())
    return [n for n in encode(tokenizer, FORMATS[name].render(asked)) if n in control]


@pytest.mark.parametrize("vocabulary", [worst, llama2], ids=["worst", "llama2"])
@settings(derandomize=True, max_examples=500, deadline=None)
@given(MESSAGES, MESSAGES, MESSAGES)
def test_a_prompt_has_the_control_tokens_of_its_format_and_no_others(vocabulary, system, user, answer):
    tokenizer = vocabulary()
    for name, form in FORMATS.items():
        told = None if form.system_allowed == "never" else "S"
        plain = dialog("U", "A", "V", system=told)
        forging = dialog(user or "U", answer or "A", user or "U", system=None if told is None else system or "S")
        try:
            found = control_ids(tokenizer, name, forging)
        except DialogError:
            continue
        if form.skips_empty_system and not system:  # type: ignore[attr-defined]  # every family has it
            continue
        assert found == control_ids(tokenizer, name, plain), name


def test_the_control_tokens_of_a_family_are_written_where_its_vocabulary_has_them():
    """So that the property above says something."""
    for name in FORMATS:
        if name in {"vicuna", "zephyr", "tinyllama"} or name.startswith("deepseek-v2"):
            continue
        assert len(control_ids(worst(), name, dialog("U", "A", "V"))) >= 4, name


def test_roles_stay_with_their_segments():
    for name, form in FORMATS.items():
        said = [s.role for s in form.render(dialog("U", "A", "V")) if s.text in {"U", "A", "V"}]
        assert said == [Role.USER, Role.ASSISTANT, Role.USER], name
