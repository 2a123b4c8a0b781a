"""Collects the slips that a lenient reader meets. Knows no family: each table of codes is handed in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from puna.formats.base import Finding

ERROR = "error"
"""The model reads something else than was meant: a turn, a role or a control token is lost or doubled."""
WARNING = "warning"
"""The model reads what was meant, in tokens that it was not trained on."""
NOTE = "note"
"""Worth knowing; the tokens may well be right."""


class Slip(NamedTuple):
    """A kind of slip. example: a prompt of the format ``family`` that has it, for the documentation and its test."""

    severity: str
    message: str
    example: str
    family: str


Table = Mapping[str, Slip]
"""By code. Codes are stable."""


MOST = 1000
"""Findings that are kept of one text; a prompt with more of them is not one that a person mends by hand."""


class Slips:
    """Findings in the making. ``table`` has every code that may be noted."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._found: list[Finding] = []

    def note(self, code: str, start: int, end: int, fix: str | None = None) -> None:
        """One slip at characters [start, end); putting ``fix`` there mends it, None where only the author knows."""
        slip = self._table[code]
        if len(self._found) < MOST:
            self._found.append(Finding(code, slip.severity, start, end, slip.message, fix))
        elif len(self._found) == MOST:
            self._found.append(Finding("more-slips", NOTE, end, end, f"only the first {MOST} findings are listed"))

    def in_text_order(self) -> tuple[Finding, ...]:
        """Everything noted, by place in the text."""
        return tuple(sorted(self._found, key=lambda finding: (finding.start, finding.end)))
