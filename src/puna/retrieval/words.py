"""What a text is found by: its words, as an index and a question have them. Knows characters and English endings; no passage and no score.

- Words are compared without case, accents or the forms of a plural ("Résumés" is found by "resume").
- A name with marks in it is found whole, and by its parts: ``--max-tokens``, ``max_tokens`` and "max tokens" find each other, and
  ``top_p``, ``puna.Chat`` and ``3.11`` are names of their own, which weigh more than the parts that others have too.
- Chinese, Japanese and Korean are written without spaces: two signs at a time stand for a word.
- English words that stand in every question ("how do I ...") are left out of a question that has others.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from bm25s.stopwords import STOPWORDS_EN_PLUS

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+(?:['\u2019](?:s|t|re|ve|ll|d|m)\b)?(?:[-_./:]+[^\W_{_CJK}]+)*")
_MARKS = re.compile(r"[-_./:]+")
_ENDING = re.compile(r"['\u2019](?:s|t|re|ve|ll|d|m)\b")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")
_SIGNS = re.compile(rf"[{_CJK}]")

_COMMON = frozenset(STOPWORDS_EN_PLUS) | {"would", "could", "shall", "may", "might", "must", "us", "also"}


def words(text: str) -> list[str]:
    """The words of a text, in order; a name's parts follow it."""
    return [found for word in _WORD.findall(text) for found in _found_by(word)]


@lru_cache(maxsize=100_000)  # most words of a text are few, and a language has not many more
def _found_by(word: str) -> tuple[str, ...]:
    """What a word, or a name with its marks, is found by."""
    if _SIGNS.match(word):
        return tuple(word[n : n + 2] for n in range(max(1, len(word) - 1)))
    parts = [_plain(part) for piece in _MARKS.split(word) for part in _HUMP.split(_ENDING.sub("", piece))]
    whole = ("_".join(parts),) if len(parts) > 1 else ()
    return (*whole, *map(_stem, parts))


def asked(question: str) -> list[str]:
    """The words by which a question is answered: those that are not in every question, where it has any."""
    found = words(question)
    return [word for word in found if word not in _STEMMED_COMMON] or found


def _plain(word: str) -> str:
    """Without case and accents."""
    if word.isascii():
        return word.lower()
    apart = unicodedata.normalize("NFKD", word.casefold())
    return "".join(sign for sign in apart if not unicodedata.combining(sign))


def _stem(word: str) -> str:
    """Without the ending of an English plural: the S stemmer (Harman 1991, How effective is suffixing?, JASIS 42(1)), and "boxes"."""
    if len(word) < 4 or word[-1] != "s":
        return word
    if word.endswith("ies"):
        return word if word.endswith(("eies", "aies")) else f"{word[:-3]}y"
    if word.endswith(("xes", "sses", "shes", "tches")):
        return word[:-2]
    if word.endswith("es"):
        return word if word.endswith(("aes", "ees", "oes")) else word[:-1]
    return word if word.endswith(("us", "ss")) else word[:-1]


_STEMMED_COMMON = frozenset(_stem(_plain(word)) for word in _COMMON)
