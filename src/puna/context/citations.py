"""How the number of a passage is written: ``[1]``, ``[2, 3]``, ``[1-3]``, in the brackets and commas of other scripts too. Knows no passage."""

from __future__ import annotations

import re
from collections.abc import Iterator

_DASH = "\\-\u2010-\u2013"

CITATION = (
    rf"[\[\uff3b\u3010]\s*(?:\d{{1,4}}(?:\s*(?:[,;\uff0c\uff1b\u3001{_DASH}]|and\b)\s*\d{{1,4}})*)\s*[\]\uff3d\u3011]"
)
"""A regular expression."""

_NUMBERS = re.compile(rf"(\d+)(?:\s*[{_DASH}]\s*(\d+))?")
_MOST = 100
"""Numbers that a range is written out to; what spans more is a mistake or a year, of which the ends tell enough."""


def numbers(citation: str) -> Iterator[int]:
    """The numbers of one citation, ranges written out."""
    for found in _NUMBERS.finditer(citation):
        first, last = sorted((int(found[1]), int(found[2] or found[1])))
        yield from range(first, last + 1) if last - first < _MOST else (first, last)
