"""puna: a prompting workbench for Llama chat models, on an endpoint that runs on a laptop."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from puna.version import __version__

if TYPE_CHECKING:
    from puna.api import AsyncChat, AsyncStream, Chat, Reply, Stream, Timeouts, lint, parse, render, run, translate
    from puna.api.answers import Answer
    from puna.api.asking import Asking, AsyncAsking, ask
    from puna.experiments.experiment import Experiment
    from puna.experiments.results import Results
    from puna.experiments.running import sweep
    from puna.retrieval.index import Documents

__all__ = [
    "Answer",
    "Asking",
    "AsyncAsking",
    "AsyncChat",
    "AsyncStream",
    "Chat",
    "Documents",
    "Experiment",
    "Reply",
    "Results",
    "Stream",
    "Timeouts",
    "__version__",
    "ask",
    "lint",
    "parse",
    "render",
    "run",
    "sweep",
    "translate",
]

_ELSEWHERE = {
    "Answer": "puna.api.answers",
    "Asking": "puna.api.asking",
    "AsyncAsking": "puna.api.asking",
    "Documents": "puna.retrieval.index",
    "Experiment": "puna.experiments.experiment",
    "Results": "puna.experiments.results",
    "ask": "puna.api.asking",
    "sweep": "puna.experiments.running",
}
"""Where the names are that ``puna.api`` has not."""


def __getattr__(name: str) -> object:
    """Import the surface when it is first used, so that ``import puna`` costs next to nothing."""
    if name in __all__:
        return getattr(import_module(_ELSEWHERE.get(name, "puna.api")), name)
    raise AttributeError(f"module 'puna' has no attribute {name!r}; it has {', '.join(__all__)}")
