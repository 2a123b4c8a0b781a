"""What a tokenizer is, and how a prompt's segments become token ids. Knows no format, no engine and no file."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Protocol

from puna.errors import InputError
from puna.generation import Kind, Segment

_TURN_TOKEN = re.compile(r"<[|\uff5c][^<>]*[|\uff5c]>|</?s>|<(start|end)_of_turn>|\[/?(INST|SYSTEM_PROMPT)\]")


class Tokenizer(Protocol):
    """A model's vocabulary."""

    @property
    def control(self) -> Mapping[str, int]:
        """Control tokens by their text, such as ``{"<s>": 1, "</s>": 2}``."""

    def encode(self, text: str) -> list[int]:
        """Ids of plain text, shape (n,). Never gives a control id, whatever the text says."""

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The vocabulary's own spelling of each id."""

    def bytes_of(self, token: int) -> bytes:
        """What an id adds to the text: UTF-8, perhaps half a character; nothing for a control token."""


@dataclass(frozen=True, slots=True)
class ControlToken:
    """A run that is one control token, named by its text."""

    text: str


Run = str | ControlToken
"""A stretch that is encoded in one call: plain text, or one control token."""


def is_turn_token(text: str) -> bool:
    """Whether a token's text is that of a token which chat formats make turns with: ``<|im_end|>``, ``</s>``, ``[INST]``.

    Vocabularies have two ways to keep such a token in the clear: as a control token, or, in many community models, as a
    user-defined one, which is found in any text. Runs of spaces or ``<think>`` are user-defined too and make no turns.
    """
    return _TURN_TOKEN.fullmatch(text) is not None


def runs(segments: Iterable[Segment], control: Collection[str]) -> list[Run]:
    """Cut segments into runs at their control tokens; what lies between two of them is joined.

    Joining is what the vendors do: Meta's reference encodes ``[INST] ... [/INST] answer`` of Llama 2 in one call and puts
    BOS and EOS around it as ids (meta-llama/llama ``llama/generation.py``, chat_completion), and Hugging Face tokenizers
    split a prompt at its special tokens and encode the rest. Content is never searched for control tokens.
    """
    found, last = _cut(segments, _any_of(frozenset(control)), "")
    return [*found, last] if last else found


def encode(tokenizer: Tokenizer, segments: Iterable[Segment]) -> tuple[int, ...]:
    """Token ids of a prompt, shape (n,): each run in one call, control tokens as their ids."""
    control = tokenizer.control
    ids: list[int] = []
    for run in runs(segments, control):
        if isinstance(run, ControlToken):
            ids.append(control[run.text])
        else:
            ids.extend(plain(tokenizer.encode, control, run))
    return tuple(ids)


@dataclass(frozen=True)
class Running:
    """How many tokens a prompt has that is put together bit by bit; a value, so that a fork costs nothing.

    closed: tokens of the runs that a control token has ended, which no later text can change. pending: the plain text
    after the last of them, which the next text may still be joined to.
    """

    tokenizer: Tokenizer
    closed: int = 0
    pending: str = ""

    def push(self, segments: Iterable[Segment]) -> Running:
        """The prompt with more segments. Encodes what they close, and nothing that was closed before."""
        control = self.tokenizer.control
        found, pending = _cut(segments, _any_of(frozenset(control)), self.pending)
        closed = self.closed
        for run in found:
            closed += 1 if isinstance(run, ControlToken) else len(plain(self.tokenizer.encode, control, run))
        return Running(self.tokenizer, closed, pending)

    @cached_property
    def count(self) -> int:
        """Tokens of everything pushed, equal to ``len(encode(tokenizer, segments))``."""
        return self.closed + len(plain(self.tokenizer.encode, self.tokenizer.control, self.pending))


def plain(encode_text: Callable[[str], list[int]], control: Mapping[str, int], text: str) -> list[int]:
    """Ids of a text none of which is a control token, by a function that may give some.

    Where it does, because merges, a normalizer or the library's own search come to one, the text is cut inside whatever
    came to it, and both parts are encoded by themselves.

    Raises:
        InputError: a single character comes to a control token.
    """
    if not text:
        return []
    forged = frozenset(control.values())
    ids: list[int] = []
    waiting = [text]
    while waiting:
        part = waiting.pop()
        found = encode_text(part)
        if forged.isdisjoint(found):
            ids.extend(found)
            continue
        met = forged.intersection(found)
        parts = parted(part, [spelled for spelled, n in control.items() if n in met])
        if len(parts) == 1:
            parts = _cut_before_the_end_of_the_first(part, lambda start: forged.isdisjoint(encode_text(start)))
        waiting.extend(reversed(parts))
    return ids


def parted(text: str, tokens: Collection[str]) -> list[str]:
    """A text in pieces that join to it, cut after the first character of every token that it spells out."""
    pattern = _any_of(frozenset(tokens))
    cuts = [0]
    # Searched again from each cut, since one token may begin inside another.
    while pattern is not None and (match := pattern.search(text, cuts[-1])):
        cuts.append(match.start() + 1)
    return [text[start:end] for start, end in pairwise([*cuts, len(text)]) if start < end]


def no_unicode() -> InputError:
    """The refusal of a Python string that is no text."""
    return InputError(
        "a text must be Unicode characters, but it holds half a surrogate pair, which no file or network carries; "
        "take it out"
    )


def no_such_id(token: int, size: int) -> InputError:
    """The refusal of an id outside a vocabulary of ``size`` tokens."""
    return InputError(f"a token id must be from 0 to {size - 1}, not {token}; was it made by another vocabulary?")


def _cut_before_the_end_of_the_first(text: str, is_clean: Callable[[str], bool]) -> list[str]:
    """Two parts, the first of which is clean and is so no longer with one character more."""
    clean, unclean = 0, len(text)
    while unclean - clean > 1:
        middle = (clean + unclean) // 2
        if is_clean(text[:middle]):
            clean = middle
        else:
            unclean = middle
    if not clean:
        raise InputError(
            f"a message must be plain text, but this vocabulary takes {text[0]!r} for one of its control tokens; "
            "leave that character out"
        )
    return [text[:clean], text[clean:]]


def _cut(segments: Iterable[Segment], pattern: re.Pattern[str] | None, pending: str) -> tuple[list[Run], str]:
    """The runs that are closed, and the plain text that is not."""
    found: list[Run] = []
    open_text = [pending]
    for segment in segments:
        at = 0
        if pattern is not None and segment.kind is Kind.CONTROL:
            for match in pattern.finditer(segment.text):
                open_text.append(segment.text[at : match.start()])
                closed = "".join(open_text)
                open_text.clear()
                if closed:
                    found.append(closed)
                found.append(ControlToken(match.group()))
                at = match.end()
        open_text.append(segment.text[at:])
    return found, "".join(open_text)


@lru_cache(maxsize=64)
def _any_of(tokens: frozenset[str]) -> re.Pattern[str] | None:
    """A pattern that finds any of them, the longer of two that begin alike. Kept, since Llama 3 has 256 of them."""
    texts = sorted(tokens - {""}, key=lambda text: (-len(text), text))
    return re.compile("|".join(map(re.escape, texts))) if texts else None
