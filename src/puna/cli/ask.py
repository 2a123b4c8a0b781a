"""Ask your own documents: an answer from the passages that are found, and which of them say it.

Text, Markdown and HTML files of the folders are indexed the first time; after that, only files that have changed are read again. What is
found is put before the model as far as it fits the window, counted exactly. The answer is followed by the passages that it cites or
whose words it has. Where nothing is found, no model is asked. Temperature 0, unless it is given.

Exit status 1: the documents do not say it, for nothing was found or the model says that it does not know.

Examples: puna ask --docs docs/ 'How do I lint a prompt?'
          puna ask --docs docs/ --docs README.md --show 'How do I lint a prompt?'
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from puna import config
from puna.chat import Spine
from puna.cli.options import ENGINE, add_sampling, add_settings, read_text, sampling_of
from puna.cli.reaching import add_address, address_of, opener
from puna.errors import InputError
from puna.generation import Delta, Receipt, Sampling
from puna.terminal.screen import Screen
from puna.terminal.stats import stats_line

if TYPE_CHECKING:
    from puna.api.answers import Answer, Prepared
    from puna.retrieval.index import Documents


def add(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("question", metavar="QUESTION|-", help="the question, or - to read it from standard input")
    parser.add_argument(
        "--docs",
        action="append",
        required=True,
        metavar="PATH",
        help="a folder or a file to answer from; repeatable",
    )
    parser.add_argument(
        "--passages", type=int, metavar="N", help="passages that are shown to the model, at most (default 4)"
    )
    parser.add_argument("--dense", action="store_true", help="rank by meaning, too (puna[dense])")
    parser.add_argument(
        "--show", action="store_true", help="print what would be sent, token by token counted, and ask nobody"
    )
    parser.add_argument(
        "--score", action="store_true", help="estimate how likely the answer is right, where that was measured"
    )
    parser.add_argument("--stats", action="store_true", help="say on standard error what it cost")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    add_address(parser)
    add_sampling(parser)
    add_settings(parser, ENGINE)


def run(args: argparse.Namespace) -> int:
    """Find, ask and print."""
    question = read_text("-").strip() if args.question == "-" else args.question
    if not question.strip():
        raise InputError("the question must not be empty; give some text, or - and text on standard input")
    given = sampling_of(args)
    Sampling.of(given)
    address_of(args)  # before documents are read, which may take a while
    documents = _documents(args)
    return asyncio.run(_asked(args, question, documents, opener(args)))


def _say(line: str) -> None:
    print(f"puna: {line}", file=sys.stderr, flush=True)


def _documents(args: argparse.Namespace) -> Documents:
    try:
        from puna.api.answers import checked_passages
        from puna.retrieval.index import Documents
    except ImportError as error:
        raise InputError(
            f"puna ask needs {error.name}, which is not installed: pip install 'puna[documents]'"
        ) from error
    from puna.cli.ask_output import skipped_line

    if args.passages is not None:  # before the folders are read, which may take long
        checked_passages(args.passages)
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        _say(line)

    found = Documents.open(args.docs, folder=config.home() / "documents", dense=args.dense, tell=tell)
    if line := skipped_line(found.skipped, whole=bool(told)):
        _say(line)
    return found


async def _asked(
    args: argparse.Namespace, question: str, documents: Documents, opened: Callable[[], Awaitable[Spine]]
) -> int:
    from puna.api.answers import PASSAGES, prepare, scored
    from puna.cli import ask_output
    from puna.context.questions import Question

    found = documents.search(question, PASSAGES if args.passages is None else args.passages)
    if not found:
        return ask_output.nothing(question, len(documents), as_json=args.json)
    spine = await opened()
    try:
        prepared = await prepare(spine, Question(question), found, sampling_of(args))
        if args.show:
            ask_output.show(prepared, spine.info.context, as_json=args.json)
            return 0
        answer = await _answer(args, spine, prepared)
        if args.score:
            answer = await scored(spine, answer)
    finally:
        await spine.engine.close()
    ask_output.tell(answer, as_json=args.json)
    return 1 if answer.abstained else 0


async def _answer(args: argparse.Namespace, spine: Spine, prepared: Prepared) -> Answer:
    """The model's answer, written as it comes."""
    turn = await spine.prepare(prepared.ask)
    shown, pieces, receipt = Screen().passed(), [], None
    with shown.whole():
        async with aclosing(turn.stream()) as events:
            async for event in events:
                if isinstance(event, Receipt):
                    receipt = event
                elif isinstance(event, Delta):
                    pieces.append(event.text)
                    if not args.json:
                        shown.add(event.text)
    if not args.json:
        shown.end()
    if args.stats and receipt is not None:
        print(stats_line(receipt), file=sys.stderr)
    return prepared.answer("".join(pieces), receipt)
