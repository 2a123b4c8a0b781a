"""Start the endpoint and its playground: SageMaker Runtime, the OpenAI API and a page on one port, until Ctrl-C.

In front of another server: puna serve --engine openai --upstream http://127.0.0.1:8000/v1
Example: puna serve --model smollm2-135m --port 8080
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from types import FrameType
from typing import NoReturn

from puna import config
from puna.cli.endpoint import Endpoint, say, with_endpoint
from puna.cli.options import SERVE, add_settings
from puna.cli.progress import on_terminal


def add(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    add_settings(parser, SERVE)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal."""
    signal.signal(signal.SIGTERM, _end)
    wanted = config.settings(vars(args), file=args.config)
    if wanted.replicas > 1:
        return _replicas(wanted)

    async def serve(endpoint: Endpoint, stop: asyncio.Event) -> int:
        print(endpoint.ready_line, flush=True)
        if sys.stderr.isatty():  # for a person; what reads a log file looks for requests
            say(f"open {endpoint.url}/ for the playground")
        await stop.wait()
        return 0

    return with_endpoint(wanted, serve)


def _end(number: int, _: FrameType | None) -> NoReturn:
    """Before the endpoint's own handlers are there. The first process of a container is not ended by a signal that it does not handle."""
    raise SystemExit(128 + number)


def _replicas(wanted: config.Settings) -> int:
    from puna import deploy  # Ray is heavy, and only for who scales out

    with on_terminal() as progress:  # before anything is served, so that no bar stays
        config.find_model(wanted, progress)
    return deploy.run(wanted)
