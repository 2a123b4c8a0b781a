"""Hostile inputs for bodies, fields, routes and decoders: an answer or a refusal in its own shape, never a failure, never a hang."""

from __future__ import annotations

import re

import pytest

from puna.wire import pieces

from . import control, decoders, fields, http
from .amount import INPUTS, SEED
from .asking import Tally


def share(part: float) -> int:
    return int(INPUTS * part)


def test_anything_in_every_field_of_every_dialect_is_answered_or_refused() -> None:
    tally = Tally()
    fields.main(share(0.4), SEED, tally)
    assert tally.statuses[200] > tally.inputs // 4
    assert set(tally.statuses) <= {200, 400, 404, 413, 422, 424}


def test_no_control_text_of_any_field_becomes_a_control_token() -> None:
    control.main(share(0.05), SEED, Tally())


def test_anything_at_any_route_is_an_answer_or_a_refusal() -> None:
    tally = Tally()
    http.main(share(0.35), SEED, tally)
    assert {200, 400, 404, 405, 424} <= set(tally.statuses)


def test_the_decoders_raise_nothing_but_their_own_error() -> None:
    decoders.main(share(0.2), SEED, Tally())


# ---- the fuzzers see what they are there for


def test_a_stream_that_loses_a_blank_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces.Pieces, "push", lambda _, text: [text] if text.strip() else [])
    with pytest.raises(AssertionError):
        fields.main(2000, SEED, Tally())


def test_a_line_that_is_not_escaped_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from puna.wire.dialect import Framing

    def encode(framing: Framing, record: object) -> bytes:
        import json

        return framing.before + json.dumps(record, ensure_ascii=False).encode() + framing.after

    monkeypatch.setattr(Framing, "encode", encode)
    with pytest.raises(AssertionError):
        fields.main(2000, SEED, Tally())


def test_content_that_is_searched_for_control_tokens_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    known = re.compile("|".join(map(re.escape, control.LETTERS.control)))

    def encode(letters: object, segments: tuple[object, ...]) -> tuple[int, ...]:
        text = "".join(segment.text for segment in segments)  # type: ignore[attr-defined]
        found: list[int] = []
        at = 0
        for match in known.finditer(text):
            found += [control.FIRST_LETTER + ord(c) for c in text[at : match.start()]]
            found.append(control.LETTERS.control[match[0]])
            at = match.end()
        return (*found, *(control.FIRST_LETTER + ord(c) for c in text[at:]))

    monkeypatch.setattr(control, "encode", encode)
    with pytest.raises(AssertionError):
        control.main(200, SEED, Tally())
