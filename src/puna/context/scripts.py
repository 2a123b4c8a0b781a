"""Which characters make words in which scripts, as ranges to write between the brackets of a regular expression. Knows no word.

The blocks are Unicode's (https://www.unicode.org/Public/UCD/latest/ucd/Blocks.txt), without the punctuation in them.
"""

from __future__ import annotations

HAN = "\u2e80-\u2fdf\u3005\u3007\u3021-\u3029\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
HIRAGANA = "\u3041-\u309f"
KATAKANA = "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
HANGUL = "\uac00-\ud7af"

SYLLABIC = "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ebe\u0ec0-\u0ece\u0edc-\u0edf\u1000-\u103f\u1050-\u108f\u1780-\u17d3"
"""Thai, Lao, Burmese and Khmer, which put no space between words; one letter of them says as little as one of ours."""

ACCENTS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4"
    "\u06e7\u06e8\u06ea-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff"
)
"""Marks of Latin, Greek, Cyrillic, Hebrew and Arabic, which a word is often written without."""

MARKS = (
    f"{ACCENTS}\u0900-\u0963\u0966-\u0dff\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e\u1056-\u1059"
    "\u105e-\u1060\u1062-\u1064\u1067-\u106d\u1071-\u1074\u1082-\u108d\u17b4-\u17d3\u200d\u3099\u309a"
)
"""Accents, vowel signs and the like, which regular expressions do not take for letters; of Indic scripts, the whole blocks."""
