"""A continuation's likelihood is the model's own, token by token, behind the very prompt that an answer would get."""

import asyncio
import math

import pytest

from puna import config
from puna.chat import Spine
from puna.engines.base import Scored
from puna.engines.scripted import WORDS, Scripted
from puna.errors import ContextWindowError, InputError
from puna.experiments.likelihood import chosen, find
from puna.experiments.plan import Continuation
from puna.experiments.rows import Likelihood
from puna.formats.catalog import FORMATS
from puna.generation import Delta, Extras, Logprob, Sampling, Usage
from puna.messages import Dialog, Message, Role
from puna.turn import Ask

CLOSE = 5e-3
"""Batches of other sizes add in another order."""

LETTER = 65
"""A token that is a whole character."""

ASKED = Dialog((Message(Role.SYSTEM, "Answer shortly."), Message(Role.USER, "What is the capital of France?")))


def on_spine(work, **settings):
    """Run ``work(spine)`` beside a started one."""

    async def scenario():
        wanted = config.settings({"threads": 1, "batch_threads": 1, "context": 512, "slots": 1, **settings})
        spine = await config.open_spine(wanted, config.find_model(wanted))
        try:
            return await work(spine)
        finally:
            await spine.engine.close()

    return asyncio.run(scenario())


async def by_steps(spine, ask, tokens):
    """The oracle: each token forced by a bias in a request of its own, as a person would do it by hand."""
    ids = list((await spine.encoded(ask)).ids)
    found = []
    for token in tokens:
        # Of the first token of a character nothing is told when it is made: there the whole distribution is looked through.
        entry = await one(spine, ids, token.id, 1) or await one(spine, ids, LETTER, 49152)
        found.append(next(other["logprob"] for other in (entry, *entry["top_logprobs"]) if other["id"] == token.id))
        ids.append(token.id)
    return found


async def one(spine, ids, forced, alternatives):
    body = {"prompt": ids, "n_predict": 1, "n_probs": alternatives, "temperature": 0, "logit_bias": [[forced, 1000]]}
    async with spine.engine.http.post("/completion", json=body) as answer:
        return next(iter((await answer.json()).get("completion_probabilities", ())), None)


CASES = {
    "a dialog": (Ask(ASKED), "Paris, of course."),
    "raw text": (Ask("The capital of France is", raw=True), " Paris."),
    "a person's text": (Ask("<s>[INST] What is the capital of France? [/INST]"), "It is Paris"),
    "characters of several tokens": (Ask(ASKED), "巴黎 🙂é"),
    "spelled as a control token": (Ask(ASKED), "<|im_end|>"),
    "joined to the prompt": (Ask("The capital of Fra", raw=True), "nce is Paris"),
}


@pytest.mark.model
def test_a_likelihood_is_that_of_forcing_each_token(model_home):
    async def work(spine):
        found = {}
        for name, (ask, text) in CASES.items():
            likelihood = await find(spine, ask, Continuation(name, text, "group"), cell=3)
            found[name] = likelihood, await by_steps(spine, ask, likelihood.tokens)
        return found

    for name, (likelihood, oracle) in on_spine(work).items():
        told = [token.logprob for token in likelihood.tokens]
        assert told == pytest.approx(oracle, abs=CLOSE), name
        assert likelihood.logprob == pytest.approx(sum(oracle), abs=CLOSE * len(oracle))
        assert b"".join(token.data for token in likelihood.tokens).decode() == CASES[name][1]
        assert (likelihood.cell, likelihood.name, likelihood.text, likelihood.group) == (
            3,
            name,
            CASES[name][1],
            "group",
        )
        assert all(len(token.top) == 1 for token in likelihood.tokens)


