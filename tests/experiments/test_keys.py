"""The key of an answer: all that changes the output changes it, and nothing else does."""

import asyncio
from dataclasses import replace

import pytest

from puna.chat import Spine
from puna.engines.scripted import Scripted
from puna.experiments.keys import key_of
from puna.experiments.plan import Target
from puna.experiments.targets import Found
from puna.formats.chatml import CHATML, SMOLLM2
from puna.generation import Extras, Sampling
from puna.messages import Dialog, Role
from puna.turn import Ask

ASK = Ask(Dialog().append(Role.USER, "Hi"), Sampling(seed=1))
HERE = Found(Target("here"), model_sha256="abc")
THERE = Found(Target("there", "openai", url="http://127.0.0.1:1/v1", model="m"))


def turn(ask=ASK, form=SMOLLM2, **info):
    async def scenario():
        engine = Scripted()
        return await Spine(engine, replace(await engine.start(), **info), form).prepare(ask)

    return asyncio.run(scenario())


def test_it_is_the_same_for_the_same():
    assert key_of(HERE, turn(), 0) == key_of(HERE, turn(), 0)
    assert len(key_of(HERE, turn(), 0)) == 64


def test_a_name_and_a_window_change_nothing():
    named = replace(HERE, target=Target("other", settings={"context": 512}))
    assert key_of(named, turn(context=512, slots=9), 0) == key_of(HERE, turn(), 0)


@pytest.mark.parametrize(
    "other",
    [
        lambda: key_of(HERE, turn(), 1),
        lambda: key_of(replace(HERE, model_sha256="abd"), turn(), 0),
        lambda: key_of(HERE, turn(build="b2"), 0),
        lambda: key_of(HERE, turn(form=CHATML), 0),
        lambda: key_of(HERE, turn(replace(ASK, prompt=Dialog().append(Role.USER, "Ho"))), 0),
        lambda: key_of(HERE, turn(replace(ASK, sampling=Sampling(seed=2))), 0),
        lambda: key_of(HERE, turn(replace(ASK, sampling=Sampling(seed=1, top_k=3))), 0),
        lambda: key_of(HERE, turn(replace(ASK, sampling=Sampling(seed=1, stop=("x",)))), 0),
        lambda: key_of(HERE, turn(replace(ASK, extras=Extras(logprobs=0))), 0),
        lambda: key_of(HERE, turn(replace(ASK, extras=Extras(logprobs=1))), 0),
        lambda: key_of(THERE, turn(), 0),
    ],
)
def test_what_changes_the_output_changes_it(other):
    assert other() != key_of(HERE, turn(), 0)


@pytest.mark.parametrize(
    "change", [{"url": "http://127.0.0.1:2/v1"}, {"model": "n"}, {"api": "sagemaker"}, {"endpoint": "e"}]
)
def test_a_remote_model_is_its_address_and_name(change):
    other = replace(THERE, target=replace(THERE.target, **change))
    assert key_of(other, turn(), 0) != key_of(THERE, turn(), 0)


def test_without_a_file_the_models_name_counts():
    scripted = Found(Target("here"))
    assert key_of(scripted, turn(model="a"), 0) != key_of(scripted, turn(model="b"), 0)


def test_messages_of_a_remote_target_count():
    async def prepared(text):
        engine = Scripted()
        spine = Spine(engine, await engine.start(), None)
        return await spine.prepare(Ask(Dialog().append(Role.USER, text), Sampling(seed=1)))

    one, two = asyncio.run(prepared("a")), asyncio.run(prepared("b"))
    assert key_of(THERE, one, 0) != key_of(THERE, two, 0)
