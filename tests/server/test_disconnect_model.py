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
LONG = f"<s>[INST] {'the llama walks on and on and ' * 230} [/INST]"


async def send(url, prompt, operation):
    """A client that has sent its whole request and reads nothing yet."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    body = json.dumps({"prompt": prompt, "max_tokens_to_sample": 400, "temperature": 1.0, "seed": 1}).encode()
    head = f"POST /endpoints/e/{operation} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    return reader, writer


async def busy(engine):
    async with engine.http.get("/slots") as answered:
        return sum(slot["is_processing"] for slot in await answered.json())


async def until(condition):
    for _ in range(2000):
        if await condition():
            return
        await asyncio.sleep(0.005)
    pytest.fail("it never came to that")


async def leave(url, engine, where, operation):
    """Send, leave at the right moment, and give the seconds until the engine and the queue are free again."""
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
    began = time.monotonic()

    async def free():
        return engine.slots.busy == 0 and await busy(engine) == 0

    await until(free)
    return time.monotonic() - began


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

    # Measured 0.1 to 0.5 s; the bound is wide, since the machine may be busy. 400 tokens or the prefill would take longer.
    assert asyncio.run(scenario()) < 2
