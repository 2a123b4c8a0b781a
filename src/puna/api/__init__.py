"""The Python surface: what ``import puna`` offers but for experiments. Each name's home is a file of this folder."""

from puna.api.chat import Chat
from puna.api.prompts import lint, parse, render, translate
from puna.api.running import run
from puna.api.stream import AsyncStream, Reply, Stream
from puna.api.talking import AsyncChat
from puna.engines.timeouts import Timeouts

__all__ = [
    "AsyncChat",
    "AsyncStream",
    "Chat",
    "Reply",
    "Stream",
    "Timeouts",
    "lint",
    "parse",
    "render",
    "run",
    "translate",
]
