"""The Python surface: what ``import puna`` offers but for experiments. Each name's home is a file of this folder."""

from puna.api.chat import Chat
from puna.api.prompts import lint, parse, render, translate
from puna.api.running import run
from puna.api.stream import AsyncStream, Reply, Stream
from puna.api.talking import AsyncChat

__all__ = ["AsyncChat", "AsyncStream", "Chat", "Reply", "Stream", "lint", "parse", "render", "run", "translate"]
