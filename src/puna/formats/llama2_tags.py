r"""The tags of Llama 2 Chat, shared by the writer and the reader so that they stay inverses of each other.

Source: ``llama/generation.py`` lines 44-48 of https://github.com/meta-llama/llama (689c7f26), read 2026-11-22.
``<\s>``, ``[\INST]`` and ``<<\SYS>>`` are not Llama 2's: people write them (a published workshop teaches ``<\s>``).
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

BOS, EOS = "<s>", "</s>"
INST, END_INST = "[INST]", "[/INST]"
SYS, END_SYS = "<<SYS>>", "<</SYS>>"
EOS_TYPO, END_INST_TYPO, END_SYS_TYPO = "<\\s>", "[\\INST]", "<<\\SYS>>"


class Mark(Enum):
    """What a tag does."""

    BOS = BOS
    EOS = EOS
    INST = INST
    END_INST = END_INST


class Tag(NamedTuple):
    """A tag at characters [start, end). typo: it is written with a backslash."""

    mark: Mark
    start: int
    end: int
    typo: bool


_MARKS = {
    **{mark.value: (mark, False) for mark in Mark},
    EOS_TYPO: (Mark.EOS, True),
    END_INST_TYPO: (Mark.END_INST, True),
}
_TURN_TAG = re.compile("|".join(map(re.escape, _MARKS)))
_ANY_TAG = re.compile("|".join(map(re.escape, (*_MARKS, SYS, END_SYS, END_SYS_TYPO))))


def scan(text: str) -> list[Tag]:
    """Every tag that can begin or end a turn, in text order."""
    return [Tag(_MARKS[m.group()][0], m.start(), m.end(), _MARKS[m.group()][1]) for m in _TURN_TAG.finditer(text)]


def has_tag(text: str) -> bool:
    """Whether the text holds any tag, misspelled ones included: such a content cannot be read back from a prompt."""
    return _ANY_TAG.search(text) is not None
