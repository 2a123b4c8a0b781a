"""Conversations on an engine that the test holds in its hand."""

import asyncio
from functools import partial

import puna
from puna.chat import Spine
from puna.engines.scripted import WORDS, Scripted
from puna.formats import catalog
from puna.formats.counting import PromptCounter
from puna.sync import bridge


class Gate:
    """Lets pieces come when the test says so."""

    def __init__(self, loop=None):
        self._loop = loop
        self._passes = asyncio.Semaphore(0)

    async def __call__(self, _):
        await self._passes.acquire()

    def let(self, n=1):
        for _ in range(n):
            (self._loop or bridge().loop).call_soon_threadsafe(self._passes.release)


def on(engine, made=puna.Chat, **options):
    """A conversation on this engine."""
    chat = made(engine="scripted", **options)
    inner = chat._chat if isinstance(chat, puna.Chat) else chat
    form = catalog.get("chatml")

    async def opened():
        return Spine(engine, await engine.start(), form, counter=partial(PromptCounter, form, WORDS))

    inner._opening._opened = opened  # type: ignore[method-assign]
    return chat


class Numbered:
    """Answers that differ: answer 0 of it, answer 1 of it ..."""

    def __init__(self):
        self.made = []

    def __call__(self, prompt, sampling):
        self.made.append(f"answer {len(self.made)} of it")
        return self.made[-1]


def gated(text="one two three four", **options):
    """A conversation whose answers wait at a gate, the gate, and the engine."""
    gate = Gate()
    engine = Scripted(lambda prompt, sampling: text, pace=gate)
    return on(engine, **options), gate, engine


def contents(chat):
    return [message.content for message in chat.history]


def receipt_of(teller):
    """Of a chat's or a stream's answer, which has come to its end."""
    assert teller.receipt is not None
    return teller.receipt


def seen(stream, n):
    """The stream, once n pieces of it have come."""
    for k in range(n):
        stream._piece(k)
    return stream
