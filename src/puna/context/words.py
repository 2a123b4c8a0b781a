"""The words of a text that carry its content, in a form in which they can be compared. Knows English endings and function words.

A word is a run of letters with marks inside it, a number with its separators, one Chinese or Japanese sign, or two neighbouring signs of
another script without spaces. Words are compared in lower case and compatibility form (NFKC), English ones without the plural's s (the S stemmer: Harman 1991, "How
effective is suffixing?", JASIS 42(1)) and the possessive's; 3,500 is 3500, and three is 3. Negations are content.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from puna.context.scripts import HAN, HIRAGANA, KATAKANA, MARKS, SYLLABIC

_ALONE = f"{HAN}{HIRAGANA}{KATAKANA}"
"""Scripts of which one sign is a word."""
_LETTER = rf"(?:[^\W_{_ALONE}{SYLLABIC}]|[{MARKS}])"
_WORD = re.compile(
    rf"\d+(?:[.,:]\d+)*|[{_ALONE}]|[^\W\d_{_ALONE}{SYLLABIC}]{_LETTER}*(?:['\u2019\-]{_LETTER}+)*"
    rf"|(?P<sign>[{SYLLABIC}][{MARKS}]*)(?=(?P<next>[{SYLLABIC}][{MARKS}]*)?)|\w"
)
_FUNCTION = frozenset(
    """a an the this that these those and or but if then so as of in on at to for from by with about into onto over under between through
    during is are was were be been being am do does did done have has had having will would shall should can could may might must it its
    itself he she they them their theirs his her hers him i me my mine we us our ours you your yours who whom whose which what where when
    why how there here also just only very such than too s t one ones some any each both all more most other according context passage
    text answer says say said yes""".split()  # noqa: SIM905  # a list that is read as words
)
_NUMBERS = dict(
    zip(("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), map(str, range(2, 13)), strict=True)
)  # fmt: skip
_THOUSANDS = re.compile(r",(?=\d{3}(?:\D|$))")


@dataclass(frozen=True, slots=True)
class Word:
    """A content word. text: as it is compared. start, end: its characters, [start, end)."""

    text: str
    start: int
    end: int

    @property
    def number(self) -> bool:
        """Whether it is a number, which no other word can stand for."""
        return self.text[0].isdigit()


def content_words(text: str, start: int = 0, end: int | None = None) -> Iterator[Word]:
    """The content words of ``text[start:end]``, in order."""
    end = len(text) if end is None else end
    paired = -1
    for found in _WORD.finditer(text, start, end):
        high = found.end()
        if found["sign"]:
            alone = found["next"] is None
            if alone and paired == high:
                continue
            high = paired = high if alone else found.end("next")
        word = _compared(text[found.start() : high])
        if word and word not in _FUNCTION:
            yield Word(word, found.start(), high)


def _compared(word: str) -> str:
    word = unicodedata.normalize("NFKC", word).casefold().replace("\u2019", "'").removesuffix("'s")
    if word[:1].isdigit():
        return _THOUSANDS.sub("", word)
    return _NUMBERS.get(word) or _singular(word)


def _singular(word: str) -> str:
    if len(word) < 4 or not word.endswith("s") or word.endswith(("us", "ss", "'s")):
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    return word[:-1]
