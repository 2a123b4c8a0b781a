"""The life of an engine's child process: start, report, log, end. Knows nothing of prompts or HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from puna.errors import EngineError, EngineStoppedError, ModelFileError

SPIN_COUNT = "1000"
"""How long an OpenMP thread spins at a barrier before it sleeps (GOMP_SPINCOUNT), unless the user says otherwise.

libgomp's default spins for milliseconds, which is fatal where cores are shared: on 2 cores, beside one busy process, 8
streams made 2.0 tokens/s and a prefill 20; with 1000 they make 49 and 120. On an idle machine both are as fast (2026-11-22).
"""

START_SECONDS = 600.0
"""A model of tens of gigabytes on a slow disk loads within this."""
STOP_SECONDS = 3.0


class WorkerProcess:
    """One ``python -m MODULE`` that takes a JSON line, reports a JSON line, and ends when its stdin closes."""

    def __init__(self, module: str, log: Path) -> None:
        self.module = module
        self.log = log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self.running else None

    async def start(self, settings: Mapping[str, object]) -> dict[str, str]:
        """Start it and wait for its report.

        Raises:
            ModelFileError: it reported an error. EngineError: it ended, or said nothing in time.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
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
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise EngineError("the engine process has no pipes; this is a defect of puna, please report it")
        try:
            stdin.write(json.dumps(settings).encode() + b"\n")
            await stdin.drain()
            line = await asyncio.wait_for(stdout.readline(), START_SECONDS)
        except (TimeoutError, ConnectionError) as error:
            await self.stop()
            raise EngineError(self._ended(f"the engine did not report ({type(error).__name__})")) from error
        except BaseException:
            # Cancelled while it loads: it does not look at its stdin yet, and has nothing to lose.
            self._process.kill()
            await self.stop()
            raise
        return await self._report_of(line)

    async def _report_of(self, line: bytes) -> dict[str, str]:
        if not line:
            await self.stop()
            raise EngineError(self._ended("the engine process ended while it loaded the model"))
        report: dict[str, str] = json.loads(line)
        if "error" in report:
            await self.stop()
            raise ModelFileError(self._ended(f"the engine cannot load the model ({report['error'].rstrip('.')})"))
        return report

    async def stop(self) -> None:
        """Close its stdin, wait a little, then kill. Does nothing where it has ended."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def ends_within(self, seconds: float) -> bool:
        """Whether it has ended, or does so within so many seconds: its death is noticed a little later than its silence."""
        if self._process is not None and self._process.returncode is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), seconds)
        return not self.running

    def lost(self) -> EngineStoppedError:
        """What a stream raises when the process has gone under it."""
        return EngineStoppedError(self._ended("the engine process has ended"))

    def _ended(self, what: str) -> str:
        cause = self._last_words()
        return f"{what}{': ' + cause if cause else ''}; the engine's log is {self.log}"

    def _last_words(self) -> str:
        try:
            text = self.log.read_bytes()[-4000:].decode("utf-8", "replace")
        except OSError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        telling = [line for line in lines if "error" in line.lower() or "fail" in line.lower()]
        return (telling or lines or [""])[0][:300]
