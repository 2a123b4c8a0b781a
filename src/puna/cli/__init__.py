"""The command line: one file per verb.

Results go to standard output, everything else to standard error. Exit status: 0 done, 1 what was checked is not as it should be, 2 bad usage or bad input, 3 the endpoint or engine failed, 130 interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import sys
from contextlib import suppress
from importlib import import_module

from puna.errors import InputError, PunaError
from puna.version import __version__

VERBS = {
    "serve": "start the endpoint",
    "run": "send one prompt and stream the answer",
    "chat": "talk with a model",
    "ask": "ask your own documents",
    "prompt": "render, parse or translate prompts",
    "sweep": "run an experiment: prompts, settings and seeds, into a store",
    "score": "how likely given answers are",
    "report": "what an experiment shows: tables, figures, a page",
    "expect": "test prompts against what is expected of them",
    "runs": "list, show, export or remove the runs of a store",
    "models": "list, pull, show or remove models",
    "exec": "run an AWS program against a local endpoint",
    "env": "print the environment of puna exec as shell exports",
    "demo": "the workshop's lessons, over the real AWS protocol",
}


def main(argv: list[str] | None = None) -> int:
    """Run one verb and return the exit status."""
    given = sys.argv[1:] if argv is None else argv
    _open_what_is_closed()
    _speak_utf8()
    try:
        return _dispatch(given)
    except InputError as error:
        _tell(str(error))
        return 2
    except PunaError as error:
        _tell(str(error))
        return 3
    except (KeyboardInterrupt, asyncio.CancelledError):  # a second Ctrl-C cancels what the first one ends
        return 130
    except BrokenPipeError:
        # The reader has gone, as `puna ... | head` does.
        _say_no_more()
        return 0
    except OSError as error:
        # Whatever else was foreseen has its sentence; this is the terminal's or the output's.
        place = "" if error.filename is None else f"{error.filename}: "
        _tell(f"cannot go on: {place}{error.strerror or error}")
        _say_no_more()
        return 3


def _tell(sentence: str) -> None:
    """Where not even that can be written, the exit status tells what it was."""
    with suppress(OSError):
        print(f"puna: {sentence}", file=sys.stderr, flush=True)


def _say_no_more() -> None:
    """Nothing is left to say, also not when Python flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_what_is_closed() -> None:
    """A stream that the caller closed (``>&-``) is None in Python, and would fail wherever it is used."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123


def _speak_utf8() -> None:
    """Prompts are UTF-8 whatever the terminal's encoding; a message that it cannot show is shown in escapes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")


def _dispatch(given: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="puna",
        description="A prompting workbench for Llama chat models, on an endpoint that runs on a laptop.",
        epilog="Example: puna run 'What is a llama?'",
    )
    parser.add_argument("--version", action="version", version=f"puna {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    # Only the verb that is called is imported: each brings what it needs.
    called = next((word for word in given if not word.startswith("-")), None)
    for verb, meaning in VERBS.items():
        sub = verbs.add_parser(verb, help=meaning, formatter_class=argparse.RawDescriptionHelpFormatter)
        if verb == called:
            module = import_module(f"puna.cli.{verb}")
            sub.description = module.__doc__
            module.add(sub)
            if hasattr(module, "run"):  # a verb with verbs of its own has a function for each
                sub.set_defaults(run=module.run)
    args = parser.parse_args(given)
    status: int = args.run(args)
    return status
