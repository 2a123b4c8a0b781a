"""Talk with a model, turn by turn.

/help lists the commands. Esc or Ctrl-C stops an answer and keeps what had come; Ctrl-D leaves. With --session NAME the
conversation is kept on disk while it goes on, and continues where it ended, also after a crash.

Example: puna chat --system 'You answer in one sentence.' --session first
"""

from __future__ import annotations

import argparse
import asyncio

from puna.cli.options import ENGINE, add_sampling, add_settings, sampling_of
from puna.cli.reaching import add_address, opener, reached
from puna.terminal.app import Begin, chat


def add(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    add_address(parser)
    parser.add_argument("--system", help="system message")
    parser.add_argument("--session", metavar="NAME", help="keep the conversation under this name")
    add_sampling(parser)
    add_settings(parser, ENGINE)


def run(args: argparse.Namespace) -> int:
    """Talk until the end of input."""
    begin = Begin(reached(args), args.session, args.system, sampling_of(args))
    return asyncio.run(chat(begin, opener(args)))
