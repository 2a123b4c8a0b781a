"""A terminal with a chat in it: a pseudo-terminal, and pyte for the screen that a person would see."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pyte

ROOT = Path(__file__).parents[2]
DRIVER = [sys.executable, "-m", "tests.terminal.driver"]
ESC, ENTER, CTRL_C, CTRL_D, CTRL_R, TAB = "\x1b", "\r", "\x03", "\x04", "\x12", "\t"


PATIENCE = float(os.environ.get("PUNA_TEST_PATIENCE", "30"))
"""Seconds that a busy machine may take for anything."""


class Screen(pyte.HistoryScreen):
    """Answers the questions that programs ask of a terminal."""

    def __init__(self, columns, rows, answer):
        self._answer = answer
        super().__init__(columns, rows, history=10_000)

    def write_process_input(self, data):
        self._answer(data)


class Terminal:
    """A command in a terminal of ``columns`` and ``rows``. Everything waits for what is to be seen, up to ``patience`` seconds."""

    def __init__(self, command, columns=80, rows=24, patience=PATIENCE, env=None):
        self.patience = patience
        self.raw = b""
        self.fd, slave = pty.openpty()
        self._size(columns, rows)
        self.before = termios.tcgetattr(slave)
        self._slave = slave
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, cwd=ROOT, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # no thread runs here
            env={**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **(env or {})},
        )  # fmt: skip
        self.screen = Screen(columns, rows, self.send)
        self._stream = pyte.ByteStream(self.screen)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self.fd)
        os.close(self._slave)

    def _size(self, columns, rows):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns, rows):
        self.screen.resize(rows, columns)
        self._size(columns, rows)

    def send(self, text):
        os.write(self.fd, text.encode())

    def line(self, text):
        self.send(text + ENTER)

    @property
    def seen(self):
        """What is on the screen and what has left it upwards, lines without their last blanks."""
        gone = ["".join(line[column].data for column in range(self.screen.columns)) for line in self.screen.history.top]
        return "\n".join(line.rstrip() for line in [*gone, *self.screen.display]).rstrip("\n")

    @property
    def shown(self):
        """What is on the screen now."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def read(self, seconds=0.05):
        if select.select([self.fd], [], [], seconds)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # the other side has closed it
                return False
            self.raw += data
            self._stream.feed(data)
            return bool(data)
        return None

    def until(self, text, where=None):
        """Wait until a text, or what a function of this terminal wants, is to be seen."""
        seen = text if callable(text) else lambda terminal: text in (where or (lambda t: t.seen))(terminal)
        end = time.monotonic() + self.patience
        while not seen(self):
            if self.read() is False or time.monotonic() > end:
                raise AssertionError(f"{text!r} was not seen in:\n{self.seen}")
        return self

    def told(self, line, wanted):
        """Send a line, and wait for what is told of it; how it is wrapped does not count."""
        self.line(line)
        return self.until(lambda t: wanted in " ".join(t.seen.split()).rpartition(f"> {' '.join(line.split())} ")[2])

    def ready(self):
        """Wait for the line that can be typed on."""
        return self.until(lambda t: t.screen.display[t.screen.cursor.y].startswith(">") and "·" in t.screen.display[-1])

    def left(self):
        """Wait for the end; gives the exit status."""
        end = time.monotonic() + self.patience
        while self.process.poll() is None and time.monotonic() < end:
            self.read()
        while self.read(0.2):
            pass
        return self.process.wait(1)

    def mode(self):
        return termios.tcgetattr(self._slave)

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)


class Gate:
    """Lets so many pieces of an answer pass."""

    def __init__(self, path):
        self.path = path
        self.to(0)

    def to(self, n):
        part = self.path.with_suffix(".part")
        part.write_text(str(n))
        part.replace(self.path)

    def open(self):
        self.to(10**9)


def chat(folder, answers=None, gate=None, *, columns=80, rows=24, env=None, **script):
    """A chat in a terminal. folder: for the file that says what it says."""
    file = folder / f"script-{time.monotonic_ns()}.json"
    told = {"params": {"max_tokens": 2000}, "answers": answers or {}, "gate": gate and str(gate.path), **script}
    file.write_text(json.dumps(told))
    return Terminal([*DRIVER, str(file)], columns, rows, env=env)