@pytest.mark.model
def test_what_the_model_says_has_the_likelihood_that_it_told_when_saying_it(model_home):
    async def work(spine):
        ask = Ask(ASKED, Sampling(temperature=0, max_tokens=8), extras=Extras(logprobs=0))
        deltas = [event async for event in (await spine.prepare(ask)).stream() if isinstance(event, Delta)]
        text = "".join(delta.text for delta in deltas)
        said = [token for delta in deltas for token in delta.logprobs]
        return (
            said,
            await find(spine, ask, Continuation("said", text)),
            await find(spine, ask, Continuation("x", "Oslo")),
        )

    said, found, other = on_spine(work)
    assert [token.id for token in found.tokens] == [token.id for token in said]
    assert [token.logprob for token in found.tokens] == pytest.approx([token.logprob for token in said], abs=CLOSE)
    assert [token.id for token in found.tokens] == [token.top[0].id for token in found.tokens]
    assert other.logprob / len(other.tokens) < found.logprob / len(found.tokens)


@pytest.mark.model
def test_a_dialog_that_ends_with_a_begun_answer_goes_on_from_it(model_home):
    begun = Ask(Dialog((*ASKED, Message(Role.ASSISTANT, "The capital of France is"))), continues=True)

    async def work(spine):
        likely = await find(spine, begun, Continuation("right", " Paris"))
        return likely, await by_steps(spine, begun, likely.tokens)

    likely, oracle = on_spine(work)
    assert [token.data for token in likely.tokens] == [b" Paris"]
    assert likely.logprob == pytest.approx(sum(oracle), abs=CLOSE)


@pytest.mark.model
def test_what_cannot_be_scored_is_refused(model_home):
    async def work(spine):
        with pytest.raises(InputError, match="the continuation 'none' must have a text"):
            await find(spine, Ask(ASKED), Continuation("none", ""))
        with pytest.raises(ContextWindowError, match="but the context window holds 64"):
            await find(spine, Ask(ASKED), Continuation("long", "word " * 64))
        return await find(spine, Ask(ASKED), Continuation("fits", "word " * 8))

    assert on_spine(work, context=64).tokens


def test_an_engine_without_a_model_cannot_score():
    async def work(spine):
        with pytest.raises(InputError, match="the scripted engine has no model to score"):
            await find(spine, Ask(ASKED), Continuation("right", "Paris"))

    on_spine(work, engine="scripted")


class Scoring(Scripted):
    """Holds every token equally likely."""

    async def score(self, ids, top, start=1):
        told = [Logprob(n, WORDS.bytes_of(n), -1.0) for n in ids[start:]]
        return Scored((None,) * start + tuple(told), Usage(len(ids), 0, 0))


@pytest.mark.parametrize(("form", "text"), [("llama2", " Paris , France"), ("llama3", "Paris , France")])
def test_a_continuation_stands_behind_the_prompt_as_the_format_writes_an_answer(form, text):
    async def work():
        engine = Scoring()
        spine = Spine(engine, await engine.start(), FORMATS[form])
        for ask in (Ask(ASKED), Ask(FORMATS[form].text(ASKED))):
            found = await find(spine, ask, Continuation("right", "Paris , France"))
            assert b"".join(token.data for token in found.tokens).decode() == text

    asyncio.run(work())


def made(name, text, *logprobs):
    return Likelihood(0, name, text, tuple(Logprob(n, b"", logprob) for n, logprob in enumerate(logprobs)), "group")


def test_the_choice_depends_on_what_is_compared():
    short = made("short", "no", -2.0)
    long = made("long", "a longer text", -1.5, -1.5)
    longest = made("longest", "one of many characters in few tokens", -3.9)
    choices = [short, long, longest]
    assert chosen(choices) is chosen(choices, by="sum") is short
    assert chosen(choices, by="token") is long
    assert chosen(choices, by="character") is longest
    assert chosen([made("a", "x", -1.0), made("b", "y", -1.0)]).name == "a"
    assert math.isclose(long.logprob, -3)


def test_no_choices_and_an_unknown_way():
    with pytest.raises(InputError, match="at least one continuation"):
        chosen([])
    with pytest.raises(InputError, match="unknown way to compare choices 'tokens'. Did you mean 'token'"):
        chosen([made("a", "x", -1.0)], by="tokens")
