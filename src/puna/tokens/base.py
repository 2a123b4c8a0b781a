"""What a tokenizer is, and how a prompt's segments become token ids. Knows no format, no engine and no file."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from puna.generation import Kind, Segment


class Tokenizer(Protocol):
    """A model's vocabulary."""

    @property
    def control(self) -> Mapping[str, int]:
        """Control tokens by their text, such as ``{"<s>": 1, "</s>": 2}``."""

    def encode(self, text: str) -> list[int]:
        """Ids of plain text, shape (n,). Never gives a control id, whatever the text says."""

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The vocabulary's own spelling of each id."""


@dataclass(frozen=True, slots=True)
class ControlToken:
    """A run that is one control token, named by its text."""

    text: str


Run = str | ControlToken
"""A stretch that is encoded in one call: plain text, or one control token."""


def runs(segments: Iterable[Segment], control: Collection[str]) -> list[Run]:
    """Cut segments into runs at their control tokens; what lies between two of them is joined.

    Joining is what the vendors do: Meta's reference encodes ``[INST] ... [/INST] answer`` of Llama 2 in one call and puts
    BOS and EOS around it as ids (meta-llama/llama ``llama/generation.py``, chat_completion), and Hugging Face tokenizers
    split a prompt at its special tokens and encode the rest. Content is never searched for control tokens.
    """
    pattern = re.compile("|".join(sorted(map(re.escape, control), key=len, reverse=True))) if control else None
    found: list[Run] = []
    plain: list[str] = []

    def flush() -> None:
        text = "".join(plain)
        plain.clear()
        if text:
            found.append(text)

    for segment in segments:
        at = 0
        if pattern is not None and segment.kind is Kind.CONTROL:
            for match in pattern.finditer(segment.text):
                plain.append(segment.text[at : match.start()])
                flush()
                found.append(ControlToken(match.group()))
                at = match.end()
        plain.append(segment.text[at:])
    flush()
    return found


def encode(tokenizer: Tokenizer, segments: Iterable[Segment]) -> tuple[int, ...]:
    """Token ids of a prompt, shape (n,): each run in one call, control tokens as their ids."""
    ids: list[int] = []
    for run in runs(segments, tokenizer.control):
        if isinstance(run, ControlToken):
            ids.append(tokenizer.control[run.text])
        else:
            ids.extend(tokenizer.encode(run))
    return tuple(ids)
