"""What a family writes around the contents of one role, and the tags in it. Knows no family."""

from __future__ import annotations

import re
from typing import NamedTuple

BOS = "<s>"
"""Begins a prompt in the vocabularies of Llama 2 and Mistral."""


class Tags(NamedTuple):
    """before, after: the texts on either side of a content; trim: whether whitespace at its ends is taken off."""

    before: str
    after: str
    trim: bool = False

    def as_tuple(self) -> tuple[str, str, bool]:
        """The three as a plain tuple, which unpacks fastest."""
        return self.before, self.after, self.trim


class Seams(NamedTuple):
    """What a family writes before the first content, between two contents, and after the last."""

    openings: frozenset[str]
    betweens: frozenset[str]
    endings: frozenset[str]


def core(text: str) -> str:
    """A tag without the whitespace around it."""
    return text.strip()


_ATOM = re.compile(
    r"<<?/?[A-Z]+>>?"  # <<SYS>>
    r"|<[|\uff5c][^<>|\uff5c\s]+[|\uff5c]>"  # <|im_end|>, DeepSeek's with U+FF5C
    r"|</?[a-z_]+>"  # <s>, <start_of_turn>
    r"|\[/?[A-Z_]+\]"  # [INST]
    r"|\b[A-Za-z]+:"  # USER:
)


def atoms(text: str) -> list[str]:
    """The single tags in what a family writes, such as ``<|im_start|>`` in ``<|im_start|>user``."""
    return _ATOM.findall(text)


FOREIGN_END = re.compile(
    r"\s{0,64}(?:</s>|<\\s>|<\|eot_id\|>|<\|eot\|>|<\|im_end\|>|<\|end\|>|<\|endoftext\|>|<\|end_of_text\|>"
    r"|<end_of_turn>|<eos>|<\uff5cend\u2581of\u2581sentence\uff5c>)\s{0,64}\Z"
)
"""A tag that ends a message in some family, at the end of a message, where its own family should have ended it."""
