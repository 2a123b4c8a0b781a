"""Run a program against a local endpoint that lives as long as it does. The program is not changed.

Any program that uses an AWS SDK will do: its calls to SageMaker Runtime, STS and IAM go to the endpoint. The
endpoint listens on port 8080, or on a free one where that is taken. In the program's arguments,
$AWS_ENDPOINT_URL stands for its address, also where no shell replaces it. puna.Chat() and puna's own verbs in it talk
to the endpoint too (PUNA_URL). With --url no endpoint is started, and they talk to the one that is named.

Examples: puna exec -- python my_sagemaker_script.py
          puna exec -- jupyter lab notebooks/
          puna exec --url sagemaker:my-endpoint -- jupyter lab notebooks/
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from puna import config
from puna.cli.aws_environment import endpoint_environment, puna_environment
from puna.cli.endpoint import Endpoint, say, with_endpoint
from puna.cli.interrupts import heard
from puna.cli.options import SERVE, add_settings
from puna.engines.address import checked
from puna.errors import InputError
from puna.server.listen import bind
from puna.wire.dialects import AUTO, DIALECTS

_TOLD = ("format", "context", "dialect")
"""Settings that are told to the program of a server, too: the format that prompts are written in for it, its window, its container's dialect."""


def add(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument(
        "--url", help="a server that is up, or sagemaker:NAME, instead of an endpoint for the command's life"
    )
    add_settings(parser, SERVE)
    parser.add_argument("--verbose", action="store_true", help="print a line for each request that is answered")
    parser.add_argument("command", nargs="+", metavar="-- COMMAND ...", help="the program and its arguments")


def run(args: argparse.Namespace) -> int:
    """The program's own exit status."""
    if args.url is not None:
        return asyncio.run(_beside(args))
    wanted = config.settings(vars(args), file=args.config)
    if args.port is None and not _free(wanted.host, wanted.port):
        wanted = replace(wanted, port=0)

    async def execute(endpoint: Endpoint, stop: asyncio.Event) -> int:
        say(endpoint.ready_line)
        return await _told(args.command, endpoint.url, endpoint.name, stop, _own(wanted))

    return with_endpoint(wanted, execute, log=say if args.verbose else _say_nothing)


async def _beside(args: argparse.Namespace) -> int:
    """The program against a server that is up. Ctrl-C has reached the program too, which decides when to end."""
    given = [
        name for name in (*SERVE, "config") if getattr(args, name, None) is not None and name not in ("name", *_TOLD)
    ]
    if given:
        flag = f"--{given[0].replace('_', '-')}"
        raise InputError(
            f"{flag} is for an endpoint that is started, but --url names one that is up; leave out one of them"
        )
    where = checked(config.Address(args.url, name=args.name, dialect=args.dialect or AUTO), os.environ)
    more = {f"PUNA_{name.upper()}": str(getattr(args, name)) for name in _TOLD if getattr(args, name) is not None}
    stop = asyncio.Event()
    for number in heard():
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if where.aws or where.api == "openai":
        return await _command(args.command, args.url, {**puna_environment(args.url, where.name), **more}, stop)
    return await _told(args.command, where.url, where.name, stop, more)


def _own(wanted: config.Settings) -> dict[str, str]:
    """What the program is told of the endpoint that was started for it, in place of what the environment says of its making.

    It tells its dialect itself, and who has that of messages writes no prompts, so that a format would be refused; "" is as not set.
    """
    text = wanted.dialect in DIALECTS and not DIALECTS[wanted.dialect].messages
    return {"PUNA_DIALECT": "", "PUNA_FORMAT": (wanted.format or "") if text else ""}


async def _told(
    command: list[str], url: str, name: str | None, stop: asyncio.Event, more: Mapping[str, str] = MappingProxyType({})
) -> int:
    """The program in an environment of AWS's whose replaced variables are said. more: variables of puna's own."""
    chosen, notes = endpoint_environment(url, os.environ, name)
    for note in notes:
        say(f"puna: {note}")
    return await _command(command, url, {**chosen, **more}, stop)


async def _command(command: list[str], url: str, chosen: dict[str, str], stop: asyncio.Event) -> int:
    words = [word.replace("${AWS_ENDPOINT_URL}", url).replace("$AWS_ENDPOINT_URL", url) for word in command]
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
