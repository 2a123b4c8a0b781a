"""puna: a prompting workbench for Llama chat models, on an endpoint that runs on a laptop."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from puna.version import __version__

if TYPE_CHECKING:
    from puna.api import AsyncChat, Chat, Reply, lint, parse, render, run, translate

__all__ = ["AsyncChat", "Chat", "Reply", "__version__", "lint", "parse", "render", "run", "translate"]


def __getattr__(name: str) -> object:
    """Import the surface when it is first used, so that ``import puna`` costs next to nothing."""
    if name in __all__:
        return getattr(import_module("puna.api"), name)
    raise AttributeError(f"module 'puna' has no attribute {name!r}; it has {', '.join(__all__)}")
