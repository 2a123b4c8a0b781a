from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from puna.server.merging import merged


class Source:
    """Numbers that come when the test says so."""

    def __init__(self, items: list[int | Exception]) -> None:
        self.items = items
        self.closed = False

    async def stream(self) -> AsyncGenerator[int, None]:
        try:
            for item in self.items:
                await asyncio.sleep(0)
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.closed = True


@pytest.mark.parametrize("sources", [[[1, 2, 3]], [[1, 2], [], [3, 4, 5]]])
def test_everything_comes_each_stream_in_its_order(sources: list[list[int | Exception]]) -> None:
    async def run() -> list[tuple[int, int]]:
        return [event async for event in merged([Source(items).stream() for items in sources], 2)]

    found = asyncio.run(run())
    for n, items in enumerate(sources):
        assert [item for m, item in found if m == n] == items


def test_the_first_error_ends_all() -> None:
    sources = [Source([1, ValueError("broke"), 2]), Source(list(range(1000)))]

    async def run() -> None:
        async for _ in merged([source.stream() for source in sources], 2):
            pass

    with pytest.raises(ValueError, match="broke"):
        asyncio.run(run())
    assert all(source.closed for source in sources)


@pytest.mark.parametrize("count", [1, 3])
def test_leaving_early_closes_all(count: int) -> None:
    sources = [Source(list(range(1000))) for _ in range(count)]

    async def run() -> None:
        async with aclosing(merged([source.stream() for source in sources], count)) as events:
            async for _ in events:
                break

    asyncio.run(run())
    assert all(source.closed for source in sources)


def test_only_so_many_begin_at_a_time() -> None:
    sources = [Source(list(range(5))) for _ in range(6)]
    begun: list[int] = []
    ended: set[int] = set()

    async def run() -> None:
        async for n, item in merged([source.stream() for source in sources], 2):
            if item == 0:
                begun.append(n)
                assert len(begun) - len(ended) <= 2
            if item == 4:
                ended.add(n)

    asyncio.run(run())
    assert sorted(begun) == list(range(6))
