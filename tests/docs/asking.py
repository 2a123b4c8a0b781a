"""Requests to an app on the engine that needs no model."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import httpx

from puna.chat import Spine
from puna.engines.scripted import Scripted
from puna.formats import catalog
from puna.server.app import Setup, create_app


def spine(form: str = "chatml", **options: Any) -> Spine:
    engine = Scripted(**options)
    return Spine(engine, engine.info, catalog.get(form))


def asked(
    method: str, path: str, *, on: Any = None, full: bool = False, setup: Setup | None = None, **request: Any
) -> httpx.Response:
    """One request to the app. full: all slots are busy, and so is the queue."""

    async def exchange() -> httpx.Response:
        speaker = on or spine()
        transport = httpx.ASGITransport(create_app(speaker, "llama-2-7b", setup))
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://puna"))
            if full:
                engine = speaker.engine
                assert isinstance(engine, Scripted)
                for _ in range(engine.slots.size):
                    await stack.enter_async_context(engine.slots.slot())
                engine.slots.waiting = engine.slots.queue
            return await client.request(method, path, **request)

    return asyncio.run(exchange())
