"""A client that leaves frees the real engine's slot: over a real socket, while queued, in prefill and in decode."""

import asyncio
import json
import time
from urllib.parse import urlsplit

import pytest

from puna import config
from puna.server.app import create_app
from puna.server.listen import address_of, bind, listening

pytestmark = pytest.mark.model

STORY = "<s>[INST] Tell me a very long story about a llama. [/INST]"
PATIENCE = 120
"""Seconds after which a test gives up waiting, on a machine on which others work, too."""

TOKENS = 400
LONG = f"<s>[INST] {'the llama walks on and on and ' * 230} [/INST]"
READ = 7 * 230
"""Tokens of it, at the least: one for each word."""


async def send(url, prompt, operation):
    """A client that has sent its whole request and reads nothing yet."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    body = json.dumps({"prompt": prompt, "max_tokens_to_sample": TOKENS, "temperature": 1.0, "seed": 1}).encode()
    head = f"POST /endpoints/e/{operation} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    return reader, writer


async def busy(engine):
    async with engine.http.get("/slots") as answered:
        return sum(slot["is_processing"] for slot in await answered.json())


async def until(condition):
    end = time.monotonic() + PATIENCE
    while not await condition():
        assert time.monotonic() < end, "it never came to that"
        await asyncio.sleep(0.005)


async def work_done(engine):
    """Tokens that the engine has read and written for the last request in its slot, which tells its numbers until the next one."""
    async with engine.http.get("/slots") as answered:
        (slot,) = await answered.json()
    return slot["n_prompt_tokens"]


async def leave(url, engine, where, operation):
    """Send, leave at the right moment, and give the work that the engine had done when it and the queue were free again."""
    first = await send(url, STORY if where != "prefill" else LONG, operation)
    queued = await send(url, STORY, operation) if where == "queue" else None

    async def there():
        return engine.slots.waiting == 1 if queued else await busy(engine) == 1

    await until(there)
    if where == "decode" and operation != "invocations":
        await first[0].readuntil(b"outputs")
    if queued:
        queued[1].close()

        async def nobody_waits():
            return engine.slots.waiting == 0

        await until(nobody_waits)
    first[1].close()

    async def free():
        return engine.slots.busy == 0 and await busy(engine) == 0

    await until(free)
    return await work_done(engine)


@pytest.mark.parametrize("operation", ["invocations", "invocations-response-stream"])
@pytest.mark.parametrize("where", ["queue", "prefill", "decode"])
def test_a_client_that_leaves_frees_its_slot(model_home, where, operation):
    async def scenario():
        wanted = config.settings({"slots": 1, "context": 3000, "threads": 1, "batch_threads": 1})
        spine = await config.open_spine(wanted, config.find_model(wanted))
        try:
            with bind("127.0.0.1", 0) as bound:
                async with listening(create_app(spine, "e"), bound, print):
                    return await leave(address_of(bound), spine.engine, where, operation)
        finally:
            await spine.engine.close()

    assert 0 < asyncio.run(scenario()) < (READ if where == "prefill" else TOKENS) / 2
