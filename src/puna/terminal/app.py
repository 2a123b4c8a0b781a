"""The chat from its first line to its last: reads lines, runs commands, asks. Knows the other files of this folder."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from puna import config
from puna.chat import Spine
from puna.errors import InputError, PunaError
from puna.terminal import commands
from puna.terminal.desk import Desk, Reached
from puna.terminal.keeping import Keeper
from puna.terminal.keys import interrupting
from puna.terminal.lines import unquoted
from puna.terminal.plain import Plain
from puna.terminal.screen import Screen
from puna.terminal.talk import Talk

Opened = Callable[[], Awaitable[Spine]]
"""Starts the engine."""

Read = Callable[[str, bool], Awaitable[str | None]]
"""Reads the next line; takes what it begins with, and whether that was sent already; gives None at the end of input."""


@dataclass(frozen=True, slots=True)
class Begin:
    """How a chat begins. session: its name, None for one that is not kept. params: sampling by name."""

    reached: Reached
    session: str | None = None
    system: str | None = None
    params: dict[str, Any] = field(default_factory=dict)


async def chat(begin: Begin, opened: Opened, screen: Screen | None = None) -> int:
    """Talk until the end of input; gives the exit status.

    Raises:
        PunaError: the engine does not start, or the session cannot be opened.
    """
    home = config.home()
    screen = Screen() if screen is None else screen
    keeper = Keeper(home / "sessions")
    try:
        talk = _talk(begin, keeper)
        spine = await opened()
        try:
            await _sit(Desk(spine, screen, keeper, talk, begin.reached), home)
        finally:
            await spine.engine.close()
    finally:
        keeper.close()
    return 0


def _talk(begin: Begin, keeper: Keeper) -> Talk:
    talk = Talk() if begin.session is None else keeper.open(begin.session)
    if begin.system is not None:
        if talk.system and talk.system != begin.system and talk.history.nodes:
            raise InputError(
                f"session {begin.session} has its own system message already; leave out --system or start anew"
            )
        talk.system = begin.system
    talk.params = {**talk.params, **begin.params}
    return talk


async def _sit(desk: Desk, home: Path) -> None:
    _greet(desk)
    read = _reader(desk, home)
    while not desk.leaving:
        prefilled, sent = desk.prefilled, desk.sent_ahead
        desk.prefilled, desk.sent_ahead = "", False
        line = await read(prefilled, sent)
        if line is None:
            return
        if line.strip():
            await _heard(desk, line)


def _greet(desk: Desk) -> None:
    count = len(desk.talk.history.line)
    told = bool(desk.keeper.told)
    desk.tell()
    if count:
        desk.screen.say(f"{count + bool(desk.talk.system)} messages kept under {desk.talk.title}", "dim")
        if told or sys.stdin.isatty():
            desk.screen.say(f"last: {desk.line_of(count - 1)}", "dim")
    else:
        desk.screen.say("/help lists the commands, Ctrl-D leaves", "dim")


async def _heard(desk: Desk, line: str) -> None:
    """A line, whatever comes of it: the chat goes on."""
    work = asyncio.ensure_future(_done(desk, line))
    try:
        with interrupting(work.cancel):
            await work
    except PunaError as error:
        desk.tell()
        desk.screen.say(f"puna: {error}", "red")
    except asyncio.CancelledError:
        if not work.cancelled():
            raise
        desk.screen.say("interrupted", "dim")


async def _done(desk: Desk, line: str) -> None:
    text = line.strip()
    if text.startswith("//"):
        desk.talk.mark()
        await desk.answer(text[1:])
    elif text.startswith("/") and "\n" not in text.partition(" ")[0]:
        await commands.run(desk, text)
    else:
        await desk.say(unquoted(line))


def _reader(desk: Desk, home: Path) -> Read:
    """Lines with keys and completion where both ends are a terminal that can move its cursor, else lines as they come."""
    if sys.stdin.isatty() and desk.screen.moves:
        from puna.terminal.typing import Typing  # noqa: PLC0415  # 100 ms that only a terminal needs

        return Typing(lambda: desk, home).read
    return Plain().read
