"""Several generations with one prompt: what is shared, and that nothing else is. What needs the model is marked."""

import asyncio
import gc
import os
import signal
import stat
from collections.abc import AsyncGenerator
from contextlib import aclosing

import httpx
import pytest

from puna import config
from puna.engines import sharing
from puna.engines.contents import Contents
from puna.engines.scripted import Scripted
from puna.errors import EngineStoppedError, InputError
from puna.generation import NO_EXTRAS, Delta, End, Extras, Kind, Prompt, Receipt, Sampling, Segment
from puna.turn import Ask, together
from tests.engines.engine import on_engine

LONG = Prompt((), tuple((n * 31) % 40_000 + 100 for n in range(100)))

EACH = [
    Sampling(temperature=0, max_tokens=12, seed=1),
    *(Sampling(temperature=0.4 + n / 4, top_k=0, max_tokens=12, seed=n) for n in range(3)),
]


async def read(stream):
    """Text and end."""
    found = [event async for event in stream]
    return "".join(event.text for event in found if isinstance(event, Delta)), found[-1]


async def ids_of(stream):
    return [token.id async for event in stream if isinstance(event, Delta) for token in event.logprobs]


async def read_all(engine, prompt=LONG, each=EACH):
    return await asyncio.gather(*map(read, engine.together(prompt, [(one, NO_EXTRAS) for one in each])))


async def cool(engine):
    """Something else in every slot."""
    short = Sampling(max_tokens=1, seed=0)
    await asyncio.gather(*[read(engine.stream(Prompt((), (5000 + n, 7)), short)) for n in range(engine.slots.size)])


async def alone(engine, prompt=LONG, each=EACH):
    texts = []
    for one in each:
        await cool(engine)
        texts.append((await read(engine.stream(prompt, one)))[0])
    return texts


def files(engine):
    return list(engine.folder.iterdir())


async def idle(engine):
    """Until llama.cpp has noticed that all have gone."""
    async with asyncio.timeout(30):
        while True:
            async with engine.http.get("/slots") as answered:
                if not any(slot["is_processing"] for slot in await answered.json()) and not engine.slots.busy:
                    return
            await asyncio.sleep(0.02)


@pytest.mark.model
def test_texts_are_those_that_each_gives_alone_cold_and_warm_and_the_prompt_is_evaluated_once(model_home):
    async def work(engine):
        expected = await alone(engine)
        await cool(engine)
        cold = await read_all(engine)
        warm = await read_all(engine)
        assert [text for text, _ in cold] == [text for text, _ in warm] == expected
        assert len(set(expected)) == 4
        assert [end.usage.prompt for _, end in cold] == [100] * 4
        assert sorted(end.usage.evaluated for _, end in cold) == [1, 1, 1, 100]
        assert [end.usage.evaluated for _, end in warm] == [1] * 4
        assert files(engine) == []

    on_engine(model_home, work, slots=4)


@pytest.mark.model
def test_more_variants_than_slots_beside_other_requests(model_home):
    others = [Prompt((), tuple(range(7000 + 100 * n, 7080 + 100 * n))) for n in range(3)]
    each = [Sampling(temperature=1, max_tokens=4 + n, seed=n) for n in range(7)]

    async def work(engine):
        expected = await alone(engine, each=each)
        beside = [(await alone(engine, other, EACH[1:2]))[0] for other in others]
        await cool(engine)
        found, *told = await asyncio.gather(
            read_all(engine, each=each), *(read(engine.stream(other, EACH[1])) for other in others)
        )
        assert [text for text, _ in found] == expected
        assert [end.usage.output for _, end in found] == list(range(4, 11))
        assert [text for text, _ in told] == beside
        assert sum(end.usage.evaluated for _, end in found) <= 1.2 * 100
        assert files(engine) == []
        assert (engine.slots.busy, engine.slots.waiting) == (0, 0)

    on_engine(model_home, work, slots=3)


@pytest.mark.model
@pytest.mark.parametrize("when", ["evaluating", "saving", "answering"])
def test_whoever_leaves_the_others_have_their_answers(model_home, when, monkeypatch):
    """The first one, which evaluates the prompt for all: another one takes over."""
    begun = asyncio.Event()
    if when == "saving":
        act = sharing._act

        async def seen(served, slot, action, name):
            begun.set()
            return await act(served, slot, action, name)

        monkeypatch.setattr(sharing, "_act", seen)

    async def work(engine):
        expected = await alone(engine)
        await cool(engine)
        streams = engine.together(LONG, [(one, NO_EXTRAS) for one in EACH])
        leaver = asyncio.ensure_future(anext(streams[0]))
        await asyncio.sleep(0)
        others = [asyncio.ensure_future(read(stream)) for stream in streams[1:]]
        if when == "answering":
            await leaver
            await streams[0].aclose()
        else:
            await (begun.wait() if when == "saving" else asyncio.sleep(0.05))
            leaver.cancel()
            await asyncio.wait({leaver})
        found = await asyncio.gather(*others)
        assert [text for text, _ in found] == expected[1:]
        await idle(engine)
        assert files(engine) == []

    on_engine(model_home, work, slots=4)


