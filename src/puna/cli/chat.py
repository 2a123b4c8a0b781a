"""Talk with a model, turn by turn.

/help lists the commands. Ctrl-C stops an answer and keeps what had come; Ctrl-D leaves. With --session NAME the
conversation is kept on disk, and goes on where it ended.

Example: puna chat --system 'You answer in one sentence.' --session first
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from puna import config
from puna.api import Chat
from puna.cli.options import ENGINE, add_sampling, add_settings, sampling_of
from puna.cli.progress import on_terminal
from puna.cli.run import open_chat
from puna.cli.stats import stats_line
from puna.errors import DialogError, InputError, PunaError
from puna.messages import Dialog, Role, dialog_of

COMMANDS = {
    "/help": "this list",
    "/history": "the conversation so far",
    "/new": "begin again, with the same system message",
    "/stats": "what the last answer cost",
    "/quit": "leave (so does Ctrl-D)",
}


def add(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("--url", help="an endpoint; without it a model is loaded for the command's life")
    parser.add_argument("--endpoint", default="llama-2-7b", help="the endpoint's name (default llama-2-7b)")
    parser.add_argument("--system", help="system message")
    parser.add_argument("--session", metavar="NAME", help="keep the conversation under this name")
    add_sampling(parser)
    add_settings(parser, ENGINE)


def run(args: argparse.Namespace) -> int:
    """Read turns until the end of input."""
    session = _session_file(args.session) if args.session else None
    kept = _load(session)
    if kept and args.system is not None and kept.system != args.system:
        raise InputError(f"session {args.session} has its own system message already; leave out --system or start anew")
    with on_terminal() as progress:
        chat = open_chat(args, progress, history=kept).open()
    with chat:
        read = _prompt() if sys.stdin.isatty() else _lines()
        _say(f"{len(kept)} messages kept under {args.session}" if kept else "/help lists the commands, Ctrl-D leaves")
        told = 0
        while (line := read()) is not None:
            if line.strip() in {"/quit", "/exit"}:
                break
            if line.strip() in COMMANDS:
                _command(line.strip(), chat)
            elif line.strip():
                _turn(chat, line, sampling_of(args))
                told = _told(chat, told)
            _save(session, chat.history)
    return 0


def _turn(chat: Chat, text: str, sampling: dict[str, object]) -> None:
    try:
        for piece in chat.stream(text, **sampling):
            print(piece, end="", flush=True)
        print()
    except KeyboardInterrupt:
        print()
        _say("stopped; what had come is kept")
    except PunaError as error:
        print()
        _say(f"puna: {error}")


def _told(chat: Chat, told: int) -> int:
    """A word when the window is full, once for each cut: between two of them the same messages stay away."""
    receipt = chat.reply.receipt if chat.reply else None
    gone = len(receipt.dropped) if receipt else told
    if gone > told:
        _say(f"the window is full: the oldest {gone} messages are no longer sent (/history keeps them)")
    return gone


def _command(name: str, chat: Chat) -> None:
    match name:
        case "/help":
            for command, meaning in COMMANDS.items():
                _say(f"{command:<10} {meaning}")
        case "/history":
            for message in chat.history:
                _say(f"{message.role}: {message.content}")
        case "/new":
            chat.clear()
            _say("begun again")
        case "/stats":
            receipt = chat.reply.receipt if chat.reply else None
            _say(stats_line(receipt) if receipt else "no answer has ended yet")


def _prompt() -> Callable[[], str | None]:
    from prompt_toolkit import PromptSession  # 100 ms that only a terminal needs

    session: PromptSession[str] = PromptSession()

    def read() -> str | None:
        while True:
            try:
                return session.prompt("> ")
            except KeyboardInterrupt:
                continue
            except EOFError:
                return None

    return read


def _lines() -> Callable[[], str | None]:
    return lambda: next((line.rstrip("\n") for line in sys.stdin), None)


def _session_file(name: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise InputError(f"a session's name is 1 to 64 letters, digits, dots, dashes or underscores, not {name[:80]!r}")
    return config.home() / "sessions" / f"{name}.json"


def _load(file: Path | None) -> Dialog:
    if file is None or not file.is_file():
        return Dialog()
    try:
        return dialog_of(json.loads(file.read_text(encoding="utf-8"))["messages"])
    except (ValueError, KeyError, TypeError, OSError, DialogError) as error:
        raise InputError(
            f"{file} is no session of puna ({error}); move it away, or choose another --session"
        ) from error


def _save(file: Path | None, dialog: Dialog) -> None:
    """A finished turn is on disk before the next prompt; a crash leaves the old file or the new one, never half."""
    if file is None or not any(message.role is not Role.SYSTEM for message in dialog):
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps({"messages": dialog.as_json()}, ensure_ascii=False, indent=1), encoding="utf-8")
    part.replace(file)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
