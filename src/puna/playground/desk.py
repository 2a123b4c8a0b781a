"""The workbench for a page that speaks by messages, as a notebook's widget does. Knows no widget and no kernel."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any

from puna.errors import PunaError
from puna.playground.records import Record, told
from puna.playground.workbench import Workbench

SEND_SECONDS = 1 / 30
"""Shortest time between two messages of one answer: more of them a second choke a notebook's connection, and no eye sees them."""

Message = dict[str, object]

_log = logging.getLogger(__name__)


class Desk:
    """Does what a page's messages ask. send: takes a message to the pages. Lives in the bridge's loop.

    Messages: ``anatomy`` (seq, body), ``generate`` (id, body), ``stop`` (id). Answers: ``anatomy`` (seq, data), ``records`` (id,
    records), and ``error`` (seq or id, code, message).
    """

    def __init__(self, bench: Workbench, send: Callable[[Message], None]) -> None:
        self._bench = bench
        self._send = send
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.records: list[Record] = []

    async def hear(self, message: Mapping[str, object]) -> None:
        """Begin, or stop, what a message asks; returns at once."""
        kind, body = message.get("type"), message.get("body")
        number = str(message.get("id" if kind in {"generate", "stop"} else "seq"))
        if kind == "stop":
            await self._cancel([number])
        elif kind == "generate":
            self._begin(number, self._guarded({"id": number}, self._generate(number, body)))
        elif kind == "anatomy":
            self._begin(f"anatomy {number}", self._guarded({"seq": number}, self._anatomy(number, body)))
        else:
            _log.warning("a message of unknown type %r came from the notebook's page; reload the page", kind)

    async def close(self) -> None:
        """Stop everything."""
        await self._cancel([*self._tasks])

    def _begin(self, number: str, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[number] = task
        task.add_done_callback(lambda _: self._tasks.pop(number, None))

    async def _cancel(self, numbers: list[str]) -> None:
        tasks = [self._tasks[number] for number in numbers if number in self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _guarded(self, address: Message, work: Any) -> None:
        """The work; the page hears of whatever it fails at, and waits in vain for nothing."""
        try:
            await work
        except PunaError as error:
            self._send({"type": "error", **address, **told(error)})
        except Exception:  # noqa: BLE001  # told, rather than a page that waits for ever
            _log.exception("the playground failed")
            text = "the playground failed; the notebook's log tells more"
            self._send({"type": "error", **address, "code": "internal", "message": text, "retryable": False})

    async def _anatomy(self, number: str, body: Any) -> None:
        self._send({"type": "anatomy", "seq": number, "data": await self._bench.anatomy(body)})

    async def _generate(self, number: str, body: Any) -> None:
        self.records = []
        batch = Batch(lambda some: self._send({"type": "records", "id": number, "records": some}))
        try:
            async with aclosing(self._bench.generate(body)) as records:
                async for record in records:
                    if record["type"] == "tok":
                        self.records.append(record)
                    batch.add(record)
        finally:
            batch.flush()


class Batch:
    """Gathers records, so that at most 30 messages a second leave. send: takes the records of one."""

    def __init__(self, send: Callable[[list[Record]], None]) -> None:
        self._send = send
        self._records: list[Record] = []
        self._sent = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    def add(self, record: Record) -> None:
        """Send it now, or as soon as another message may leave."""
        self._records.append(record)
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._timer = loop.call_at(max(loop.time(), self._sent + SEND_SECONDS), self.flush)

    def flush(self) -> None:
        """Send what is gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._records:
            self._sent = asyncio.get_running_loop().time()
            some, self._records = self._records, []
            self._send(some)
