"""What a reader may do with an answer while it comes."""

import asyncio
import gc
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import puna
from puna.engines.scripted import Scripted
from puna.errors import EngineError, InputError
from puna.generation import NO_EXTRAS, Delta, Finish

from .talks import Gate, contents, gated, on, receipt_of, seen

WORDS = ["one", " two", " three", " four"]


class Streams(RuleBasedStateMachine):
    """A stream is a list that grows: readers get its items in order, and looking changes nothing."""

    @initialize()
    def begin(self):
        self.chat, self.gate, self.engine = gated()
        self.stream = self.chat.stream("hi")
        self.come = 0
        self.begun = self.over = self.stopped = False
        self.readers = []
        self.read = 0

    def teardown(self):
        if hasattr(self, "chat"):
            self.stream.stop()
            assert self.engine.slots.busy == 0
            self.chat.close()

    @rule()
    def start(self):
        self.stream.start()
        self.begun = self.begun or not self.over

    @precondition(lambda self: self.begun and not self.over)
    @rule()
    def a_piece_comes(self):
        self.gate.let()
        if self.come < len(WORDS):
            self.come += 1
            seen(self.stream, self.come)
        if self.come == len(WORDS):
            assert self.stream.wait().text == "".join(WORDS)
            self.over = True

    @rule()
    def another_reader(self):
        self.readers.append((iter(self.stream), []))

    @precondition(lambda self: self.readers)
    @rule(data=st.data())
    def one_reads(self, data):
        reader, got = data.draw(st.sampled_from(self.readers))
        if len(got) < self.come:
            got.append(next(reader))
            assert got == WORDS[: len(got)]
        elif self.over:
            assert next(reader, None) is None

    @precondition(lambda self: self.readers)
    @rule(data=st.data())
    def one_leaves(self, data):
        entry = data.draw(st.sampled_from(self.readers))
        self.readers.remove(entry)
        entry[0].close()

    @rule()
    def next_of_the_stream_itself(self):
        if self.read < self.come:
            assert next(self.stream) == WORDS[self.read]
            self.read += 1
        elif self.over:
            assert next(self.stream, None) is None

    @rule(thread=st.booleans())
    def stop(self, thread):
        if thread:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(self.stream.stop).result()
        else:
            self.stream.stop()
        self.stopped = self.stopped or not self.over
        self.over = True
        assert self.engine.slots.busy == 0

    @precondition(lambda self: self.over)
    @rule()
    def the_whole(self):
        assert str(self.stream) == self.stream.wait().text == "".join(WORDS[: self.come])
        assert list(self.stream) == list(self.stream) == WORDS[: self.come]

    @invariant()
    def it_is_what_has_come(self):
        text = "".join(WORDS[: self.come])
        assert self.stream.text == text
        assert [delta.text for delta in self.stream.tokens] == WORDS[: self.come]
        assert (self.stream.reply is not None) == self.over
        assert (self.stream.receipt is not None) == (self.over and not self.stopped)
        assert contents(self.chat) == (["hi", text] if self.over and text else [])


TestStreams = Streams.TestCase
TestStreams.settings = settings(max_examples=60, stateful_step_count=25)


def test_a_stream_can_be_read_again_and_as_a_text():
    with puna.Chat(engine="scripted") as chat:
        stream = chat.stream("one two")
        assert str(stream) == "You said: one two"
        assert list(stream) == list(stream) == ["You", " said:", " one", " two"]
        assert receipt_of(stream).finish is Finish.STOP
        assert stream.reply == chat.reply
        assert str(stream.reply) == stream.text
        assert repr(stream) == "<Stream ended: 'You said: one two'>"


def test_nothing_is_asked_before_somebody_reads():
    with puna.Chat(engine="scripted") as chat:
        stream = chat.stream("one")
        assert (stream.text, stream.reply, stream.receipt, contents(chat)) == ("", None, None, [])
        chat.send("two")
        stream.stop()
        assert list(stream) == []
        assert contents(chat) == ["two", "You said: two"]


def test_a_loop_that_is_left_stops_the_turn_and_keeps_what_had_come():
    chat, gate, engine = gated()
    with chat:
        gate.let(2)
        for piece in chat.stream("hi"):
            if piece == " two":
                break
        assert contents(chat) == ["hi", "one two"]
        assert chat.reply.receipt is None
        gate.let(9)
        assert chat.send("and?").text == "one two three four"
        assert engine.slots.busy == 0


def test_a_stream_in_a_circle_is_stopped_by_the_collector():
    chat, gate, _ = gated()
    with chat:
        stream = chat.stream("hi").start()
        gate.let(1)
        seen(stream, 1)
        circle = [stream]
        circle.append(circle)
        del stream, circle
        gc.collect()
        assert contents(chat) == ["hi", "one"]
        gate.let(9)
        assert chat.send("and?").text == "one two three four"  # the slot is free again


