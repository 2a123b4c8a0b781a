"""The life of an engine's child process: start, report, log, end. Knows nothing of prompts or HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from puna.errors import EngineError, InputError, ModelFileError

SPIN_COUNT = "1000"
"""How long an OpenMP thread spins at a barrier before it sleeps (GOMP_SPINCOUNT), unless the user says otherwise.

libgomp's default spins for milliseconds, which is fatal where cores are shared: on 2 cores, beside one busy process, 8
streams made 2.0 tokens/s and a prefill 20; with 1000 they make 49 and 120. On an idle machine both are as fast (2026-11-22).
"""

START_SECONDS = 600.0
"""A model of tens of gigabytes on a slow disk loads within this."""
STOP_SECONDS = 3.0
LOOK_SECONDS = 1.0
"""How often a process is looked at. Its state is, and not whether it answers: a busy machine's engine answers late."""


class WorkerProcess:
    """One ``python -m MODULE`` that takes a JSON line, reports a JSON line, and ends when its stdin closes. Started once."""

    def __init__(self, module: str, log: Path) -> None:
        self.module = module
        self.log = log
        self._log_begin = 0  # earlier processes write to the same log
        self._process: asyncio.subprocess.Process | None = None
        self._exit: asyncio.Task[int] | None = None
        self._was_stopped = False

    @property
    def running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self.running else None

    async def start(self, settings: Mapping[str, object]) -> dict[str, str]:
        """Start it and wait for its report. Cancelled, it kills the process and returns when that has ended.

        Raises:
            ModelFileError: it reported an error. InputError: it refused its settings. EngineError: it ended, or said nothing in time.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._log_begin = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self.module,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is the parent's to handle
                env={"GOMP_SPINCOUNT": SPIN_COUNT, **os.environ},
            )
        try:
            return self._report_of(await self._first_line(self._process, settings))
        except BaseException:
            # Also cancelled while it loads: it does not look at its stdin yet, and has nothing to lose.
            self.kill()
            await self.stop()
            raise

    async def _first_line(self, process: asyncio.subprocess.Process, settings: Mapping[str, object]) -> bytes:
        if process.stdin is None or process.stdout is None:
            raise EngineError("the engine process has no pipes; this is a defect of puna, please report it")
        looking = asyncio.create_task(self.ended(), name="puna engine look")  # it may be stopped while it loads, too
        try:
            # Not wait_for: Python 3.11's loses a cancellation that comes together with the line.
            async with asyncio.timeout(START_SECONDS):
                process.stdin.write(json.dumps(settings).encode() + b"\n")
                await process.stdin.drain()
                line = await process.stdout.readline()
        except (TimeoutError, ConnectionError) as error:
            raise EngineError(self._told(f"the engine did not report ({type(error).__name__})")) from error
        finally:
            looking.cancel()
        if not line:
            await self.ends_within(STOP_SECONDS)
            raise EngineError(self._told(f"the engine process ended while it loaded the model{self._cause_of_end()}"))
        return line

    def _report_of(self, line: bytes) -> dict[str, str]:
        report: dict[str, str] = json.loads(line)
        if "refused" in report:
            raise InputError(report["refused"])
        if "error" in report:
            raise ModelFileError(self._told(f"the engine cannot load the model ({report['error'].rstrip('.')})"))
        return report

    async def ended(self) -> str:
        """Wait for its end; tells how it ended. A stopped process (SIGSTOP) is killed: nobody would wake it."""
        while not await self.ends_within(LOOK_SECONDS):
            if self._stopped():
                self._was_stopped = True
                self.kill()
        return self.end()

    async def stop(self) -> None:
        """Close its stdin, wait a little, then kill. Does nothing where it has ended."""
        if self._process is None:
            return
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await self.ends_within(STOP_SECONDS)
        finally:
            self.kill()
        await self.ends_within(STOP_SECONDS)

    def kill(self) -> None:
        """End it at once, if it runs."""
        if self._process is not None and self.running:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def ends_within(self, seconds: float) -> bool:
        """Whether it has ended, or does so within so many seconds: its death is noticed a little later than its silence."""
        if self._process is not None and self.running:
            # One task for all: asyncio keeps a future of each cancelled Process.wait() for as long as the process lives.
            if self._exit is None or self._exit.cancelled():
                self._exit = asyncio.create_task(self._process.wait(), name="puna engine exit")
            await asyncio.wait({self._exit}, timeout=seconds)
        return not self.running

    def end(self) -> str:
        """How it ended, in words."""
        return self._told(f"the engine process has ended{self._cause_of_end()}")

    def _stopped(self) -> bool:
        try:
            return self.pid is not None and bool(psutil.Process(self.pid).status() == psutil.STATUS_STOPPED)
        except psutil.Error:  # it has just ended
            return False

    def _cause_of_end(self) -> str:
        code = None if self._process is None else self._process.returncode
        if self._was_stopped:
            return " (it was stopped, as by SIGSTOP, and killed for it)"
        if code is None:
            return ""
        names = {number.value: number.name for number in signal.Signals}
        return f" ({names.get(-code, f'signal {-code}')})" if code < 0 else f" (exit status {code})"

    def _told(self, what: str) -> str:
        cause = self._last_words()
        return f"{what}{': ' + cause if cause else ''}; the engine's log is {self.log}"

    def _last_words(self) -> str:
        try:
            text = self.log.read_bytes()[self._log_begin :][-4000:].decode("utf-8", "replace")
        except OSError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        telling = [line for line in lines if "error" in line.lower() or "fail" in line.lower()]
        return (telling or lines or [""])[0][:300]
