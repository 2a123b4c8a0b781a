"""The signals of an answer are what the model says of it, and need nothing that an engine does not tell."""

import asyncio
import math

import pytest

from puna.chat import Spine
from puna.context.packing import pack
from puna.context.pieces import Piece
from puna.context.questions import ABSTENTION, Question
from puna.engines.base import Scored
from puna.engines.openai import OpenAI
from puna.engines.scripted import WORDS, Scripted
from puna.errors import InputError
from puna.experiments import answerable
from puna.experiments.answerable import alone_of, covered, evidence, signals, supported
from puna.experiments.likelihood import find
from puna.experiments.plan import Continuation
from puna.formats.catalog import FORMATS
from puna.generation import Extras, Logprob, Sampling, Usage
from puna.turn import Ask
from tests.engines.test_servers_real import beside_embedded
from tests.experiments.test_likelihood import on_spine
from tests.upstream.serving import puna

LIGHTHOUSE = Piece(
    "The Skerrow lighthouse was built in 1871 by Morag Bell. It is 38 metres high.", heading=("Skerrow",)
)
ASKED = Question("Who built the Skerrow lighthouse?", (LIGHTHOUSE, Piece("Goats graze on the reef.")))
ANSWER = "It was built by Morag Bell."
CLOSE = 5e-3
"""Batches of other sizes add in another order."""


def packed(question=ASKED):
    return pack(question, lambda _: 1, room=10)


class Sure(Scripted):
    """Holds every token behind a context at -1, without one at -3, and tells no alternatives. asked: the prompts that it scored."""

    def __init__(self):
        super().__init__()
        self.asked = []

    async def score(self, ids, top, start=1):
        del top
        text = b"".join(map(WORDS.bytes_of, ids[:start])).decode()
        self.asked.append((text, b"".join(map(WORDS.bytes_of, ids[start:])).decode()))
        known = [Logprob(n, WORDS.bytes_of(n), -1.0 if "Context" in text else -3.0) for n in ids[start:]]
        return Scored((None,) * start + tuple(known), Usage(len(ids), 0, 0))


def beside(work, engine=None):
    async def scenario():
        made = engine or Sure()
        return await work(Spine(made, await made.start(), FORMATS["chatml"]), made)

    return asyncio.run(scenario())


def test_the_contrast_is_what_the_context_adds():
    async def work(spine, engine):
        return await signals(spine, packed(), ANSWER), engine.asked

    found, asked = beside(work)
    assert found.contrast == pytest.approx(2.0)
    assert (found.logprob, found.least, found.entropy) == (-1.0, -1.0, None)
    assert found.unknown == pytest.approx(-1.0 * len(WORDS.encode(ABSTENTION)))
    assert [said for _, said in asked].count(ANSWER) == 2
    alone = [prompt for prompt, said in asked if said == ANSWER and "Context" not in prompt]
    assert len(alone) == 1
    assert ASKED.text in alone[0]
    assert "lighthouse was built in 1871" not in alone[0]


def test_what_came_with_the_answer_is_not_scored_again():
    told = [Logprob(n, b"x", -0.5, (Logprob(n, b"x", -0.5), Logprob(99, b"y", -1.5))) for n in range(40)]

    async def work(spine, engine):
        return await signals(spine, packed(), ANSWER, told), engine.asked

    found, asked = beside(work)
    assert [said for prompt, said in asked if "Context" in prompt] == [ABSTENTION]
    assert found.logprob == -0.5
    p, q = math.exp(-0.5), math.exp(-1.5)
    rest = 1 - p - q
    assert found.entropy == pytest.approx(-p * math.log(p) - q * math.log(q) - rest * math.log(rest))


def test_of_a_long_answer_its_beginning_is_looked_at():
    async def work(spine, engine):
        await evidence(spine, packed(), "word " * 500)
        return engine.asked

    assert max(len(WORDS.encode(said)) for _, said in beside(work)) == answerable.MOST


