"""Print the environment in which AWS programs reach an endpoint that is up, as shell exports.

Example: eval "$(puna env)"
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys

from puna.cli.aws_environment import endpoint_environment
from puna.engines.address import Address, checked
from puna.errors import InputError


def add(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the endpoint (default http://127.0.0.1:8080)")


def run(args: argparse.Namespace) -> int:
    """Print one export a line."""
    address = checked(Address(args.url), {})
    if address.aws:
        raise InputError(
            f"{args.url} is reached without these variables; puna exec --url {args.url} -- COMMAND tells a program of it"
        )
    chosen, notes = endpoint_environment(address.url, os.environ)
    for name, value in chosen.items():
        print(f"export {name}={shlex.quote(value)}")
    for note in notes:
        print(f"puna: {note}", file=sys.stderr)
    return 0
