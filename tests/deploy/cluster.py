"""``puna serve --replicas`` as a process of its own, with the processes that Ray starts for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

PATIENCE = 60
"""Seconds after which a test gives up waiting; on an idle machine nothing here takes 15."""

START = 300
"""Seconds that all may take to start on a machine on which others test, too."""


@dataclass
class Cluster:
    """One that has said that it is ready. folder: where it keeps what is temporary, and its log. line: what it said."""

    process: subprocess.Popen[str]
    url: str
    folder: Path
    line: str

    def replicas(self) -> list[psutil.Process]:
        return [found for found in self.family() if "ServeReplica" in _title(found)]

    def family(self) -> list[psutil.Process]:
        try:
            found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        return found

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@contextmanager
def cluster(command: list[str], environ: Mapping[str, str], ready: Callable[[str], str | None]) -> Iterator[Cluster]:
    """A process that is ready as soon as ``ready`` finds an address in what it has printed."""
    # Not below pytest's folders: the paths of Ray's sockets may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="rt-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        found = _started(command, {**os.environ, **environ, "TMPDIR": name}, folder, ready)
        family = found.family()
        try:
            yield found
        finally:
            _end(found.process)
            for one in family:
                if one.is_running():
                    one.kill()


def _started(command: list[str], environ: dict[str, str], folder: Path, ready: Callable[[str], str | None]) -> Cluster:
    with (folder / "log").open("w") as errors, (folder / "out").open("w") as out:
        process = subprocess.Popen([sys.executable, *command], stdout=out, stderr=errors, text=True, env=environ)
    try:
        line = _ready(process, folder, ready)
        return Cluster(process, ready(line) or "", folder, line)
    except BaseException:
        _end(process)
        raise


def _ready(process: subprocess.Popen[str], folder: Path, ready: Callable[[str], str | None]) -> str:
    """The line that tells the address."""
    for _ in range(START * 20):
        printed = (folder / "out").read_text() + (folder / "log").read_text()
        for line in printed.splitlines():
            if ready(line):
                return line
        assert process.poll() is None, printed[-4000:]
        time.sleep(0.05)
    raise AssertionError(f"not ready: {printed[-4000:]}")


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def address(line: str) -> str | None:
    """What ``puna serve`` says."""
    return line.split()[1] if line.startswith("ready ") else None


def until(what: Callable[[], bool], why: str) -> None:
    """Wait until it is so."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, why
        time.sleep(0.05)


def figures(url: str) -> dict[str, float]:
    """The samples of ``/metrics`` by name and labels, as they are written."""
    lines = httpx.get(f"{url}/metrics", timeout=PATIENCE).text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] not in "# ")}


def total(url: str, name: str) -> float:
    """Over all replicas."""
    return sum(value for series, value in figures(url).items() if series.partition("{")[0] == name)
