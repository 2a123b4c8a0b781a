"""Whether an output declines or says that it does not know. Knows texts, no model."""

from __future__ import annotations

import re

_DECLINES = re.compile(
    r"\b(?:i|we)\b[^.!?]{0,30}\b(?:do not|don't|cannot|can't|can not|am not|'m not)\b", re.IGNORECASE
)


def abstains(text: str) -> bool:
    """Whether the text declines, or says that it does not know."""
    return _DECLINES.search(text.replace("\u2019", "'")) is not None
