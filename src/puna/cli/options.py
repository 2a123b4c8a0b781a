"""Options that several verbs share, made from the tables of config and Sampling."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from puna.config import OPTIONS
from puna.errors import InputError

SERVE = tuple(option.name for option in OPTIONS)
_ENDPOINT = {
    "name", "host", "port", "slots", "queue", "dialect", "invocations", "answer_length", "invocation_seconds", "stream_seconds", "receipts", "log",
    "faults", "auth", "auth_keys", "auth_token", "upstream", "upstream_name", "upstream_key", "upstream_dialect", "replicas",
}  # fmt: skip
ENGINE = tuple(name for name in SERVE if name not in _ENDPOINT)


def add_settings(parser: argparse.ArgumentParser, names: tuple[str, ...] = SERVE) -> None:
    """The settings of ``puna serve`` that the verb takes; each also reads its PUNA_ variable."""
    group = parser.add_argument_group("model and engine")
    for option in OPTIONS:
        if option.name in names and not option.secret:
            default = "" if option.default is None else f" (default {option.default})"
            group.add_argument(
                option.flag,
                dest=option.name,
                metavar="|".join(option.choices) or option.type.__name__.upper().replace("STR", "TEXT"),
                help=f"{option.help}{default}".replace("%", "%%"),
            )
    group.add_argument("--config", type=Path, metavar="FILE.toml", help="settings by the same names, as TOML")


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """The sampling options; what is not given keeps its default, which the receipt names."""
    group = parser.add_argument_group("sampling")
    group.add_argument("--temperature", type=float, help="0 is greedy, to 2 (default 0.6)")
    group.add_argument("--top-p", type=float, help="nucleus, 0 to 1 (default 0.9)")
    group.add_argument("--top-k", type=int, help="most likely tokens kept; 0 is off (default 50)")
    group.add_argument("--min-p", type=float, help="least share of the best token's probability (default 0, off)")
    group.add_argument("--max-tokens", type=int, help="longest answer in tokens (default 200)")
    group.add_argument("--seed", type=int, help="the same seed gives the same answer (default: drawn)")
    group.add_argument("--stop", action="append", metavar="TEXT", help="end the answer before this text; repeatable")


def sampling_of(args: argparse.Namespace) -> dict[str, Any]:
    """The sampling options that were given, by name."""
    names = ("temperature", "top_p", "top_k", "min_p", "max_tokens", "seed", "stop")
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def place_of(name: str) -> str:
    """What a file is called in a sentence."""
    return "standard input" if name == "-" else name


def read_text(name: str, most: int | None = None) -> str:
    """Text of a file, or of standard input for ``-``. most: bytes that it may have.

    Raises:
        InputError: it cannot be read, is longer, or is not UTF-8.
    """
    place = place_of(name)
    size = -1 if most is None else most + 1
    try:
        if name == "-":
            data = sys.stdin.buffer.read(size)
        else:
            with Path(name).open("rb") as file:
                data = file.read(size)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError(f"cannot read {place}: {getattr(error, 'strerror', None) or error}") from error
    if most is not None and len(data) > most:
        raise InputError(f"{place} must have at most {most} bytes, the most that an endpoint takes, but it has more")
    try:
        return data.decode("utf-8-sig")  # editors on Windows put a byte order mark first
    except UnicodeDecodeError as error:
        raise InputError(f"{place} must be UTF-8 text, but byte {error.start} is not") from error
