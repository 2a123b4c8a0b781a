import asyncio

import pytest

from puna.engines.admission import Slots
from puna.errors import EngineBusyError, EngineStoppedError


async def until(condition):
    """Let other tasks run until the condition holds; a bounded number of rounds, no clock."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    pytest.fail("the condition never held")


async def hold(slots, release, order, name):
    async with slots.slot():
        order.append(name)
        await release.wait()


def test_slots_go_in_the_order_of_asking():
    async def scenario():
        slots, release = Slots(1, 9), asyncio.Event()
        order: list[int] = []
        tasks = [asyncio.create_task(hold(slots, release, order, n)) for n in range(4)]
        await until(lambda: slots.waiting == 3)
        release.set()
        await asyncio.gather(*tasks)
        return order, slots.busy, slots.waiting

    assert asyncio.run(scenario()) == ([0, 1, 2, 3], 0, 0)


def test_a_full_queue_refuses_at_once_and_says_how_many_wait():
    async def scenario():
        slots, release = Slots(1, 1), asyncio.Event()
        tasks = [asyncio.create_task(hold(slots, release, [], n)) for n in range(2)]
        await until(lambda: slots.waiting == 1)
        with pytest.raises(EngineBusyError, match="1 requests wait"):
            async with slots.slot():
                pass
        release.set()
        await asyncio.gather(*tasks)

    asyncio.run(scenario())


def test_a_cancelled_wait_leaves_its_place_to_the_next():
    async def scenario():
        slots, release = Slots(1, 9), asyncio.Event()
        order: list[int] = []
        tasks = [asyncio.create_task(hold(slots, release, order, n)) for n in range(3)]
        await until(lambda: slots.waiting == 2)
        tasks[1].cancel()
        await until(lambda: slots.waiting == 1)
        release.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        return order, slots.busy

    assert asyncio.run(scenario()) == ([0, 2], 0)


def test_closing_sends_away_all_who_wait_and_all_who_come():
    async def scenario():
        slots, release = Slots(1, 9), asyncio.Event()
        first = asyncio.create_task(hold(slots, release, [], 0))
        waiting = [asyncio.create_task(hold(slots, release, [], n)) for n in range(3)]
        await until(lambda: slots.waiting == 3)
        slots.close()
        gone = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(error, EngineStoppedError) for error in gone)
        release.set()
        await first
        with pytest.raises(EngineStoppedError):
            async with slots.slot():
                pass

    asyncio.run(scenario())
