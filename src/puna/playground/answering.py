"""Answers as records, one after the other or several side by side. Knows turns; no body and no transport."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Protocol

from puna.engines.base import Speaks
from puna.errors import PunaError
from puna.generation import Delta, Receipt
from puna.playground import records
from puna.playground.records import Record
from puna.server.answers import Speaker, Turn
from puna.server.merging import merged


class Journal(Protocol):
    """Hears of answers."""

    def begins(self, turn: Turn) -> None:
        """The first event of one is there."""

    def ended(self, receipt: Receipt) -> None:
        """One has ended by itself."""


class NoJournal:
    """Hears nothing."""

    def begins(self, turn: Turn) -> None:
        """Nothing."""

    def ended(self, receipt: Receipt) -> None:
        """Nothing."""


Events = AsyncGenerator[Delta | Receipt, None]


class Answering:
    """Makes records of turns. speaker: knows the names of tokens."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._control: dict[int, str] = {}

    async def one(self, turn: Turn, journal: Journal) -> AsyncGenerator[Record, None]:
        """Start, tokens, end. What fails before the first record is raised; after it, it is the last record."""
        async with aclosing(self._records(turn, turn.stream(), journal)) as found:
            begun = False
            try:
                async for record in found:
                    begun = True
                    yield record
            except PunaError as error:
                if not begun:
                    raise
                yield records.failure(error)

    async def side_by_side(
        self, turns: Mapping[int, Turn], streams: list[Events], journal: Journal
    ) -> AsyncGenerator[Record, None]:
        """The records of several turns as they come, each with its ``pane``. One that fails leaves the others alone."""
        panes = list(turns)
        answers = [self._alone(turns[pane], stream, journal) for pane, stream in zip(panes, streams, strict=True)]
        async with aclosing(merged(answers, len(answers))) as found:
            async for n, record in found:
                yield {**record, "pane": panes[n]}

    async def _alone(self, turn: Turn, stream: Events, journal: Journal) -> AsyncGenerator[Record, None]:
        async with aclosing(self._records(turn, stream, journal)) as found:
            try:
                async for record in found:
                    yield record
            except PunaError as error:
                yield records.failure(error)

    async def _records(self, turn: Turn, stream: Events, journal: Journal) -> AsyncGenerator[Record, None]:
        """The start is told with the first event, so that what fails before it is refused as a whole."""
        began, first = time.monotonic(), 0.0
        tokens = records.Tokens(self._control)
        async with aclosing(stream) as events:
            async for event in events:
                if not first:
                    first = time.monotonic() - began
                    journal.begins(turn)
                    yield records.start(turn)
                if isinstance(event, Receipt):
                    journal.ended(event)
                    yield records.done(event, first)
                    return
                await self._name_control(event)
                for record in tokens.of(event):
                    yield record

    async def _name_control(self, delta: Delta) -> None:
        """Learn the names of tokens without bytes."""
        said = [t for token in delta.logprobs for t in (token, *token.top)]
        unnamed = {t.id for t in said if not t.data and t.id >= 0} - self._control.keys()
        if unnamed and self._speaker.info.speaks is Speaks.IDS:
            ids = sorted(unnamed)
            for token, data in zip(ids, await self._speaker.spelled(ids), strict=True):
                self._control[token] = data.decode("utf-8", "replace")