def test_alternatives_without_ids_are_told_apart_by_their_text():
    """As an OpenAI-compatible server tells them."""
    token = Logprob(7, b"a", math.log(0.5), (Logprob(-1, b"a", math.log(0.5)), Logprob(-1, b"b", math.log(0.5))))
    found = answerable.signals_of(packed(), ANSWER, answerable.Evidence((token,), (token,), (token,)))
    assert found.entropy == pytest.approx(math.log(2))


def test_the_words_of_the_passages():
    assert supported(packed(), ANSWER) == 1.0
    assert supported(packed(), "It was built by Isla Rae. It is 38 metres high.") == pytest.approx(0.5, abs=0.35)
    assert supported(packed(), ABSTENTION) == 0.0
    assert covered(packed()) == 1.0
    assert covered(packed(Question("Who painted the Skerrow lighthouse?", (LIGHTHOUSE,)))) == pytest.approx(2 / 3)
    assert covered(packed(Question("Who was it?", (LIGHTHOUSE,)))) == 0.0


def test_the_question_alone_keeps_its_instruction_and_examples():
    question = Question(
        "When?", (LIGHTHOUSE,), instruction="Be short.", examples=(Question("Why?").answered("Because."),)
    )
    said = [message.content for message in alone_of(packed(question))]
    assert said == ["Be short.", "Why?", "Because.", "When?"]


def test_no_answer_and_an_engine_that_cannot_score():
    async def work(spine, _):
        with pytest.raises(InputError, match="it is empty; ask for one"):
            await signals(spine, packed(), " \n")
        return spine

    beside(work)

    async def unable(spine, _):
        with pytest.raises(InputError, match="has no model to score"):
            await signals(spine, packed(), ANSWER)

    beside(unable, Scripted())


@pytest.mark.model
def test_scored_behind_the_prompt_or_told_with_the_answer_it_is_the_same(model_home):
    async def work(spine):
        counter = await spine.counter()
        whole = pack(ASKED, counter.prompt, room=400)
        turn = await spine.prepare(
            Ask(whole.dialog, Sampling(temperature=0, max_tokens=24), extras=Extras(logprobs=10))
        )
        text = ""
        told: list[Logprob] = []
        async for event in turn.stream():
            text, told = text + getattr(event, "text", ""), [*told, *getattr(event, "logprobs", ())]
        return (
            await signals(spine, whole, text, told),
            await signals(spine, whole, text),
            await find(spine, Ask(whole.dialog), Continuation("unknown", ABSTENTION)),
            [await signals(spine, whole, answer) for answer in (ANSWER, "It was built by Tove Raske.")],
        )

    told, scored, unknown, (right, invented) = on_spine(work)
    for name, value in told.as_json().items():
        assert value == pytest.approx(scored.as_json()[name], abs=CLOSE), name
    assert told.unknown == pytest.approx(unknown.logprob, abs=CLOSE)
    assert right.contrast > invented.contrast + 0.3
    assert right.logprob > invented.logprob + 0.3
    assert right.support > invented.support


@pytest.mark.model
def test_servers_that_score_say_the_same_as_the_engine_here(model_home):
    """puna's own endpoint, and llama.cpp's server."""
    whole = packed()

    async def everywhere(embedded, at_llama_cpp, _):
        async with puna(slots=1) as front:
            engine = OpenAI(front.url)
            at_puna = Spine(engine, await engine.start(), None)
            try:
                return [await signals(spine, whole, ANSWER) for spine in (embedded, at_llama_cpp, at_puna)]
            finally:
                await engine.close()

    here, *others = beside_embedded(everywhere)
    for there in others:
        for name, value in here.as_json().items():
            assert there.as_json()[name] == pytest.approx(value, abs=CLOSE), name


def test_a_server_that_tells_no_tokens_cannot():
    async def scenario():
        spine = Spine(Scripted(), await Scripted().start(), None)
        with pytest.raises(InputError, match="by a server that tells what tokens it makes of messages"):
            await signals(spine, packed(), ANSWER)

    asyncio.run(scenario())
