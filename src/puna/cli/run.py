"""Send one prompt and stream the answer.

The prompt is plain text, which becomes a user turn, or a prompt written in any known family's format, which
is understood and rendered for the model that is there. - reads standard input.

Examples: puna run 'What is a llama?'
          puna run --url http://127.0.0.1:8080 '<s>[INST] What is a llama? [/INST]'
"""

from __future__ import annotations

import argparse
import json
import sys

from puna import config
from puna.api import Chat
from puna.cli.options import ENGINE, add_sampling, add_settings, read_text, sampling_of
from puna.cli.progress import on_terminal
from puna.cli.stats import stats_line
from puna.errors import InputError
from puna.generation import Delta
from puna.messages import Dialog
from puna.models.transfer import Report


def add(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("prompt", metavar="PROMPT|-", help="the prompt, or - to read it from standard input")
    parser.add_argument("--url", help="an endpoint; without it a model is loaded for the command's life")
    parser.add_argument("--endpoint", default="llama-2-7b", help="the endpoint's name (default llama-2-7b)")
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
    with on_terminal() as progress, open_chat(args, progress) as chat:
        for event in chat.complete(prompt, raw=args.raw, **sampling_of(args)):
            if isinstance(event, Delta):
                print(json.dumps({"text": event.text}) if args.json else event.text, end="\n" if args.json else "")
                sys.stdout.flush()
            elif args.json:
                print(json.dumps({"receipt": event.as_json()}))
            else:
                print()
                if args.stats:
                    print(stats_line(event), file=sys.stderr)
    return 0


def open_chat(args: argparse.Namespace, progress: Report, history: Dialog | None = None) -> Chat:
    """A conversation as the options say; a kept history brings its own system message."""
    kept = history or Dialog()
    system = None if kept.system is not None else args.system
    if args.url:
        given = [name for name in ENGINE if getattr(args, name) is not None]
        if given:
            raise InputError(f"--{given[0]} is for a local model, but --url names an endpoint; leave out one of them")
        return Chat(url=args.url, endpoint=args.endpoint, system=system, history=kept)
    local = {name: getattr(args, name) for name in ENGINE if getattr(args, name) is not None}
    # A missing model is pulled here, in the main thread, where Ctrl-C ends it at once.
    config.find_model(config.settings(local, file=args.config), progress)
    return Chat(system=system, history=kept, progress=progress, slots=1, file=args.config, **local)
