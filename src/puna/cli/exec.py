"""Run a program against a local endpoint that lives as long as it does. The program is not changed.

Any program that uses an AWS SDK will do: its calls to SageMaker Runtime, STS and IAM go to the endpoint. The
endpoint listens on port 8080, or on a free one where that is taken. In the program's arguments,
$AWS_ENDPOINT_URL stands for its address, also where no shell replaces it.

Example: puna exec -- python my_sagemaker_script.py
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from dataclasses import replace

from puna import config
from puna.cli.aws_environment import endpoint_environment
from puna.cli.endpoint import Endpoint, say, with_endpoint
from puna.cli.options import SERVE, add_settings
from puna.errors import InputError
from puna.server.listen import bind


def add(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    add_settings(parser, SERVE)
    parser.add_argument("--verbose", action="store_true", help="print a line for each request that is answered")
    parser.add_argument("command", nargs="+", metavar="-- COMMAND ...", help="the program and its arguments")


def run(args: argparse.Namespace) -> int:
    """The program's own exit status."""
    wanted = config.settings(vars(args), file=args.config)
    if args.port is None and not _free(wanted.host, wanted.port):
        wanted = replace(wanted, port=0)

    async def execute(endpoint: Endpoint, stop: asyncio.Event) -> int:
        say(endpoint.ready_line)
        return await _command(args.command, endpoint, stop)

    return with_endpoint(wanted, execute, log=say if args.verbose else _say_nothing)


async def _command(command: list[str], endpoint: Endpoint, stop: asyncio.Event) -> int:
    chosen, notes = endpoint_environment(endpoint.url, os.environ)
    for note in notes:
        say(f"puna: {note}")
    words = [word.replace("${AWS_ENDPOINT_URL}", endpoint.url).replace("$AWS_ENDPOINT_URL", endpoint.url)
             for word in command]  # fmt: skip
    try:
        process = await asyncio.create_subprocess_exec(*words, env={**os.environ, **chosen})
    except OSError as error:
        raise InputError(f"cannot run {words[0]}: {error.strerror}") from error
    ended, stopped = asyncio.ensure_future(process.wait()), asyncio.ensure_future(stop.wait())
    await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not ended.done() and not sys.stdin.isatty():
        # Ctrl-C at a terminal has reached the program already, and it decides when to end; a signal to puna alone has not.
        process.send_signal(signal.SIGTERM)
    status = await ended
    return status if status >= 0 else 128 - status


def _free(host: str, port: int) -> bool:
    try:
        bind(host, port).close()
    except InputError:
        return False
    return True


def _say_nothing(_: str) -> None:
    return
