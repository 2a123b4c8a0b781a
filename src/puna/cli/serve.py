"""Start the endpoint and its playground: SageMaker Runtime, the OpenAI API and a page on one port, until Ctrl-C.

Example: puna serve --model smollm2-135m --port 8080
"""

from __future__ import annotations

import argparse
import asyncio

from puna import config
from puna.cli.endpoint import Endpoint, say, with_endpoint
from puna.cli.options import SERVE, add_settings


def add(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    add_settings(parser, SERVE)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal."""
    wanted = config.settings(vars(args), file=args.config)

    async def serve(endpoint: Endpoint, stop: asyncio.Event) -> int:
        print(endpoint.ready_line, flush=True)
        say(f"the playground: {endpoint.url}/")
        await stop.wait()
        return 0

    return with_endpoint(wanted, serve)
