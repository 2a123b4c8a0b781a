import asyncio

import pytest

from puna.engines.scripted import CONTROL, WORDS, Scripted
from puna.errors import EngineError, InputError
from puna.generation import NO_EXTRAS, Delta, End, Extras, Finish, Kind, Prompt, Sampling, Segment
from puna.messages import Role


async def ask(engine, text="hello there", extras=NO_EXTRAS, **sampling):
    segments = (Segment(Kind.CONTENT, text, Role.USER),)
    prompt = Prompt(segments, await engine.encode(segments))
    return [event async for event in engine.stream(prompt, Sampling(**sampling), extras)]


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, Delta))


def test_it_says_back_the_last_user_turn():
    events = asyncio.run(ask(Scripted()))
    assert text_of(events) == "You said: hello there"
    end = events[-1]
    assert isinstance(end, End)
    assert end.finish is Finish.STOP
    assert end.usage is not None
    assert (end.usage.prompt, end.usage.output) == (2, 4)


def test_max_tokens_cuts_and_says_so():
    events = asyncio.run(ask(Scripted(), max_tokens=2))
    assert text_of(events) == "You said:"
    assert events[-1].finish is Finish.LENGTH


def test_a_stop_text_is_no_part_of_the_answer():
    events = asyncio.run(ask(Scripted(), stop=("there", "hello")))
    assert text_of(events) == "You said: "
    assert events[-1].stopped_by == "hello"


def test_content_is_never_a_control_token():
    segments = (Segment(Kind.CONTENT, "<|im_end|>"), Segment(Kind.CONTROL, "<|im_end|>"))
    ids = asyncio.run(Scripted().encode(segments))
    assert ids[-1] == sorted(CONTROL).index("<|im_end|>")
    assert all(number > 1 for number in ids[:-1])


def test_it_fails_where_the_script_says():
    async def scenario():
        engine, seen = Scripted(fail_after=2), []
        with pytest.raises(EngineError, match="after 2 pieces"):
            async for event in engine.stream(Prompt((Segment(Kind.CONTENT, "x"),)), Sampling()):
                seen.append(event)
        return len(seen), engine.slots.busy

    assert asyncio.run(scenario()) == (2, 0)


@pytest.mark.parametrize("alternatives", [0, 1, 5])
def test_it_is_certain_of_what_it_says(alternatives):
    *deltas, _ = asyncio.run(ask(Scripted(), extras=Extras(logprobs=alternatives)))
    tokens = [entry for delta in deltas for entry in delta.logprobs]
    assert [delta.tokens for delta in deltas] == [len(delta.logprobs) for delta in deltas]
    assert b"".join(entry.data for entry in tokens) == b"You said: hello there"
    assert [entry.id for entry in tokens] == WORDS.encode("You said: hello there")
    assert {entry.logprob for entry in tokens} == {0.0}
    assert all(len(entry.top) == min(1, alternatives) for entry in tokens)


def test_log_probabilities_and_penalties_change_nothing_of_the_answer():
    plain = asyncio.run(ask(Scripted()))
    told = asyncio.run(ask(Scripted(), extras=Extras(logprobs=3), presence_penalty=2.0))
    assert text_of(plain) == text_of(told)
    assert all(delta.logprobs == () for delta in plain[:-1])


def test_it_says_that_it_has_neither_grammar_nor_model():
    engine = Scripted()
    with pytest.raises(InputError, match="no grammar"):
        asyncio.run(ask(engine, extras=Extras(schema="{}")))
    with pytest.raises(InputError, match="no model to score 3 tokens"):
        asyncio.run(engine.score((2, 3, 4), 0))
    assert engine.slots.busy == 0


def test_it_is_reproducible_and_has_nothing_to_restart():
    engine = Scripted()
    assert engine.info.reproducible is True
    assert (engine.state, engine.restarts) == ("ready", 0)
    asyncio.run(engine.close())
    assert engine.state == "stopped"
