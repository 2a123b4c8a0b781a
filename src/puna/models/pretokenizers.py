"""What llama.cpp does to a text before it merges: which tokens it finds in any text, and how it cuts the rest.

Source: llama.cpp ``src/llama-vocab.cpp``, as built into the pinned xllamacpp, and the ``tokenizer.json`` of the models.
Where the two differ the engine is followed, since it is the engine that reads the prompt: its cased words, for instance,
know upper and lower case of ASCII only. Knows patterns (Oniguruma's), not tokens.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

_NEWER = (
    "897 1b4e-1b4f 1b7f 1c89-1c8a 2427-2429 31e4-31e5 a7cb-a7cd a7da-a7dc 105c0-105f3 10d40-10d8f 10ec2-10efc "
    "11380-113e2 116d0-116e3 11bc0-11bf9 11f5a 13460-143fa 16100-16139 16d40-16d79 18cff 1cc00-1ceb3 1e5d0-1e5ff "
    "1f8b2-1f8c1 1fa89-1fa8f 1fabe 1fac6 1fadc-1fadf 1fae9 1fbcb-1fbef"
)
"""Code points that Unicode 16 added. The library knows them, but llama.cpp's tables are those of Unicode 15.1."""

_NOT_CASED = "560-588 10c7-10ff 1c80-1c88 2d00-2d2d a790-a7fa ab30-ab68 10570-105bc 16e40-16e7f 1d400-1d7cb 1df00-1df2a"
"""Cased letters by Unicode that the list of letters in DeepSeek LLM's tokenizer.json leaves out."""


def _known(names: str, others: str = _NEWER) -> str:
    """A set of categories without some code points, to stand alone or in another set."""
    without = re.sub("[0-9a-f]+", r"\\x{\g<0>}", others).replace(" ", "")
    return f"[{names}&&[^{without}]]"


_L, _N, _P, _S, _M = (_known(rf"\p{{{letter}}}") for letter in "LNPSM")
_CASED = _known(r"\p{Lu}\p{Ll}\p{Lt}", f"{_NEWER} {_NOT_CASED}")
_SHORT = r"'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])"
_SPACES = r"\s+(?!\S)|\s+"
_GPT2 = rf"'(?:s|t|re|ve|m|ll|d)| ?{_L}+| ?{_N}+| ?[^\s{_L}{_N}]+|{_SPACES}"
_BEFORE = rf"[^\r\n{_L}{_N}]?"
_WORD = rf"{_BEFORE}{_L}+"
_REST = rf" ?[^\s{_L}{_N}]+[\r\n]*|\s*[\r\n]+|{_SPACES}"
_REST_OF_PATHS = rf" ?[^\s{_L}{_N}]+[\r\n/]*|\s*[\r\n]+|{_SPACES}"
_UPPER, _LOWER = rf"(?:(?={_L})[^a-z])", rf"(?:(?={_L})[^A-Z])"
_IDEOGRAPHS = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
_ASCII_MARK = r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"


@dataclass(frozen=True, slots=True)
class PreTokenizer:
    """splits: patterns by which text is cut, one after the other. whole_words: whether merges yield to whole tokens."""

    splits: tuple[str, ...]
    whole_words: bool = False


_LLAMA3 = PreTokenizer((rf"{_SHORT}|{_WORD}|{_N}{{1,3}}|{_REST}",), whole_words=True)
_LLAMA3_MERGED = PreTokenizer(_LLAMA3.splits)
_QWEN2 = PreTokenizer((rf"{_SHORT}|{_WORD}|{_N}|{_REST}",))
_PLAIN = PreTokenizer((_GPT2,))
_DIGITS = PreTokenizer((_N, _GPT2))
_CASED_WORD = f"{_BEFORE}{_UPPER}*{_LOWER}+(?:{_SHORT})?|{_BEFORE}{_UPPER}+{_LOWER}*(?:{_SHORT})?"
_GPT4O = PreTokenizer((f"{_CASED_WORD}|{_N}{{1,3}}|{_REST_OF_PATHS}",))
_TEKKEN = PreTokenizer(
    (rf"{_BEFORE}{_UPPER}*{_LOWER}+|{_BEFORE}{_UPPER}+{_LOWER}*|{_N}|{_REST_OF_PATHS}",), whole_words=True
)
_DEEPSEEK3 = PreTokenizer(
    (
        f"{_N}{{1,3}}",
        _IDEOGRAPHS,
        rf"{_ASCII_MARK}[A-Za-z]+|[^\r\n{_L}{_P}{_S}]?[{_L}{_M}]+| ?[{_P}{_S}]+[\r\n]*|\s*[\r\n]+|{_SPACES}",
    )
)
_DEEPSEEK = PreTokenizer(
    (
        r"[\r\n]",
        rf"\s?{_CASED}+",
        "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3001-\u3002]+",
        r"\s+\z",
        r"[\x{800}-\x{9fa5}\x{ac00}-\x{d7ff}&&[^\s]]+",
        f"{_N}+",
    )
)
_DEFAULT = PreTokenizer((rf"[{_P}$+<=>^~|]+", _GPT2, f"{_N}+", "[0-9][0-9][0-9]"))

PRE_TOKENIZERS: Mapping[str, PreTokenizer] = MappingProxyType({
    "default": _DEFAULT,
    "gpt-2": _PLAIN, "phi-2": _PLAIN, "exaone4": _PLAIN, "trillion": _PLAIN,
    "smollm": _DIGITS, "starcoder": _DIGITS, "command-r": _DIGITS, "refact": _DIGITS, "exaone": _DIGITS,
    "llama3": _LLAMA3, "llama-v3": _LLAMA3, "llama-bpe": _LLAMA3, "falcon3": _LLAMA3, "lfm2": _LLAMA3,
    "dbrx": _LLAMA3_MERGED, "smaug-bpe": _LLAMA3_MERGED, "chatglm-bpe": _LLAMA3_MERGED,
    "qwen2": _QWEN2, "deepseek-r1-qwen": _QWEN2, "stablelm2": _QWEN2, "megrez": _QWEN2, "hunyuan": _QWEN2,
    "gpt-4o": _GPT4O, "llama4": _GPT4O,
    "tekken": _TEKKEN,
    "deepseek-llm": _DEEPSEEK, "deepseek-v3": _DEEPSEEK3, "hunyuan-dense": _DEEPSEEK3,
})  # fmt: skip
"""By ``tokenizer.ggml.pre``; ids equal the engine's for each of them (tests/models/test_vocabulary.py says how)."""

_HARMONY = frozenset({"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"})
_HARMONY_ENDS = frozenset({"<|return|>", "<|call|>"})


def matched_anyway(control: Collection[str]) -> frozenset[str]:
    """Those of a file's control tokens that llama.cpp finds in any text, although the file does not ask for it.

    When it loads a vocabulary, it makes these tokens of gpt-oss user-defined by their text, so that they are shown.
    """
    ends = {"<|end|>"} if frozenset(control) >= _HARMONY_ENDS else set()
    return frozenset(control) & (_HARMONY | ends)
