"""puna: a prompting workbench for Llama chat models, on an endpoint that runs on a laptop."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from puna.version import __version__

if TYPE_CHECKING:
    from puna.api import AsyncChat, AsyncStream, Chat, Reply, Stream, Timeouts, lint, parse, render, run, translate
    from puna.experiments.experiment import Experiment
    from puna.experiments.results import Results
    from puna.experiments.running import sweep

__all__ = [
    "AsyncChat",
    "AsyncStream",
    "Chat",
    "Experiment",
    "Reply",
    "Results",
    "Stream",
    "Timeouts",
    "__version__",
    "lint",
    "parse",
    "render",
    "run",
    "sweep",
    "translate",
]

_ELSEWHERE = {
    "Experiment": "puna.experiments.experiment",
    "Results": "puna.experiments.results",
    "sweep": "puna.experiments.running",
}
"""Where the names are that ``puna.api`` has not."""


def __getattr__(name: str) -> object:
    """Import the surface when it is first used, so that ``import puna`` costs next to nothing."""
    if name in __all__:
        return getattr(import_module(_ELSEWHERE.get(name, "puna.api")), name)
    raise AttributeError(f"module 'puna' has no attribute {name!r}; it has {', '.join(__all__)}")
