"""Edit, regenerate, fork, undo, versions and choose: nothing that was written or answered is ever lost."""

import asyncio
import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import puna
from puna.engines.scripted import Scripted
from puna.errors import ContextWindowError, EngineError, InputError
from puna.messages import Role

from .talks import Numbered, contents, on, receipt_of


class Verbs(RuleBasedStateMachine):
    """A model beside the conversation: messages with their parents, where it stands, and where it stood before each verb."""

    @initialize(system=st.sampled_from([None, "Be kind."]))
    def begin(self, system):
        self.engine = Scripted(lambda prompt, sampling: f"answer {next(self.numbers)} of it")
        self.numbers = itertools.count()
        self.asked = itertools.count()
        self.chat = on(self.engine, system=system)
        self.system = [] if system is None else [system]
        self.parents: list = []
        self.texts: list = []
        self.at: int | None = None
        self.before: list = []

    def teardown(self):
        if hasattr(self, "chat"):
            self.chat.close()

    def line(self):
        found: list[int] = []
        at = self.at
        while at is not None:
            found.insert(0, at)
            at = self.parents[at]
        return found

    def grow(self, parent, text):
        self.parents.append(parent)
        self.texts.append(text)
        return len(self.texts) - 1

    def moved(self, at):
        self.before.append(self.at)
        self.at = at

    def question(self):
        return f"question {next(self.asked)}"

    def index(self, data, role):
        """An index into the history, and the node behind it."""
        nodes = [
            (n + len(self.system), node) for n, node in enumerate(self.line()) if self.texts[node].startswith(role)
        ]
        return data.draw(st.sampled_from(nodes)) if nodes else None

    @rule()
    def send(self):
        text = self.question()
        reply = self.chat.send(text)
        self.moved(self.grow(self.grow(self.at, text), reply.text))

    @rule()
    def stream_that_is_left(self):
        text = self.question()
        stream = self.chat.stream(text)
        next(stream)
        stream.stop()
        self.moved(self.grow(self.grow(self.at, text), stream.text))

    @rule(pieces=st.integers(0, 2))
    def send_that_breaks_off(self, pieces):
        text = self.question()
        self.engine._fail_after = pieces
        with pytest.raises(EngineError) as caught:
            self.chat.send(text)
        self.engine._fail_after = None
        assert (caught.value.partial is None) == (pieces == 0)
        if pieces:
            self.moved(self.grow(self.grow(self.at, text), caught.value.partial))

    @precondition(lambda self: self.at is not None)
    @rule()
    def regenerate(self):
        reply = self.chat.regenerate()
        assert self.at is not None
        self.moved(self.grow(self.parents[self.at], reply.text))

    @precondition(lambda self: self.at is not None)
    @rule()
    def regenerate_that_fails(self):
        self.engine._fail_after = 0
        with pytest.raises(EngineError):
            self.chat.regenerate()
        self.engine._fail_after = None

    @rule(data=st.data())
    def edit_a_question(self, data):
        if found := self.index(data, "question"):
            text = self.question()
            reply = self.chat.edit(found[0], text)
            self.moved(self.grow(self.grow(self.parents[found[1]], text), reply.text))

    @rule(data=st.data())
    def edit_an_answer(self, data):
        if found := self.index(data, "answer"):
            text = f"answer by hand {next(self.asked)}"
            assert self.chat.edit(found[0] - len(self.chat.history), text).text == text
            self.moved(self.grow(self.parents[found[1]], text))

    @rule(data=st.data())
    def choose(self, data):
        if found := self.index(data, ""):
            versions = [n for n, parent in enumerate(self.parents) if parent == self.parents[found[1]]]
            assert self.chat.versions(found[0]) == tuple(self.texts[n] for n in versions)
            n = data.draw(st.integers(0, len(versions) - 1))
            self.chat.choose(found[0], n)
            below = {versions[n]}
            for node, parent in enumerate(self.parents):
                if parent in below:
                    below.add(node)
            if max(below) != self.at:
                self.moved(max(below))

    @rule()
    def undo(self):
        if self.before:
            self.chat.undo()
            self.at = self.before.pop()
        else:
            with pytest.raises(InputError, match="nothing to undo"):
                self.chat.undo()

    @rule(data=st.data())
    def fork(self, data):
        """What is done in a fork stays there; it has everything that was there."""
        found = self.index(data, "")
        other = self.chat.fork(None if found is None else found[0])
        assert contents(other) == contents(self.chat)[: None if found is None else found[0] + 1]
        assert other.tree.nodes == self.chat.tree.nodes
        if other.tree.head is None or other.tree.nodes[other.tree.head].message.role is Role.ASSISTANT:
            other.send("elsewhere")
        other.close()

    @rule()
    def save_and_load(self):
        value = self.chat.as_json()
        other = puna.Chat.from_json(value, engine="scripted")
        assert other.as_json() == value
        assert (other.history, other.tree.nodes) == (self.chat.history, self.chat.tree.nodes)

    @invariant()
    def it_is_as_the_model_says(self):
        assert contents(self.chat) == self.system + [self.texts[n] for n in self.line()]
        assert [node.message.content for node in self.chat.tree.nodes] == self.texts


