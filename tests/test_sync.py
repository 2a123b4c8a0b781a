import asyncio
import gc
import threading
import warnings

import pytest

from puna.errors import InputError
from puna.sync import bridge


async def numbers(closed):
    try:
        for n in range(1000):
            yield n
            await asyncio.sleep(0)
    finally:
        closed.append(True)


def test_a_result_and_an_error_come_back():
    async def good():
        return threading.current_thread().name

    async def bad():
        raise ValueError("no")

    assert bridge().run(good) == "puna"
    with pytest.raises(ValueError, match="no"):
        bridge().run(bad)


def test_items_come_in_order_and_the_iterator_is_closed():
    closed: list[bool] = []
    assert list(bridge().iterate(numbers(closed))) == list(range(1000))
    assert closed == [True]


def test_leaving_early_closes_the_iterator_before_going_on():
    closed: list[bool] = []
    items = bridge().iterate(numbers(closed))
    next(items)
    items.close()
    assert closed == [True]


def test_it_works_where_a_loop_runs_already():
    async def as_in_jupyter():
        return list(bridge().iterate(numbers([])))[:3]

    assert asyncio.run(as_in_jupyter()) == [0, 1, 2]


def test_an_error_in_the_middle_comes_after_what_was_before_it():
    async def breaking():
        yield 1
        raise OSError("cut")

    seen = []
    with pytest.raises(OSError, match="cut"):
        for item in bridge().iterate(breaking()):
            seen.append(item)
    assert seen == [1]


def test_a_synchronous_call_on_the_bridges_own_loop_is_refused_and_does_not_hang():
    async def inner():
        return 1

    async def outer():
        return bridge().run(inner)

    with pytest.raises(InputError, match="would wait for itself for ever"):
        bridge().run(outer)
    assert bridge().run(inner) == 1


@pytest.mark.parametrize("asked", [True, False], ids=["asked for", "not asked for"])
def test_an_interrupt_before_the_first_step_leaves_nothing_behind(monkeypatch, asked):
    """The loop is held, so that the interrupt comes where no reader can be made to wait: before the work has begun."""
    free, calls, begun = threading.Event(), [], []
    schedule = bridge().loop.call_soon_threadsafe

    def interrupted(callback, *args):
        calls.append(callback)
        if len(calls) > 1:
            schedule(callback, *args)
            free.set()
            return
        if asked:
            schedule(callback, *args)
        raise KeyboardInterrupt

    async def work():
        begun.append(True)

    schedule(free.wait)
    monkeypatch.setattr(bridge().loop, "call_soon_threadsafe", interrupted)
    with warnings.catch_warnings(record=True) as told, pytest.raises(KeyboardInterrupt):
        warnings.simplefilter("always")
        bridge().run(work)
    monkeypatch.undo()
    free.set()
    bridge().run(asyncio.sleep, 0)  # whatever was left on the loop has had its step
    gc.collect()
    assert (begun, [str(warning.message) for warning in told]) == ([], [])
