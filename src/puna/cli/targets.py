"""Options by which a verb of experiments is told what answers, instead of what its file says. Knows settings and targets."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from puna import config
from puna.cli.options import ENGINE, add_settings
from puna.engines.address import AWS, DEFAULT_ENDPOINT, checked
from puna.errors import InputError
from puna.experiments.plan import Target
from puna.wire.dialects import AUTO, DIALECTS

_THERE = ("format", "context")
"""Settings that are told of a server, too."""


def add_targets(parser: argparse.ArgumentParser) -> None:
    """``--url``, ``--api``, ``--endpoint``, ``--dialect``, and the settings of model and engine."""
    parser.add_argument("--url", help="ask the server at this address, or sagemaker:NAME, and not what the file says")
    parser.add_argument(
        "--api",
        choices=("sagemaker", "openai"),
        help="what it speaks (default openai where the address ends in /v1, else sagemaker)",
    )
    parser.add_argument("--endpoint", help="the endpoint's name there (default llama-2-7b)")
    parser.add_argument(
        "--dialect",
        metavar="|".join((AUTO, *DIALECTS)),
        help="the dialect of a SageMaker endpoint's container (default auto: found out)",
    )
    add_settings(parser, ENGINE)


def targets_of(args: argparse.Namespace, named: Sequence[Target]) -> tuple[Target, ...]:
    """The targets that a file names, as far as the options say nothing else.

    With ``--url``, ``--model`` or ``--engine`` there is one target, that one. Other settings hold for every embedded target.

    Raises:
        InputError: options that do not go together.
    """
    given = _given(args)
    if args.url is not None:
        return (_remote(args, given),)
    for name in ("api", "endpoint", "dialect"):
        if getattr(args, name) is not None:
            raise InputError(f"--{name} is about a server, whose address --url must name; give both, or neither")
    if "model" in given or "engine" in given:
        return (Target(str(given.get("model") or given["engine"]), settings=given),)
    if not given:
        return tuple(named)
    return tuple(t if t.api != "embedded" else replace(t, settings={**t.settings, **given}) for t in named)


def _remote(args: argparse.Namespace, given: dict[str, object]) -> Target:
    api: Literal["openai", "sagemaker"] = args.api or (
        "openai" if args.url.rstrip("/").endswith("/v1") else "sagemaker"
    )
    checked(config.Address(args.url, api, dialect=args.dialect or AUTO), {})
    model = given.pop("model", None) if api == "openai" else None
    there = {name: given.pop(name) for name in _THERE if name in given}
    if given:
        name = next(iter(given)).replace("_", "-")
        raise InputError(f"--{name} is for a local model, but --url names a server; leave out one of them")
    if api == "openai" and args.endpoint is not None:
        raise InputError("--endpoint names a SageMaker endpoint, but --api openai has models; give --model")
    named = args.url.removeprefix(AWS) if args.url.startswith(AWS) else ""
    endpoint = args.endpoint or named or DEFAULT_ENDPOINT
    return Target(
        args.url,
        api,
        url=args.url,
        endpoint=endpoint,
        model=None if model is None else str(model),
        dialect=args.dialect,
        **there,  # type: ignore[arg-type]  # settings are checked
    )


def _given(args: argparse.Namespace) -> dict[str, object]:
    """The settings of model and engine that the options say, or the file of ``--config``."""
    flags = {name: getattr(args, name) for name in ENGINE}
    wanted, plain = config.settings(flags, {}, args.config), config.settings({}, {})
    return {
        name: getattr(wanted, name)
        for name in ENGINE
        if flags[name] is not None or getattr(wanted, name) != getattr(plain, name)
    }