@pytest.mark.model
def test_when_all_leave_nothing_is_left(model_home):
    async def work(engine):
        for seconds in (0, 0.02, 0.1, 0.3, 0.6):
            await cool(engine)
            tasks = [
                asyncio.ensure_future(read(stream)) for stream in engine.together(LONG, [(EACH[1], NO_EXTRAS)] * 7)
            ]
            await asyncio.sleep(seconds)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert (engine.slots.busy, engine.slots.waiting) == (0, 0)
            await idle(engine)
            assert files(engine) == []
        # Streams that never began tell nobody that they end.
        streams = [*engine.together(LONG, [(EACH[1], NO_EXTRAS)] * 3)]
        await anext(streams[0])
        assert len(files(engine)) == 1
        await streams[0].aclose()
        for stream in streams[1:]:
            await stream.aclose()
        streams.clear()
        del stream
        gc.collect()
        assert files(engine) == []

    on_engine(model_home, work, slots=3)


@pytest.mark.model
def test_a_refusal_of_one_is_its_own(model_home):
    async def work(engine):
        expected = await alone(engine)
        variants = [(one, NO_EXTRAS) for one in EACH]
        variants[0] = (EACH[0], Extras(schema='{"pattern": "a"}'))
        await cool(engine)
        first, *others = await asyncio.gather(*map(read, engine.together(LONG, variants)), return_exceptions=True)
        assert isinstance(first, InputError)
        assert [one[0] for one in others if not isinstance(one, BaseException)] == expected[1:]
        assert files(engine) == []

    on_engine(model_home, work, slots=2)


@pytest.mark.model
@pytest.mark.parametrize("moment", [0.0, 0.1, 0.5, 1.5])
def test_a_process_that_is_killed_ends_what_it_held_and_the_rest_goes_to_the_next_one(model_home, moment):
    async def work(engine):
        folder = engine.folder
        each = [Sampling(temperature=1, max_tokens=60, seed=n) for n in range(5)]
        streams = engine.together(LONG, [(one, NO_EXTRAS) for one in each])
        tasks = [asyncio.ensure_future(read(stream)) for stream in streams]
        while not engine.slots.busy:
            await asyncio.sleep(0)
        await asyncio.sleep(moment)
        os.kill(engine.worker.pid, signal.SIGKILL)
        async with asyncio.timeout(120):
            found = await asyncio.gather(*tasks, return_exceptions=True)
        failed = [one for one in found if isinstance(one, BaseException)]
        assert all(isinstance(one, EngineStoppedError) for one in failed)
        assert len(failed) <= 4
        assert all(isinstance(one[1], End) for one in found if not isinstance(one, BaseException))
        assert not folder.exists()
        while not engine.ready:
            await asyncio.sleep(0.01)
        assert engine.folder != folder
        assert files(engine) == []

    on_engine(model_home, work, slots=2)


@pytest.mark.model
def test_the_folder_is_private_and_goes_with_the_engine_and_a_stranger_cannot_save(model_home):
    async def work(engine):
        assert stat.S_IMODE(engine.folder.stat().st_mode) == 0o700
        async with httpx.AsyncClient(trust_env=False) as stranger:
            for action in ("save", "restore", "erase"):
                url = f"{engine.address}/slots/0?action={action}"
                assert (await stranger.post(url, json={"filename": "x"})).status_code == 401
        for name in ("../x", "/tmp/x", "a/b", ".."):  # noqa: S108
            async with engine.http.post("/slots/0?action=save", json={"filename": name}) as answer:
                assert answer.status == 400
        return engine.folder

    assert not on_engine(model_home, work).exists()


@pytest.mark.model
def test_without_room_for_a_file_each_evaluates_for_itself(model_home):
    async def work(engine):
        expected = await alone(engine)
        await cool(engine)
        engine.folder.chmod(0o500)
        engine.folder.rename(engine.folder.with_suffix(".away"))
        try:
            found = await read_all(engine)
        finally:
            engine.folder.with_suffix(".away").rename(engine.folder)
        assert [text for text, _ in found] == expected
        assert [end.usage.evaluated for _, end in found] == [100] * 4

    on_engine(model_home, work, slots=4)