TestVerbs = Verbs.TestCase
TestVerbs.settings = settings(max_examples=50, stateful_step_count=25)


def test_an_edited_question_is_answered_and_the_old_one_is_a_version():
    with puna.Chat(engine="scripted", system="Be kind.") as chat:
        chat.send("Where?")
        chat.send("When?")
        assert chat.edit(1, "Who?").text == "You said: Who?"
        assert contents(chat) == ["Be kind.", "Who?", "You said: Who?"]
        assert chat.versions(1) == ("Where?", "Who?")
        chat.choose(1, 0)
        assert contents(chat) == ["Be kind.", "Where?", "You said: Where?", "When?", "You said: When?"]
        chat.undo()
        assert chat.history[-1].content == "You said: Who?"


def test_regenerate_answers_a_question_that_waits():
    with puna.Chat(engine="scripted") as chat:
        chat.tree = chat.tree.append("user", "Anybody?")
        assert chat.regenerate().text == "You said: Anybody?"
        with pytest.raises(InputError, match="no answer to regenerate"):
            puna.Chat(engine="scripted").regenerate()


def test_a_stream_without_a_text_answers_the_history_as_it_stands():
    with puna.Chat(engine="scripted", history=[{"role": "user", "content": "Anybody?"}]) as chat:
        assert str(chat.stream()) == "You said: Anybody?"
        with pytest.raises(InputError, match="nothing to answer; give a text"):
            str(chat.stream())


def test_a_refused_verb_leaves_everything_as_it_was():
    with puna.Chat(engine="scripted", context=64) as chat:
        chat.send("short", max_tokens=8)
        tree = chat.tree
        for verb in (
            lambda: chat.edit(0, "word " * 100),
            lambda: chat.send("word " * 100),
            lambda: chat.regenerate(max_tokens=64),
        ):
            with pytest.raises(ContextWindowError):
                verb()
            assert chat.tree is tree


