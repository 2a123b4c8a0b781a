"""An engine's process that ends, stops or cannot be started: what callers meet meanwhile, and that nothing is left over.

The workers here are real processes without a model; tests/engines/test_llamacpp.py has the same with one.
"""

import asyncio
import os
import signal
import threading
import time
from contextlib import asynccontextmanager

import psutil
import pytest

from puna.engines import llamacpp, watch
from puna.engines.llamacpp import LlamaCpp, LlamaCppSettings
from puna.engines.watch import Watch, pause
from puna.errors import EngineError, EngineLoadingError, EngineStoppedError, ModelFileError
from puna.generation import Kind, Segment
from puna.messages import Role

WORKER = """
import json, os, pathlib, signal, sys
settings = json.loads(sys.stdin.readline())
model = pathlib.Path(settings["path"])
orders = (model.parent / "orders").read_text().split()
(model.parent / "pid").write_text(str(os.getpid()))
if "stop" in orders:
    (model.parent / "orders").write_text("")
    os.kill(os.getpid(), signal.SIGSTOP)
if "hang" in orders:
    signal.pause()
if "die" in orders:
    sys.exit("error: the worker was told to die")
said = {"error": "no such tensor"} if "refuse" in orders else {"address": "http://127.0.0.1:9", "build": "fake-1", "gpu": False}
print(json.dumps(said), flush=True)
if "refuse" not in orders:
    sys.stdin.read()
"""

HELLO = (Segment(Kind.CONTENT, "hello", Role.USER),)


