"""Which engine a verb that talks uses: a server by its address, or a model in this process. Knows the options of both."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable

from puna import config
from puna.chat import Spine
from puna.cli.options import ENGINE
from puna.cli.progress import on_terminal
from puna.engines.address import APIS, DEFAULT_ENDPOINT, checked
from puna.errors import InputError
from puna.terminal.desk import Reached

_THERE = ("model", "format", "context")
"""Options that mean something for a server too."""


def add_address(parser: argparse.ArgumentParser) -> None:
    """The options that name a server."""
    parser.add_argument(
        "--url",
        help="a server, or sagemaker:NAME (default PUNA_URL); without it a model is loaded for the command's life",
    )
    parser.add_argument("--api", choices=APIS, help="what the server speaks (default auto: found out)")
    parser.add_argument(
        "--endpoint", help=f"the endpoint's name there (default {DEFAULT_ENDPOINT}); --model for an OpenAI API"
    )


def opener(args: argparse.Namespace) -> Callable[[], Awaitable[Spine]]:
    """What starts the engine that the options name. A missing model is pulled at once, in the main thread, where Ctrl-C ends it.

    Raises:
        InputError: options that do not go together, or a model that cannot be had.
    """
    _take_from_environment(args)
    if args.url:
        address = _address(args)
        return lambda: config.open_address(address)
    for name in ("api", "endpoint"):
        if getattr(args, name) is not None:
            raise InputError(f"--{name} is for a server, but no --url names one; give --url too, or leave out --{name}")
    local = {name: getattr(args, name) for name in ENGINE if getattr(args, name, None) is not None}
    wanted = config.settings({"slots": 1, **local}, file=args.config)
    with on_terminal() as progress:
        model = config.find_model(wanted, progress)
    return lambda: config.open_spine(wanted, model)


def reached(args: argparse.Namespace) -> Reached:
    """The server by its address and name, for the person and for programs."""
    _take_from_environment(args)
    name = args.endpoint or (args.model if args.url else None) or DEFAULT_ENDPOINT
    return Reached(args.url or None, name)


def _take_from_environment(args: argparse.Namespace) -> None:
    """The server of PUNA_URL, where no option names a server or a setting that only a local model has."""
    local = [name for name in ENGINE if getattr(args, name, None) is not None and name not in {"format", "context"}]
    named = None if args.url is not None or local or args.config is not None else config.server()
    if named is not None:
        checked(config.Address(named.url, name=named.endpoint), {}, "PUNA_URL")
        args.url, args.endpoint = named.url, args.endpoint or named.endpoint
        args.format, args.context = args.format or named.format, args.context or named.context


def _address(args: argparse.Namespace) -> config.Address:
    given = [name for name in ENGINE if getattr(args, name, None) is not None and name not in _THERE]
    if given:
        flag = f"--{given[0].replace('_', '-')}"
        raise InputError(f"{flag} is for a local model, but --url names a server; leave out one of them")
    if args.endpoint and args.model:
        raise InputError("--endpoint and --model both name what the server has; give one of them")
    try:
        context = None if args.context is None else int(args.context)
    except ValueError:
        raise InputError(f"--context must be a whole number of tokens, not {args.context!r}") from None
    return config.Address(
        args.url, args.api or "auto", args.endpoint or args.model, format=args.format, context=context
    )