@pytest.mark.parametrize(
    ("verb", "sentence"),
    [
        (lambda chat: chat.edit(0, "x"), "stands before the conversation"),
        (lambda chat: chat.edit(3, "x"), r"\(1 to 2\), not 3"),
        (lambda chat: chat.edit(-4, "x"), r"\(1 to 2\), not -4"),
        (lambda chat: chat.edit(True, "x"), "index must be"),
        (lambda chat: chat.edit("1", "x"), "index must be"),
        (lambda chat: chat.edit(1, None), "text must be text"),
        (lambda chat: chat.edit(1, "\ud800"), "lone surrogate"),
        (lambda chat: chat.versions(9), "index must be"),
        (lambda chat: chat.choose(1, 1), "one of the 1 versions"),
        (lambda chat: chat.choose(1, -1), "one of the 1 versions"),
        (lambda chat: chat.fork(9), "index must be"),
        (lambda chat: setattr(chat, "tree", []), "must be a puna.dialog.history.History"),
        (lambda chat: setattr(chat, "system", 5), "system must be text"),
        (lambda chat: setattr(chat, "sampling", {"top_q": 1}), "Did you mean 'top_p'"),
        (lambda chat: chat.send("x", logprobs=3), "unknown sampling parameter 'logprobs'"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(verb, sentence):
    with puna.Chat(engine="scripted", system="s") as chat:
        chat.send("hi")
        with pytest.raises(InputError, match=sentence):
            verb(chat)
        assert len(chat.history) == 3


def test_a_fork_goes_on_alone_after_any_message():
    with puna.Chat(engine="scripted", system="s") as chat:
        chat.send("one")
        start, first = chat.fork(0), chat.fork(2)
        start.send("other")
        first.send("two")
        assert contents(start) == ["s", "other", "You said: other"]
        assert contents(first) == ["s", "one", "You said: one", "two", "You said: two"]
        assert contents(chat) == ["s", "one", "You said: one"]
        start.system = "t"
        assert chat.system == "s"


def test_the_engine_of_forks_is_closed_with_the_last_of_them():
    engine = Scripted()
    chat = on(engine)
    chat.send("one")
    fork = chat.fork()
    chat.close()
    chat.close()
    assert engine.ready
    assert fork.send("two").text == "You said: two"
    fork.close()
    assert not engine.ready


def test_a_fork_that_was_forgotten_keeps_no_engine_open():
    engine = Scripted()
    chat = on(engine)
    chat.send("one")
    chat.fork()
    chat.close()
    assert not engine.ready


def test_sampling_of_the_conversation_and_of_a_call():
    with puna.Chat(engine="scripted", sampling={"max_tokens": 2, "seed": 7}) as chat:
        assert chat.send("a b").text == "You said:"
        assert receipt_of(chat).sampling.seed == 7
        assert "max_tokens" not in receipt_of(chat).defaulted
        assert chat.send("a b", max_tokens_to_sample=3, seed=None).text == "You said: a"
        assert receipt_of(chat).sampling.seed == 7
        with pytest.raises(TypeError):
            chat.sampling["seed"] = 8  # type: ignore[index]  # it is a view
        chat.sampling = {**chat.sampling, "stop": "b"}
        assert dict(chat.sampling) == {"max_tokens": 2, "seed": 7, "stop": ("b",)}
        assert chat.regenerate(max_tokens=9).text == "You said: a "
        assert len(list(chat.complete("x y"))) == 3  # two pieces and the receipt


def test_an_answer_that_breaks_off_is_asked_again_only_where_that_is_wanted():
    answers = Numbered()
    engine = Scripted(answers, fail_after=2)
    with on(engine) as chat:
        with pytest.raises(EngineError):
            chat.send("once")
        assert len(answers.made) == 1
        with pytest.raises(EngineError) as caught:
            chat.send("twice", again=True)
        assert len(answers.made) == 3
        assert caught.value.partial == "answer 2"
        assert chat.versions(3) == ("answer 1", "answer 2")  # what had come of both is there
        engine._fail_after = 0
        with pytest.raises(EngineError):
            chat.send("nothing came", again=True)
        assert len(answers.made) == 4


def test_an_answer_that_is_asked_again_is_the_reply():
    class Once(Scripted):
        async def stream(self, *arguments):
            async for event in super().stream(*arguments):
                yield event
                if self._fail_after is None:
                    continue
                self._fail_after = None
                raise EngineError("broken once")

    with on(Once(Numbered(), fail_after=9)) as chat:
        assert chat.send("hi", again=True).text == "answer 1 of it"
        assert chat.versions(1) == ("answer", "answer 1 of it")


def test_clear_begins_again_as_another_session():
    with puna.Chat(engine="scripted", system="s") as chat:
        chat.send("one")
        first = chat.as_json()["id"]
        assert chat.as_json()["id"] == first
        chat.clear()
        assert (contents(chat), chat.reply, chat.receipt) == (["s"], None, None)
        assert chat.as_json()["id"] != first


def test_the_async_verbs_are_the_same():
    async def scenario():
        async with puna.AsyncChat(engine="scripted", system="s") as chat:
            await chat.send("one")
            await chat.edit(1, "two")
            await chat.regenerate()
            assert chat.versions(2) == ("You said: two", "You said: two")
            chat.choose(1, 0)
            fork = chat.fork(-2)
            assert contents(fork) == ["s", "one"]
            assert await fork.stream() == fork.reply
            chat.undo()
            await fork.close()
            return contents(chat), (await chat.info()).model

    assert asyncio.run(scenario()) == (["s", "two", "You said: two"], "scripted")
