"""The keys that count while an answer comes: Esc and Ctrl-C stop it, the rest is kept for the next line. Knows termios.

The terminal gives every key at once and echoes none meanwhile; whatever happens, it gets back the mode that it had.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

try:
    import termios
    import tty
except ImportError:  # Windows, where only Ctrl-C stops
    termios = None  # type: ignore[assignment]
    tty = None  # type: ignore[assignment]

ESC_SECONDS = 0.05
"""After which an Esc was the key: the codes of other keys begin with the same byte, and come at once."""

_ESC = b"\x1b"
_CODES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?")
"""What keys without a character send."""

_BACK = "\x7f\x08"
_ENDINGS = ("SIGTERM", "SIGHUP")


@dataclass(slots=True)
class Typed:
    """What was typed while an answer came."""

    data: bytearray = field(default_factory=bytearray)

    @property
    def text(self) -> str:
        """Its printable characters and line feeds, less what was taken back."""
        found: list[str] = []
        for mark in self.data.decode("utf-8", "ignore").replace("\r", "\n"):
            if mark in _BACK:
                del found[-1:]
            elif mark.isprintable() or mark == "\n":
                found.append(mark)
        return "".join(found)


@contextmanager
def listening(stop: Callable[[], None], resized: Callable[[], None], *, keys: bool) -> Iterator[Typed]:
    """Call ``stop`` on Esc, Ctrl-C or a signal to end, and ``resized`` when the terminal's size changes. In a running loop.

    keys: whether the next line can begin with what is typed meanwhile; else the terminal keeps that by itself, as lines, and only signals stop.
    """
    typed = Typed()
    ending: list[str] = []

    def end(name: str) -> None:
        ending.append(name)
        stop()

    with ExitStack() as after:
        after.enter_context(_on_signal("SIGINT", stop))
        after.enter_context(_on_signal("SIGWINCH", resized))
        for name in _ENDINGS:
            after.enter_context(_on_signal(name, partial(end, name)))
        if keys and termios is not None and sys.stdin.isatty():
            after.enter_context(_keys(typed, stop))
        yield typed
    if ending:  # now that the terminal has its mode again
        signal.raise_signal(getattr(signal, ending[0]))


@contextmanager
def interrupting(call: Callable[[], object]) -> Iterator[None]:
    """Call this on Ctrl-C. In a running loop."""
    with _on_signal("SIGINT", call):
        yield


@contextmanager
def _on_signal(name: str, call: Callable[[], object]) -> Iterator[None]:
    number = getattr(signal, name, None)
    loop = asyncio.get_running_loop()
    before = None if number is None else signal.getsignal(number)
    if number is None or before == signal.SIG_IGN:
        yield
        return
    try:
        loop.add_signal_handler(number, call)
    except (NotImplementedError, RuntimeError, ValueError):  # Windows, or no main thread
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(number)
        with suppress(TypeError, ValueError):
            signal.signal(number, before)


@contextmanager
def _keys(typed: Typed, stop: Callable[[], None]) -> Iterator[None]:
    fd = sys.stdin.fileno()
    loop = asyncio.get_running_loop()
    before = termios.tcgetattr(fd)
    timers: list[asyncio.TimerHandle] = []

    def read() -> None:
        with suppress(OSError):
            data = os.read(fd, 4096)
            for timer in timers:
                timer.cancel()
            timers.clear()
            if data == _ESC:
                timers.append(loop.call_later(ESC_SECONDS, stop))
            else:
                typed.data.extend(_CODES.sub(b"", data))

    with _on_signal("SIGCONT", lambda: tty.setcbreak(fd, termios.TCSANOW)):
        tty.setcbreak(fd, termios.TCSANOW)
        loop.add_reader(fd, read)
        try:
            yield
        finally:
            loop.remove_reader(fd)
            for timer in timers:
                timer.cancel()
            termios.tcsetattr(fd, termios.TCSADRAIN, before)
