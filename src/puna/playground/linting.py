"""What was found in a written prompt, as a page's editor takes it: parts and slips by UTF-16 offsets. Pure."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace

from puna.errors import DialogError
from puna.formats.lint import Lint
from puna.playground.labels import spans_of_text


def as_json(found: Lint) -> dict[str, object]:
    """Format, spans, findings and the mended text. Offsets count UTF-16 code units, as JavaScript's strings do."""
    at = _Utf16(found.text)
    findings = [replace(f, start=at(f.start), end=at(f.end)).as_json() for f in found.parsed.findings]
    return {"format": found.parsed.format, "spans": _spans(found, at), "findings": findings, "fixed": _fixed(found)}


class _Utf16:
    """Offsets of a text's characters in UTF-16: one more for each character beyond the first plane before it."""

    def __init__(self, text: str) -> None:
        self._wide = [n for n, character in enumerate(text) if character > "\uffff"]

    def __call__(self, at: int) -> int:
        return at + bisect_left(self._wide, at)


def _spans(found: Lint, at: _Utf16) -> list[dict[str, object]]:
    spans: list[dict[str, object]] = []
    begin = 0
    for text, label in spans_of_text(found.text, found.parsed):
        spans.append({"start": at(begin), "end": at(begin + len(text)), "kind": label.kind})
        begin += len(text)
    return spans


def _fixed(found: Lint) -> str | None:
    """None where no rule mends it."""
    try:
        return found.fixed()
    except DialogError:
        return None
