"""Which engine a verb that talks uses: a server by its address, or a model in this process. Knows the options of both, and asks no server."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable

from puna import config
from puna.chat import Spine
from puna.cli.options import ENGINE
from puna.cli.progress import on_terminal
from puna.engines.address import APIS, DEFAULT_ENDPOINT, checked
from puna.engines.timeouts import DEFAULTS, Timeouts
from puna.errors import InputError
from puna.terminal.desk import Reached
from puna.wire.dialects import AUTO, DIALECTS

_THERE = ("model", "format", "context")
"""Options that mean something for a server too."""

_ONLY_THERE = ("api", "endpoint", "dialect", "retries", "first_seconds", "between_seconds")
"""Options that mean something for a server alone."""


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
    parser.add_argument(
        "--dialect",
        metavar="|".join((AUTO, *DIALECTS)),
        help="the dialect of a SageMaker endpoint's container (default PUNA_DIALECT beside PUNA_URL, else auto: found out)",
    )
    parser.add_argument(
        "--retries",
        type=int,
        metavar="N",
        help="further tries of a request of which nothing has come, 0 to 20 (default 2)",
    )
    parser.add_argument(
        "--first-seconds",
        type=float,
        metavar="SECONDS",
        help=f"longest wait for the first piece of an answer (default {DEFAULTS.first:g})",
    )
    parser.add_argument(
        "--between-seconds",
        type=float,
        metavar="SECONDS",
        help=f"longest wait from one piece of an answer to the next (default {DEFAULTS.between:g})",
    )


def opener(args: argparse.Namespace) -> Callable[[], Awaitable[Spine]]:
    """What starts the engine that the options name. A missing model is pulled at once, in the main thread, where Ctrl-C ends it.

    Raises:
        InputError: options that do not go together, or a model that cannot be had.
    """
    address = address_of(args)
    if address is not None:
        return lambda: config.open_address(address)
    local = {name: getattr(args, name) for name in ENGINE if getattr(args, name, None) is not None}
    wanted = config.settings({"slots": 1, **local}, file=args.config)
    with on_terminal() as progress:
        model = config.find_model(wanted, progress)
    return lambda: config.open_spine(wanted, model)


def address_of(args: argparse.Namespace) -> config.Address | None:
    """The server that the options or the environment name, None where that is none.

    Raises:
        InputError: options that do not go together.
    """
    _take_from_environment(args)
    if args.url is not None:
        return _address(args)
    for name in _ONLY_THERE:
        if getattr(args, name) is not None:
            flag = _flag(name)
            raise InputError(f"{flag} is for a server, but no --url names one; give --url too, or leave out {flag}")
    return None


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
        args.dialect = args.dialect or named.dialect


def _address(args: argparse.Namespace) -> config.Address:
    given = [name for name in ENGINE if getattr(args, name, None) is not None and name not in _THERE]
    if given:
        raise InputError(f"{_flag(given[0])} is for a local model, but --url names a server; leave out one of them")
    if args.endpoint and args.model:
        raise InputError("--endpoint and --model both name what the server has; give one of them")
    try:
        context = None if args.context is None else int(args.context)
    except ValueError:
        raise InputError(f"--context must be a whole number of tokens, not {args.context!r}") from None
    where = config.Address(
        args.url,
        args.api or "auto",
        args.endpoint or args.model,
        format=args.format,
        dialect=args.dialect or AUTO,
        context=context,
        timeouts=_timeouts(args),
        **({} if args.retries is None else {"retries": args.retries}),
    )
    checked(where, {})
    return where


def _timeouts(args: argparse.Namespace) -> Timeouts:
    given = {"first": args.first_seconds, "between": args.between_seconds}
    return Timeouts(**{name: seconds for name, seconds in given.items() if seconds is not None})


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
