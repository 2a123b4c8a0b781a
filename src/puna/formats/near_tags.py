"""Finds what is nearly a tag: look-alike characters, zero-width ones inside, other case, blanks, HTML escapes.

Knows which spellings are near, not whether a tag was meant: a reader decides that, by whether the text makes sense with
it. Sources of the look-alikes: Unicode's confusables (https://www.unicode.org/Public/security/latest/confusables.txt)
for the characters that tags are made of, as known on 2026-11-25.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e"
"""Characters that are not seen, and split a tag for every tokenizer."""

_ALIKE = {
    "<": "\uff1c\u2039\u27e8\u3008\u276e\u02c2\u1438\ufe64",
    ">": "\uff1e\u203a\u27e9\u3009\u276f\u02c3\u1433\ufe65",
    "[": "\uff3b\u27e6\u3010\u2045\u301a",
    "]": "\uff3d\u27e7\u3011\u2046\u301b",
    "/": "\\\uff0f\u2044\u2215\u29f8",
    "|": "\uff5c\u2223\u01c0\u00a6\uffe8\u23d0",
    "_": "\uff3f\u2581",
    "\uff5c": "|\u2223\u00a6",
    "\u2581": "_ ",
    ":": "\uff1a\u2236",
}
_BARS = "|\uff5c"
_CYRILLIC = dict(zip("aceiopsxyABCEHIKMNOPSTXY", "асеіорѕхуАВСЕНІКМΝОРЅТХҮ", strict=True))
_ESCAPED = {"<": "&lt;", ">": "&gt;"}


@dataclass(frozen=True, slots=True)
class NearTag:
    """Something at characters [start, end) that is nearly ``tag``. code: what kind of slip it would be."""

    start: int
    end: int
    tag: str
    code: str


@cache
def _pattern(tags: frozenset[str]) -> re.Pattern[str]:
    return re.compile("|".join(_near(tag) for tag in sorted(tags, key=len, reverse=True)))


@cache
def _alone(tag: str) -> re.Pattern[str]:
    return re.compile(_near(tag))


def near_tags(text: str, tags: frozenset[str]) -> list[NearTag]:
    """Everything in the text that is nearly one of the tags, without the exact ones. Linear in the length of the text."""
    found = []
    for match in _pattern(tags).finditer(text):
        written = match.group()
        if written not in tags:
            tag = _nearest(written, tags)
            found.append(NearTag(match.start(), match.end(), tag, _code(written, tag)))
    return found


@cache
def _nearest(written: str, tags: frozenset[str]) -> str:
    """Of the tags that this can be, the one that has most of its characters."""
    fitting = [tag for tag in tags if _alone(tag).fullmatch(written)]
    return max(fitting, key=lambda tag: (sum(map(_likeness, tag, written)), tag))


def _likeness(one: str, other: str) -> float:
    """A look-alike is nearer than the other case, which tags of other families are told by."""
    return 1.0 if one == other else 0.5 if one.casefold() == other.casefold() else 0.9


def _near(tag: str) -> str:
    """A tag in any near spelling. Blanks are near just inside the brackets: ``[ INST ]``, ``< s >``."""
    between, blanks = rf"[{ZERO_WIDTH}]{{0,4}}", rf"[{ZERO_WIDTH} \t]{{0,4}}"
    # One bracket of two, or one bar, may be missing: <SYS>>, <|im_end>. Without either bar, <user> is XML.
    doubled = [n for n, c in enumerate(tag) if c in _BARS or (c in "<>" and 0 < n < len(tag) - 1)]
    ways = []
    for missing in doubled or [-1]:
        parts = [f"{_character(c)}{'?' if n == missing else ''}" for n, c in enumerate(tag)]
        if tag[1] in _BARS:
            parts[1], parts[-2] = f"{parts[1]}{blanks}", f"{blanks}{parts[-2]}"
        ways.append(f"{parts[0]}{blanks}{between.join(parts[1:-1])}{blanks}{parts[-1]}")
    return f"(?:{'|'.join(ways)})"


def _character(character: str) -> str:
    if character.isalpha() and character.isascii():
        other = chr(ord(character.upper()) + 0xFEE0), chr(ord(character.lower()) + 0xFEE0)
        alike = "".join(_CYRILLIC.get(c, "") for c in (character.lower(), character.upper()))
        return f"[{character.lower()}{character.upper()}{''.join(other)}{alike}]"
    alike = re.escape(_ALIKE.get(character, ""))
    one = f"[{re.escape(character)}{alike}]" if alike else re.escape(character)
    return f"(?:{one}|{_ESCAPED[character]})" if character in _ESCAPED else one


def _code(written: str, tag: str) -> str:
    alien = set(written) - set(tag) - set(tag.lower()) - set(tag.upper())
    return "tag-spelling" if all(c.isascii() for c in alien) else "lookalike-tag"
