import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


class Crowd:
    """Callers of ``Slots``, numbered as they came; what each has met is noted."""

    def __init__(self, size):
        self.slots = Slots(size, 1000)
        self.callers = []
        self.served = []
        self.most = 0

    async def _call(self, number, release):
        async with self.slots.slot():
            self.served.append(number)
            self.most = max(self.most, self.slots.busy)
            await release.wait()

    def act(self, action, at):
        """One thing that may happen between two steps of the loop; ``at`` picks whom it happens to."""
        if action == "come":
            release = asyncio.Event()
            task = asyncio.create_task(self._call(len(self.callers), release))
            self.callers.append((task, release))
        elif self.callers and action == "leave":
            self.callers[at % len(self.callers)][0].cancel()
        elif self.callers and action == "finish":
            self.callers[at % len(self.callers)][1].set()

    async def settle(self):
        for _ in range(3 * len(self.callers) + 5):
            await asyncio.sleep(0)

    @property
    def alive(self):
        return sum(not task.done() for task, _ in self.callers)


ACTIONS = st.tuples(st.sampled_from(["come", "come", "leave", "finish", "step", "settle"]), st.integers(0, 40))


@given(st.integers(1, 3), st.lists(ACTIONS, max_size=60))
def test_whoever_leaves_and_whenever_the_order_is_kept_and_no_slot_is_lost(size, actions):
    async def scenario():
        crowd = Crowd(size)
        for action, at in actions:
            crowd.act(action, at)
            if action == "step":
                await asyncio.sleep(0)
            if action == "settle":
                await crowd.settle()
                # A slot that is free while somebody waits is as good as lost.
                assert crowd.slots.busy == min(size, crowd.alive)
                assert crowd.slots.waiting == crowd.alive - crowd.slots.busy
        for _, release in crowd.callers:
            release.set()
        await asyncio.gather(*(task for task, _ in crowd.callers), return_exceptions=True)
        assert crowd.served == sorted(crowd.served)
        assert crowd.most <= size
        assert (crowd.slots.busy, crowd.slots.waiting) == (0, 0)
        again = Crowd(size)
        again.slots = crowd.slots
        for _ in range(size):
            again.act("come", 0)
        await again.settle()
        assert crowd.slots.busy == size
        for task, _ in again.callers:
            task.cancel()
        await again.settle()

    asyncio.run(scenario())