async def until(condition, seconds=20):
    """Wait for what must come; the bound is only for a test that fails."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail("the condition never held")
        await asyncio.sleep(0.002)


def leftovers():
    return psutil.Process().num_fds(), threading.active_count(), len(psutil.Process().children())


@asynccontextmanager
async def nothing_left():
    """No descriptor, thread, process or task more than before."""
    before, tasks = leftovers(), asyncio.all_tasks()
    yield
    await until(lambda: leftovers() == before and asyncio.all_tasks() <= tasks)


class Stage:
    """A folder with a model file that the worker takes for one, and orders for the worker."""

    def __init__(self, folder):
        self.folder = folder
        self.model = folder / "model.gguf"
        self.model.write_text("a model")
        self.order("")
        self.said = []

    def order(self, words):
        (self.folder / "orders").write_text(words)
        (self.folder / "pid").unlink(missing_ok=True)

    def engine(self):
        log = self.folder / "log"
        settings = LlamaCppSettings(self.model, "m", 64, slots=2, threads=1, batch_threads=1, log=log, control={})
        return LlamaCpp(settings, tell=self.said.append)

    async def loading(self):
        """The worker has begun; it is where its orders lead it."""
        await until((self.folder / "pid").exists)


@pytest.fixture
def stage(tmp_path, monkeypatch):
    (tmp_path / "told_worker.py").write_text(WORKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(llamacpp, "WORKER", "told_worker")
    return Stage(tmp_path)


def played(scenario):
    """Run a scenario and see that it leaves nothing."""

    async def checked():
        async with asyncio.timeout(60), nothing_left():
            await scenario()

    asyncio.run(checked())


@pytest.mark.parametrize(
    ("number", "how"), [("SIGKILL", "(SIGKILL)"), ("SIGABRT", "(SIGABRT)"), ("SIGSTOP", "(it was stopped")]
)
def test_a_process_that_ends_or_stops_is_replaced_and_it_is_told(stage, number, how):
    async def scenario():
        engine = stage.engine()
        await engine.start()
        first = engine.worker.pid
        os.kill(first, getattr(signal, number))
        await until(lambda: not engine.ready)
        assert engine.state == "restarting"
        await until(lambda: engine.ready)
        assert engine.worker.pid != first
        assert not psutil.pid_exists(first)
        assert (engine.state, engine.restarts) == ("ready", 1)
        await engine.close()
        assert engine.state == "stopped"

    played(scenario)
    ended, back = stage.said
    assert ended.startswith(f"the engine process has ended {how}")
    assert ended.endswith("; loading the model again")
    assert back.startswith("the engine is back after ")


def test_a_process_that_is_stopped_while_it_loads_is_found_out(stage):
    async def scenario():
        stage.order("stop")
        engine = stage.engine()
        with pytest.raises(EngineError, match="while it loaded the model .it was stopped"):
            await engine.start()
        assert (engine.state, engine.ready) == ("stopped", False)
        await engine.start()  # the start may be tried again
        await engine.close()

    played(scenario)


def test_while_it_loads_a_new_request_is_refused_and_an_accepted_one_waits(stage):
    async def scenario():
        engine = stage.engine()
        with pytest.raises(EngineStoppedError, match="start it first"):
            await engine.encode(HELLO)
        stage.order("hang")
        starting = asyncio.create_task(engine.start())
        await stage.loading()
        assert engine.state == "loading"
        with pytest.raises(EngineLoadingError, match="being loaded; ask again"):
            await engine.encode(HELLO)
        scored = asyncio.create_task(engine.score((1, 2), 0))
        await until(lambda: engine.slots.busy == 1)
        await engine.close()
        for task in (starting, scored):
            with pytest.raises(EngineStoppedError, match="has been closed"):
                await task
        assert (engine.slots.busy, engine.slots.waiting) == (0, 0)

    played(scenario)


def test_while_it_is_loaded_again_the_refusal_says_so(stage):
    async def scenario():
        engine = stage.engine()
        await engine.start()
        stage.order("hang")
        os.kill(engine.worker.pid, signal.SIGKILL)
        await stage.loading()
        assert engine.state == "restarting"
        with pytest.raises(EngineLoadingError, match="again, after its process ended; ask again"):
            await engine.encode(HELLO)
        await engine.close()  # in the middle of it

    played(scenario)


@pytest.mark.parametrize("moment", ["at once", "spawned", "loading"])
def test_a_cancelled_start_returns_at_once_and_leaves_no_process(stage, moment):
    async def scenario():
        stage.order("hang")
        engine = stage.engine()
        starting = asyncio.create_task(engine.start())
        await asyncio.sleep(0)
        if moment == "spawned":
            await until(lambda: psutil.Process().children())
        elif moment == "loading":
            await stage.loading()
        began = time.monotonic()
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert time.monotonic() - began < 1
        assert engine.state == "stopped"
        stage.order("")
        await engine.start()
        assert engine.ready
        await engine.close()

    played(scenario)


def test_two_starts_are_one_and_closing_twice_is_closing(stage):
    async def scenario():
        engine = stage.engine()
        first, second = await asyncio.gather(engine.start(), engine.start())
        assert first == second == await engine.start()
        assert (first.build, first.reproducible) == ("fake-1", True)
        assert len(psutil.Process().children()) == 1
        await asyncio.gather(engine.close(), engine.close())
        await engine.close()
        with pytest.raises(EngineStoppedError, match="make a new one"):
            await engine.start()

    played(scenario)


def test_a_start_outlives_the_cancellation_of_another(stage):
    async def scenario():
        stage.order("hang")
        engine = stage.engine()
        first, second = asyncio.create_task(engine.start()), asyncio.create_task(engine.start())
        await stage.loading()
        stage.order("")
        first.cancel()
        await second
        assert engine.ready
        await engine.close()

    played(scenario)


@pytest.mark.parametrize(
    ("orders", "kind", "told"), [("die", EngineError, "told to die"), ("refuse", ModelFileError, "no such tensor")]
)
def test_a_first_load_that_fails_is_raised(stage, orders, kind, told):
    async def scenario():
        stage.order(orders)
        engine = stage.engine()
        with pytest.raises(kind, match=told):
            await engine.start()
        assert engine.state == "stopped"
        with pytest.raises(EngineStoppedError, match=told):
            await engine.encode(HELLO)
        await engine.close()

    played(scenario)


def test_what_an_earlier_process_said_last_is_no_cause_of_a_later_ones_end(stage):
    async def scenario():
        engine = stage.engine()
        stage.order("die")
        with pytest.raises(EngineError, match="told to die"):
            await engine.start()
        stage.order("")
        await engine.start()
        os.kill(engine.worker.pid, signal.SIGKILL)
        await until(lambda: stage.said)
        await engine.close()

    played(scenario)
    assert "told to die" not in stage.said[0]


def test_a_file_that_has_gone_is_waited_for_and_another_one_is_not_taken(stage, monkeypatch):
    monkeypatch.setattr(watch, "pause", lambda failures: min(failures, 1) / 20)

    async def scenario():
        engine = stage.engine()
        await engine.start()
        away = stage.model.rename(stage.folder / "away")
        os.kill(engine.worker.pid, signal.SIGKILL)
        await until(lambda: engine.trouble and "put it back" in engine.trouble)
        assert engine.state == "restarting"
        for refused in (engine.encode(HELLO), engine.score((1, 2), 0)):
            with pytest.raises(EngineLoadingError, match="model.gguf"):
                await refused
        stage.model.write_text("another model")
        await until(lambda: engine.trouble and "not the one" in engine.trouble)
        away.rename(stage.model)
        await until(lambda: engine.ready)
        assert (engine.trouble, engine.restarts) == (None, 1)
        await engine.close()

    played(scenario)
    assert any(
        line.startswith("the model could not be loaded again: cannot read the model file") for line in stage.said
    )


class FakeLife:
    """A life that ends when it is told to."""

    def __init__(self):
        self.running = True
        self.closed = False
        self._end = asyncio.Event()

    def die(self):
        self.running = False
        self._end.set()

    async def ended(self):
        await self._end.wait()
        return "it has ended"

    async def close(self):
        self.running = False
        self.closed = True


class Loader:
    """Loads fake lives. errors: raised by the next loads, in order. open: cleared, a load waits."""

    def __init__(self):
        self.lives = []
        self.errors = []
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self):
        await self.open.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.lives.append(FakeLife())
        return self.lives[-1]


async def end_of(watching, loader):
    """The end of a life, until the next one runs."""
    count = len(loader.lives)
    loader.lives[-1].die()
    await until(lambda: len(loader.lives) > count and watching.ready)


def test_ends_in_a_row_are_answered_later_and_later_and_a_steady_life_begins_anew(monkeypatch):
    asked = []

    def no_pause(failures):
        asked.append(failures)
        return 0

    monkeypatch.setattr(watch, "pause", no_pause)

    async def scenario():
        loader = Loader()
        watching = Watch(loader)
        await watching.start()
        for _ in range(5):
            await end_of(watching, loader)
        monkeypatch.setattr(watch, "STEADY_SECONDS", 0)
        loader.errors = [OSError("no memory")]
        await end_of(watching, loader)
        await watching.close()
        assert all(life.closed for life in loader.lives)

    asyncio.run(scenario())
    assert list(dict.fromkeys(asked[:-2])) == [0, 1, 2, 3]
    assert asked[-3:] == [0, 1, 1]  # steady; then a load that fails: once for its sentence, once for the pause


def test_pauses_grow_to_half_a_minute_and_after_mere_deaths_to_four_seconds():
    assert [pause(n) for n in range(9)] == [0, 1, 2, 4, 8, 16, 30, 30, 30]
    assert pause(100_000) == 30
    assert pause(watch.DEATHS_COUNTED) == 4


def test_who_waits_for_a_life_gets_the_next_one_or_hears_why_there_is_none(monkeypatch):
    monkeypatch.setattr(watch, "pause", lambda failures: 0)

    async def scenario():
        loader = Loader()
        watching = Watch(loader)
        await watching.start()
        loader.open.clear()
        loader.lives[0].die()
        waiting = [asyncio.create_task(watching.life()) for _ in range(3)]
        left = waiting.pop()
        await until(lambda: watching.state == "restarting")
        left.cancel()
        loader.open.set()
        assert await asyncio.gather(*waiting) == [loader.lives[1]] * 2

        loader.errors = [OSError("no memory")]
        loader.lives[1].die()
        with pytest.raises(EngineLoadingError, match="no memory"):
            await watching.life()
        await watching.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())


def test_a_log_that_cannot_be_written_ends_nothing():
    async def scenario():
        def broken(line):
            raise BrokenPipeError(line)

        loader = Loader()
        watching = Watch(loader, broken)
        await watching.start()
        loader.lives[0].die()
        await until(lambda: watching.restarts == 1)
        assert watching.ready
        await watching.close()

    asyncio.run(scenario())


def test_a_cancelled_watch_closes_what_it_held_and_says_that_nothing_runs():
    """As when a loop is shut down without the engine having been closed."""
    loaders = []

    async def scenario():
        loaders.append(Loader())
        watching = Watch(loaders[0])
        await watching.start()
        return watching

    watching = asyncio.run(scenario())
    assert loaders[0].lives[0].closed
    assert (watching.state, watching.ready) == ("stopped", False)
