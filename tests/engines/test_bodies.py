"""A body is read a little at a time, however far it inflates; what is no gzip is said to be none."""

import asyncio
import gzip
import tracemalloc
import zlib

import httpx
import pytest

from puna import config
from puna.engines.address import Address
from puna.engines.bodies import PIECE, pieces, pieces_now
from puna.engines.openai import OpenAI
from puna.engines.timeouts import Timeouts
from puna.errors import EndpointError
from tests.engines.openai_server import whole
from tests.engines.strange import strange

GZIP = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n"


def bomb(data: bytes, size: int) -> bytes:
    """Gzip of so many bytes, a thousandth as long."""
    packed = zlib.compressobj(1, zlib.DEFLATED, 31)
    block = data * (2**16 // len(data))
    return b"".join(packed.compress(block) for _ in range(size // len(block))) + packed.flush()


def answer(data: bytes, encoding: str | None = "gzip") -> httpx.Response:
    headers = {} if encoding is None else {"Content-Encoding": encoding}
    return httpx.Response(
        200, headers=headers, stream=httpx.ByteStream(data), request=httpx.Request("GET", "http://h/v1")
    )


def both(data: bytes, encoding: str | None = "gzip") -> list[bytes]:
    """The pieces, which are the same for the client that waits and the one that blocks."""

    async def read() -> list[bytes]:
        return [piece async for piece in pieces(answer(data, encoding))]

    found = list(pieces_now(answer(data, encoding)))
    assert asyncio.run(read()) == found
    return found


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"Hello", None),
        (b"Hello", "identity"),
        (gzip.compress(b"Hello"), "gzip"),
        (gzip.compress(b"Hello"), "X-GZIP"),
        (zlib.compress(b"Hello"), "deflate"),
    ],
)
def test_what_was_sent_is_read(data, encoding):
    assert both(data, encoding) == [b"Hello"]


@pytest.mark.parametrize(("data", "encoding"), [(b"x" * 2**20, None), (bomb(b"x", 2**20), "gzip")])
def test_no_piece_is_long_and_none_is_lost(data, encoding):
    found = both(data, encoding)
    assert b"".join(found) == b"x" * 2**20
    assert max(map(len, found)) == PIECE


@pytest.mark.parametrize(
    ("data", "encoding", "part"),
    [
        (b"rubbish", "gzip", "http://h/v1 says that its answer is gzip, but it is not"),
        (b"rubbish", "br", "http://h/v1 answered in the encoding 'br', where gzip or none was asked for"),
        (b"rubbish", "gzip, gzip", "in the encoding 'gzip, gzip'"),
    ],
)
def test_what_cannot_be_read_is_said(data, encoding, part):
    with pytest.raises(EndpointError) as caught:
        both(data, encoding)
    assert part in str(caught.value)


@pytest.mark.parametrize(("api", "most"), [("auto", 35), ("openai", 85), ("sagemaker", 35)])
def test_a_list_of_models_that_inflates_without_end_takes_no_memory(api, most):
    """most: MiB; the question of the second may be answered by 64."""

    async def scenario():
        async with strange([GZIP, bomb(b" ", 2**29)]) as url:
            await config.open_address(
                Address(url, api, name="e" if api == "sagemaker" else None, retries=0, timeouts=Timeouts(first=60))
            )

    tracemalloc.start()
    try:
        with pytest.raises(EndpointError):
            asyncio.run(scenario())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < most * 2**20  # with what httpx inflates of 64 KiB at a time it is 44, 109 and 44


def test_only_gzip_is_asked_for():
    async def scenario():
        heads = []

        async def handle(reader, writer):
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(whole(404, b"{}"))
            writer.close()

        listening = await asyncio.start_server(handle, "127.0.0.1", 0)
        engine = OpenAI(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", "m")
        await engine.start()
        await engine.reachable()
        await engine.close()
        listening.close()
        return heads

    heads = asyncio.run(scenario())
    assert len(heads) > 1
    assert all(b"\r\naccept-encoding: gzip\r\n" in head.lower() for head in heads)
