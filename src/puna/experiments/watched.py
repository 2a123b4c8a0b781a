"""Scores that might never come to an end, found in a process of their own, which is ended when one takes too long. Knows checks, no rows.

Python's ``re`` cannot be interrupted, and ``(a+)+$`` on thirty letters takes hours. Another engine would give some expressions another
meaning, so the expressions stay Python's own, and only the process in which they are searched is another one.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any

from puna.errors import EngineError
from puna.experiments.checks import Score, check_of
from puna.experiments.plan import Check

SECONDS = 2.0
"""Longest time in which an output is judged."""

MOST_LATE = 5
"""Outputs that a score may take too long for; after them it judges no other one, so that a report ends."""

START_SECONDS = 60.0
"""Longest time in which the process starts, and learns a score: also on a busy machine."""

WHY = (
    f"no value: the search took longer than {SECONDS:g} s, or had done so on {MOST_LATE} outputs before; write the "
    "expression without a repeat inside a repeat, as in (a+)+"
)
"""Why an output has none, for tables."""


def watched(check: Check) -> Score:
    """The score of a check. One that searches with a regular expression is judged in the other process.

    Raises:
        InputError: no such kind, or a value that it cannot take.
    """
    score = check_of(check.kind, check.value)
    return Watched(check) if _searches(check) else score


def _searches(check: Check) -> bool:
    return check.kind == "regex" or (check.kind == "json_schema" and "pattern" in str(check.value))


class Watched:
    """A score whose verdicts are kept by output, so that an output is judged once. It has no value where it would take too long.

    Raises:
        EngineError: the other process does not start.
    """

    def __init__(self, check: Check) -> None:
        self._check = check
        self._known: dict[str, float | None] = {}
        self._late = 0

    def __call__(self, output: str, _: str | None) -> float | None:
        """The score of an output. No kind that searches looks at the right answer."""
        with _ALONE:
            if output not in self._known:
                self._known[output] = self._judged(output)
            return self._known[output]

    def _judged(self, output: str) -> float | None:
        if self._late >= MOST_LATE:
            return None
        try:
            return _judge().ask(self._check, output)
        except TimeoutError:
            self._late += 1
            return None


class _Judge:
    """The other process, and the scores that it has learned. A thread reads what it says, since a pipe has no time-out everywhere."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._learned: list[Check] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "puna.experiments.watched"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal is the parent's to handle
        )
        self._said: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True, name="puna scores").start()

    @property
    def alive(self) -> bool:
        """Whether this process may ask it: after a fork it is another's."""
        return self._process.poll() is None and self.owner == os.getpid()

    def ask(self, check: Check, output: str) -> float | None:
        """The score of an output.

        Raises:
            TimeoutError: it took too long, or ended the process, which is gone now. EngineError: the process does not start.
        """
        if check not in self._learned:
            try:
                self._answer({"kind": check.kind, "value": check.value}, START_SECONDS)
            except TimeoutError:
                raise EngineError(
                    f"the process that finds the score {check.name!r} did not start: {sys.executable} -m "
                    "puna.experiments.watched must run here"
                ) from None
            self._learned.append(check)
        found: float | None = self._answer({"score": self._learned.index(check), "output": output}, SECONDS)
        return found

    def end(self) -> None:
        """End the process at once."""
        if self.owner == os.getpid():
            self._process.kill()
            self._process.wait()
            if self._process.stdin is not None:
                with suppress(OSError):  # what was not sent yet is for nobody
                    self._process.stdin.close()

    def _answer(self, asked: dict[str, Any], seconds: float) -> Any:
        try:
            if self._process.stdin is None:
                raise BrokenPipeError
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.flush()
            line = self._said.get(timeout=seconds)
        except (OSError, queue.Empty):
            line = b""
        if not line:
            self.end()
            raise TimeoutError
        return json.loads(line)

    def _listen(self) -> None:
        if self._process.stdout is not None:
            with self._process.stdout as said:
                for line in said:
                    self._said.put(line)
        self._said.put(b"")


_ALONE = threading.RLock()
_JUDGES: list[_Judge] = []


def _judge() -> _Judge:
    """The process, started where there is none."""
    if not _JUDGES or not _JUDGES[-1].alive:
        _JUDGES[:] = [_Judge()]
    return _JUDGES[-1]


@atexit.register
def _end() -> None:
    for judge in _JUDGES:
        judge.end()


def main() -> None:
    """The other process: scores and outputs on standard input, a line each; what comes of them on standard output."""
    scores: list[Score] = []
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        found: float | None = None
        if "output" in asked:
            _end_after(int(SECONDS) + 1)
            found = scores[asked["score"]](asked["output"], None)
            _end_after(0)
        else:
            scores.append(check_of(asked["kind"], asked["value"]))
        sys.stdout.write(f"{json.dumps(found)}\n")
        sys.stdout.flush()


def _end_after(seconds: int) -> None:
    """Nobody ends a search whose parent was killed, so the kernel does, where it can. 0: not any more."""
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


if __name__ == "__main__":
    main()