def test_the_next_turn_waits_until_the_engine_is_done_with_the_one_that_was_left():
    class Slow(Scripted):
        """Takes its time to let go of its one slot, beside which nobody may wait."""

        async def stream(self, prompt, sampling, extras=NO_EXTRAS):
            async with self.slots.slot():
                try:
                    yield Delta("one")
                    await asyncio.sleep(60)
                finally:
                    await asyncio.sleep(0.02)

    with on(Slow(slots=1, queue=0)) as chat:
        for text in ("a", "b", "c"):
            for piece in chat.stream(text):
                assert piece == "one"
                break
        assert contents(chat) == ["a", "one", "b", "one", "c", "one"]


def test_leaving_with_stops_the_turn():
    chat, gate, engine = gated()
    with chat:
        gate.let(1)
        with chat.stream("hi") as stream:
            assert next(stream) == "one"
        assert engine.slots.busy == 0
        assert list(stream) == ["one"]


def test_a_reader_that_waits_gets_the_end_when_another_thread_stops():
    chat, gate, _ = gated()
    with chat, ThreadPoolExecutor(3) as pool:
        stream = chat.stream("hi").start()
        readers = [pool.submit(list, stream) for _ in range(2)]
        gate.let(2)
        seen(stream, 2)
        stream.stop()
        assert [reader.result(10) for reader in readers] == [["one", " two"]] * 2
        stream.stop()


def test_a_turn_beside_another_is_refused_at_once_in_any_thread():
    chat, gate, _ = gated()
    with chat, ThreadPoolExecutor(1) as pool:
        stream = chat.stream("first").start()
        for verb in (
            lambda: chat.send("second"),
            chat.stream("third").start,
            chat.regenerate,
            chat.undo,
            chat.clear,
            lambda: setattr(chat, "tree", chat.tree),
        ):
            with pytest.raises(InputError, match="under way"):
                pool.submit(verb).result(10)
        gate.let(4)
        assert str(stream) == "one two three four"
        assert contents(chat) == ["first", "one two three four"]


def test_threads_with_chats_of_their_own_do_not_meet():
    def talk(n):
        with puna.Chat(engine="scripted", system=f"You are {n}.") as chat:
            return [str(chat.stream(f"{n} {k}")) for k in range(20)]

    with ThreadPoolExecutor(8) as pool:
        for n, answers in enumerate(pool.map(talk, range(8))):
            assert answers == [f"You said: {n} {k}" for k in range(20)]


def test_threads_that_share_a_chat_lose_nothing_and_are_told():
    with puna.Chat(engine="scripted") as chat:
        meet = threading.Barrier(6)

        def talk(n):
            meet.wait(10)
            try:
                return chat.send(f"from {n}").text
            except InputError as error:
                assert "under way" in str(error)
                return None

        with ThreadPoolExecutor(6) as pool:
            answered = [text for text in pool.map(talk, range(6)) if text]
        assert answered
        assert sorted(contents(chat)[1::2]) == sorted(answered)


def test_forks_are_answered_at_the_same_time():
    chat, gate, _ = gated()
    with chat:
        streams = [chat.fork().stream(str(n)).start() for n in range(3)]
        gate.let(12)
        assert [str(stream) for stream in streams] == ["one two three four"] * 3


def test_an_error_comes_after_the_pieces_before_it_to_every_reader():
    with on(Scripted(fail_after=2)) as chat:
        stream = chat.stream("a b")
        for _ in range(2):
            got = []
            with pytest.raises(EngineError, match="fails after 2") as caught:
                for piece in stream:
                    got.append(piece)
            assert got == ["You", " said:"]
            assert caught.value.partial == "You said:"
        assert (stream.text, stream.receipt) == ("You said:", None)
        assert contents(chat) == ["a b", "You said:"]
        with pytest.raises(EngineError):
            str(stream)


def test_an_error_before_the_first_piece_leaves_the_history_and_says_that_nothing_had_come():
    with on(Scripted(fail_after=0)) as chat:
        with pytest.raises(EngineError) as caught:
            chat.send("a b")
        assert caught.value.partial is None
        assert contents(chat) == []


def test_closing_the_chat_ends_a_stream_for_its_reader():
    chat, gate, _ = gated()
    stream = chat.stream("hi").start()
    gate.let(1)
    seen(stream, 1)
    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(chat.close)
        gate.let(9)
        closing.result(10)
    assert stream.text.startswith("one")
    assert contents(chat)[0] == "hi"


def test_tokens_tell_probabilities_where_they_were_asked_for():
    with puna.Chat(engine="scripted") as chat:
        stream = chat.stream("a", logprobs=2)
        stream.wait()
        assert [delta.logprobs[0].data for delta in stream.tokens] == [b"You", b" said:", b" a"]
        assert all(delta.logprobs[0].top for delta in stream.tokens)
        assert receipt_of(stream).extras.logprobs == 2
        with pytest.raises(InputError, match="logprobs"):
            chat.stream("a", logprobs=21)


def test_an_answer_of_half_characters_is_kept_as_text():
    """A server's JSON may split a surrogate pair between two pieces."""
    with on(Scripted(lambda prompt, sampling: "\ud83d \ude00 x")) as chat:
        assert chat.send("hi").text == "\ud83d \ude00 x"
        assert contents(chat)[1] == "\ufffd \ufffd x"
        chat.as_json()