@pytest.mark.model
def test_a_chat_that_goes_on_finds_its_slot_among_others_that_began_alike(model_home):
    async def work(engine):
        streams = engine.together(LONG, [(one, Extras(logprobs=0)) for one in EACH])
        found = await asyncio.gather(*[ids_of(stream) for stream in streams])
        for ids, one in [*zip(found, EACH, strict=True)][::-1]:
            _, end = await read(engine.stream(Prompt((), (*LONG.ids, *ids)), one))
            assert end.usage.cached >= len(LONG.ids) + len(ids) - 1

    on_engine(model_home, work, slots=4)


@pytest.mark.model
def test_turns_of_one_prompt_share_it_and_others_do_not(model_home):
    async def scenario():
        wanted = config.settings({"threads": 1, "batch_threads": 1, "context": 1024, "slots": 4})
        spine = await config.open_spine(wanted, config.find_model(wanted))
        try:
            text = "<s>[INST] " + "Tell me about the sea and the mountains. " * 9 + "[/INST]"
            ask = Ask(text, Sampling(max_tokens=6, seed=1, temperature=1))
            turns = [await spine.prepare(ask) for _ in range(2)] + [(await spine.prepare(ask)).again(5)]
            same = await asyncio.gather(*map(read, together(turns)))
            other = await spine.prepare(Ask("<s>[INST] Hi [/INST]", Sampling(max_tokens=6, seed=1)))
            mixed = await asyncio.gather(*map(read, together([turns[0], other])))
        finally:
            await spine.engine.close()
        assert all(isinstance(receipt, Receipt) for _, receipt in same + mixed)
        assert [receipt.sampling.seed for _, receipt in same] == [1, 1, 6]
        assert sorted(receipt.usage.evaluated for _, receipt in same)[:2] == [1, 1]
        assert same[0][0] == same[1][0] == mixed[0][0] != same[2][0]

    asyncio.run(scenario())


def test_an_engine_without_a_cache_answers_each_by_itself():
    async def scenario():
        engine = Scripted(slots=2)
        prompt = Prompt((Segment(Kind.CONTENT, "one two three"),), (1, 2, 3))
        streams = engine.together(prompt, [(Sampling(max_tokens=n), NO_EXTRAS) for n in (1, 2, 9)])
        assert all(isinstance(stream, AsyncGenerator) for stream in streams)
        async with aclosing(streams[2]):
            assert [(await read(stream))[1].usage.output for stream in streams[:2]] == [1, 2]
        assert engine.slots.busy == 0
        assert together([]) == []

    asyncio.run(scenario())


def test_a_slot_is_chosen_by_what_it_holds_and_else_by_how_long_it_has_rested():
    contents = Contents(4)
    prompt = tuple(range(100))
    assert contents.best(prompt, [2, 0, 1]) == 2
    contents.put(0, prompt[:9])
    assert contents.best(prompt, [2, 0, 1]) == 2  # a tenth at most is no likeness
    contents.put(1, (*prompt[:50], 7))
    contents.put(3, prompt[:60])
    assert contents.best(prompt, [2, 0, 1]) == 1
    assert contents.best(prompt, [2, 0, 1, 3]) == 3
    contents.put(2, prompt[:60])
    assert [contents.best(prompt, free) for free in ([2, 3], [3, 2])] == [2, 3]


@pytest.mark.parametrize("held", [0, 1, 2, 31, 32, 33, 100])
def test_common_tokens_are_counted_from_the_front(held):
    contents, prompt = Contents(1), tuple(range(64))
    contents.put(0, prompt[:held])
    assert contents.common(0, prompt) == min(held, 64)
    contents.put(0, (*prompt[:held], -1, *prompt[held + 1 :]))
    assert contents.common(0, prompt) == min(held, 64)


def test_what_a_slot_holds_is_heard():
    contents, prompt = Contents(1), (1, 2, 3, 4)
    contents.put(0, (9, 9, 9, 9, 9))
    contents.hear(0, prompt, {"prompt_progress": {"processed": 2}})
    assert contents.common(0, prompt) == 2
    contents.hear(0, prompt, {"content": "a", "tokens": [5]})
    contents.hear(0, prompt, {"content": "b", "tokens": [6], "stop": False})
    contents.hear(0, prompt, {"content": "", "stop": True})
    assert contents.common(0, (1, 2, 3, 4, 5, 6, 7)) == 6


def test_a_short_work_is_done_to_its_end_whoever_leaves():
    async def scenario():
        done = []

        async def work(error=None):
            await asyncio.sleep(0.02)
            done.append(1)
            if error:
                raise error

        for error in (None, ValueError("nobody hears it")):
            task = asyncio.ensure_future(sharing.whole(work(error)))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        with pytest.raises(ValueError, match="heard"):
            await sharing.whole(work(ValueError("heard")))
        assert done == [1, 1, 1]

    asyncio.run(scenario())
