"""Send one prompt and stream the answer.

The prompt is plain text, which becomes a user turn, or a prompt written in any known family's format, which
is understood and rendered for the model that is there. - reads standard input.

Examples: puna run 'What is a llama?'
          puna run --url http://127.0.0.1:8080 '<s>[INST] What is a llama? [/INST]'
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from puna.chat import Spine
from puna.cli.options import ENGINE, add_sampling, add_settings, read_text, sampling_of
from puna.cli.reaching import add_address, opener
from puna.errors import InputError
from puna.formats import catalog
from puna.generation import Delta, Receipt, Sampling
from puna.messages import Dialog, Message, Role
from puna.terminal.screen import Screen
from puna.terminal.stats import stats_line
from puna.turn import Ask


def add(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("prompt", metavar="PROMPT|-", help="the prompt, or - to read it from standard input")
    add_address(parser)
    parser.add_argument("--system", help="system message, for a plain-text prompt")
    parser.add_argument("--raw", action="store_true", help="send the prompt exactly as it is")
    parser.add_argument("--stats", action="store_true", help="say on standard error what it cost")
    parser.add_argument("--json", action="store_true", help="one JSON line per piece, the receipt as the last")
    add_sampling(parser)
    add_settings(parser, ENGINE)


def run(args: argparse.Namespace) -> int:
    """Stream the answer to standard output."""
    prompt = read_text("-") if args.prompt == "-" else args.prompt
    if not prompt.strip():
        raise InputError("the prompt must not be empty; give some text, or - and text on standard input")
    asyncio.run(_stream(args, prompt, opener(args)))
    return 0


async def _stream(args: argparse.Namespace, prompt: str, opened: Callable[[], Awaitable[Spine]]) -> None:
    given = sampling_of(args)
    sampling = Sampling.of(given)
    spine = await opened()
    try:
        raw = args.raw or spine.raw
        asked = prompt if raw or catalog.parse(prompt).format != catalog.PLAIN else _dialog(args, prompt)
        turn = await spine.prepare(Ask(asked, sampling, frozenset(given), raw=raw))
        out = _Out(as_json=args.json, stats=args.stats)
        with out.shown.whole():
            async with aclosing(turn.stream()) as events:
                async for event in events:
                    out.take(event)
    finally:
        await spine.engine.close()


def _dialog(args: argparse.Namespace, prompt: str) -> Dialog:
    """A user turn. The line feed with which ``echo`` ends is no part of a question."""
    first = () if args.system is None else (Message(Role.SYSTEM, args.system),)
    if args.prompt == "-":
        prompt = prompt.removesuffix("\n").removesuffix("\r")
    return Dialog((*first, Message(Role.USER, prompt)))


class _Out:
    """Events as they are printed: the text as it is, harmless on a terminal; or a JSON line for each."""

    def __init__(self, *, as_json: bool, stats: bool) -> None:
        self._json = as_json
        self._stats = stats
        self.shown = Screen().passed()

    def take(self, event: Delta | Receipt) -> None:
        if self._json:
            print(
                json.dumps({"text": event.text} if isinstance(event, Delta) else {"receipt": event.as_json()}),
                flush=True,
            )
        elif isinstance(event, Delta):
            self.shown.add(event.text)
        else:
            self.shown.end()
            if self._stats:
                print(stats_line(event), file=sys.stderr)