async def in_loop(text="one two three four"):
    gate = Gate(asyncio.get_running_loop())
    engine = Scripted(lambda prompt, sampling: text, pace=gate)
    return on(engine, puna.AsyncChat), gate, engine


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_an_async_stream_is_read_again_awaited_and_stopped():
    async def scenario():
        chat, gate, engine = await in_loop()
        async with chat:
            stream = chat.stream("hi")
            gate.let(4)
            assert [piece async for piece in stream] == [piece async for piece in stream] == WORDS
            assert (await stream).receipt is stream.receipt is not None
            other = chat.stream("and?")
            gate.let(1)
            assert await anext(other) == "one"
            await other.stop()
            await other.stop()
            assert engine.slots.busy == 0
            assert (await other).text == "one"
            assert contents(chat) == ["hi", "".join(WORDS), "and?", "one"]

    run(scenario)


def test_an_async_loop_that_is_left_makes_room_for_the_next_turn():
    async def scenario():
        chat, gate, _ = await in_loop()
        async with chat:
            gate.let(1)
            async for _ in chat.stream("hi"):
                break
            assert contents(chat) == ["hi", "one"]
            gate.let(9)
            assert (await chat.send("and?")).text == "one two three four"

    run(scenario)


def test_two_async_readers_get_the_same():
    async def scenario():
        chat, gate, _ = await in_loop()

        async def read(stream):
            return [piece async for piece in stream]

        async with chat:
            stream = chat.stream("hi")
            both = asyncio.gather(read(stream), read(stream))
            gate.let(4)
            assert list(await both) == [WORDS, WORDS]

    run(scenario)


def test_a_cancelled_wait_stops_the_turn_and_keeps_what_had_come():
    async def scenario():
        chat, gate, engine = await in_loop()
        async with chat:
            sending = asyncio.create_task(chat.send("hi"))
            gate.let(2)
            while "two" not in (chat._talk.last.text if chat._talk.last else ""):
                await asyncio.sleep(0)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            assert contents(chat) == ["hi", "one two"]
            gate.let(9)
            assert (await chat.send("and?")).text == "one two three four"
            assert engine.slots.busy == 0

    run(scenario)


def test_an_async_with_of_a_stream_stops_it():
    async def scenario():
        chat, gate, engine = await in_loop()
        async with chat:
            gate.let(1)
            async with chat.stream("hi") as stream:
                assert await anext(stream) == "one"
            assert engine.slots.busy == 0
            assert repr(stream) == "<AsyncStream ended: 'one'>"

    run(scenario)


def test_a_chat_works_where_a_loop_runs_already():
    """As in a notebook's cell."""

    async def cell():
        with puna.Chat(engine="scripted") as chat:
            return "".join(chat.stream("hi")), chat.send("there").text, str(chat.stream("again"))

    assert asyncio.run(cell()) == ("You said: hi", "You said: there", "You said: again")


def test_what_ends_a_turn_is_forgotten_with_the_conversation():
    import weakref

    chat = puna.Chat(engine="scripted")
    assert chat.send("hi").text == "You said: hi"
    inner = weakref.ref(chat._chat)
    chat.close()
    gc.disable()
    try:
        del chat
        assert inner() is None  # no circle keeps it until the collector comes
    finally:
        gc.enable()


def test_a_loop_that_was_closed_over_a_turn_makes_nobody_wait():
    loop = asyncio.new_event_loop()
    chat = puna.AsyncChat(engine="scripted")
    stream = chat.stream("hi")
    stream.recording.start(loop)
    loop.close()

    async def later():
        assert [piece async for piece in stream] == []
        with pytest.raises(InputError, match="under way"):
            await chat.send("and?")
        await stream.stop()
        assert (await chat.send("and?")).text == "You said: and?"

    run(later)


def test_ctrl_c_stops_the_turn_and_keeps_what_had_come(tmp_path):
    """In a process of its own, at the moment when its reader waits."""
    script = """
import asyncio, sys, puna
from puna.chat import Spine
from puna.engines.scripted import Scripted
from puna.formats import catalog

async def pace(n):
    if n == 2:
        print("waiting", file=sys.stderr, flush=True)
        await asyncio.sleep(60)

async def opened():
    engine = Scripted(pace=pace)
    return Spine(engine, await engine.start(), catalog.get("chatml"))

chat = puna.Chat(engine="scripted")
chat._chat._opening._opened = opened
def read():
    for piece in chat.stream("a b c"):
        print(piece, flush=True)

for how in (read, lambda: chat.send("a b c")):
    try:
        print("go", flush=True)
        how()
    except KeyboardInterrupt:
        print(chat.history[-1].content, chat.receipt, flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    seen_lines = [process.stdout.readline() for _ in range(3)]
    assert process.stderr.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    seen_lines += [process.stdout.readline() for _ in range(2)]
    assert process.stderr.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert seen_lines == ["go\n", "You\n", " said:\n", "You said: None\n", "go\n"]
    assert (out, err, process.returncode) == ("You said: None\n", "", 0)
