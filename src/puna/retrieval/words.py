"""What a text is found by: its words, as an index and a question have them. Knows characters and English endings; no passage and no score.

- Words are compared without case, accents or the forms of a plural ("Résumés" is found by "resume"), in whatever form Unicode has them.
- A name with marks in it is found whole, and by its parts: ``--max-tokens``, ``max_tokens`` and "max tokens" find each other, and
  ``top_p``, ``puna.Chat``, ``3.11`` and ``C++`` are names of their own, which weigh more than the parts that others have too.
- Scripts without spaces (Chinese, Japanese, Thai and the like; Korean, whose endings stand at the word, too): two signs at a time stand
  for a word. A Chinese sign that stands alone is one itself, since many a word has no second.
- English words that stand in every question ("how do I ...") are left out of a question that has others.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

from bm25s.stopwords import STOPWORDS_EN_PLUS

from puna.context.scripts import ACCENTS, HAN, HANGUL, HIRAGANA, KATAKANA, MARKS, SYLLABIC

_APART = (f"[{HAN}]", f"[{HIRAGANA}]", f"[{KATAKANA}]", f"[{HANGUL}]", f"[{SYLLABIC}]")
"""Scripts whose words are not told by spaces; where one ends and another begins, a word does."""
_PART = rf"(?:[^\W_{HAN}{HIRAGANA}{KATAKANA}{HANGUL}{SYLLABIC}]++[{MARKS}]*+)++"
_WORD = re.compile(
    rf"{_PART}(?:(?<=(?<![-\w./:])[A-Za-z])(?:\+\+|#)(?![\w+#])|(?:['\u2019](?:s|t|re|ve|ll|d|m)\b)?(?:[-_./:]+{_PART})*)"
    rf"|{'|'.join(f'{sign}+' for sign in _APART)}"
)
_BETWEEN = re.compile(r"[-_./:]+")
_ENDING = re.compile(r"['\u2019](?:s|t|re|ve|ll|d|m)\b")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")
_UNWRITTEN = re.compile(rf"[{ACCENTS}\u00ad\u0640\u2060\ufeff]")
"""What a word is the same without: accents, soft hyphens, the Arabic letters' stretching, marks of no width."""
_SIGN = re.compile(rf"[^{MARKS}][{MARKS}]*")
_HAN = re.compile(f"[{HAN}]")
_SIGNS = re.compile("|".join(_APART))

_COMMON = frozenset(STOPWORDS_EN_PLUS) | {"would", "could", "shall", "may", "might", "must", "us", "also"}


def words(text: str) -> list[str]:
    """The words of a text, in order; a name's parts follow it."""
    return [found for word in _WORD.findall(_even(text)) for found in _found_by(word)]


def asked(question: str) -> list[str]:
    """The words by which a question is answered: those that are not in every question, where it has any."""
    found = [one for word in _WORD.findall(_even(question)) for one in _asked_by(word)]
    return [word for word in found if word not in _STEMMED_COMMON] or found


def _even(text: str) -> str:
    """In one form, however it was typed: composed, of full width where it was half, and without what a word is the same without."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _UNWRITTEN.sub("", unicodedata.normalize("NFKD", text)))


@lru_cache(maxsize=100_000)  # most words of a text are few, and a language has not many more
def _found_by(word: str) -> tuple[str, ...]:
    """What a word, or a name with its marks, is found by."""
    if _SIGNS.match(word):
        signs = _SIGN.findall(word) or [word]
        pairs = [f"{one}{other}" for one, other in pairwise(signs)]
        return (*pairs, *signs) if _HAN.match(word) else tuple(pairs or signs)
    if word.endswith(("+", "#")):
        return word.lower(), word[0].lower()
    parts = [_plain(part) for piece in _BETWEEN.split(word) for part in _HUMP.split(_ENDING.sub("", piece))]
    whole = ("_".join(parts),) if len(parts) > 1 else ()
    return (*whole, *map(_stem, parts))


def _asked_by(word: str) -> tuple[str, ...]:
    """What a word of a question looks for: of Chinese signs that stand together, what they say together."""
    found = _found_by(word)
    return found[: len(word) - 1] if len(word) > 1 and _HAN.match(word) else found


def _plain(word: str) -> str:
    """Without case. Casefolding can bring back an accent, as of the Turkish dotted I."""
    return word.lower() if word.isascii() else _even(word.casefold())


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
