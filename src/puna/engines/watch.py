"""Keeping something loaded: load it, watch it, load it again when it ends. Knows no process, file or HTTP, only lives.

One task owns the life that runs, from its loading to its closing, so that a cancellation at any moment frees it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, Literal, Protocol, TypeVar

from puna.errors import EngineError, EngineLoadingError, EngineStoppedError

State = Literal["loading", "ready", "restarting", "stopped"]

STEADY_SECONDS = 10.0
"""A life that lasted so long was sound: its end is no sign that the next one will end too."""
LONGEST_PAUSE = 30.0
DEATHS_COUNTED = 3
"""Ends in a row beyond which the pause grows no more: what loads is back within 4 s and its loading, however often it ends."""


class Life(Protocol):
    """What was loaded, until it ends."""

    @property
    def running(self) -> bool:
        """Whether it has not ended, as far as is known."""

    async def ended(self) -> str:
        """Wait for its end; tells how it ended, in words to which more may be added."""

    async def close(self) -> None:
        """End it if it runs, and free what it held."""


L = TypeVar("L", bound=Life)


def pause(failures: int) -> float:
    """Seconds before a load, after so many ends and failed loads in a row: 0, 1, 2, 4, 8, 16, 30, 30 ..."""
    return min(LONGEST_PAUSE, 2.0 ** min(failures - 1, 10)) if failures else 0.0


def silent(_: str) -> None:
    """Tells nobody."""


class Watch(Generic[L]):
    """One life after another. tell: hears a sentence when one ends, when the next one runs, and when it cannot be had.

    restarts: lives after the first. trouble: why the last load failed, between it and the next try.
    """

    def __init__(self, load: Callable[[], Awaitable[L]], tell: Callable[[str], None] = silent) -> None:
        self.restarts = 0
        self.trouble: str | None = None
        self.closed = False
        self._load = load
        self._tell = tell
        self._state: State = "stopped"
        self._life: L | None = None
        self._task: asyncio.Task[None] | None = None
        self._error: Exception | None = None
        self._starting = asyncio.Lock()
        self._changed = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether a life runs."""
        return self._life is not None and self._life.running

    @property
    def state(self) -> State:
        """loading: for the first time. restarting: a life has ended, the next one does not run yet."""
        return "restarting" if self._state == "ready" and not self.ready else self._state

    async def start(self) -> None:
        """Load for the first time and watch from then on; a second call waits for the first one's load. Cancelled, it unloads.

        Raises:
            EngineStoppedError: ``close`` was called, perhaps meanwhile. Also whatever the first load raises.
        """
        async with self._starting:
            if self._task is None or self._task.done():
                self._refuse_closed()
                self._error = None
                self._enter("loading")
                self._task = asyncio.create_task(self._keep(), name="puna engine watch")
            await self._first_load(self._task)
            if self._error is not None:
                raise self._error
            self._refuse_closed()

    async def close(self) -> None:
        """End what runs or is being loaded; for good. Who waits for a life is sent away."""
        already, self.closed = self.closed, True
        if self._task is not None:
            if not already:  # a second cancellation would break off the first one's cleaning up
                self._task.cancel()
            await asyncio.wait({self._task})
        self._enter("stopped")  # also where the task was cancelled before its first step

    def now(self) -> L:
        """The life that runs.

        Raises:
            EngineLoadingError: it is being loaded. EngineStoppedError: nothing was started, or it was closed.
        """
        if self._life is not None and self._life.running:
            return self._life
        raise self._absent()

    async def life(self) -> L:
        """The life that runs, or the one that is being loaded, once it does.

        Raises:
            EngineLoadingError: the load failed; it will be tried again. EngineStoppedError: as ``now``.
        """
        while self._life is None or not self._life.running:
            if self._state == "stopped" or self.trouble is not None:
                raise self._absent()
            await self._changed.wait()
        return self._life

    async def _first_load(self, task: asyncio.Task[None]) -> None:
        try:
            while self._state == "loading":
                await self._changed.wait()
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            self._enter("stopped")
            raise

    async def _keep(self) -> None:
        failures = 0
        try:
            life = await self._load()
            while True:
                began = time.monotonic()
                how = await self._until_ended(life)
                if time.monotonic() - began >= STEADY_SECONDS:
                    failures = 0
                life = await self._again(how, failures)
                failures = min(failures + 1, DEATHS_COUNTED)
        except Exception as error:  # noqa: BLE001  # start() raises it, or whoever asks later
            self._error = error
        finally:
            self._enter("stopped")

    async def _until_ended(self, life: L) -> str:
        self._life = life
        self._enter("ready")
        try:
            how = await life.ended()
            self._enter("restarting")
            return how
        finally:
            self._life = None
            await life.close()

    async def _again(self, how: str, failures: int) -> L:
        """The next life. Never gives up: a file may come back, memory may become free."""
        began = time.monotonic()
        self._say(f"{how}; loading the model again{_later(failures)}")
        while True:
            await asyncio.sleep(pause(failures))
            self.trouble = None
            try:
                life = await self._load()
            except Exception as error:  # noqa: BLE001  # whatever it is, the next try may go well
                failures += 1
                self.trouble = str(error) or type(error).__name__
                self._enter("restarting")
                self._say(f"the model could not be loaded again: {self.trouble}; trying once more{_later(failures)}")
            else:
                self.restarts += 1
                self._say(f"the engine is back after {time.monotonic() - began:.1f} s")
                return life

    def _enter(self, state: State) -> None:
        """Wake all who wait for something to change, after it has."""
        self._state = state
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _say(self, line: str) -> None:
        with suppress(Exception):  # a log that cannot be written must not end the watching
            self._tell(line)

    def _refuse_closed(self) -> None:
        if self.closed:
            raise EngineStoppedError("the engine has been closed; make a new one")

    def _absent(self) -> EngineError:
        if self.closed:
            return EngineStoppedError("the engine has been closed; ask again once it is back")
        if self._error is not None:
            return EngineStoppedError(f"the engine is not running, for it failed: {self._error}")
        if self.state == "stopped":
            return EngineStoppedError("the engine is not running; start it first")
        if self.trouble is not None:
            return EngineLoadingError(
                f"the model could not be loaded again, after its process had ended: {self.trouble}; it is tried again "
                f"within {LONGEST_PAUSE:.0f} s, so mend that and ask again"
            )
        again = " again, after its process ended" if self.state == "restarting" else ""
        return EngineLoadingError(f"the model is being loaded{again}; ask again in a few seconds")


def _later(failures: int) -> str:
    return f" in {pause(failures):.0f} s" if failures else ""
