"""The bytes of an answer's body, a little at a time, however far they inflate. Knows gzip and its rubbish; nothing of what is said.

httpx inflates all that has come at once: of 64 KiB that may be 64 MiB, and far more by other encodings. So the raw bytes are taken, and
inflated piece by piece; who reads them counts, and stops.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, Iterator, Mapping

import httpx

from puna.errors import EndpointError
from puna.wire.strictjson import shown

PIECE = 2**16
"""Bytes of one piece at most."""

ACCEPTED: Mapping[str, str] = {"Accept-Encoding": "gzip"}
"""To be sent with every request, since httpx asks for whatever can be read where it is installed."""

_GZIP = frozenset({"gzip", "x-gzip", "deflate"})
_EITHER = 32 + zlib.MAX_WBITS
"""Of zlib: finds out itself which of gzip and deflate it is."""


async def pieces(answer: httpx.Response) -> AsyncGenerator[bytes, None]:
    """The body as it comes, inflated.

    Raises:
        EndpointError: it is not what its Content-Encoding says, or in one that was not asked for.
    """
    inflate = _Inflating(answer)
    async for data in answer.aiter_raw():
        for piece in inflate(data):
            yield piece
            await asyncio.sleep(0)  # much may come of little: others are served meanwhile, and time-outs are met


def pieces_now(answer: httpx.Response) -> Iterator[bytes]:
    """The same of a client that blocks; raises as ``pieces``."""
    inflate = _Inflating(answer)
    for data in answer.iter_raw():
        yield from inflate(data)


class _Inflating:
    """Raw bytes in, pieces out."""

    def __init__(self, answer: httpx.Response) -> None:
        self._url = str(answer.url)
        encoding = answer.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"", "identity", *_GZIP}:
            raise EndpointError(
                f"{self._url} answered in the encoding {encoding[:40]!r}, where gzip or none was asked for; is there a proxy before it that encodes?"
            )
        self._zlib = zlib.decompressobj(_EITHER) if encoding in _GZIP else None

    def __call__(self, data: bytes) -> Iterator[bytes]:
        if self._zlib is None:
            for start in range(0, len(data), PIECE):
                yield data[start : start + PIECE]
            return
        try:
            while piece := self._zlib.decompress(data, PIECE):
                yield piece
                data = self._zlib.unconsumed_tail
        except zlib.error as error:
            raise EndpointError(
                f"{self._url} says that its answer is gzip, but it is not ({error}); what came begins {shown(data)}; is there a proxy before it "
                "that breaks it?"
            ) from None
