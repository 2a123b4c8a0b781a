"""Lines from a pipe, a file, or a terminal that can do no more than lines. Knows file descriptors; no keys."""

from __future__ import annotations

import asyncio
import codecs
import os
import sys

from puna.terminal.lines import Joining

_SIZE = 65_536
"""Bytes that are read at a time."""


class Plain:
    """Reads messages from standard input without blocking the loop, so that Ctrl-C and signals count while it waits."""

    def __init__(self) -> None:
        self._fd = sys.stdin.fileno()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._ended = False
        self._joining = Joining()

    async def read(self, _: str, __: bool) -> str | None:
        """The next message; None at the end of input."""
        if sys.stdin.isatty():
            print("> ", end="", file=sys.stderr, flush=True)  # noqa: T201  # a plain terminal's prompt
        while (line := await self._line()) is not None:
            if (message := self._joining.feed(line)) is not None:
                return message
        return self._joining.end() or None

    async def _line(self) -> str | None:
        """Without its line feed; None at the end of input."""
        while "\n" not in self._rest and not self._ended:
            data = await self._some()
            self._ended = not data
            self._rest += self._decoder.decode(data, final=self._ended).replace("\r\n", "\n")
        if not self._rest:
            return None
        line, _, self._rest = self._rest.partition("\n")
        return line.removesuffix("\r")

    async def _some(self) -> bytes:
        """Bytes that are there; none at the end."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        try:
            loop.add_reader(self._fd, ready.set)
        except PermissionError:  # a plain file, which never lets one wait
            return os.read(self._fd, _SIZE)
        except NotImplementedError:  # Windows
            return await asyncio.to_thread(os.read, self._fd, _SIZE)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._fd)
        return os.read(self._fd, _SIZE)
