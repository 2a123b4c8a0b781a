"""How to find a turn format's tags in a text, exact and as people spell them. Knows patterns, not what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from puna.formats.tags import Tags, core
from puna.formats.turns import TurnWriter
from puna.messages import Role

HEADER, CLOSE, SEQUENCE = "header", "close", "sequence"
"""Kinds of marks: what begins a message, what ends one, what begins or ends a whole prompt."""

_SEQUENCE = ("<s>", "<bos>", "<|begin_of_text|>", "<|endoftext|>", "<\uff5cbegin\u2581of\u2581sentence\uff5c>")
_ROLE = re.compile(r"(?<![A-Za-z_])(?:system|user|assistant|model)(?![A-Za-z_])")
_WORDS: Mapping[str, Role] = {
    "system": Role.SYSTEM, "user": Role.USER, "assistant": Role.ASSISTANT, "model": Role.ASSISTANT,
    "human": Role.USER, "ai": Role.ASSISTANT, "bot": Role.ASSISTANT, "gpt": Role.ASSISTANT,
}  # fmt: skip


class Mark(NamedTuple):
    """A tag at characters [start, end). role: of a header, None for a word that is no role; tag: the exact text."""

    kind: str
    start: int
    end: int
    tag: str
    role: Role | None = None
    word: str = ""


@dataclass(frozen=True)
class Tagging:
    """A format's tags. trail, lead: whitespace that belongs between a header, or a closing tag, and the content."""

    pattern: re.Pattern[str]
    at_start: re.Pattern[str]
    at_end: re.Pattern[str]
    tags: Mapping[Role, Tags | None]
    headers: Mapping[str, Role]
    spoken: Mapping[Role, str]
    closes: Mapping[Role, frozenset[str]]
    closing: frozenset[str]
    trail: Mapping[Role, str]
    lead: Mapping[Role, str]
    answers_untagged: bool

    def find(self, text: str) -> Iterator[Mark]:
        """Every mark in text order."""
        for found in self.pattern.finditer(text):
            kind = found.lastgroup
            if kind == "word":
                word = found["word"]
                role = _WORDS.get(word.lower())
                yield Mark(HEADER, found.start(), found.end(), self.spoken[role] if role else found.group(), role, word)
            elif kind == "tag":
                tag = found.group()
                role = self.headers.get(tag)
                where = HEADER if role else CLOSE if tag in self.closing else SEQUENCE
                yield Mark(where, found.start(), found.end(), tag, role, tag)


@cache
def tagging_of(form: TurnWriter) -> Tagging:
    """The tags of a format; made once for each."""
    given: dict[Role, Tags | None] = {
        Role.USER: form.user,
        Role.ASSISTANT: form.assistant,
        Role.SYSTEM: form.system or form.late_system,
    }
    spoken = {role: core(tags.before) for role, tags in given.items() if tags}
    closes = {role: frozenset({core(tags.after)} - {""}) if tags else frozenset() for role, tags in given.items()}
    worded = {role: header for role, header in spoken.items() if _ROLE.search(header)}
    headers = {header: role for role, header in spoken.items() if header and role not in worded}
    literal = {*headers, *(tag for tags in closes.values() for tag in tags), *_SEQUENCE, form.ending, form.bos} - {""}
    parts = [_loose(worded)] if worded else []
    parts.append(f"(?P<tag>{'|'.join(_literal(tag) for tag in sorted(literal, key=len, reverse=True))})")
    # Small words such as "User:" also begin and end what is no prompt.
    sure = [tag for tag in form.tags if not tag[0].isalpha()]
    starts = "|".join([*map(re.escape, sure), form.own_words] if form.own_words else map(re.escape, sure))
    ends = "|".join(map(re.escape, [tag for tag in form.tags if tag.upper() == tag or not tag[0].isalpha()]))
    return Tagging(
        pattern=re.compile("|".join(parts)),
        at_start=re.compile(rf"\s*(?i:{starts})"),
        at_end=re.compile(rf"(?:(?i:{'|'.join(map(re.escape, sure))})|{ends})[a-z]{{0,12}}\s*\Z"),
        tags=given,
        headers=headers,
        spoken=spoken,
        closes=closes,
        closing=frozenset().union(*closes.values()),
        trail={role: _trail(tags.before) if tags else "" for role, tags in given.items()},
        lead={role: _lead(tags.after) if tags else "" for role, tags in given.items()},
        answers_untagged=not core(form.assistant.before),
    )


def _loose(worded: Mapping[Role, str]) -> str:
    """Any spelling of the headers that hold the role as a word: other case, blanks around it."""
    before, after = map(re.escape, _ROLE.split(next(iter(worded.values())), maxsplit=1))
    known, blank = f"(?i:{'|'.join(_WORDS)})", "[ \\t]{0,8}"
    if not after:
        # Anything else than a role is one only where a line ends with it: people also write about these tags.
        return rf"{before}{blank}(?P<word>{known}(?=[\s:<]|\Z)|[A-Za-z_]{{1,32}}(?={blank}\r?\n))"
    # Tags such as <|user|> have relatives such as <|end|>, so only a role makes a header there.
    return rf"{before}{blank}(?P<word>{known if before == re.escape('<|') else '[A-Za-z_]{1,32}'}){blank}{after}"


def _literal(tag: str) -> str:
    """A tag that is a word, such as ``USER:``, is one only where a word begins."""
    return rf"\b{re.escape(tag)}" if tag[0].isalpha() else re.escape(tag)


def _trail(before: str) -> str:
    return before[len(before.rstrip()) :] if before.strip() else ""


def _lead(after: str) -> str:
    return after[: len(after) - len(after.lstrip())]
