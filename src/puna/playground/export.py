"""A conversation as a program that asks the same again: curl, boto3, openai, puna's own client, a notebook. Text only; no I/O.

Every program runs as it is against the endpoint and prints what the page got for the same seed: all of the sampling is named in it, so no
default of a route can change the answer. Messages go as messages, which the endpoint renders as the page did; a prompt whose exact
text matters goes as its token ids, which no endpoint reads again. Secrets are never written: programs take them from the environment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from puna.errors import InputError, unknown
from puna.playground import export_boto3, export_clients, export_curl
from puna.playground.exported import Exported

__all__ = ["TARGETS", "Exported", "File", "Target", "export"]


@dataclass(frozen=True, slots=True)
class File:
    """A program. filename: never that of a module which it imports."""

    filename: str
    media_type: str
    text: str


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of program. ending: of its file's name."""

    write: Callable[[Exported], str]
    ending: str
    media_type: str


_PYTHON = "text/x-python"

TARGETS: Mapping[str, Target] = MappingProxyType({
    "curl": Target(export_curl.script, "-curl.sh", "application/x-sh"),
    "boto3": Target(export_boto3.script, "-boto3.py", _PYTHON),
    "openai": Target(export_clients.openai, "-openai.py", _PYTHON),
    "client": Target(export_clients.client, "-puna.py", _PYTHON),
    "notebook": Target(export_boto3.notebook, ".ipynb", "application/x-ipynb+json"),
})  # fmt: skip
"""By name, in the order in which the page shows them."""


def export(target: str, conversation: Exported) -> File:
    """The conversation as a program. target: a name in TARGETS.

    Raises:
        InputError: an unknown target.
    """
    if target not in TARGETS:
        raise InputError(unknown("export target", target, TARGETS))
    chosen = TARGETS[target]
    return File(_slug(conversation.title) + chosen.ending, chosen.media_type, chosen.write(conversation))


def _slug(title: str) -> str:
    """A title as a file may be called on any system."""
    return re.sub(r"[^a-z0-9]+", "-", title[:200].lower()).strip("-")[:40].rstrip("-") or "prompt"
